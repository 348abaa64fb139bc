/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says about itself: /health, /metrics, /jmx, /conf, /stacks, and a start page. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/base64.h"
#include "proxy/jmx.h"
#include "proxy/kms.h"
#include "proxy/text.h"

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char *const store_states[] = {
	[STORE_NONE] = "none", [STORE_LOADING] = "loading", [STORE_READY] = "ready", [STORE_REFUSED] = "refused",
};

static void put_hex(struct outbuf *o, const uint8_t *p, size_t n)
{
	for (; n; n--, p++)
		outbuf_printf(o, "%02x", *p);
}

/* auditHead is what `svsm-kms audit verify --head` takes. */
static void put_chain(struct outbuf *o, const struct kms *s, const struct wire_status *st, const struct chainlog_state *c)
{
	const char *state = !s->chain ? "off" : c->dropping ? "dropping" :
			    !c->failing ? "ok" : c->refuse ? "refusing" : "failing";

	outbuf_printf(o, ",\"auditChain\":\"%s\",\"auditWritten\":%llu,\"auditLost\":%llu,\"auditHead\":\"%llu:", state,
		      (unsigned long long)c->written, (unsigned long long)(c->lost + c->lost_at_start),
		      (unsigned long long)st->chain_seq);
	put_hex(o, st->chain_hash, sizeof(st->chain_hash));
	outbuf_str(o, "\",\"auditKey\":\"");
	put_hex(o, st->audit_key, sizeof(st->audit_key));
	outbuf_str(o, "\",\"uploadKey\":\"");
	put_hex(o, st->upload_key, sizeof(st->upload_key));
	outbuf_str(o, "\"");
}

const char *isolation_protects(const char *isolation)
{
	if (strcmp(isolation, "process") == 0)
		return "keys are kept from other users of this machine, not from its administrator or the hypervisor";
	if (strcmp(isolation, "vmpl0-snp") == 0)
		return "keys are kept from this virtual machine's administrator and from its host; have it attested";
	return "keys are kept from nobody: an emulator, without memory encryption, for development";
}

/*
 * Always 200 while the server can answer at all; "status" says whether it can do its work. What the
 * isolation is worth is said in words: nobody should take "process" for hardware protection.
 */
static void health(struct work *k)
{
	struct kms *s = k->w->k;
	struct wire_status st = { 0 };
	static const uint8_t no_owner[32];
	struct audit_state audit;
	struct chainlog_state chain;
	OUTBUF o = { 0 };
	bool up = core_status(s, &st) == RC_OK, ok;
	const char *isolation = boot_isolation_name(up ? st.isolation : channel_isolation(s->channel));

	audit_state(s->audit, &audit);
	chainlog_state(s->chain, &chain);
	ok = up && st.store == STORE_READY && st.random_ok && !audit.failing && !chain.failing && !chain.dropping;
	outbuf_printf(&o, "{\"status\":\"%s\",\"isolation\":\"%s\",\"protects\":\"%s\",\"version\":\"%s\",",
		      ok ? "ok" : up ? "degraded" : "starting", isolation, isolation_protects(isolation), SVSM_VERSION);
	outbuf_printf(&o, "\"store\":\"%s\",\"keys\":%llu,\"tokens\":%llu,\"epoch\":%llu,\"memory\":%llu,",
		      up && st.store < ARRAY_LEN(store_states) ? store_states[st.store] : "unknown",
		      (unsigned long long)st.keys, (unsigned long long)st.tokens, (unsigned long long)st.epoch,
		      (unsigned long long)st.memory);
	outbuf_str(&o, "\"storeId\":\"");
	put_hex(&o, st.store_id, sizeof(st.store_id));
	outbuf_str(&o, "\",\"owner\":\"");
	if (up && memcmp(st.owner, no_owner, sizeof(no_owner)) != 0)
		put_hex(&o, st.owner, sizeof(st.owner));
	outbuf_printf(&o, "\",\"configVersion\":%llu,", (unsigned long long)st.config_version);
	outbuf_printf(
		&o,
		"\"pending\":%u,\"random\":\"%s\",\"memoryLocked\":%s,\"audit\":\"%s\",\"serviceRestarts\":%llu",
		st.pending, up ? (st.random_ok ? "ok" : "failed") : "unknown",
		st.memory_locked ? "true" : "false", audit.failing ? "failing" : "ok",
		(unsigned long long)__atomic_load_n(&s->restarts, __ATOMIC_RELAXED));
	put_chain(&o, s, &st, &chain);
	outbuf_str(&o, "}\n");
	answer_page(k, NULL, 200, NULL, "application/json", "", outbuf_slice(&o));
}

/* Runs a writer of a FILE into an answer. */
static void answer_file(struct work *k, const struct wire_ans *ans, unsigned status, const char *reason,
			const char *type, const char *headers, FILE *f, char **text, size_t *len)
{
	bool ok = fclose(f) == 0;

	if (ok)
		answer_page(k, ans, status, reason, type, headers, slice_of(*text, *len));
	else
		answer_html(k, NULL, 500, "No memory");
	free(*text);
}

static void metrics_page(struct work *k, const struct wire_ans *ans)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f) {
		answer_html(k, NULL, 500, "No memory");
		return;
	}
	metrics_write(k->w->k->metrics, mono_ns(), f);
	answer_file(k, ans, 200, NULL, "text/plain; version=0.0.4; charset=utf-8", "", f, &text, &len);
}

/* ---- /attestation ---- */

static void put_base64(struct outbuf *o, const char *name, const uint8_t *p, size_t n)
{
	size_t room = base64_std_len(n), len;
	uint8_t *to;

	outbuf_printf(o, ",\"%s\":\"", name);
	to = outbuf_room(o, room + 1);
	if (!to)
		return;
	if (base64_std_encode(slice_of(p, n), to, room, &len))
		outbuf_used(o, len);
	else
		o->failed = true;
	outbuf_str(o, "\"");
}

/* The isolation is what this server says of itself; the report is what shows it. */
static const char *isolation_of(struct kms *s)
{
	struct wire_status st;
	bool up = core_status(s, &st) == RC_OK;

	return boot_isolation_name(up ? st.isolation : channel_isolation(s->channel));
}

void page_attest_drop(struct work *k)
{
	if (k->attest)
		free(k->attest->answer);
	free(k->attest);
	k->attest = NULL;
}

void page_attested(struct work *k)
{
	const struct attest_job *j = k->attest;
	OUTBUF o = { 0 };

	if (j->rc != RC_OK) {
		answer_refusal(k, NULL, 503, "java.io.IOException", j->why);
		return;
	}
	outbuf_printf(&o, "{\"isolation\":\"%s\"", isolation_of(k->w->k));
	put_base64(&o, "report", j->answer->report, j->answer->report_len);
	put_base64(&o, "manifest", j->answer->manifest, j->answer->manifest_len);
	put_base64(&o, "certificates", j->answer->certs, j->answer->certs_len);
	outbuf_str(&o, "}\n");
	if (outbuf_ok(&o))
		answer_page(k, NULL, 200, NULL, "application/json", "", outbuf_slice(&o));
	else
		answer_html(k, NULL, 500, "No memory");
}

struct attest_question {
	struct attest_job job;	/* first: freed as the job */
	struct work *work;
};

/* In the queue's thread. */
static void attest_done(struct attest_job *j)
{
	struct work *k = ((struct attest_question *)j)->work;
	struct kms_worker *w = k->w;

	work_give_back(k, WORK_ATTESTED, NULL);
	server_wake(w->k->server, w->number);
}

static void attestation(struct work *k)
{
	struct attest_question *q = calloc(1, sizeof(*q));
	enum rc rc;

	if (!q) {
		answer_html(k, NULL, 500, "No memory");
		return;
	}
	k->attest = &q->job;
	q->work = k;
	q->job.done = attest_done;
	if (attest_query(k->r->query, q->job.in) != RC_OK) {
		answer_refusal(k, NULL, 400, "java.lang.IllegalArgumentException",
			       "/attestation?nonce=HEX: 1 to 64 bytes in hexadecimal digits, and nothing else");
		return;
	}
	k->state = WORK_CALLED;
	rc = k->w->k->attest ? attest_ask(k->w->k->attest, &q->job) : RC_MACHINE;
	if (rc != RC_OK)
		answer_refusal(k, NULL, 503, "java.io.IOException",
			       rc == RC_BUSY ? "Too many attestation reports are being waited for; the hardware makes "
					       "one at a time. Try again" :
					       "Attestation reports cannot be asked for: no memory or no thread");
}

void page_open(struct work *k)
{
	static const char index[] =
		"<html><head><title>SVSM-KMS</title></head><body><h1>SVSM-KMS</h1><ul>"
		"<li><a href=\"/health\">health</a></li><li><a href=\"/metrics\">metrics</a></li>"
		"<li><a href=\"/jmx\">jmx</a></li><li><a href=\"/conf\">conf</a></li>"
		"<li><a href=\"/openapi.json\">openapi.json</a></li></ul></body></html>\n";

	k->op = KMS_OP_STATUS;
	switch (k->route.ep) {
	case EP_HEALTH:
		health(k);
		break;
	case EP_ATTESTATION:
		attestation(k);
		break;
	case EP_METRICS:
		metrics_page(k, NULL);
		break;
	case EP_INDEX:
		answer_page(k, NULL, 200, NULL, "text/html;charset=utf-8", "", slice_str(index));
		break;
	case EP_OPENAPI:
		answer_page(k, NULL, 200, NULL, "application/json", "", openapi_document());
		break;
	case EP_BAD_PATH:
		answer_html(k, NULL, 400, "Bad Request");
		break;
	default:
		answer_html(k, NULL, 404, "Not Found");
	}
}

static void jmx_page(struct work *k, const struct wire_ans *ans)
{
	struct kms *s = k->w->k;
	struct jmx_source src = { .metrics = s->metrics, .now = mono_ns() };
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	unsigned status;

	if (!f) {
		answer_html(k, NULL, 500, "No memory");
		return;
	}
	pthread_rwlock_rdlock(&s->settings_lock);
	src.process_name = settings_str(s->settings, SET_METRICS_PROCESS);
	src.session_id = settings_str(s->settings, SET_METRICS_SESSION);
	status = jmx_write(&src, k->r->query, f);
	pthread_rwlock_unlock(&s->settings_lock);
	/* The status it means to send never reaches Hadoop's clients: its headers are gone by then. */
	(void)status;
	answer_file(k, ans, 200, NULL, "application/json; charset=utf8",
		    "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET\r\n", f, &text, &len);
}

static void conf_page(struct work *k, const struct wire_ans *ans)
{
	struct kms *s = k->w->k;
	struct slice accept = http_header_value(k->r, "accept"), name = slice_of("", 0);
	bool json = accept.len && memmem(accept.p, accept.len, "json", 4);
	uint8_t buf[512];
	char *text = NULL, reason[600];
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	bool found;

	if (!f) {
		answer_html(k, NULL, 500, "No memory");
		return;
	}
	if (!query_get(k->r->query, "name", false, buf, sizeof(buf), &name))
		name = slice_of("", 0);
	else if (!name.p)
		name = slice_str("(unreadable)");
	pthread_rwlock_rdlock(&s->settings_lock);
	found = settings_dump(s->settings, s->conf, json ? SETTINGS_JSON : SETTINGS_XML, name, f);
	pthread_rwlock_unlock(&s->settings_lock);
	snprintf(reason, sizeof(reason), "Property %.*s not found", (int)name.len, (const char *)name.p);
	answer_file(k, ans, found ? 200 : 404, found ? NULL : reason,
		    json ? "application/json; charset=utf-8" : "text/xml; charset=utf-8", "", f, &text, &len);
}

/* Hadoop shows Java's threads here; ours are told by their numbers. */
static void stacks_page(struct work *k, const struct wire_ans *ans)
{
	struct metrics_process p;
	OUTBUF o = { 0 };

	metrics_process_read(&p);
	outbuf_printf(&o, "Process Thread Dump: SVSM-KMS proxy\n%llu threads: %llu running, %llu waiting\n"
			  "This server is not a Java process; there are no Java stacks to show.\n",
		      (unsigned long long)p.threads, (unsigned long long)p.threads_running,
		      (unsigned long long)p.threads_waiting);
	answer_page(k, ans, 200, NULL, "text/plain; charset=utf-8", "", outbuf_slice(&o));
}

/* Hadoop's place for the same figures; off unless configured. */
static void prom_page(struct work *k, const struct wire_ans *ans)
{
	struct kms *s = k->w->k;
	bool on;

	pthread_rwlock_rdlock(&s->settings_lock);
	on = settings_bool(s->settings, SET_PROMETHEUS);
	pthread_rwlock_unlock(&s->settings_lock);
	if (on)
		metrics_page(k, ans);
	else
		answer_html(k, ans, 404, "Not Found");
}

/* One of the entries of a comma list, blanks around them aside. */
static bool in_list(struct slice list, struct slice what)
{
	while (list.len) {
		const uint8_t *comma = memchr(list.p, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.p) : list.len;

		if (slice_eq(text_trim(slice_of(list.p, n)), what))
			return true;
		n += comma != NULL;
		list = slice_of(list.p + n, list.len - n);
	}
	return false;
}

/* Which pages are for administrators is this program's own business, who is one the core's. */
bool page_for_admins(const struct work *k)
{
	const struct hot_settings *h = kms_hot(k->w->k);

	return h->admin_pages && h->admin_instrumentation && k->route.ep >= EP_FIRST_PAGE && k->route.ep <= EP_STACKS;
}

bool page_for_everybody(const struct work *k)
{
	const struct hot_settings *h = kms_hot(k->w->k);

	return h->negotiate && h->whitelist[0] && k->route.ep >= EP_FIRST_PAGE && k->route.ep <= EP_PROM &&
	       in_list(slice_str(h->whitelist), k->r->path);
}

void page_answer(struct work *k, const struct wire_ans *ans)
{
	char text[WIRE_USER_MAX + 128];

	switch (k->route.ep) {
	case EP_JMX:
		jmx_page(k, ans);
		break;
	case EP_CONF:
		conf_page(k, ans);
		break;
	case EP_STACKS:
		stacks_page(k, ans);
		break;
	case EP_PROM:
		prom_page(k, ans);
		break;
	case EP_PAGE_METHOD:
		snprintf(text, sizeof(text), "HTTP method %.*s is not supported by this URL",
			 (int)k->r->method_text.len, (const char *)k->r->method_text.p);
		answer_html(k, ans, 405, text);
		break;
	case EP_BAD_NAME:
		answer_html(k, ans, 400, "Bad Request");
		break;
	default:
		answer_html(k, ans, 404, "Not Found");
	}
}
