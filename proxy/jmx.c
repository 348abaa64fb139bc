/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /jmx; see jmx.h. An object name is DOMAIN:KEY=VALUE,KEY=VALUE; in a pattern the domain and the values may
 * contain '*' and '?', and one "*" among the properties admits further ones.
 *
 * What always holds: matching takes time proportional to the product of both lengths at most.
 */
#include "proxy/jmx.h"

#include <math.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "proxy/text.h"

#define PROPS_MAX 16u
#define QUERY_MAX 2048u

/* ---- object names ---- */

struct object_name {
	struct slice domain;
	struct slice key[PROPS_MAX], value[PROPS_MAX];
	size_t count;
	bool more; /* further properties are welcome */
};

/* Splits *rest at the first c, or takes all of it; false when *rest was used up. */
MUST_CHECK static bool take_until(struct slice *rest, char c, struct slice *out)
{
	const uint8_t *at;

	if (!rest->p)
		return false;
	at = rest->len ? memchr(rest->p, c, rest->len) : NULL;
	*out = at ? slice_of(rest->p, (size_t)(at - rest->p)) : *rest;
	*rest = at ? slice_of(at + 1, rest->len - out->len - 1) : slice_of(NULL, 0);
	return true;
}

MUST_CHECK static bool contains_any(struct slice s, const char *chars)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] == 0 || strchr(chars, s.p[i]))
			return true;
	return false;
}

MUST_CHECK static bool add_property(struct object_name *n, struct slice one)
{
	struct slice value = one, key;
	size_t i;

	if (slice_is(one, "*")) {
		if (n->more)
			return false;
		n->more = true;
		return true;
	}
	if (!take_until(&value, '=', &key) || !value.p || !key.len || n->count == PROPS_MAX ||
	    contains_any(key, "*?:\n") || contains_any(value, "=:\n"))
		return false;
	for (i = 0; i < n->count; i++)
		if (slice_eq(n->key[i], key))
			return false;
	n->key[n->count] = key;
	n->value[n->count++] = value;
	return true;
}

MUST_CHECK static bool parse_name(struct slice text, struct object_name *out)
{
	struct object_name n = {0};
	struct slice rest = text, one;

	if (text.len == 0) { /* Java: the empty name is "*:*" */
		n.domain = slice_str("*");
		n.more = true;
		*out = n;
		return true;
	}
	if (!take_until(&rest, ':', &n.domain) || !rest.p || contains_any(n.domain, "\n"))
		return false;
	while (take_until(&rest, ',', &one))
		if (!add_property(&n, one))
			return false;
	*out = n;
	return true;
}

/* '*' any text, '?' one byte. After a mismatch only the last '*' is tried again: never exponential. */
MUST_CHECK static bool wild(struct slice pattern, struct slice s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, star_i = 0;

	while (i < s.len) {
		if (p < pattern.len && pattern.p[p] == '*') {
			star = p++;
			star_i = i;
		} else if (p < pattern.len && (pattern.p[p] == '?' || pattern.p[p] == s.p[i])) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			i = ++star_i;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.p[p] == '*')
		p++;
	return p == pattern.len;
}

MUST_CHECK static bool matches(const struct object_name *pattern, const struct object_name *name)
{
	size_t i, k;

	if (!wild(pattern->domain, name->domain) || pattern->count > name->count ||
	    (!pattern->more && pattern->count != name->count))
		return false;
	for (i = 0; i < pattern->count; i++) {
		for (k = 0; k < name->count && !slice_eq(pattern->key[i], name->key[k]); k++)
			;
		if (k == name->count || !wild(pattern->value[i], name->value[k]))
			return false;
	}
	return true;
}

enum rc jmx_match(struct slice pattern, const char *name, bool *out)
{
	struct object_name p, n;

	if (!parse_name(pattern, &p))
		return RC_BAD_INPUT;
	INVARIANT(parse_name(slice_str(name), &n));
	*out = matches(&p, &n);
	return RC_OK;
}

/* ---- attributes ---- */

struct writer {
	FILE *f;
	struct slice only; /* p NULL: all attributes */
	bool found;
};

/* Starts an attribute; false when it was not asked for. */
MUST_CHECK static bool attr(struct writer *w, const char *name)
{
	if (w->only.p && !slice_is(w->only, name))
		return false;
	w->found = true;
	fputs(",\n    ", w->f);
	text_json(w->f, slice_str(name));
	fputs(" : ", w->f);
	return true;
}

static void attr_int(struct writer *w, const char *name, int64_t v)
{
	if (attr(w, name))
		fprintf(w->f, "%lld", (long long)v);
}

static void attr_uint(struct writer *w, const char *name, uint64_t v)
{
	if (attr(w, name))
		fprintf(w->f, "%llu", (unsigned long long)v);
}

/* As short as possible while the same number is read back, and always recognisable as a fraction. */
static void attr_double(struct writer *w, const char *name, double v)
{
	char buf[40];
	int digits;
	double back = 0;

	if (!attr(w, name))
		return;
	if (!isfinite(v)) {
		fputs(isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"", w->f);
		return;
	}
	for (digits = 6; digits <= 17; digits++) {
		snprintf(buf, sizeof(buf), "%.*g", digits, v);
		if (sscanf(buf, "%lf", &back) == 1 && !(back < v) && !(back > v))
			break;
	}
	fputs(buf, w->f);
	if (!strpbrk(buf, ".e"))
		fputs(".0", w->f);
}

static void attr_text(struct writer *w, const char *name, const char *v)
{
	if (attr(w, name))
		text_json(w->f, slice_str(v));
}

static void attr_text_or_null(struct writer *w, const char *name, const char *v)
{
	if (!attr(w, name))
		return;
	if (*v)
		text_json(w->f, slice_str(v));
	else
		fputs("null", w->f);
}

static void attr_bool(struct writer *w, const char *name, bool v)
{
	if (attr(w, name))
		fputs(v ? "true" : "false", w->f);
}

static void attr_usage(struct writer *w, const char *name, uint64_t committed, int64_t max, uint64_t used)
{
	if (attr(w, name))
		fprintf(w->f,
			"{\n      \"committed\" : %llu,\n      \"init\" : 0,\n      \"max\" : %lld,\n      \"used\" : %llu\n"
			"    }",
			(unsigned long long)committed, (long long)max, (unsigned long long)used);
}

/* ---- beans ---- */

struct state {
	const struct jmx_source *s;
	bool known; /* process was read: not before a bean needs it */
	struct metrics_process process;
};

static const struct metrics_process *process_of(struct state *st)
{
	if (!st->known)
		metrics_process_read(&st->process);
	st->known = true;
	return &st->process;
}

static uint64_t beyond_heap(const struct metrics_process *p)
{
	return p->resident > p->heap_committed ? p->resident - p->heap_committed : 0;
}

static void bean_meter(struct writer *w, struct state *st, unsigned meter)
{
	struct metrics_rates r;

	metrics_meter_read(st->s->metrics, (enum metrics_meter)meter, st->s->now, &r);
	attr_uint(w, "Count", r.count);
	attr_double(w, "FifteenMinuteRate", r.m15);
	attr_double(w, "FiveMinuteRate", r.m5);
	attr_double(w, "MeanRate", r.mean);
	attr_double(w, "OneMinuteRate", r.m1);
	attr_text(w, "RateUnit", "events/second");
}

static void bean_jvm_metrics(struct writer *w, struct state *st, unsigned unused)
{
	const struct metrics_process *p = process_of(st);
	char host[256] = "";

	(void)unused;
	gethostname(host, sizeof(host) - 1);
	attr_text(w, "tag.Context", "jvm");
	attr_text(w, "tag.ProcessName", st->s->process_name);
	attr_text_or_null(w, "tag.SessionId", st->s->session_id);
	attr_text(w, "tag.Hostname", host);
	attr_double(w, "MemNonHeapUsedM", (double)beyond_heap(p) / 1048576);
	attr_double(w, "MemNonHeapCommittedM", (double)beyond_heap(p) / 1048576);
	attr_double(w, "MemNonHeapMaxM", -1);
	attr_double(w, "MemHeapUsedM", (double)p->heap_used / 1048576);
	attr_double(w, "MemHeapCommittedM", (double)p->heap_committed / 1048576);
	attr_double(w, "MemHeapMaxM", -1);
	attr_double(w, "MemMaxM", -1);
	attr_int(w, "GcCount", 0);
	attr_int(w, "GcTimeMillis", 0);
	attr_int(w, "ThreadsNew", 0);
	attr_uint(w, "ThreadsRunnable", p->threads_running);
	attr_uint(w, "ThreadsBlocked", p->threads_blocked);
	attr_uint(w, "ThreadsWaiting", p->threads_waiting);
	attr_int(w, "ThreadsTimedWaiting", 0);
	attr_int(w, "ThreadsTerminated", 0);
	attr_uint(w, "LogFatal", st->s->logged[0]);
	attr_uint(w, "LogError", st->s->logged[1]);
	attr_uint(w, "LogWarn", st->s->logged[2]);
	attr_uint(w, "LogInfo", st->s->logged[3]);
}

/* Tokens are stored, updated and removed by get, renew and cancel. */
static void bean_tokens(struct writer *w, struct state *st, unsigned unused)
{
	static const struct {
		const char *count, *time;
		enum kms_op op;
	} row[] = {
		{"RemoveTokenNumOps", "RemoveTokenAvgTime", KMS_OP_CANCEL_TOKEN},
		{"StoreTokenNumOps", "StoreTokenAvgTime", KMS_OP_GET_TOKEN},
		{"UpdateTokenNumOps", "UpdateTokenAvgTime", KMS_OP_RENEW_TOKEN},
	};
	const struct metrics *m = st->s->metrics;
	uint64_t failed = 0;
	char host[256] = "";
	size_t i;

	(void)unused;
	gethostname(host, sizeof(host) - 1);
	attr_text(w, "tag.Context", "token");
	attr_text(w, "tag.Hostname", host);
	for (i = 0; i < ARRAY_LEN(row); i++) {
		attr_uint(w, row[i].count, metrics_requests(m, row[i].op, RESULT_OK));
		attr_double(w, row[i].time, metrics_mean_ms(m, row[i].op, RESULT_OK));
		failed += metrics_requests(m, row[i].op, RESULT_ERROR);
	}
	attr_uint(w, "TokenFailure", failed);
}

static void bean_memory(struct writer *w, struct state *st, unsigned unused)
{
	const struct metrics_process *p = process_of(st);

	(void)unused;
	attr_bool(w, "Verbose", false);
	attr_int(w, "ObjectPendingFinalizationCount", 0);
	attr_usage(w, "HeapMemoryUsage", p->heap_committed, -1, p->heap_used);
	attr_usage(w, "NonHeapMemoryUsage", beyond_heap(p), -1, beyond_heap(p));
	attr_text(w, "ObjectName", "java.lang:type=Memory");
}

static void bean_threading(struct writer *w, struct state *st, unsigned unused)
{
	const struct metrics_process *p = process_of(st);

	(void)unused;
	attr_uint(w, "ThreadCount", p->threads);
	attr_text(w, "ObjectName", "java.lang:type=Threading");
}

static void bean_runtime(struct writer *w, struct state *st, unsigned unused)
{
	const struct metrics_process *p = process_of(st);
	char host[256] = "", name[300];

	(void)unused;
	gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "%d@%s", (int)getpid(), host);
	attr_text(w, "Name", name);
	attr_int(w, "Pid", getpid());
	attr_uint(w, "StartTime", p->start_ms);
	attr_uint(w, "Uptime", p->uptime_ms);
	attr_text(w, "VmName", "SVSM-KMS");
	attr_text(w, "VmVersion", SVSM_VERSION);
	attr_text(w, "ObjectName", "java.lang:type=Runtime");
}

static void bean_system(struct writer *w, struct state *st, unsigned unused)
{
	const struct metrics_process *p = process_of(st);
	double load[1] = {-1};
	struct utsname u;

	(void)unused;
	attr_uint(w, "OpenFileDescriptorCount", p->open_files);
	attr_uint(w, "MaxFileDescriptorCount", p->max_files);
	attr_uint(w, "CommittedVirtualMemorySize", p->virtual_size);
	attr_uint(w, "ProcessCpuTime", p->cpu_ns);
	attr_int(w, "AvailableProcessors", sysconf(_SC_NPROCESSORS_ONLN));
	if (getloadavg(load, 1) == 1)
		attr_double(w, "SystemLoadAverage", load[0]);
	if (uname(&u) == 0) {
		attr_text(w, "Name", u.sysname);
		attr_text(w, "Version", u.release);
		attr_text(w, "Arch", strcmp(u.machine, "x86_64") == 0 ? "amd64" : u.machine);
	}
	attr_text(w, "ObjectName", "java.lang:type=OperatingSystem");
}

/* Our own figures, under their Prometheus names. Texts in labels become attributes "name{labels}". */
static void bean_server(struct writer *w, struct state *st, unsigned unused)
{
	const struct metrics_gauge *g;
	char name[256];
	size_t at = 0;

	(void)unused;
	attr_text(w, "Version", SVSM_VERSION);
	while ((g = metrics_gauge_next(st->s->metrics, &at))) {
		snprintf(name, sizeof(name), g->labels ? "%s{%s}" : "%s", g->name, g->labels);
		attr_double(w, name, metrics_gauge_value(g));
	}
}

#define METER_TYPE "com.codahale.metrics.JmxReporter$JmxMeter"

/* name NULL: one bean for each meter; "%s" stands for the process name. */
static const struct bean {
	const char *name;
	const char *type;
	void (*write)(struct writer *w, struct state *st, unsigned arg);
} beans[] = {
	{NULL, METER_TYPE, bean_meter},
	{"Hadoop:service=%s,name=JvmMetrics", "JvmMetrics", bean_jvm_metrics},
	{"Hadoop:service=%s,name=DelegationTokenSecretManagerMetrics", "DelegationTokenSecretManagerMetrics", bean_tokens},
	{"java.lang:type=Memory", "sun.management.MemoryImpl", bean_memory},
	{"java.lang:type=Threading", "sun.management.ThreadImpl", bean_threading},
	{"java.lang:type=Runtime", "sun.management.RuntimeImpl", bean_runtime},
	{"java.lang:type=OperatingSystem", "com.sun.management.internal.OperatingSystemImpl", bean_system},
	{"svsm.kms:type=Server", "SVSM-KMS", bean_server},
};

#define BEANS (METER_COUNT + ARRAY_LEN(beans) - 1)

/* The i-th bean and its name; the meters come first. */
static const struct bean *bean_at(const struct jmx_source *s, size_t i, char *name, size_t size)
{
	const struct bean *b = i < METER_COUNT ? &beans[0] : &beans[i - METER_COUNT + 1];
	const char *rest = i < METER_COUNT ? NULL : strstr(b->name, "%s");
	char process[128];
	size_t k;

	if (i < METER_COUNT) {
		snprintf(name, size, "metrics:name=%s", metrics_meter_name((enum metrics_meter)i));
		return b;
	}
	/* the process name is the operator's: keep it from breaking the object name */
	snprintf(process, sizeof(process), "%s", s->process_name);
	for (k = 0; process[k]; k++)
		if (strchr("*?,=:\n", process[k]))
			process[k] = '_';
	if (rest)
		snprintf(name, size, "%.*s%s%s", (int)(rest - b->name), b->name, process, rest + 2);
	else
		snprintf(name, size, "%s", b->name);
	return b;
}

/* False: a bean lacks the attribute asked for; the list ends with it, as in Hadoop. */
MUST_CHECK static bool write_beans(const struct jmx_source *s, const struct object_name *pattern,
				   struct slice only, FILE *f)
{
	struct state st = {.s = s};
	struct object_name name;
	bool any = false, ok = true;
	char text[256];
	size_t i;

	fputs("{\n  \"beans\" : [ ", f);
	for (i = 0; i < BEANS && ok; i++) {
		struct writer w = {.f = f, .only = only};
		const struct bean *b = bean_at(s, i, text, sizeof(text));

		INVARIANT(parse_name(slice_str(text), &name));
		if (!matches(pattern, &name))
			continue;
		fputs(any ? ", {\n    \"name\" : " : "{\n    \"name\" : ", f);
		any = true;
		text_json(f, slice_str(text));
		fprintf(f, ",\n    \"modelerType\" : \"%s\"", b->type);
		b->write(&w, &st, (unsigned)i);
		ok = !only.p || w.found;
		if (!ok) {
			fputs(",\n    \"result\" : \"ERROR\",\n    \"message\" : ", f);
			snprintf(text, sizeof(text), "No attribute with name %.*s was found.",
				 TEXT_ARG(only));
			text_json(f, slice_str(text));
		}
		fputs("\n  }", f);
	}
	fputs(any ? " ]\n}" : "]\n}", f);
	return ok;
}

/* ---- the query ---- */

/* OBJECT NAME "::" ATTRIBUTE, exactly once. */
MUST_CHECK static bool split_get(struct slice get, struct slice *name, struct slice *attribute)
{
	const uint8_t *at = get.len ? memmem(get.p, get.len, "::", 2) : NULL;

	if (!at)
		return false;
	*name = slice_of(get.p, (size_t)(at - get.p));
	*attribute = slice_of(at + 2, get.len - name->len - 2);
	return attribute->len > 0 && !memmem(attribute->p, attribute->len, "::", 2);
}

unsigned jmx_write(const struct jmx_source *s, struct slice query, FILE *f)
{
	struct slice raw, name = slice_str("*:*"), only = slice_of(NULL, 0);
	struct object_name pattern;
	char text[QUERY_MAX];
	size_t len = 0;
	bool get = text_query_find(query, "get", &raw), ok = true;

	if (get || text_query_find(query, "qry", &raw)) {
		ok = text_form_decode(raw, text, sizeof(text), &len);
		name = slice_of(text, len);
	}
	if (get && (!ok || !split_get(slice_of(text, len), &name, &only))) {
		fputs("{\n  \"result\" : \"ERROR\",\n  \"message\" : \"query format is not as expected.\"\n}",
		      f);
		return 400;
	}
	if (!ok || !parse_name(name, &pattern)) {
		fputs("{ }", f);
		return 400;
	}
	return write_beans(s, &pattern, only, f) ? 200 : 404;
}
