/* SPDX-License-Identifier: Apache-2.0 */
/* The audit chain, offline: `audit verify` and `audit show`. Files are streamed; nothing in them is trusted. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "client/b64.h"
#include "client/chain_check.h"
#include "client/cli.h"
#include "client/text.h"

#define BLOCK (4u * CHAIN_FRAME_MAX)

struct file {
	FILE *f;
	const char *name;
	uint8_t *b;
	size_t at, len;
	uint64_t off;	/* of b[at] in the file */
	bool ended, failed;
};

/* The files of the command line as one row of frames. */
struct reader {
	struct cli *c;
	size_t next;		/* word */
	struct file file;
	bool header;		/* the next thing to be read */
	struct chain_frame frame;
	uint64_t off;		/* of what was read last */
};

static void fill(struct file *f)
{
	if (f->at) {
		memmove(f->b, f->b + f->at, f->len - f->at);
		f->len -= f->at;
		f->at = 0;
	}
	while (!f->ended && f->len < BLOCK) {
		size_t n = fread(f->b + f->len, 1, BLOCK - f->len, f->f);

		f->len += n;
		f->ended = n == 0;
	}
	f->failed = ferror(f->f) != 0;
}

static void close_file(struct file *f)
{
	if (f->f)
		fclose(f->f);
	f->f = NULL;
}

/* False: there is none left, or it cannot be read (then *code is set). */
static bool next_file(struct reader *r, int *code)
{
	struct file *f = &r->file;

	close_file(f);
	if (r->next == r->c->args.nwords)
		return false;
	f->name = r->c->args.words[r->next++];
	f->f = fopen(f->name, "rb");
	f->at = f->len = 0;
	f->off = 0;
	f->ended = f->failed = false;
	if (!f->b)
		f->b = malloc(BLOCK);
	if (f->f && f->b)
		fill(f);
	if (!f->f || !f->b || f->failed) {
		*code = cli_fail(r->c, EXIT_USAGE, "%s: %s", f->name, strerror(errno));
		return false;
	}
	r->header = true;
	return true;
}

static void used(struct file *f, size_t n)
{
	f->at += n;
	f->off += n;
}

enum got { GOT_HEADER, GOT_FRAME, GOT_END, GOT_FAILED, GOT_CUT, GOT_NONSENSE };

static enum got read_header(struct reader *r, struct slice *header)
{
	struct file *f = &r->file;

	r->header = false;
	r->off = 0;
	if (f->len < CHAIN_HEADER_LEN)
		return GOT_NONSENSE;
	*header = slice_of(f->b, CHAIN_HEADER_LEN);
	used(f, CHAIN_HEADER_LEN);
	return GOT_HEADER;
}

/* The next frame in r->frame, or a file's header. */
static enum got read_next(struct reader *r, struct slice *header, int *code)
{
	struct file *f = &r->file;
	struct cursor in;
	enum rc rc;

	while (!f->f || (!r->header && f->at == f->len && f->ended))
		if (!next_file(r, code))
			return *code ? GOT_FAILED : GOT_END;
	if (r->header)
		return read_header(r, header);
	if (f->len - f->at < CHAIN_FRAME_MAX && !f->ended)
		fill(f);
	if (f->failed) {
		*code = cli_fail(r->c, EXIT_USAGE, "%s: %s", f->name, strerror(errno));
		return GOT_FAILED;
	}
	if (f->at == f->len)
		return read_next(r, header, code);
	r->off = f->off;
	in = cur_of(f->b + f->at, f->len - f->at);
	rc = chain_frame_next(&in, &r->frame);
	if (rc != RC_OK)
		return rc == RC_BUSY ? GOT_CUT : GOT_NONSENSE;
	used(f, r->frame.whole.len);
	return GOT_FRAME;
}

static void reader_free(struct reader *r)
{
	close_file(&r->file);
	free(r->file.b);
}

/* ---- verify ---- */

static bool hex_exactly(const char *text, size_t chars, uint8_t *out, size_t n)
{
	size_t len = 0;

	return chars == 2 * n && hex_read(slice_of(text, chars), out, n, &len) == RC_OK && len == n;
}

/* SEQ:HASH */
static bool take_head(struct chain_check *k, const char *text)
{
	const char *colon = strchr(text, ':');
	char number[24];

	if (!colon || (size_t)(colon - text) >= sizeof(number))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)(colon - text), text);
	k->has_head = args_decimal(number, 0, INT64_MAX, &k->head_seq) &&
		      hex_exactly(colon + 1, strlen(colon + 1), k->head_hash, sizeof(k->head_hash));
	return k->has_head;
}

/* What `svsm-kms health -o json` printed once. */
static bool take_health(struct cli *c, struct chain_check *k, const char *path)
{
	BUF text = { .max = 1 << 20 };
	JSON *doc = NULL;
	const char *key, *head;

	kms_json_init();
	if (!cli_read_file(c, path, false, &text))
		return false;
	doc = buf_text(&text) ? doc_parse(buf_text(&text), text.len) : NULL;
	key = doc ? json_text(doc, "auditKey") : NULL;
	head = doc ? json_text(doc, "auditHead") : NULL;
	if (!key || !head || !hex_exactly(key, strlen(key), k->key, sizeof(k->key)) || !take_head(k, head)) {
		cli_fail(c, EXIT_USAGE, "%s is not what `svsm-kms health -o json` prints", path);
		return false;
	}
	k->has_key = true;
	return true;
}

static bool take_options(struct cli *c, struct chain_check *k)
{
	const char *key = args_text(&c->args, "key", NULL), *head = args_text(&c->args, "head", NULL),
		   *health = args_text(&c->args, "health", NULL);

	if (health && !take_health(c, k, health))
		return false;
	if (key && !hex_exactly(key, strlen(key), k->key, sizeof(k->key))) {
		cli_fail(c, EXIT_USAGE, "--key is 64 hexadecimal digits: auditKey of `svsm-kms health`");
		return false;
	}
	k->has_key |= key != NULL;
	if (head && !take_head(k, head)) {
		cli_fail(c, EXIT_USAGE, "--head is NUMBER:HASH: auditHead of `svsm-kms health`");
		return false;
	}
	return true;
}

/* An entry is missing where it should be: does it come later? */
static bool comes_later(struct reader *r, uint64_t seq)
{
	struct slice header;
	int code = 0;
	enum got g;

	while ((g = read_next(r, &header, &code)) == GOT_FRAME || g == GOT_HEADER)
		if (g == GOT_FRAME && r->frame.seq == seq)
			return true;
	return false;
}

static void hex(const uint8_t *p, size_t n, char *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static void json_result(const struct chain_check *k, enum chain_bad b, const char *file, uint64_t off)
{
	JSON *doc = json_object();
	char key[2 * CHAIN_KEY_LEN + 1], hash[2 * CHAIN_HASH_LEN + 1];

	hex(k->key, sizeof(k->key), key);
	hex(k->hash, sizeof(k->hash), hash);
	json_put_text(doc, "verdict", chain_bad_name(b));
	json_put_int(doc, "code", b);
	json_put_int(doc, "first", (int64_t)k->first);
	json_put_int(doc, "last", (int64_t)k->seq);
	json_put_text(doc, "hash", hash);
	json_put_int(doc, "entries", (int64_t)k->entries);
	json_put_int(doc, "checkpoints", (int64_t)k->checkpoints);
	json_put_int(doc, "signed", (int64_t)k->checked);
	json_put_int(doc, "lost", (int64_t)k->lost);
	json_put_int(doc, "starts", (int64_t)k->starts);
	json_put_text(doc, "key", k->knows_key || k->has_key ? key : "");
	json_put_text(doc, "keyGiven", k->has_key ? "yes" : "no");
	if (k->why && b != CHAIN_GOOD && b != CHAIN_LOSSES) {
		json_put_text(doc, "file", file);
		json_put_int(doc, "offset", (int64_t)off);
		json_put_int(doc, "entry", (int64_t)k->bad_seq);
		json_put_text(doc, "why", k->why);
	}
	cli_print_json(doc);
}

static void print_good(struct cli *c, const struct chain_check *k, enum chain_bad b)
{
	char key[2 * CHAIN_KEY_LEN + 1];

	hex(k->key, sizeof(k->key), key);
	cli_print("%s: entries %llu to %llu, %llu checkpoints, %llu starts%s",
		  b == CHAIN_LOSSES ? "WHOLE BUT FOR WHAT IT SAYS IS LOST" : "whole", (unsigned long long)k->first,
		  (unsigned long long)k->seq, (unsigned long long)k->checkpoints,
		  (unsigned long long)k->starts, k->has_head ? "; the end that --head names is there" : "");
	if (k->lost)
		cli_print("%llu entries are declared lost: `svsm-kms audit show` says which, at GAP and START",
			  (unsigned long long)k->lost);
	if (k->checkpoints)
		cli_print("signed up to entry %llu; entries behind that checkpoint: %llu", (unsigned long long)k->checked,
			  (unsigned long long)(k->seq - k->checked - 1));
	else
		cli_print("no checkpoint: nothing is signed yet");
	if (!k->has_key)
		cli_warn(c, "no --key: whoever could write the files could have made the whole chain with a key of his own. This "
			    "one is signed by %s; compare it with auditKey of `svsm-kms health`, noted earlier",
			 k->knows_key ? key : "nobody yet");
	if (!k->has_head)
		cli_note(c, "no --head: what was cut off at the end cannot be noticed (but by the server, at its next start)");
}

static int tell(struct reader *r, struct chain_check *k, enum chain_bad b)
{
	struct cli *c = r->c;
	const char *file = r->file.name ? r->file.name : "";
	uint64_t off = r->off;

	if (b == CHAIN_REMOVED && comes_later(r, k->bad_seq)) {
		b = CHAIN_REORDERED;
		k->why = "the entry stands further behind";
	}
	if (c->json)
		json_result(k, b, file, off);
	else if (b == CHAIN_GOOD || b == CHAIN_LOSSES)
		print_good(c, k, b);
	else
		cli_print("%s: entry %llu, at byte %llu: %s: %s", file, (unsigned long long)k->bad_seq, (unsigned long long)off,
			  chain_bad_name(b), k->why);
	return (int)b;
}

static int run_check(struct reader *r, struct chain_check *k)
{
	enum chain_bad b = CHAIN_GOOD;
	struct slice header;
	int code = 0;

	while (b == CHAIN_GOOD)
		switch (read_next(r, &header, &code)) {
		case GOT_HEADER:
			b = chain_check_header(k, header);
			break;
		case GOT_FRAME:
			b = chain_check_frame(k, &r->frame);
			break;
		case GOT_END:
			return tell(r, k, chain_check_end(k));
		case GOT_FAILED:
			return code;
		case GOT_CUT:
			k->bad_seq = k->seq + 1;
			k->why = "the file ends in the middle of the entry (where a server is writing it, look again)";
			b = CHAIN_TRUNCATED;
			break;
		case GOT_NONSENSE:
			k->bad_seq = k->seq + 1;
			k->why = r->off ? "these bytes are no entry" : "the file is no audit chain";
			b = r->off ? CHAIN_EDITED : CHAIN_NONE;
			break;
		}
	return tell(r, k, b);
}

int verb_audit_verify(struct cli *c)
{
	struct reader r = { .c = c };
	struct chain_check k;
	int code = EXIT_USAGE;

	if (chain_check_init(&k) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "libcrypto does not start");
	if (take_options(c, &k))
		code = run_check(&r, &k);
	chain_check_free(&k);
	reader_free(&r);
	return code;
}

/* ---- show ---- */

static void peer_text(struct slice peer, char out[INET6_ADDRSTRLEN])
{
	out[0] = 0;
	if (peer.len == 4 || peer.len == 16)
		(void)inet_ntop(peer.len == 4 ? AF_INET : AF_INET6, peer.p, out, INET6_ADDRSTRLEN);
}

/* What the detail says, for people; empty: nothing. */
static void detail_text(const struct chain_entry *e, struct buf *out)
{
	struct cursor d = cur_of(e->detail.p, e->detail.len);
	struct chain_loss l;
	struct chain_start st;
	struct chain_checkpoint cp;
	uint64_t n;

	if (e->type == CHAIN_START && chain_start_get(e->detail, &st) == RC_OK) {
		buf_fmt(out, "epoch %llu, configuration %llu", (unsigned long long)st.epoch,
			(unsigned long long)st.config_version);
		if (st.loss.from <= st.loss.to)
			buf_fmt(out, ", LOST entries %llu to %llu", (unsigned long long)st.loss.from,
				(unsigned long long)st.loss.to);
	} else if (e->type == CHAIN_GAP && chain_loss_get(e->detail, &l) == RC_OK) {
		buf_fmt(out, "LOST entries %llu to %llu", (unsigned long long)l.from, (unsigned long long)l.to);
	} else if (e->type == CHAIN_CHECKPOINT && chain_checkpoint_get(e->detail, &cp) == RC_OK) {
		buf_fmt(out, "signs entry %llu, epoch %llu", (unsigned long long)cp.seq, (unsigned long long)cp.epoch);
	} else if (e->type == CHAIN_CONTROL && (e->op == CHAIN_COMMIT || e->op == CHAIN_ABORT) && cur_le64(&d, &n)) {
		buf_fmt(out, "epoch %llu, changes", (unsigned long long)n);
		while (cur_le64(&d, &n))
			buf_fmt(out, " %llu", (unsigned long long)n);
	} else if (e->type == CHAIN_CONTROL && e->op == CHAIN_CONFIG && cur_le64(&d, &n)) {
		buf_fmt(out, "version %llu, hash ", (unsigned long long)n);
		for (n = 0; n < 32 && d.left; n++, d.at++, d.left--)
			buf_fmt(out, "%02x", *d.at);
	} else if (e->type == CHAIN_CONTROL) {
		for (; d.left; d.at++, d.left--)
			buf_fmt(out, "%02x", *d.at);
	} else if (e->status == EVENT_OK && e->detail.len == 8 && cur_le64(&d, &n)) {
		buf_fmt(out, "change %llu, not yet committed", (unsigned long long)n);
	} else {
		buf_slice(out, e->detail);
	}
}

/* A name may hold anything, also what would end it here. */
static void put_quoted(struct buf *line, const char *name, struct slice v)
{
	size_t i;

	buf_fmt(line, " %s=\"", name);
	for (i = 0; i < v.len; i++)
		if (v.p[i] == '"' || v.p[i] == '\\' || v.p[i] == 0)
			buf_fmt(line, "\\x%02x", v.p[i]);
		else
			buf_put(line, v.p + i, 1);
	buf_str(line, "\"");
}

static void show_text(const struct chain_entry *e, struct slice peer, struct slice detail)
{
	const struct {
		const char *name;
		struct slice v;
	} field[] = { { "user", e->user }, { "principal", e->principal }, { "real", e->real }, { "key", e->key },
		      { "peer", peer }, { "detail", detail } };
	BUF line = { .max = 1 << 20 };
	char when[32];
	size_t i;

	cli_time(e->time_ms < INT64_MAX ? (int64_t)e->time_ms : 0, when);
	buf_fmt(&line, "%llu %s %s", (unsigned long long)e->seq, when, chain_type_name(e->type));
	if (e->type == CHAIN_DECISION || e->type == CHAIN_CONTROL)
		buf_fmt(&line, " %s %s", chain_status_name(e->status), chain_op_name(e));
	if (e->result)
		buf_fmt(&line, " error=%u", e->result);
	for (i = 0; i < ARRAY_LEN(field); i++)
		if (field[i].v.len && !(i == 1 && slice_eq(e->user, e->principal)))
			put_quoted(&line, field[i].name, field[i].v);
	if (buf_text(&line))
		cli_print("%s", buf_text(&line));
}

/* A text that anybody wrote, as JSON can hold it. */
static void put_slice(cJSON *doc, const char *name, struct slice v)
{
	BUF safe = { .max = 1 << 20 };

	if (!v.len)
		return;
	text_safe(&safe, v);
	if (buf_text(&safe))
		json_put_text(doc, name, buf_text(&safe));
}

static void show_json(const struct chain_entry *e, struct slice peer, struct slice detail)
{
	JSON *doc = json_object();

	json_put_int(doc, "seq", (int64_t)(e->seq & INT64_MAX));
	json_put_int(doc, "time", (int64_t)(e->time_ms & INT64_MAX));
	json_put_text(doc, "type", chain_type_name(e->type));
	json_put_text(doc, "status", chain_status_name(e->status));
	json_put_text(doc, "op", chain_op_name(e));
	json_put_int(doc, "error", e->result);
	json_put_int(doc, "lane", e->lane);
	put_slice(doc, "user", e->user);
	put_slice(doc, "principal", e->principal);
	put_slice(doc, "real", e->real);
	put_slice(doc, "key", e->key);
	put_slice(doc, "peer", peer);
	put_slice(doc, "detail", detail);
	cli_print_json(doc);
}

static void show(struct cli *c, const struct chain_entry *e)
{
	BUF detail = { .max = 1 << 20 };
	char peer[INET6_ADDRSTRLEN];

	peer_text(e->peer, peer);
	detail_text(e, &detail);
	(c->json ? show_json : show_text)(e, slice_str(peer),
					  buf_ok(&detail) && detail.len ? slice_of(detail.p, detail.len) : slice_of("", 0));
}

int verb_audit_show(struct cli *c)
{
	uint64_t from = args_number(&c->args, "from", 0), left = args_number(&c->args, "count", UINT64_MAX);
	struct reader r = { .c = c };
	struct chain_entry e;
	struct slice header;
	int code = 0;
	enum got g = GOT_HEADER;

	while (left && ((g = read_next(&r, &header, &code)) == GOT_HEADER || g == GOT_FRAME)) {
		if (g == GOT_HEADER || r.frame.seq < from)
			continue;
		if (chain_entry_get(r.frame.entry, &e) != RC_OK) {
			g = GOT_NONSENSE;
			break;
		}
		show(c, &e);
		left--;
	}
	if (g == GOT_CUT || g == GOT_NONSENSE)
		code = cli_fail(c, g == GOT_CUT ? CHAIN_TRUNCATED : r.off ? CHAIN_EDITED : CHAIN_NONE,
				"%s: no entry at byte %llu", r.file.name, (unsigned long long)r.off);
	reader_free(&r);
	return code;
}
