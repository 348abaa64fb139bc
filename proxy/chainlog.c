/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of the audit chain's file; see chainlog.h.
 *
 * Three places hold entries on their way: `held` those that came before their predecessors, `queue` those that
 * are next, `out` what is being written; only who is writing touches out's bytes. When all of them together
 * would become too large, everything is dropped from one number on until the core has declared the gap.
 *
 * `fresh` has once more what was written since the file was last synced, for the store to carry (chainlog_carry()). A
 * second thread syncs the file when that becomes much, so that nobody who wants to commit waits for it.
 */
#include "proxy/chainlog.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RETRY_MS 50u
#define SLOW_MS 50u
#define SCAN_BLOCK (1u << 20)
#define SYNC_RETRY_MS 500u
#define SYNC_BYTES (CHAINLOG_CARRY_MAX / 2)

struct bytes {
	uint8_t *p;
	size_t len, room;
};

/* Entries first..last, in order and without a hole. */
struct run {
	struct run *next;
	uint64_t first, last;
	struct chain_tail tail;
	size_t len;
	uint8_t b[];
};

/* A file that was left for a new one. */
struct left_file {
	int fd;			/* -1: none */
	struct bytes end;	/* what it has that was not yet synced when it was left; empty also if that is not known */
	uint64_t len;
};

struct chainlog {
	struct chainlog_options o;
	char *path;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, done;	/* for the thread; from it */
	int fd;
	bool regular, empty;
	bool stop, reopen;
	bool writing, slow;		/* somebody is in a write(); the last one took long */
	unsigned waiters;
	int reopen_result;

	uint32_t generation;
	bool running;			/* between chainlog_expect() and chainlog_died() */
	bool waiting;			/* before chainlog_start() */
	uint8_t store_id[16];
	uint64_t next, seen;		/* to be queued next; the highest ever heard of */
	uint64_t base, gap_from;	/* where the core took the chain up; where a gap that was asked for begins */
	struct chain_tail tail;		/* the last one queued; seq 0 and no mac: none */
	struct chain_tail out_tail;	/* the last one in out */
	uint64_t written;
	struct run *held;
	size_t held_bytes;
	struct bytes queue, out;
	size_t out_at;

	struct chain_tail in_file;	/* the last one written */
	struct chain_tail synced;	/* with `durable`: everything up to here is on the disk */
	uint8_t iv[16];			/* of pieces that begin there: each then begins with the one before */
	struct bytes fresh;		/* with `recorded`: what was written since */
	uint64_t file_len;		/* of what was written as a whole; fresh is its end */
	uint64_t fresh_at;		/* counts up by what leaves fresh, so that a place in it has a number */
	bool recorded, durable;
	bool new_name;			/* the directory does not know the file for certain */
	bool begun;			/* a file of which nothing is written yet: to be synced when something is */
	struct left_file old;		/* the file before this one, not yet synced */
	int sync_error;
	bool sync_asked, syncing;	/* the second thread is to; somebody does */
	pthread_t sync_thread;
	pthread_cond_t sync_work, sync_done;

	bool failing, dropping, gap_asked, dropped_again;
	uint32_t refusing;		/* atomic: o.refuse and one of the above */
	int error;
	uint64_t lost, lost_at_start;
};

static void stderr_report(void *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "svsm-kms: %s\n", text);
}

__attribute__((format(printf, 2, 3))) static void report(struct chainlog *c, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	c->o.report(c->o.ctx, text);
}

static struct timespec now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t;
}

static struct timespec later(uint32_t ms)
{
	struct timespec t = now();

	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

/* ---- state; callers hold the lock ---- */

static void set_refusing(struct chainlog *c)
{
	__atomic_store_n(&c->refusing, c->o.refuse && (c->failing || c->dropping), __ATOMIC_RELEASE);
}

static void set_failing(struct chainlog *c, int error)
{
	c->error = error;
	if (c->failing)
		return;
	c->failing = true;
	set_refusing(c);
	report(c, "audit chain %s: cannot be written: %s; %s", c->path,
	       error == EAGAIN || error == ETIMEDOUT ? "it does not take anything (blocked)" : strerror(error),
	       c->o.refuse ? "requests are refused (503) until it can: make room or correct the path "
			     "(svsm.kms.audit.on-failure)" :
			     "requests go on, and what cannot be kept will be declared as a gap "
			     "(svsm.kms.audit.on-failure)");
	pthread_cond_broadcast(&c->done);
}

static void set_working(struct chainlog *c)
{
	if (!c->failing)
		return;
	c->failing = false;
	c->error = 0;
	set_refusing(c);
	report(c, "audit chain %s: works again; entries dropped so far: %llu", c->path, (unsigned long long)c->lost);
}

MUST_CHECK static bool bytes_put(struct bytes *b, const void *p, size_t n)
{
	size_t room = b->room ? b->room : 65536;
	uint8_t *more;

	while (room - b->len < n)
		room *= 2;
	if (room != b->room) {
		more = realloc(b->p, room);
		if (!more)
			return false;
		b->p = more;
		b->room = room;
	}
	memcpy(b->p + b->len, p, n);
	b->len += n;
	return true;
}

static void put_header(struct chainlog *c, const struct chain_tail *before)
{
	uint8_t b[CHAIN_HEADER_LEN];
	struct sink s = sink_of(b, sizeof(b));
	struct chain_header h = { .seq = before->seq };

	memcpy(h.store_id, c->store_id, sizeof(h.store_id));
	memcpy(h.hash, before->hash, sizeof(h.hash));
	memcpy(h.mac, before->mac, sizeof(h.mac));
	chain_header_put(&s, &h);
	INVARIANT(bytes_put(&c->queue, b, sizeof(b)));
	c->empty = false;
}

static bool has_mac(const uint8_t mac[CHAIN_MAC_LEN])
{
	static const uint8_t none[CHAIN_MAC_LEN];

	return memcmp(mac, none, sizeof(none)) != 0;
}

/* ---- order; callers hold the lock ---- */

static size_t unwritten(const struct chainlog *c)
{
	return c->queue.len + (c->out.len - __atomic_load_n(&c->out_at, __ATOMIC_RELAXED));
}

static bool too_much(const struct chainlog *c, size_t more)
{
	return unwritten(c) + c->held_bytes + more > c->o.buffer_max;
}

static void start_dropping(struct chainlog *c)
{
	if (!c->dropping)
		report(c, "audit chain %s: entries from %llu on are dropped; the chain will say how many", c->path,
		       (unsigned long long)c->next);
	c->dropping = true;
	set_refusing(c);
	pthread_cond_broadcast(&c->done);
}

static void drop(struct chainlog *c, uint64_t first, uint64_t last)
{
	start_dropping(c);
	if (c->gap_asked)
		c->dropped_again = true;
	c->lost += last - first + 1;
}

static void append(struct chainlog *c, uint64_t last, const struct chain_tail *tail, const uint8_t *p, size_t n)
{
	if (!bytes_put(&c->queue, p, n)) {
		drop(c, c->next, last);
		return;
	}
	c->next = last + 1;
	if (has_mac(tail->mac))
		c->tail = *tail;
}

/* In the order of their numbers. */
static void hold(struct chainlog *c, uint64_t first, uint64_t last, const struct chain_tail *tail, const uint8_t *p,
		 size_t n)
{
	struct run **at = &c->held, *r = malloc(sizeof(*r) + n);

	if (!r) {
		drop(c, first, last);
		return;
	}
	r->first = first;
	r->last = last;
	r->tail = *tail;
	r->len = n;
	memcpy(r->b, p, n);
	while (*at && (*at)->first < first)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	c->held_bytes += n;
}

static void release_held(struct chainlog *c)
{
	struct run *r;

	while ((r = c->held) && (r->first <= c->next) && !c->dropping && !c->waiting) {
		c->held = r->next;
		c->held_bytes -= r->len;
		if (r->first == c->next)	/* else declared lost */
			append(c, r->last, &r->tail, r->b, r->len);
		free(r);
	}
}

static void forget_held(struct chainlog *c)
{
	struct run *r;

	while ((r = c->held)) {
		c->held = r->next;
		c->lost += r->last - r->first + 1;
		free(r);
	}
	c->held_bytes = 0;
}

/* The core has given up what was dropped: the chain goes on behind its declaration. */
static bool take_gap(struct chainlog *c, const struct chain_frame *f)
{
	struct chain_entry e;
	struct chain_loss l;

	if (chain_entry_get(f->entry, &e) != RC_OK || chain_loss_get(e.detail, &l) != RC_OK || l.from != c->gap_from)
		return false;
	c->next = f->seq;
	c->dropping = c->dropped_again;
	c->gap_asked = c->dropped_again = false;
	set_refusing(c);
	return true;
}

static void place(struct chainlog *c, uint64_t first, uint64_t last, const struct chain_tail *tail, struct slice b)
{
	if (first < c->next && !c->waiting)	/* came too late: declared lost */
		return;
	if (too_much(c, b.len) || (c->dropping && !c->gap_asked))
		drop(c, first, last);
	else if (first == c->next && !c->dropping && !c->waiting)
		append(c, last, tail, b.p, b.len);
	else
		hold(c, first, last, tail, b.p, b.len);
}

enum rc chainlog_add(struct chainlog *c, uint32_t generation, struct slice frames, bool will_wait, uint64_t *last)
{
	struct cursor in = cur_of(frames.p, frames.len);
	struct chain_frame f;
	struct chain_tail tail;
	uint64_t first = 0, at = 0;
	struct slice run = slice_of(in.at, 0);
	enum rc rc = RC_OK;

	*last = 0;
	if (!c || frames.len == 0)
		return RC_OK;
	pthread_mutex_lock(&c->lock);
	if (!c->running || generation != c->generation)
		rc = RC_MACHINE;
	while (rc == RC_OK && in.left) {
		rc = chain_frame_next(&in, &f) == RC_OK ? RC_OK : RC_BAD_INPUT;
		if (rc != RC_OK)
			break;
		if (run.len && f.seq != at + 1) {
			place(c, first, at, &tail, run);
			run.len = 0;
		}
		if (f.type == CHAIN_GAP && c->gap_asked && !take_gap(c, &f))
			continue;
		if (run.len == 0) {
			first = f.seq;
			run.p = f.whole.p;
		}
		run.len += f.whole.len;
		at = tail.seq = f.seq;
		memcpy(tail.hash, f.hash, sizeof(tail.hash));
		memcpy(tail.mac, f.mac, sizeof(tail.mac));
		if (at > *last)
			*last = at;
	}
	if (run.len)
		place(c, first, at, &tail, run);
	release_held(c);
	if (*last > c->seen)
		c->seen = *last;
	if (c->queue.len && (c->slow || c->failing || !will_wait))
		pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- waiting ---- */

static uint64_t ms_since(const struct timespec *from)
{
	struct timespec t = now();

	return (uint64_t)((t.tv_sec - from->tv_sec) * 1000 + (t.tv_nsec - from->tv_nsec) / 1000000);
}

/* Writes out, without the lock. 0, or what went wrong. */
static int write_out(struct chainlog *c)
{
	while (c->out_at < c->out.len) {
		ssize_t n = write(c->fd, c->out.p + c->out_at, c->out.len - c->out_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		__atomic_fetch_add(&c->out_at, (size_t)n, __ATOMIC_RELAXED);
	}
	return 0;
}

/* What waits becomes what is written. */
static void take_queue(struct chainlog *c)
{
	struct bytes t = c->out;

	if (c->out_at < c->out.len)	/* an earlier failure left something */
		return;
	t.len = 0;
	c->out = c->queue;
	c->out_at = 0;
	c->queue = t;
	c->out_tail = c->tail;
}

static void forget_fresh(struct chainlog *c, size_t more)
{
	c->fresh_at += c->fresh.len + more;
	c->fresh.len = 0;
	c->recorded = c->durable = false;
}

/* What was just written, without the header of a new file. */
static void keep_fresh(struct chainlog *c)
{
	bool header = c->out.len >= CHAIN_HEADER_LEN && memcmp(c->out.p, CHAIN_MAGIC, sizeof(CHAIN_MAGIC) - 1) == 0;
	size_t skip = header ? CHAIN_HEADER_LEN : 0, n = c->out.len - skip;
	size_t room = c->sync_error ? c->o.buffer_max : CHAINLOG_CARRY_MAX; /* then it may have to be written again */

	c->in_file = c->out_tail;
	c->file_len += c->out.len;
	if (c->recorded && (c->fresh.len + n > room || !bytes_put(&c->fresh, c->out.p + skip, n)))
		forget_fresh(c, n + 1);
}

static void ask_sync(struct chainlog *c)
{
	c->sync_asked = true;
	pthread_cond_signal(&c->sync_work);
}

/* Caller holds the lock, and nobody is writing. It is given up meanwhile. */
static void write_some(struct chainlog *c)
{
	struct timespec began;
	uint64_t last;
	int error;

	take_queue(c);
	last = c->out_tail.seq;
	c->writing = true;
	pthread_mutex_unlock(&c->lock);
	began = now();
	error = write_out(c);
	pthread_mutex_lock(&c->lock);
	c->writing = false;
	c->slow = ms_since(&began) >= SLOW_MS;
	if (error == 0) {
		c->written = last;
		keep_fresh(c);
		if (c->begun)
			ask_sync(c);
		c->begun = false;
		set_working(c);
	} else {
		set_failing(c, error);
		pthread_cond_signal(&c->work);	/* from here on it tries */
	}
	if (c->reopen) /* the thread could not while this was going on, and sleeps */
		pthread_cond_signal(&c->work);
	if (c->waiters)
		pthread_cond_broadcast(&c->done);
}

/*
 * Caller holds the lock. A worker writes by itself, together what it and others have brought: to hand it to the
 * thread would cost more than the write. Once a write was slow, or failed, it is for the thread alone.
 */
static enum rc wait_for(struct chainlog *c, uint32_t generation, uint64_t last)
{
	struct timespec until = later(c->o.patience_ms);

	while (c->running && !c->writing && !c->slow && !c->failing && !c->stop && !c->reopen && c->queue.len &&
	       c->written < last)
		write_some(c);
	if (c->queue.len && !c->writing) /* not for us: see that the thread is awake */
		pthread_cond_signal(&c->work);
	c->waiters++;
	while (c->running && c->generation == generation && c->written < last && !c->failing && !c->dropping)
		if (pthread_cond_timedwait(&c->done, &c->lock, &until) == ETIMEDOUT) {
			if (c->written < last && unwritten(c))
				set_failing(c, ETIMEDOUT);
			else if (c->written < last && !c->waiting)
				start_dropping(c);	/* an entry before it never came */
			break;
		} else if (c->queue.len && !c->writing) {
			pthread_cond_signal(&c->work);
		}
	c->waiters--;
	if (c->written >= last)
		return RC_OK;
	if (!c->running || c->generation != generation)
		return RC_MACHINE;
	return c->o.refuse ? RC_DENIED : RC_OK;
}

enum rc chainlog_wait(struct chainlog *c, uint32_t generation, uint64_t last)
{
	enum rc rc;

	if (!c || last == 0)
		return RC_OK;
	pthread_mutex_lock(&c->lock);
	rc = wait_for(c, generation, last);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- on the disk ---- */

static int sync_directory(const char *path)
{
	char dir[4096];
	const char *end = strrchr(path, '/');
	int fd, error = 0;

	if (end && (size_t)(end - path) >= sizeof(dir) - 1)
		return ENAMETOOLONG;
	snprintf(dir, sizeof(dir), "%.*s", end ? (int)(end - path) + 1 : 1, end ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	return error;
}

/* A descriptor that does not append. Returns 0, or what went wrong. */
static int write_again(int fd, const uint8_t *p, size_t n, uint64_t off)
{
	char link[64];
	int again, error = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	again = open(link, O_WRONLY | O_CLOEXEC);
	if (again < 0)
		return errno;
	while (n && !error) {
		ssize_t put = pwrite(again, p, n, (off_t)off);

		if (put <= 0)
			error = put < 0 ? errno : EIO;
		else
			p += put, off += (uint64_t)put, n -= (size_t)put;
	}
	close(again);
	return error;
}

static int write_end_again(int fd, const struct bytes *end, uint64_t len)
{
	return fd >= 0 && end->len ? write_again(fd, end->p, end->len, len - end->len) : 0;
}

/*
 * The last sync failed: the kernel may have dropped what it could not write, and the next sync would not tell. So what
 * was written since the last good one is written again. Caller holds the lock: this happens in memory.
 */
static int write_ends_again(struct chainlog *c)
{
	int error;

	if (!c->sync_error)
		return 0;
	error = write_end_again(c->old.fd, &c->old.end, c->old.len);
	return error ? error : write_end_again(c->fd, &c->fresh, c->file_len);
}

static void forget_file(struct left_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->end.p);
	*f = (struct left_file){ .fd = -1 };
}

/* Without the lock: it may take long. 0, or what went wrong. */
static int sync_all(int fd, int old, const char *dir_of)
{
	if (fd < 0 || fdatasync(fd) != 0 || (old >= 0 && fdatasync(old) != 0))
		return errno;
	return dir_of ? sync_directory(dir_of) : 0;
}

static void set_sync_error(struct chainlog *c, int error)
{
	if (!error != !c->sync_error)
		report(c,
		       error ? "audit chain %s: does not get to the disk: %s; changes are refused (503) until it does "
			       "(svsm.kms.audit.on-failure)" :
			       "audit chain %s: gets to the disk again%s",
		       c->path, error ? strerror(error) : "");
	if (error && !c->sync_error) /* it tries again by itself */
		pthread_cond_signal(&c->sync_work);
	c->sync_error = error;
}

/*
 * Everything written so far gets to the disk. Caller holds the lock, which is given up meanwhile; so the file may be
 * another afterwards: only what is in fresh at the beginning leaves it. `syncing` is set: of two at the same time the
 * kernel would tell one alone that it failed.
 */
static enum rc sync_once(struct chainlog *c)
{
	struct chain_tail upto = c->in_file;
	bool new_name = c->new_name, has_header = c->file_len != 0;
	int fd = dup(c->fd), error = write_ends_again(c);
	struct left_file old = c->old;
	uint64_t mark;

	if (!c->recorded)
		forget_fresh(c, 0);
	c->recorded = true;
	mark = c->fresh_at + c->fresh.len;
	c->old = (struct left_file){ .fd = -1 };
	c->new_name = false;
	pthread_mutex_unlock(&c->lock);
	error = error ? error : sync_all(fd, old.fd, new_name ? c->path : NULL);
	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&c->lock);
	set_sync_error(c, error);
	c->new_name |= error && new_name;
	if (error && c->old.fd < 0)
		c->old = old;
	else
		forget_file(&old);
	if (error)
		return RC_DENIED;
	if (mark >= c->fresh_at) { /* else it was given up meanwhile */
		size_t n = (size_t)(mark - c->fresh_at);

		if (n)
			memmove(c->fresh.p, c->fresh.p + n, c->fresh.len - n);
		c->fresh.len -= n;
		c->fresh_at = mark;
		c->synced = upto;
		/* What was carried is put behind a header. */
		c->durable = has_header && RAND_bytes(c->iv, sizeof(c->iv)) == 1;
	}
	return RC_OK;
}

static enum rc sync_file(struct chainlog *c)
{
	enum rc rc;

	while (c->syncing)
		pthread_cond_wait(&c->sync_done, &c->lock);
	c->syncing = true;
	rc = sync_once(c);
	c->syncing = false;
	pthread_cond_broadcast(&c->sync_done);
	return rc;
}

static void *syncer(void *arg)
{
	struct chainlog *c = arg;
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (!c->sync_asked && !c->sync_error) {
			pthread_cond_wait(&c->sync_work, &c->lock);
			continue;
		}
		until = later(SYNC_RETRY_MS);
		if (c->sync_error && pthread_cond_timedwait(&c->sync_work, &c->lock, &until) == 0)
			continue;
		c->sync_asked = false;
		(void)!sync_file(c);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static bool must_sync(const struct chainlog *c)
{
	return c->regular && c->o.refuse;
}

enum rc chainlog_sync(struct chainlog *c, uint64_t last)
{
	enum rc rc;

	if (!c)
		return RC_OK;
	pthread_mutex_lock(&c->lock);
	rc = wait_for(c, c->generation, last);
	if (rc == RC_OK && must_sync(c))
		rc = sync_file(c);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

/* ---- what the store carries ---- */

/*
 * piece := seq:u64 iv[16] frames, encrypted: a copy of the store alone is not to tell who asked for what. The key is the
 * MAC of entry seq, the last one on the disk: it stands in the chain's file, which is needed to put a piece back.
 */
#define PIECE_HEAD 24u
_Static_assert(PIECE_HEAD + CHAINLOG_CARRY_MAX == CHAINLOG_PIECE_MAX, "header and frames");

/* AES-128-CTR, in place. */
MUST_CHECK static bool crypt_piece(const uint8_t key[CHAIN_MAC_LEN], const uint8_t iv[16], uint8_t *p, size_t n)
{
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	int len = 0;
	bool ok = x && EVP_EncryptInit_ex(x, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
		  EVP_EncryptUpdate(x, p, &len, p, (int)n) == 1 && len == (int)n;

	EVP_CIPHER_CTX_free(x);
	return ok;
}

/* False: not everything since the last sync is at hand. Caller holds the lock. */
static bool put_piece(struct chainlog *c, struct outbuf *piece)
{
	uint8_t *to;

	if (!c->durable || c->sync_error || c->fresh.len > CHAINLOG_CARRY_MAX)
		return false;
	if (c->fresh.len == 0)
		return true;
	to = outbuf_room(piece, PIECE_HEAD + c->fresh.len);
	if (!to)
		return false;
	memcpy(to, &c->synced.seq, 8);
	memcpy(to + 8, c->iv, sizeof(c->iv));
	memcpy(to + PIECE_HEAD, c->fresh.p, c->fresh.len);
	if (!crypt_piece(c->synced.mac, to + 8, to + PIECE_HEAD, c->fresh.len))
		return false;
	outbuf_used(piece, PIECE_HEAD + c->fresh.len);
	if (c->fresh.len > SYNC_BYTES && !c->syncing)
		ask_sync(c);
	return true;
}

enum rc chainlog_carry(struct chainlog *c, uint64_t last, struct outbuf *piece)
{
	enum rc rc;

	if (!c)
		return RC_OK;
	pthread_mutex_lock(&c->lock);
	rc = wait_for(c, c->generation, last);
	if (rc == RC_OK && must_sync(c) && !put_piece(c, piece))
		rc = sync_file(c);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

bool chainlog_goes_on(const struct chainlog *c)
{
	return c && !c->o.refuse;
}

bool chainlog_refuses(struct chainlog *c)
{
	return c && __atomic_load_n(&c->refusing, __ATOMIC_ACQUIRE);
}

bool chainlog_gap_due(struct chainlog *c, struct chain_tail *tail, bool *given)
{
	bool due;

	if (!c)
		return false;
	pthread_mutex_lock(&c->lock);
	due = c->running && !c->waiting && c->dropping && !c->failing && unwritten(c) == 0;
	if (due) {
		c->gap_asked = true;
		c->dropped_again = false;
		*tail = c->tail;
		*given = has_mac(c->tail.mac);
		c->gap_from = (*given ? c->tail.seq : c->base) + 1;
	}
	pthread_mutex_unlock(&c->lock);
	return due;
}

/* ---- the thread ---- */

static int open_file(const char *path, struct stat *st)
{
	/* Not blocking: a pipe that nobody reads must not keep us waiting. */
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640), error;

	if (fd >= 0 && (fstat(fd, st) != 0 || (S_ISREG(st->st_mode) && flock(fd, LOCK_EX | LOCK_NB) != 0))) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* The old file is synced with the new one, soon; if there is still an older one: that at once. */
static void leave_file(struct chainlog *c)
{
	int error = 0;

	if (!must_sync(c)) {
		close(c->fd);
		return;
	}
	if (c->sync_error)
		error = write_end_again(c->old.fd, &c->old.end, c->old.len);
	if (!error && c->old.fd >= 0 && fdatasync(c->old.fd) != 0)
		error = errno;
	if (error)
		set_sync_error(c, error);
	forget_file(&c->old);
	c->old = (struct left_file){ .fd = c->fd, .len = c->file_len };
	if (!c->recorded)
		return;
	c->old.end = c->fresh;
	c->fresh_at += c->fresh.len;
	c->fresh = (struct bytes){ 0 };
}

/* Between two writes, with the lock held. */
static void do_reopen(struct chainlog *c)
{
	struct stat was, is;
	int fd = -1;
	bool same;

	c->reopen = false;
	c->reopen_result = 0;
	same = fstat(c->fd, &was) == 0 && stat(c->path, &is) == 0 && was.st_dev == is.st_dev && was.st_ino == is.st_ino;
	if (!same) {
		fd = open_file(c->path, &is);
		if (fd < 0 || (S_ISREG(is.st_mode) && is.st_size != 0)) {
			c->reopen_result = fd < 0 ? errno : EEXIST;
			if (fd >= 0)
				close(fd);
		} else {
			struct bytes rest = c->queue;

			leave_file(c);
			c->fd = fd;
			c->regular = S_ISREG(is.st_mode);
			forget_fresh(c, 1);
			c->file_len = 0;
			c->new_name = true;
			c->begun = must_sync(c);
			c->queue = (struct bytes){ 0 };
			put_header(c, &c->out_tail);
			INVARIANT(rest.len == 0 || bytes_put(&c->queue, rest.p, rest.len));
			free(rest.p);
		}
	}
	pthread_cond_broadcast(&c->done);
}

/* Writes what no worker waits for, what a slow or failing disk keeps, and changes the file. */
static void *writer(void *arg)
{
	struct chainlog *c = arg;
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	while (!c->stop || c->writing || (!c->failing && unwritten(c))) {
		if (!c->writing && c->reopen && c->out_at == c->out.len)
			do_reopen(c);
		if (c->writing || !unwritten(c)) {
			pthread_cond_wait(&c->work, &c->lock);
			continue;
		}
		write_some(c);
		until = later(RETRY_MS);
		if (c->failing && !c->stop)
			(void)pthread_cond_timedwait(&c->work, &c->lock, &until);
	}
	c->stop = true;
	pthread_cond_broadcast(&c->done);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

enum rc chainlog_reopen(struct chainlog *c)
{
	struct timespec until;
	int error;

	if (!c)
		return RC_OK;
	until = later(c->o.patience_ms);
	pthread_mutex_lock(&c->lock);
	c->reopen = true;
	pthread_cond_signal(&c->work);
	while (c->reopen && pthread_cond_timedwait(&c->done, &c->lock, &until) == 0)
		;
	error = c->reopen ? ETIMEDOUT : c->reopen_result;	/* it is done as soon as it can be */
	if (error)
		report(c, "audit chain %s: no new file: %s; the old one stays in use", c->path,
		       error == EEXIST ? "what stands there is not empty (move it away; copytruncate is no way to rotate)" :
		       error == EWOULDBLOCK ? "another server has it" : strerror(error));
	pthread_mutex_unlock(&c->lock);
	return error ? RC_MACHINE : RC_OK;
}

/* ---- the core's life ---- */

bool chainlog_tail(struct chainlog *c, struct chain_tail *out, uint64_t *seen)
{
	bool given;

	*seen = 0;
	if (!c)
		return false;
	pthread_mutex_lock(&c->lock);
	*out = c->tail;
	*seen = c->seen;
	given = has_mac(c->tail.mac);
	pthread_mutex_unlock(&c->lock);
	return given;
}

void chainlog_expect(struct chainlog *c, uint32_t generation)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	forget_held(c);
	c->generation = generation;
	c->running = c->waiting = true;
	pthread_mutex_unlock(&c->lock);
}

void chainlog_start(struct chainlog *c, const struct chain_resumed *r)
{
	struct chain_tail at = { .seq = r->at.seq };

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	memcpy(c->store_id, r->at.store_id, sizeof(c->store_id));
	memcpy(at.hash, r->at.hash, sizeof(at.hash));
	if (c->empty)
		put_header(c, &at);
	c->base = r->at.seq;
	c->next = r->at.seq + 1;
	c->waiting = false;
	c->dropping = c->gap_asked = c->dropped_again = false;
	c->lost_at_start = r->lost;
	set_refusing(c);
	pthread_mutex_unlock(&c->lock);
}

void chainlog_died(struct chainlog *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->running = false;
	pthread_cond_broadcast(&c->done);
	pthread_mutex_unlock(&c->lock);
}

void chainlog_state(struct chainlog *c, struct chainlog_state *out)
{
	*out = (struct chainlog_state){ 0 };
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	*out = (struct chainlog_state){ .refuse = c->o.refuse, .failing = c->failing || c->sync_error,
					.dropping = c->dropping, .error = c->failing ? c->error : c->sync_error,
					.written = c->written, .lost = c->lost, .lost_at_start = c->lost_at_start };
	out->pending = unwritten(c) + c->held_bytes;
	pthread_mutex_unlock(&c->lock);
}

/* ---- opening ---- */

MUST_CHECK static bool read_at(int fd, void *p, size_t n, uint64_t off)
{
	uint8_t *to = p;
	ssize_t got;

	while (n && (got = pread(fd, to, n, (off_t)off)) > 0) {
		to += got;
		n -= (size_t)got;
		off += (uint64_t)got;
	}
	return n == 0;
}

/* The frame that ends at `end`. */
MUST_CHECK static bool frame_before(int fd, uint64_t end, uint8_t *room, struct chain_frame *f, uint64_t *start)
{
	struct cursor in;
	uint32_t len;

	if (end < CHAIN_HEADER_LEN + CHAIN_FRAME_EXTRA + CHAIN_ENTRY_MIN || !read_at(fd, &len, 4, end - 4) ||
	    len < CHAIN_ENTRY_MIN || len > CHAIN_ENTRY_MAX || end - CHAIN_HEADER_LEN < len + CHAIN_FRAME_EXTRA)
		return false;
	*start = end - len - CHAIN_FRAME_EXTRA;
	if (!read_at(fd, room, len + CHAIN_FRAME_EXTRA, *start))
		return false;
	in = cur_of(room, len + CHAIN_FRAME_EXTRA);
	return chain_frame_next(&in, f) == RC_OK && cur_end(&in);
}

/*
 * Whether a crash can have left these bytes: the beginning of one frame, then nothing but zeros. If there is a whole
 * frame in them that comes later in the chain, somebody changed the file: that is to be kept as it is.
 */
static bool is_torn(struct slice rest, uint64_t seq)
{
	struct cursor in;
	struct chain_frame f;
	size_t i;

	for (i = 1; i < rest.len; i++) {
		in = cur_of(rest.p + i, rest.len - i);
		if (chain_frame_next(&in, &f) == RC_OK && f.seq > seq && f.seq - seq < 1u << 20)
			return false;
	}

	while (rest.len && rest.p[rest.len - 1] == 0)
		rest.len--;
	in = cur_of(rest.p, rest.len);
	return rest.len == 0 || chain_frame_next(&in, &f) == RC_BUSY;
}

/* Where the whole frames end, from the file's beginning; *torn: what follows is what a crash leaves. */
static uint64_t scan(int fd, uint64_t size, uint64_t first, bool *torn)
{
	uint8_t *b = malloc(SCAN_BLOCK);
	uint64_t at = CHAIN_HEADER_LEN;
	struct chain_frame f = { .seq = first - 1 };
	bool more = b != NULL;

	*torn = false;
	while (more) {
		size_t n = size - at < SCAN_BLOCK ? (size_t)(size - at) : SCAN_BLOCK;
		struct cursor in = cur_of(b, n);

		if (!read_at(fd, b, n, at))
			break;
		while (chain_frame_next(&in, &f) == RC_OK)
			;
		more = in.left < n && n == SCAN_BLOCK;
		*torn = !more && n < SCAN_BLOCK && is_torn(slice_of(in.at, in.left), f.seq);
		at += n - in.left;
	}
	free(b);
	return at;
}

/* The last frame with a MAC that ends at or before end; *end: where it ends, the header if there is none. */
static void find_tail(struct chainlog *c, uint64_t *end, uint8_t *room)
{
	struct chain_frame f;
	uint64_t start;

	while (frame_before(c->fd, *end, room, &f, &start)) {
		if (has_mac(f.mac)) {
			c->tail.seq = f.seq;
			memcpy(c->tail.hash, f.hash, sizeof(f.hash));
			memcpy(c->tail.mac, f.mac, sizeof(f.mac));
			return;
		}
		*end = start;
	}
}

static enum rc damaged(char *why, size_t room, const char *path)
{
	snprintf(why, room,
		 "%.500s is no audit chain, or damaged: `svsm-kms audit verify` says where. Move it to a safe place; the "
		 "chain goes on in a new file and says what is lost",
		 path);
	return RC_BAD_INPUT;
}

static enum rc load(struct chainlog *c, uint64_t size, char *why, size_t why_room)
{
	uint8_t head[CHAIN_HEADER_LEN], *room;
	struct chain_header h;
	struct chain_frame f;
	uint64_t end = size, start;
	bool torn = true;
	enum rc rc = RC_OK;

	c->empty = size == 0;
	c->new_name = true;	/* whoever made it may have died before it was certain */
	if (size == 0)
		return RC_OK;
	if (size < sizeof(head) || !read_at(c->fd, head, sizeof(head), 0) ||
	    chain_header_get(slice_of(head, sizeof(head)), &h) != RC_OK)
		return damaged(why, why_room, c->path);
	c->tail.seq = h.seq;
	memcpy(c->tail.hash, h.hash, sizeof(h.hash));
	memcpy(c->tail.mac, h.mac, sizeof(h.mac));
	room = malloc(CHAIN_FRAME_MAX);
	if (!room)
		return RC_MACHINE;
	if (size > sizeof(head) && !frame_before(c->fd, size, room, &f, &start))
		end = scan(c->fd, size, h.seq + 1, &torn);
	if (torn)
		find_tail(c, &end, room);
	if (!torn)
		rc = damaged(why, why_room, c->path);
	else if (end < size && ftruncate(c->fd, (off_t)end) != 0)
		rc = RC_MACHINE;
	else if (end < size)
		snprintf(why, why_room, "audit chain %.500s: %llu bytes of entries that a crash left unfinished are cut off",
			 c->path, (unsigned long long)(size - end));
	free(room);
	c->written = c->tail.seq;
	c->out_tail = c->in_file = c->tail;
	c->file_len = end;
	return rc;
}

/* The entry, looked for from the file's end. False: it is not there. */
static bool find_entry(struct chainlog *c, uint64_t seq, uint8_t *room, struct chain_tail *out)
{
	uint8_t head[CHAIN_HEADER_LEN];
	uint64_t end = c->file_len;
	struct chain_header h;
	struct chain_frame f;

	while (frame_before(c->fd, end, room, &f, &end) && f.seq >= seq)
		if (f.seq == seq) {
			out->seq = seq;
			memcpy(out->hash, f.hash, sizeof(f.hash));
			memcpy(out->mac, f.mac, sizeof(f.mac));
			return true;
		}
	if (!read_at(c->fd, head, sizeof(head), 0) || chain_header_get(slice_of(head, sizeof(head)), &h) != RC_OK ||
	    h.seq != seq)
		return false;
	out->seq = seq;
	memcpy(out->hash, h.hash, sizeof(h.hash));
	memcpy(out->mac, h.mac, sizeof(h.mac));
	return true;
}

struct slice chainlog_rest(struct slice frames, uint64_t seq, const struct chain_tail *at, struct chain_tail *end)
{
	struct slice rest = slice_of("", 0);
	struct cursor in = cur_of(frames.p, frames.len);
	const uint8_t *from = in.at;
	bool found = seq == at->seq;
	struct chain_frame f;

	for (; chain_frame_next(&in, &f) == RC_OK && f.seq > seq; seq = f.seq) {
		if (found && has_mac(f.mac)) {
			rest = slice_of(from, (size_t)(in.at - from));
			end->seq = f.seq;
			memcpy(end->hash, f.hash, sizeof(f.hash));
			memcpy(end->mac, f.mac, sizeof(f.mac));
		} else if (!found && f.seq == at->seq && memcmp(f.hash, at->hash, sizeof(f.hash)) == 0) {
			found = true;
			from = in.at;
		}
	}
	return rest;
}

/* Decrypts it in place. Caller holds the lock. */
static struct slice open_piece(struct chainlog *c, uint8_t *piece, size_t len, struct chain_tail *end)
{
	struct cursor in = cur_of(piece, len);
	uint8_t *room = malloc(CHAIN_FRAME_MAX);
	struct slice rest = slice_of("", 0);
	struct chain_tail base;
	const uint8_t *iv;
	uint64_t seq;

	if (room && cur_le64(&in, &seq) && cur_take(&in, 16, &iv) && in.left <= CHAINLOG_CARRY_MAX &&
	    find_entry(c, seq, room, &base) && crypt_piece(base.mac, iv, piece + PIECE_HEAD, in.left))
		rest = chainlog_rest(slice_of(piece + PIECE_HEAD, in.left), seq, &c->tail, end);
	free(room);
	return rest;
}

void chainlog_restore(struct chainlog *c, struct outbuf *piece, char *why, size_t room)
{
	struct chain_tail end = { 0 };
	struct slice rest;

	*why = 0;
	if (!c || !c->regular || c->empty)
		return;
	pthread_mutex_lock(&c->lock);
	rest = open_piece(c, piece->p, piece->len, &end);
	if (rest.len && bytes_put(&c->queue, rest.p, rest.len)) {
		snprintf(why, room,
			 "audit chain %.500s: it ends with entry %llu; those up to %llu, which a power cut can take from "
			 "it, were in the store and are written again",
			 c->path, (unsigned long long)c->tail.seq, (unsigned long long)end.seq);
		c->tail = end;
		write_some(c);	/* if it fails, the thread goes on trying */
	}
	pthread_mutex_unlock(&c->lock);
}

enum rc chainlog_set_aside(struct chainlog *c, char *name, size_t room)
{
	struct stat st;
	int fd;

	if (!c->regular || (size_t)snprintf(name, room, "%s.damaged-%llu", c->path, (unsigned long long)time(NULL)) >= room ||
	    rename(c->path, name) != 0)
		return RC_MACHINE;
	fd = open_file(c->path, &st);
	if (fd < 0)
		return RC_MACHINE;
	pthread_mutex_lock(&c->lock);
	close(c->fd);
	c->fd = fd;
	c->empty = c->new_name = true;
	c->seen = 0;
	c->queue.len = 0;
	c->tail = c->out_tail = c->in_file = (struct chain_tail){ 0 };
	forget_fresh(c, 1);
	c->file_len = 0;
	c->written = 0;
	pthread_mutex_unlock(&c->lock);
	return RC_OK;
}

static struct chainlog *make(const struct chainlog_options *o)
{
	struct chainlog *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	if (!c)
		return NULL;
	c->o = *o;
	c->o.buffer_max = o->buffer_max ? o->buffer_max : CHAINLOG_BUFFER_MAX;
	c->o.patience_ms = o->patience_ms ? o->patience_ms : CHAINLOG_PATIENCE_MS;
	c->o.report = o->report ? o->report : stderr_report;
	c->path = strdup(o->path);
	c->fd = c->old.fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->work, &attr);
	pthread_cond_init(&c->done, &attr);
	pthread_cond_init(&c->sync_work, &attr);
	pthread_cond_init(&c->sync_done, &attr);
	return c;
}

static void release(struct chainlog *c)
{
	forget_held(c);
	if (c->fd >= 0)
		close(c->fd);
	forget_file(&c->old);
	free(c->queue.p);
	free(c->out.p);
	free(c->fresh.p);
	free(c->path);
	free(c);
}

static enum rc start_threads(struct chainlog *c)
{
	if (pthread_create(&c->sync_thread, NULL, syncer, c) != 0)
		return RC_NO_ROOM;
	if (pthread_create(&c->thread, NULL, writer, c) == 0)
		return RC_OK;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->sync_work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->sync_thread, NULL);
	return RC_NO_ROOM;
}

enum rc chainlog_open(const struct chainlog_options *o, struct chainlog **out, char *why, size_t room)
{
	struct chainlog *c = make(o);
	struct stat st;
	enum rc rc = RC_OK;

	*why = 0;
	*out = NULL;
	if (!c || !c->path) {
		free(c);
		return RC_NO_ROOM;
	}
	c->fd = open_file(c->path, &st);
	if (c->fd < 0) {
		snprintf(why, room, "%.500s: cannot be opened for the audit chain: %s", c->path,
			 errno == EWOULDBLOCK ? "another server writes it" : strerror(errno));
		release(c);
		return RC_MACHINE;
	}
	c->regular = S_ISREG(st.st_mode);
	rc = load(c, c->regular ? (uint64_t)st.st_size : 0, why, room);
	if (rc == RC_MACHINE)
		snprintf(why, room, "%.500s: cannot be read or cut: %s", c->path, strerror(errno));
	if (rc == RC_BAD_INPUT && !o->refuse) {
		char name[1200];

		rc = chainlog_set_aside(c, name, sizeof(name));
		snprintf(why, room, "%.500s is no audit chain, or damaged; it is now %.500s", c->path, name);
	}
	if (rc == RC_OK)
		rc = start_threads(c);
	if (rc != RC_OK) {
		release(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

void chainlog_close(struct chainlog *c)
{
	struct timespec until;
	bool ended;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	c->running = false;
	pthread_cond_broadcast(&c->work);
	pthread_cond_signal(&c->sync_work);
	pthread_mutex_unlock(&c->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)(c->o.patience_ms / 1000) + 1;
	ended = pthread_timedjoin_np(c->thread, NULL, &until) == 0;
	if (!ended)	/* it hangs in a write: what it uses stays */
		report(c, "audit chain %s: the last entries could not be written", c->path);
	if (pthread_timedjoin_np(c->sync_thread, NULL, &until) == 0 && ended)
		release(c);
}
