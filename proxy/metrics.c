/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, meters and latencies; see metrics.h. */
#include "proxy/metrics.h"

#include <dirent.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proxy/text.h"

/*
 * Latencies: four buckets to each power of two of microseconds, up to 2^24 us (17 s), and one for the
 * rest. Bucket i ends before bucket_end(i).
 */
#define OCTAVES 24u
#define BUCKETS ((OCTAVES - 1) * 4 + 1)
#define TICK_NS UINT64_C(5000000000)

struct metrics_worker {
	_Alignas(64) uint64_t requests[KMS_OP_COUNT][RESULT_COUNT];
	uint64_t meter[METER_COUNT];
	uint64_t event[METRICS_EVENT_COUNT];
	uint64_t latency_ns[KMS_OP_COUNT][RESULT_COUNT];
	uint64_t bucket[KMS_OP_COUNT][RESULT_COUNT][BUCKETS];
};

struct weighted {
	uint64_t counted; /* up to the last tick */
	double rate[3];   /* events per second over 1, 5, 15 minutes */
	bool started;
};

struct metrics {
	struct metrics_worker *worker;
	unsigned workers;
	uint64_t start;
	struct metrics_gauge gauge[METRICS_GAUGES_MAX];
	size_t gauges;

	pthread_mutex_t lock; /* what follows */
	uint64_t last_tick;
	struct weighted weighted[METER_COUNT];
};

/* 1 - exp(-5 s / 1, 5, 15 min) */
static const double alpha[3] = {0.07995558537067671, 0.01652854617838251, 0.005540151995103271};

static const char *const meter_names[METER_COUNT] = {
	[METER_ADMIN] = "hadoop.kms.admin.calls.meter",
	[METER_KEY] = "hadoop.kms.key.calls.meter",
	[METER_GENERATE_EEK] = "hadoop.kms.generate_eek.calls.meter",
	[METER_DECRYPT_EEK] = "hadoop.kms.decrypt_eek.calls.meter",
	[METER_REENCRYPT_EEK] = "hadoop.kms.reencrypt_eek.calls.meter",
	[METER_REENCRYPT_EEK_BATCH] = "hadoop.kms.reencrypt_eek_batch.calls.meter",
	[METER_UNAUTHORIZED] = "hadoop.kms.unauthorized.calls.meter",
	[METER_UNAUTHENTICATED] = "hadoop.kms.unauthenticated.calls.meter",
	[METER_INVALID] = "hadoop.kms.invalid.calls.meter",
};

#define NO_METER METER_COUNT

static enum metrics_meter meter_of(enum kms_op op, unsigned status)
{
	switch (op) {
	case KMS_OP_CREATE_KEY:
	case KMS_OP_DELETE_KEY:
	case KMS_OP_ROLL_NEW_VERSION:
	case KMS_OP_INVALIDATE_CACHE:
	case KMS_OP_GET_KEYS:
	case KMS_OP_GET_KEYS_METADATA:
	case KMS_OP_GET_METADATA:
		return METER_ADMIN;
	case KMS_OP_GET_CURRENT_KEY:
	case KMS_OP_GET_KEY_VERSION:
	case KMS_OP_GET_KEY_VERSIONS:
		return METER_KEY;
	case KMS_OP_GENERATE_EEK:
		return status == 200 ? METER_GENERATE_EEK : NO_METER;
	case KMS_OP_DECRYPT_EEK:
		return METER_DECRYPT_EEK;
	case KMS_OP_REENCRYPT_EEK:
		return METER_REENCRYPT_EEK;
	case KMS_OP_REENCRYPT_EEK_BATCH:
		return METER_REENCRYPT_EEK_BATCH;
	default:
		return NO_METER;
	}
}

static enum metrics_result result_of(unsigned status)
{
	if (status >= 200 && status < 400)
		return RESULT_OK;
	if (status == 401)
		return RESULT_UNAUTHENTICATED;
	if (status == 403)
		return RESULT_DENIED;
	return status >= 400 && status < 500 ? RESULT_INVALID : RESULT_ERROR;
}

/* Only the owner writes: no read-modify-write instruction is needed, but readers must see whole values. */
static void bump(uint64_t *p, uint64_t n)
{
	__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static uint64_t peek(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static unsigned bucket_of(uint64_t us)
{
	unsigned e;

	if (us < 4)
		return (unsigned)us;
	if (us >> OCTAVES)
		return BUCKETS - 1;
	e = 63u - (unsigned)__builtin_clzll(us);
	return (e - 1) * 4 + ((unsigned)(us >> (e - 2)) & 3);
}

/* In microseconds, exclusive; not for the last bucket. */
static uint64_t bucket_end(unsigned i)
{
	return i < 4 ? i + 1 : (uint64_t)(i % 4 + 5) << (i / 4 - 1);
}

enum rc metrics_create(unsigned workers, uint64_t now, struct metrics **out)
{
	size_t size = sizeof(struct metrics_worker);
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return RC_NO_ROOM;
	m->workers = workers ? workers : 1;
	m->worker = aligned_alloc(64, size * m->workers);
	if (!m->worker) {
		free(m);
		return RC_NO_ROOM;
	}
	memset(m->worker, 0, size * m->workers);
	m->start = m->last_tick = now;
	pthread_mutex_init(&m->lock, NULL);
	*out = m;
	return RC_OK;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	pthread_mutex_destroy(&m->lock);
	free(m->worker);
	free(m);
}

struct metrics_worker *metrics_worker(struct metrics *m, unsigned i)
{
	INVARIANT(i < m->workers);
	return &m->worker[i];
}

void metrics_mark(struct metrics_worker *w, enum metrics_meter meter)
{
	INVARIANT((unsigned)meter < METER_COUNT);
	bump(&w->meter[meter], 1);
}

void metrics_request(struct metrics_worker *w, enum kms_op op, unsigned status, bool known, uint64_t latency_ns)
{
	enum metrics_meter meter = meter_of(op, status);
	enum metrics_result r = result_of(status);

	INVARIANT((unsigned)op < KMS_OP_COUNT);
	bump(&w->requests[op][r], 1);
	bump(&w->latency_ns[op][r], latency_ns);
	bump(&w->bucket[op][r][bucket_of(latency_ns / 1000)], 1);
	if (status == 401)
		bump(&w->meter[METER_UNAUTHENTICATED], 1);
	else if (known && meter != NO_METER)
		bump(&w->meter[meter], 1);
	if (status != 200 && status != 201 && status != 401)
		bump(&w->meter[METER_INVALID], 1);
}

void metrics_authentication(struct metrics_worker *w, enum metrics_credential c, bool believed)
{
	INVARIANT((unsigned)c <= CREDENTIAL_TOKEN);
	metrics_event(w, (enum metrics_event_id)((unsigned)(believed ? EVENT_AUTH_NONE : EVENT_NO_AUTH_NONE) + (unsigned)c));
}

void metrics_event(struct metrics_worker *w, enum metrics_event_id e)
{
	INVARIANT((unsigned)e < METRICS_EVENT_COUNT);
	bump(&w->event[e], 1);
}

enum rc metrics_add_gauge(struct metrics *m, const struct metrics_gauge *g)
{
	if (m->gauges == METRICS_GAUGES_MAX)
		return RC_NO_ROOM;
	m->gauge[m->gauges++] = *g;
	return RC_OK;
}

const struct metrics_gauge *metrics_gauge_next(const struct metrics *m, size_t *at)
{
	return *at < m->gauges ? &m->gauge[(*at)++] : NULL;
}

double metrics_gauge_value(const struct metrics_gauge *g)
{
	return g->read ? g->read(g->ctx) : 1;
}

/* ---- meters ---- */

static uint64_t meter_count(const struct metrics *m, enum metrics_meter meter)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < m->workers; i++)
		n += peek(&m->worker[i].meter[meter]);
	return n;
}

/* One interval of five seconds in which `events` happened. */
static void weigh(struct weighted *w, double events)
{
	double rate = events / 5;
	unsigned i;

	for (i = 0; i < ARRAY_LEN(w->rate); i++)
		w->rate[i] = w->started ? w->rate[i] + alpha[i] * (rate - w->rate[i]) : rate;
	w->started = true;
}

/* Caller holds the lock. */
static void tick_locked(struct metrics *m, uint64_t now)
{
	uint64_t age = now > m->last_tick ? now - m->last_tick : 0, ticks = age / TICK_NS, t;
	unsigned i;

	if (ticks == 0)
		return;
	m->last_tick += ticks * TICK_NS;
	/* after an hour without a tick the rates are what they are going to be */
	if (ticks > 720)
		ticks = 720;
	for (i = 0; i < METER_COUNT; i++) {
		struct weighted *w = &m->weighted[i];
		uint64_t count = meter_count(m, (enum metrics_meter)i);

		weigh(w, (double)(count - w->counted));
		w->counted = count;
		for (t = 1; t < ticks; t++)
			weigh(w, 0);
	}
}

void metrics_tick(struct metrics *m, uint64_t now)
{
	pthread_mutex_lock(&m->lock);
	tick_locked(m, now);
	pthread_mutex_unlock(&m->lock);
}

const char *metrics_meter_name(enum metrics_meter meter)
{
	INVARIANT((unsigned)meter < METER_COUNT);
	return meter_names[meter];
}

void metrics_meter_read(struct metrics *m, enum metrics_meter meter, uint64_t now, struct metrics_rates *out)
{
	const double *rate;

	INVARIANT((unsigned)meter < METER_COUNT);
	rate = m->weighted[meter].rate;
	pthread_mutex_lock(&m->lock);
	tick_locked(m, now);
	*out = (struct metrics_rates){
		.count = meter_count(m, meter), .m1 = rate[0], .m5 = rate[1], .m15 = rate[2]};
	pthread_mutex_unlock(&m->lock);
	if (out->count && now > m->start)
		out->mean = (double)out->count / ((double)(now - m->start) / 1e9);
}

/* ---- sums ---- */

uint64_t metrics_requests(const struct metrics *m, enum kms_op op, enum metrics_result result)
{
	uint64_t n = 0;
	unsigned i;

	INVARIANT((unsigned)op < KMS_OP_COUNT && (unsigned)result < RESULT_COUNT);
	for (i = 0; i < m->workers; i++)
		n += peek(&m->worker[i].requests[op][result]);
	return n;
}

double metrics_mean_ms(const struct metrics *m, enum kms_op op, enum metrics_result result)
{
	uint64_t n = metrics_requests(m, op, result), ns = 0;
	unsigned i;

	for (i = 0; i < m->workers; i++)
		ns += peek(&m->worker[i].latency_ns[op][result]);
	return n ? (double)ns / 1e6 / (double)n : 0;
}

/* Fills sum[] with what the results from..to have, and returns the total. */
static uint64_t buckets_sum(const struct metrics *m, enum kms_op op, unsigned from, unsigned to, uint64_t sum[BUCKETS])
{
	uint64_t total = 0;
	unsigned i, b, r;

	for (b = 0; b < BUCKETS; b++) {
		sum[b] = 0;
		for (r = from; r <= to; r++)
			for (i = 0; i < m->workers; i++)
				sum[b] += peek(&m->worker[i].bucket[op][r][b]);
		total += sum[b];
	}
	return total;
}

uint64_t metrics_quantile_us(const struct metrics *m, enum kms_op op, double q)
{
	uint64_t sum[BUCKETS], total = buckets_sum(m, op, 0, RESULT_COUNT - 1, sum), seen = 0;
	unsigned b;

	if (total == 0)
		return 0;
	for (b = 0; b < BUCKETS - 1; b++) {
		seen += sum[b];
		if ((double)seen >= q * (double)total)
			return bucket_end(b);
	}
	return UINT64_C(1) << OCTAVES;
}

/* ---- Prometheus ---- */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *const results[RESULT_COUNT] = {
	[RESULT_OK] = "ok",	    [RESULT_UNAUTHENTICATED] = "unauthenticated",
	[RESULT_DENIED] = "denied", [RESULT_INVALID] = "invalid",
	[RESULT_ERROR] = "error",
};

static void write_requests(const struct metrics *m, FILE *f)
{
	unsigned op, r;

	head(f, "svsm_kms_requests_total", "counter", "Requests by operation and result.");
	for (op = 0; op < KMS_OP_COUNT; op++) {
		for (r = 0; r < RESULT_COUNT; r++) {
			uint64_t n = metrics_requests(m, (enum kms_op)op, (enum metrics_result)r);

			if (n)
				fprintf(f, "svsm_kms_requests_total{op=\"%s\",result=\"%s\"} %llu\n",
					kms_op_info((enum kms_op)op)->name, results[r],
					(unsigned long long)n);
		}
	}
}

static void write_histogram(const struct metrics *m, enum kms_op op, unsigned r, FILE *f)
{
	static const char name[] = "svsm_kms_request_duration_seconds";
	const char *label = kms_op_info(op)->name;
	uint64_t sum[BUCKETS], total = buckets_sum(m, op, r, r, sum), seen = 0, ns = 0;
	unsigned b, i;

	if (!total)
		return;
	for (b = 0; b < BUCKETS - 1; b++) {
		seen += sum[b];
		if (b % 4 == 3) /* powers of two only: the finer ones are for quantiles here */
			fprintf(f, "%s_bucket{op=\"%s\",result=\"%s\",le=\"%.6f\"} %llu\n", name, label, results[r],
				(double)bucket_end(b) / 1e6, (unsigned long long)seen);
	}
	for (i = 0; i < m->workers; i++)
		ns += peek(&m->worker[i].latency_ns[op][r]);
	fprintf(f, "%s_bucket{op=\"%s\",result=\"%s\",le=\"+Inf\"} %llu\n", name, label, results[r],
		(unsigned long long)total);
	fprintf(f, "%s_sum{op=\"%s\",result=\"%s\"} %.9f\n", name, label, results[r], (double)ns / 1e9);
	fprintf(f, "%s_count{op=\"%s\",result=\"%s\"} %llu\n", name, label, results[r], (unsigned long long)total);
}

static const struct {
	const char *family, *help;
} families[] = {
	{ "authentications", "Requests by the credential that they showed, and whether it was believed." },
	{ "proxy_user_refusals", "Requests on behalf of somebody (doAs) that the rules did not allow." },
};

#define ROW(id, text, pairs) [id] = {.family = text, .labels = pairs},
static const struct {
	const char *family, *labels;
} events[METRICS_EVENT_COUNT] = {METRICS_EVENTS(ROW)};
#undef ROW

/* All of them, those that never happened too: a rate needs the zero before the first. */
static void write_events(const struct metrics *m, FILE *f)
{
	unsigned fam, e, i;
	char name[64];

	for (fam = 0; fam < ARRAY_LEN(families); fam++) {
		snprintf(name, sizeof(name), "svsm_kms_%s_total", families[fam].family);
		head(f, name, "counter", families[fam].help);
		for (e = 0; e < METRICS_EVENT_COUNT; e++) {
			uint64_t n = 0;

			if (strcmp(events[e].family, families[fam].family) != 0)
				continue;
			for (i = 0; i < m->workers; i++)
				n += peek(&m->worker[i].event[e]);
			if (events[e].labels)
				fprintf(f, "%s{%s} %llu\n", name, events[e].labels, (unsigned long long)n);
			else
				fprintf(f, "%s %llu\n", name, (unsigned long long)n);
		}
	}
}

/* %.17g round-trips; NaN and infinity have names of their own. */
static void write_number(FILE *f, double v)
{
	if (isnan(v))
		fputs("NaN", f);
	else if (isinf(v))
		fputs(v > 0 ? "+Inf" : "-Inf", f);
	else
		fprintf(f, "%.17g", v);
}

static void write_gauges(const struct metrics *m, FILE *f)
{
	const char *last = "";
	size_t i;

	for (i = 0; i < m->gauges; i++) {
		const struct metrics_gauge *g = &m->gauge[i];

		if (strcmp(last, g->name) != 0)
			head(f, g->name, g->counter ? "counter" : "gauge", g->help);
		last = g->name;
		if (g->labels)
			fprintf(f, "%s{%s} ", g->name, g->labels);
		else
			fprintf(f, "%s ", g->name);
		write_number(f, metrics_gauge_value(g));
		fputc('\n', f);
	}
}

static void write_process(FILE *f)
{
	struct metrics_process p;

	metrics_process_read(&p);
	head(f, "process_cpu_seconds_total", "counter", "CPU time used.");
	fprintf(f, "process_cpu_seconds_total %.2f\n", (double)p.cpu_ns / 1e9);
	head(f, "process_resident_memory_bytes", "gauge", "Resident memory of the proxy.");
	fprintf(f, "process_resident_memory_bytes %llu\n", (unsigned long long)p.resident);
	head(f, "process_virtual_memory_bytes", "gauge", "Virtual memory of the proxy.");
	fprintf(f, "process_virtual_memory_bytes %llu\n", (unsigned long long)p.virtual_size);
	head(f, "process_open_fds", "gauge", "Open file descriptors.");
	fprintf(f, "process_open_fds %llu\n", (unsigned long long)p.open_files);
	head(f, "process_max_fds", "gauge", "Limit of open file descriptors.");
	fprintf(f, "process_max_fds %llu\n", (unsigned long long)p.max_files);
	head(f, "process_start_time_seconds", "gauge", "Start of the process since 1970.");
	fprintf(f, "process_start_time_seconds %.3f\n", (double)p.start_ms / 1e3);
}

void metrics_write(struct metrics *m, uint64_t now, FILE *f)
{
	unsigned i, r;

	metrics_tick(m, now);
	head(f, "svsm_kms_build_info", "gauge", "Version of the server.");
	fprintf(f, "svsm_kms_build_info{version=\"%s\"} 1\n", SVSM_VERSION);
	write_requests(m, f);
	head(f, "svsm_kms_calls_total", "counter", "Hadoop KMS's meters.");
	for (i = 0; i < METER_COUNT; i++)
		fprintf(f, "svsm_kms_calls_total{meter=\"%s\"} %llu\n", meter_names[i],
			(unsigned long long)meter_count(m, (enum metrics_meter)i));
	head(f, "svsm_kms_request_duration_seconds", "histogram",
	     "Time from a complete request to its answer.");
	for (i = 0; i < KMS_OP_COUNT; i++)
		for (r = 0; r < RESULT_COUNT; r++)
			write_histogram(m, (enum kms_op)i, r, f);
	write_events(m, f);
	write_gauges(m, f);
	write_process(f);
}

/* ---- this process ---- */

/* The text of a small file of /proc, NUL-terminated; "" when it cannot be read. */
static void read_proc(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f) {
		n = fread(buf, 1, size - 1, f);
		fclose(f);
	}
	buf[n] = 0;
}

/* What follows the command name of a stat file: the name may contain anything, the last ')' ends it. */
static const char *after_name(const char *stat)
{
	const char *p = strrchr(stat, ')');

	return p && p[1] == ' ' ? p + 2 : "";
}

static uint64_t count_entries(const char *path)
{
	struct dirent *e;
	DIR *d = opendir(path);
	uint64_t n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void read_threads(struct metrics_process *p)
{
	char path[64], buf[1024];
	struct dirent *e;
	DIR *d = opendir("/proc/self/task");

	if (!d)
		return;
	while ((e = readdir(d))) {
		if (e->d_name[0] < '0' || e->d_name[0] > '9' ||
		    snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", e->d_name) < 0)
			continue;
		read_proc(path, buf, sizeof(buf));
		p->threads++;
		switch (*after_name(buf)) {
		case 'R':
			p->threads_running++;
			break;
		case 'D':
			p->threads_blocked++;
			break;
		default:
			p->threads_waiting++;
		}
	}
	closedir(d);
}

/* Field 22 of /proc/self/stat: start in clock ticks since boot. */
static void read_start(struct metrics_process *p)
{
	struct timespec boot, wall;
	unsigned long long ticks;
	char buf[1024];
	uint64_t up_ms;
	long hz = sysconf(_SC_CLK_TCK);

	read_proc("/proc/self/stat", buf, sizeof(buf));
	if (hz <= 0 || sscanf(after_name(buf),
			      "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
			      "%llu",
			      &ticks) != 1)
		return;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	up_ms = (uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
	ticks = ticks * 1000 / (unsigned long)hz;
	p->uptime_ms = up_ms > ticks ? up_ms - ticks : 0;
	p->start_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000 - p->uptime_ms;
}

void metrics_process_read(struct metrics_process *p)
{
	struct mallinfo2 heap = mallinfo2();
	unsigned long size, resident;
	long page = sysconf(_SC_PAGESIZE);
	struct timespec cpu;
	struct rlimit files;
	char buf[256];

	*p = (struct metrics_process){.heap_used = heap.uordblks + heap.hblkhd,
				      .heap_committed = heap.arena + heap.hblkhd};
	read_proc("/proc/self/statm", buf, sizeof(buf));
	if (page > 0 && sscanf(buf, "%lu %lu", &size, &resident) == 2) {
		p->virtual_size = (uint64_t)size * (uint64_t)page;
		p->resident = (uint64_t)resident * (uint64_t)page;
	}
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
		p->cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		p->max_files = files.rlim_cur;
	p->open_files = count_entries("/proc/self/fd");
	read_threads(p);
	read_start(p);
}
