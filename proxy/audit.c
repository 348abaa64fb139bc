/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log; see audit.h.
 *
 * What always holds: a line made with a shard's lock held goes to memory only, so counting never waits
 * for the disk; locks are taken in the orders shard, buf and io, buf. Lines reach the file in the order in
 * which they were queued, each exactly once, even when a write stops half way.
 */
#include "proxy/audit.h"
#include "proxy/sip.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "proxy/text.h"

#define SHARDS 8u
#define BUCKETS 1024u
#define TICK_BATCH 64u /* groups handled before a shard's lock is given up for a moment */
#define ESCAPE_MAX 6u  /* output bytes per input byte, at most */

struct group {
	struct group *chain;         /* same bucket */
	struct group *older, *newer; /* by end of window */
	uint64_t hash;
	int64_t created, window_end; /* monotonic ms */
	uint64_t count;              /* since the last line */
	enum kms_op op;
	uint32_t user_len, key_len;
	char text[]; /* user, then key */
};

struct shard {
	pthread_mutex_t lock;
	struct group *bucket[BUCKETS];
	struct group *oldest, *newest;
	uint32_t count;
};

struct lines {
	char *p;
	size_t at, len, room; /* [at, len) is not yet written */
};

struct audit {
	struct audit_options o;
	char *path;
	uint64_t seed[2];
	struct shard shard[SHARDS];

	pthread_mutex_t io; /* fd, out, the failing state */
	int fd;
	struct lines out;
	bool failing;
	int error;
	uint64_t failures;

	pthread_mutex_t buf_lock;
	struct lines buf;
	uint64_t lines_queued;
	int64_t date_sec;
	char date[32];

	size_t pending;   /* atomic: bytes in buf and out */
	uint64_t dropped; /* atomic */
};

/* ---- time ---- */

static void system_clock(void *ctx, struct audit_time *now)
{
	struct timespec w, m;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &w);
	clock_gettime(CLOCK_MONOTONIC, &m);
	now->wall_ms = (int64_t)w.tv_sec * 1000 + w.tv_nsec / 1000000;
	now->mono_ms = (int64_t)m.tv_sec * 1000 + m.tv_nsec / 1000000;
}

static struct audit_time now_of(struct audit *a)
{
	struct audit_time t = {0};

	a->o.clock(a->o.ctx, &t);
	return t;
}

static void stderr_report(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s\n", text);
}

/* ---- text ---- */

/* What could end a line, or make a terminal show it otherwise than it is. */
static bool is_harmful(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x2028 || cp == 0x2029 || cp == 0x200e ||
	       cp == 0x200f || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

static char *put_text(char *to, const char *s)
{
	return stpcpy(to, s);
}

/* At most ESCAPE_MAX * (AUDIT_FIELD_MAX + 1) bytes. */
static char *put_escaped(char *to, struct slice s)
{
	struct cursor c = cur_of(s.p, s.len < AUDIT_FIELD_MAX ? s.len : AUDIT_FIELD_MAX);

	while (c.left) {
		const uint8_t *from = c.at;
		uint32_t cp;

		if (*from >= 0x20 && *from < 0x7f) {
			*to++ = (char)*from;
			c.at++;
			c.left--;
		} else if (!text_utf8(&c, &cp)) {
			to += sprintf(to, "\\x%02x", (unsigned)*from);
		} else if (is_harmful(cp)) {
			to += sprintf(to, "\\u%04x", (unsigned)cp);
		} else {
			memcpy(to, from, (size_t)(c.at - from));
			to += c.at - from;
		}
	}
	return s.len > AUDIT_FIELD_MAX ? put_text(to, "...") : to;
}

static char *put_number(char *to, const char *label, uint64_t n)
{
	return to + sprintf(to, "%s%llu", label, (unsigned long long)n);
}

static char *put_date(struct audit *a, char *to, int64_t wall_ms)
{
	int64_t sec = wall_ms / 1000, ms = wall_ms % 1000;
	struct tm tm;
	time_t t;

	if (ms < 0) {
		ms += 1000;
		sec--;
	}
	if (sec != a->date_sec || !a->date[0]) {
		t = (time_t)sec;
		if (!localtime_r(&t, &tm) ||
		    strftime(a->date, sizeof(a->date), "%Y-%m-%d %H:%M:%S", &tm) == 0)
			strcpy(a->date, "0000-00-00 00:00:00");
		a->date_sec = sec;
	}
	return to + sprintf(to, "%s,%03d ", a->date, (int)ms);
}

/* ---- the buffer ---- */

/* Room for n more bytes behind [at, len); false when that exceeds AUDIT_BUFFER_MAX or memory. */
MUST_CHECK static bool lines_room(struct lines *l, size_t n)
{
	size_t room = l->room ? l->room : 16384;
	char *p;

	if (n <= l->room - l->len)
		return true;
	if (n > AUDIT_BUFFER_MAX || l->len > AUDIT_BUFFER_MAX - n)
		return false;
	while (room - l->len < n)
		room *= 2;
	p = realloc(l->p, room);
	if (!p)
		return false;
	l->p = p;
	l->room = room;
	return true;
}

struct line {
	enum audit_status status;
	struct slice op, user, key;
	bool counted;
	uint64_t count, interval_ms;
	struct slice extra[9]; /* literal and escaped in turn, starting with a literal */
};

static size_t line_bound(const struct line *l)
{
	size_t n = 256, i;
	const struct slice *s[] = {&l->op, &l->user, &l->key};

	for (i = 0; i < ARRAY_LEN(s); i++)
		n += ESCAPE_MAX * (s[i]->len < AUDIT_FIELD_MAX ? s[i]->len + 1 : AUDIT_FIELD_MAX + 1);
	for (i = 0; i < ARRAY_LEN(l->extra); i++)
		n += ESCAPE_MAX *
		     (l->extra[i].len < AUDIT_FIELD_MAX ? l->extra[i].len + 1 : AUDIT_FIELD_MAX + 1);
	return n;
}

static char *put_field(char *to, const char *label, struct slice v, bool *first)
{
	if (!v.len)
		return to;
	to = put_text(to, *first ? "[" : ", ");
	*first = false;
	return put_escaped(put_text(to, label), v);
}

static char *put_line(char *to, const struct line *l)
{
	static const char *const status[] = {
		[AUDIT_OK] = "OK",
		[AUDIT_UNAUTHORIZED] = "UNAUTHORIZED",
		[AUDIT_UNAUTHENTICATED] = "UNAUTHENTICATED",
		[AUDIT_ERROR] = "ERROR",
	};
	bool first = true;
	size_t i;

	to = put_text(to, status[l->status]);
	to = put_field(to, "op=", l->op, &first);
	to = put_field(to, "key=", l->key, &first);
	to = put_field(to, "user=", l->user, &first);
	if (l->counted) {
		to = put_number(to, ", accessCount=", l->count);
		to = put_number(to, ", interval=", l->interval_ms);
		to = put_text(to, "ms");
	}
	to = put_text(to, first ? " " : "] ");
	for (i = 0; i < ARRAY_LEN(l->extra); i++)
		to = put_escaped(to, l->extra[i]);
	*to++ = '\n';
	return to;
}

MUST_CHECK static bool queue(struct audit *a, const struct line *l, int64_t wall_ms)
{
	size_t bound = line_bound(l), n = 0;
	bool ok;

	pthread_mutex_lock(&a->buf_lock);
	ok = lines_room(&a->buf, bound);
	if (ok) {
		char *start = a->buf.p + a->buf.len;

		n = (size_t)(put_line(put_date(a, start, wall_ms), l) - start);
		INVARIANT(n <= bound);
		a->buf.len += n;
		a->lines_queued++;
		__atomic_fetch_add(&a->pending, n, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&a->buf_lock);
	return ok;
}

static void drop(struct audit *a)
{
	__atomic_fetch_add(&a->dropped, 1, __ATOMIC_RELAXED);
}

/* Not with a shard's lock held: writes when the buffer is full. */
static void emit(struct audit *a, const struct line *l, int64_t wall_ms)
{
	if (queue(a, l, wall_ms))
		return;
	if (audit_flush(a) != RC_OK || !queue(a, l, wall_ms))
		drop(a);
}

/* With a shard's lock held: never writes. */
static void emit_locked(struct audit *a, const struct line *l, int64_t wall_ms)
{
	if (!queue(a, l, wall_ms))
		drop(a);
}

/* ---- writing ---- */

/* Caller holds io. */
static void set_failing(struct audit *a, int error, const char *what)
{
	char text[512];

	a->failures++;
	a->error = error;
	if (a->failing)
		return;
	a->failing = true;
	snprintf(text, sizeof(text),
		 "audit log %s: cannot %s: %s; events are kept in memory up to %u bytes, make room or "
		 "correct the path",
		 a->path, what, strerror(error), AUDIT_BUFFER_MAX);
	a->o.report(a->o.ctx, text);
}

static void set_working(struct audit *a)
{
	char text[512];

	if (!a->failing)
		return;
	a->failing = false;
	a->error = 0;
	snprintf(text, sizeof(text), "audit log %s: works again; lines lost so far: %llu", a->path,
		 (unsigned long long)__atomic_load_n(&a->dropped, __ATOMIC_RELAXED));
	a->o.report(a->o.ctx, text);
}

/* Writes all of out. Caller holds io. */
MUST_CHECK static bool write_out(struct audit *a)
{
	struct lines *l = &a->out;

	while (l->at < l->len) {
		ssize_t n = write(a->fd, l->p + l->at, l->len - l->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			set_failing(a, n < 0 ? errno : EIO, "be written");
			return false;
		}
		l->at += (size_t)n;
		__atomic_fetch_sub(&a->pending, (size_t)n, __ATOMIC_RELEASE);
	}
	l->at = l->len = 0;
	return true;
}

/* Caller holds io. First what an earlier failure left, then what was queued since. */
MUST_CHECK static bool flush_io(struct audit *a)
{
	struct lines t;

	if (!write_out(a))
		return false;
	pthread_mutex_lock(&a->buf_lock);
	t = a->out;
	a->out = a->buf;
	a->buf = t;
	pthread_mutex_unlock(&a->buf_lock);
	if (!write_out(a))
		return false;
	set_working(a);
	return true;
}

enum rc audit_flush(struct audit *a)
{
	bool ok;

	if (__atomic_load_n(&a->pending, __ATOMIC_ACQUIRE) == 0)
		return RC_OK;
	pthread_mutex_lock(&a->io);
	ok = flush_io(a);
	pthread_mutex_unlock(&a->io);
	return ok ? RC_OK : RC_MACHINE;
}

static int open_log(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

enum rc audit_reopen(struct audit *a)
{
	int fd = open_log(a->path);
	int error = errno;

	pthread_mutex_lock(&a->io);
	if (fd < 0) {
		set_failing(a, error, "be opened again");
	} else {
		if (flush_io(a))
			set_working(a);
		close(a->fd);
		a->fd = fd;
	}
	pthread_mutex_unlock(&a->io);
	return fd < 0 ? RC_MACHINE : RC_OK;
}

/* ---- groups ---- */

/* Keyed: users choose key names and must not choose collisions. */
static uint64_t group_hash(const struct audit *a, enum kms_op op, struct slice user, struct slice key)
{
	uint64_t v[4];

	sip_begin(v, a->seed, op);
	sip_text(v, user);
	sip_text(v, key);
	return sip_end(v);
}

static struct shard *shard_of(struct audit *a, uint64_t hash)
{
	return &a->shard[hash % SHARDS];
}

static struct group **bucket_of(struct shard *s, uint64_t hash)
{
	return &s->bucket[hash / SHARDS % BUCKETS];
}

static struct slice group_user(const struct group *g)
{
	return slice_of(g->text, g->user_len);
}

static struct slice group_key(const struct group *g)
{
	return slice_of(g->text + g->user_len, g->key_len);
}

static struct group *group_find(struct shard *s, uint64_t hash, enum kms_op op, struct slice user,
				struct slice key)
{
	struct group *g;

	for (g = *bucket_of(s, hash); g; g = g->chain)
		if (g->hash == hash && g->op == op && slice_eq(group_user(g), user) &&
		    slice_eq(group_key(g), key))
			return g;
	return NULL;
}

static void window_unlink(struct shard *s, struct group *g)
{
	*(g->older ? &g->older->newer : &s->oldest) = g->newer;
	*(g->newer ? &g->newer->older : &s->newest) = g->older;
	g->older = g->newer = NULL;
}

static void window_link(struct shard *s, struct group *g, int64_t end)
{
	g->window_end = end;
	g->older = s->newest;
	g->newer = NULL;
	*(s->newest ? &s->newest->newer : &s->oldest) = g;
	s->newest = g;
}

static void group_drop(struct shard *s, struct group *g)
{
	struct group **at = bucket_of(s, g->hash);

	while (*at != g)
		at = &(*at)->chain;
	*at = g->chain;
	window_unlink(s, g);
	s->count--;
	free(g);
}

/* NULL when there is no room for another group. */
static struct group *group_add(struct audit *a, struct shard *s, uint64_t hash, enum kms_op op,
			       struct slice user, struct slice key, int64_t now)
{
	struct group *g;

	if (s->count >= a->o.groups_max / SHARDS)
		return NULL;
	g = malloc(sizeof(*g) + user.len + key.len);
	if (!g)
		return NULL;
	*g = (struct group){.hash = hash,
			    .created = now,
			    .op = op,
			    .user_len = (uint32_t)user.len,
			    .key_len = (uint32_t)key.len};
	memcpy(g->text, user.p, user.len);
	memcpy(g->text + user.len, key.p, key.len);
	g->chain = *bucket_of(s, hash);
	*bucket_of(s, hash) = g;
	window_link(s, g, now + a->o.window_ms);
	s->count++;
	return g;
}

static struct line counted_line(enum kms_op op, struct slice user, struct slice key, uint64_t count,
				int64_t interval)
{
	return (struct line){.status = AUDIT_OK,
			     .op = slice_str(kms_op_info(op)->name),
			     .user = user,
			     .key = key,
			     .counted = true,
			     .count = count,
			     .interval_ms = interval > 0 ? (uint64_t)interval : 0};
}

/*
 * The end of a group's window: its count is written and the group lives on for another window; a group
 * without events since its last line is forgotten. Caller holds the shard's lock.
 */
static void group_end(struct audit *a, struct shard *s, struct group *g, struct audit_time t)
{
	struct line l;

	if (g->count == 0) {
		group_drop(s, g);
		return;
	}
	l = counted_line(g->op, group_user(g), group_key(g), g->count, t.mono_ms - g->created);
	emit_locked(a, &l, t.wall_ms);
	g->count = 0;
	window_unlink(s, g);
	window_link(s, g, t.mono_ms + a->o.window_ms);
}

/* One accepted event of an aggregated operation. */
static void count_event(struct audit *a, enum kms_op op, struct slice user, struct slice key)
{
	uint64_t hash = group_hash(a, op, user, key);
	struct shard *s = shard_of(a, hash);
	struct audit_time t;
	struct group *g;
	struct line l;

	pthread_mutex_lock(&s->lock);
	g = group_find(s, hash, op, user, key);
	if (g) {
		g->count++;
		pthread_mutex_unlock(&s->lock);
		return;
	}
	t = now_of(a);
	g = group_add(a, s, hash, op, user, key, t.mono_ms);
	if (g)
		g->count = 1;
	pthread_mutex_unlock(&s->lock);
	l = counted_line(op, user, key, 1, 0);
	emit(a, &l, t.wall_ms);
}

/* A refusal ends the group's window early, so that the log shows what happened before it. */
static void refuse_event(struct audit *a, enum kms_op op, struct slice user, struct slice key,
			 struct audit_time t)
{
	uint64_t hash = group_hash(a, op, user, key);
	struct shard *s = shard_of(a, hash);
	struct group *g;

	pthread_mutex_lock(&s->lock);
	g = group_find(s, hash, op, user, key);
	if (g)
		group_end(a, s, g, t);
	pthread_mutex_unlock(&s->lock);
}

/* ---- the public face ---- */

void audit_event(struct audit *a, enum audit_status status, enum kms_op op, struct slice user,
		 struct slice key, struct slice extra)
{
	bool grouped = kms_op_info(op)->aggregated && user.len && key.len;
	struct line l = {.status = status, .op = slice_str(kms_op_info(op)->name), .user = user, .key = key};
	struct audit_time t;

	if (grouped && status == AUDIT_OK && user.len <= AUDIT_FIELD_MAX && key.len <= AUDIT_FIELD_MAX) {
		count_event(a, op, user, key);
		return;
	}
	t = now_of(a);
	if (grouped && status == AUDIT_UNAUTHORIZED)
		refuse_event(a, op, user, key, t);
	if (grouped && status == AUDIT_OK) /* names too long to keep */
		l = counted_line(op, user, key, 1, 0);
	l.extra[0] = extra;
	emit(a, &l, t.wall_ms);
}

static struct slice first_line(struct slice s)
{
	const uint8_t *end = s.len ? memchr(s.p, '\n', s.len) : NULL;

	return end ? slice_of(s.p, (size_t)(end - s.p)) : s;
}

#define REDACTED "<redacted>"

/* Copies up to n bytes into out[*at..max). */
static void buf_put(char *out, size_t max, size_t *at, const void *p, size_t n)
{
	if (n > max - *at)
		n = max - *at;
	if (n)
		memcpy(out + *at, p, n);
	*at += n;
}

/* Messages may quote a cookie: its signature is what follows "&s=", up to a blank or a quote. */
static struct slice strip_signature(struct slice s, char *out, size_t max)
{
	const uint8_t *at = s.len ? memmem(s.p, s.len, "&s=", 3) : NULL;
	size_t n = 0, i;

	if (!at)
		return s;
	i = (size_t)(at - s.p) + 3;
	buf_put(out, max, &n, s.p, i);
	buf_put(out, max, &n, REDACTED, sizeof(REDACTED) - 1);
	while (i < s.len && s.p[i] > ' ' && s.p[i] != '"' && s.p[i] != '\'')
		i++;
	buf_put(out, max, &n, s.p + i, s.len - i);
	return slice_of(out, n);
}

static bool is_credential(struct slice encoded)
{
	static const char *const names[] = {"delegation",  "token",    "signature",
					    "hadoop.auth", "password", "s"};
	char name[128];
	size_t len, i;

	if (!text_form_decode(encoded, name, sizeof(name), &len))
		return true; /* cannot be read: better too much than too little */
	for (i = 0; i < ARRAY_LEN(names); i++)
		if (text_is_nocase(slice_of(name, len), names[i]))
			return true;
	return false;
}

/* The URL without the values of parameters that are credentials. */
static struct slice strip_credentials(struct slice url, char *out, size_t max)
{
	const uint8_t *q = url.len ? memchr(url.p, '?', url.len) : NULL;
	size_t n = 0, i, end, eq;

	if (!q)
		return url;
	i = (size_t)(q - url.p) + 1;
	buf_put(out, max, &n, url.p, i);
	while (i < url.len) {
		for (eq = i; eq < url.len && url.p[eq] != '=' && url.p[eq] != '&' && url.p[eq] != ';'; eq++)
			;
		for (end = eq; end < url.len && url.p[end] != '&' && url.p[end] != ';'; end++)
			;
		if (eq < end && is_credential(slice_of(url.p + i, eq - i))) {
			buf_put(out, max, &n, url.p + i, eq + 1 - i);
			buf_put(out, max, &n, REDACTED, sizeof(REDACTED) - 1);
		} else {
			buf_put(out, max, &n, url.p + i, end - i);
		}
		if (end < url.len)
			buf_put(out, max, &n, url.p + end++, 1);
		i = end;
	}
	return slice_of(out, n);
}

void audit_error(struct audit *a, struct slice user, struct slice method, struct slice message)
{
	char clean[AUDIT_FIELD_MAX + 1];
	struct line l = {.status = AUDIT_ERROR, .user = user};

	l.extra[0] = slice_str("Method:'");
	l.extra[1] = method;
	l.extra[2] = slice_str("' Exception:'");
	l.extra[3] = strip_signature(first_line(message), clean, sizeof(clean));
	l.extra[4] = slice_str("'");
	emit(a, &l, now_of(a).wall_ms);
}

void audit_unauthenticated(struct audit *a, struct slice host, struct slice method, struct slice url,
			   struct slice reason)
{
	char clean_url[AUDIT_FIELD_MAX + 1], clean[AUDIT_FIELD_MAX + 1];
	struct line l = {.status = AUDIT_UNAUTHENTICATED};

	l.extra[0] = slice_str("RemoteHost:");
	l.extra[1] = host;
	l.extra[2] = slice_str(" Method:");
	l.extra[3] = method;
	l.extra[4] = slice_str(" URL:");
	l.extra[5] = strip_credentials(url, clean_url, sizeof(clean_url));
	l.extra[6] = slice_str(" ErrorMsg:'");
	l.extra[7] = strip_signature(reason, clean, sizeof(clean));
	l.extra[8] = slice_str("'");
	emit(a, &l, now_of(a).wall_ms);
}

/* Ends up to TICK_BATCH windows; true when there may be more. A closing log ends them all. */
static bool tick_some(struct audit *a, struct shard *s, struct audit_time t, bool closing)
{
	unsigned n;

	pthread_mutex_lock(&s->lock);
	for (n = 0; n < TICK_BATCH && s->oldest && (closing || s->oldest->window_end <= t.mono_ms); n++)
		group_end(a, s, s->oldest, t);
	pthread_mutex_unlock(&s->lock);
	return n == TICK_BATCH;
}

static void tick(struct audit *a, bool closing)
{
	struct audit_time t = now_of(a);
	unsigned i;

	for (i = 0; i < SHARDS; i++)
		while (tick_some(a, &a->shard[i], t, closing))
			if (__atomic_load_n(&a->pending, __ATOMIC_RELAXED) > AUDIT_BUFFER_MAX / 2)
				(void)!audit_flush(a); /* its state says so when it failed */
	(void)!audit_flush(a);
}

void audit_tick(struct audit *a)
{
	tick(a, false);
}

uint32_t audit_tick_ms(const struct audit *a)
{
	return a->o.window_ms / 10;
}

void audit_state(struct audit *a, struct audit_state *out)
{
	unsigned i;

	*out = (struct audit_state){0};
	pthread_mutex_lock(&a->io);
	out->failing = a->failing;
	out->error = a->error;
	out->failures = a->failures;
	pthread_mutex_unlock(&a->io);
	pthread_mutex_lock(&a->buf_lock);
	out->lines = a->lines_queued;
	pthread_mutex_unlock(&a->buf_lock);
	out->dropped = __atomic_load_n(&a->dropped, __ATOMIC_RELAXED);
	out->pending = __atomic_load_n(&a->pending, __ATOMIC_RELAXED);
	for (i = 0; i < SHARDS; i++) {
		pthread_mutex_lock(&a->shard[i].lock);
		out->groups += a->shard[i].count;
		pthread_mutex_unlock(&a->shard[i].lock);
	}
}

enum rc audit_open(const struct audit_options *o, struct audit **out)
{
	struct audit *a;
	unsigned i;

	if (o->window_ms && o->window_ms < 10)
		return RC_BAD_INPUT;
	a = calloc(1, sizeof(*a));
	if (!a)
		return RC_NO_ROOM;
	a->o = *o;
	a->o.window_ms = o->window_ms ? o->window_ms : 10000;
	a->o.groups_max = o->groups_max ? o->groups_max : 65536;
	a->o.clock = o->clock ? o->clock : system_clock;
	a->o.report = o->report ? o->report : stderr_report;
	a->path = strdup(o->path);
	a->o.path = a->path;
	a->fd = a->path ? open_log(a->path) : -1;
	if (a->fd < 0 || getrandom(a->seed, sizeof(a->seed), 0) != sizeof(a->seed)) {
		int error = errno;

		if (a->fd >= 0)
			close(a->fd);
		free(a->path);
		free(a);
		errno = error;
		return RC_MACHINE;
	}
	pthread_mutex_init(&a->io, NULL);
	pthread_mutex_init(&a->buf_lock, NULL);
	for (i = 0; i < SHARDS; i++)
		pthread_mutex_init(&a->shard[i].lock, NULL);
	*out = a;
	return RC_OK;
}

void audit_close(struct audit *a)
{
	unsigned i;

	if (!a)
		return;
	tick(a, true);
	for (i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&a->shard[i].lock);
	pthread_mutex_destroy(&a->io);
	pthread_mutex_destroy(&a->buf_lock);
	close(a->fd);
	free(a->out.p);
	free(a->buf.p);
	free(a->path);
	free(a);
}
