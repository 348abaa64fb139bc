/* SPDX-License-Identifier: Apache-2.0 */
/* See core.h. */
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "service/keytab.h"
#include "tests/fake/core.h"

_Atomic uint64_t fake_mono = 1000;
_Atomic bool fake_entropy_broken;
_Atomic uint64_t fake_entropy_calls;
_Atomic uint64_t fake_entropy_state = 1;
void (*fake_tap)(uint32_t call, const void *p, size_t len);

static uint64_t mono(void)
{
	return fake_mono * 1000;
}

/* Not random at all, but never the same twice: a weyl sequence, mixed. */
static enum rc entropy(void *ctx, uint8_t *out, size_t len)
{
	size_t i;

	(void)ctx;
	fake_entropy_calls++;
	if (fake_entropy_broken)
		return RC_MACHINE;
	for (i = 0; i < len; i++) {
		uint64_t z = atomic_fetch_add(&fake_entropy_state, 0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		out[i] = (uint8_t)(z >> 56);
	}
	return RC_OK;
}

struct slice core_seal_keytab(struct core *c, struct slice keytab, uint8_t *out)
{
	struct crypto *crypto = crypto_new();
	struct wire_status st;

	INVARIANT(crypto && core_status(c, &st) == E_OK);
	INVARIANT(crypto_upload_seal(crypto, st.upload_key, slice_str(KEYTAB_PURPOSE), keytab, out) == RC_OK);
	crypto_free(crypto);
	return slice_of(out, keytab.len + CRYPTO_UPLOAD_OVERHEAD);
}

size_t core_hex(const char *hex, uint8_t *out, size_t max)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (; hex[0] && hex[1]; hex += 2) {
		const char *hi = strchr(digits, hex[0]), *lo = strchr(digits, hex[1]);

		INVARIANT(hi && lo && n < max);
		out[n++] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
	return n;
}

/* ---- store ---- */

int fake_store_find(const struct fake_store *s, const uint8_t id[WIRE_ID_LEN])
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (memcmp(s->rec[i].id, id, WIRE_ID_LEN) == 0)
			return (int)i;
	return -1;
}

static void record_set(struct fake_record *r, const uint8_t *id, struct slice rec)
{
	memcpy(r->id, id, WIRE_ID_LEN);
	r->p = malloc(rec.len + 1);
	INVARIANT(r->p);
	if (rec.len)
		memcpy(r->p, rec.p, rec.len);
	r->len = rec.len;
}

static void record_add(struct fake_store *s, const uint8_t *id, struct slice rec)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->rec = realloc(s->rec, s->cap * sizeof(*s->rec));
		INVARIANT(s->rec);
	}
	record_set(&s->rec[s->count++], id, rec);
}

void fake_store_put(struct fake_store *s, const uint8_t id[WIRE_ID_LEN], struct slice rec)
{
	int at = fake_store_find(s, id);

	if (at < 0) {
		record_add(s, id, rec);
	} else {
		free(s->rec[at].p);
		record_set(&s->rec[at], id, rec);
	}
}

void fake_store_remove(struct fake_store *s, size_t at)
{
	free(s->rec[at].p);
	s->rec[at] = s->rec[--s->count];
}

void fake_store_copy(struct fake_store *to, const struct fake_store *from)
{
	size_t i;

	*to = *from;
	to->rec = NULL;
	to->count = to->cap = 0;
	for (i = 0; i < from->count; i++)
		record_add(to, from->rec[i].id, slice_of(from->rec[i].p, from->rec[i].len));
}

void fake_store_free(struct fake_store *s)
{
	while (s->count)
		free(s->rec[--s->count].p);
	free(s->rec);
	memset(s, 0, sizeof(*s));
}

/* ---- core ---- */

/* Kept for the next core: under a sanitizer they cost more than most tests. Only the main thread starts cores. */
static struct {
	uint8_t *req, *rsp;
} spare[4];

static void buffers(struct core *c)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(spare) && !c->req; i++) {
		c->req = spare[i].req;
		c->rsp = spare[i].rsp;
		spare[i].req = spare[i].rsp = NULL;
	}
	if (!c->req) {
		c->req = malloc(CALL_LARGE_LEN);
		c->rsp = malloc(CALL_LARGE_LEN);
	}
	c->room = CALL_LARGE_LEN;
	INVARIANT(c->req && c->rsp && c->w);
}

void core_start(struct core *c, uint8_t platform)
{
	struct svc_options o = { .isolation = ISOLATION_PROCESS, .entropy = entropy, .mono_us = mono };

	memset(c, 0, sizeof(*c));
	memset(o.platform_key.b, platform, sizeof(o.platform_key.b));
	INVARIANT(crypto_start() == RC_OK);
	c->svc = svc_new(&o);
	INVARIANT(c->svc);
	c->w = svc_worker_new(c->svc);
	c->owns = true;
	svc_time(c->svc, FAKE_WALL);
	buffers(c);
}

void core_share(struct core *c, const struct core *of)
{
	memset(c, 0, sizeof(*c));
	c->svc = of->svc;
	c->w = svc_worker_new(c->svc);
	buffers(c);
}

void core_stop(struct core *c)
{
	size_t i;

	svc_worker_free(c->w);
	if (c->owns)
		svc_free(c->svc);
	fake_store_free(&c->store);
	for (i = 0; i < ARRAY_LEN(spare) && spare[i].req; i++)
		;
	if (i < ARRAY_LEN(spare)) {
		spare[i].req = c->req;
		spare[i].rsp = c->rsp;
	} else {
		free(c->req);
		free(c->rsp);
	}
	memset(c, 0, sizeof(*c));
}

void core_ready(struct core *c)
{
	core_start(c, 0x11);
	INVARIANT(core_config_list(c, core_open_acls) == E_OK);
	INVARIANT(core_store_create(c) == E_OK);
	core_as(c, "root");
}

void core_as(struct core *c, const char *user)
{
	c->has_user = true;
	c->has_cookie = c->has_token = false;
	c->user = slice_str(user);
}

void core_as_cookie(struct core *c, struct slice cookie)
{
	c->has_user = c->has_token = false;
	c->has_cookie = true;
	c->cookie = cookie;
}

void core_as_token(struct core *c, struct slice token)
{
	c->has_user = c->has_cookie = false;
	c->has_token = true;
	c->token = token;
}

void core_groups(struct core *c, const char *a, const char *b)
{
	c->groups[0] = a;
	c->groups[1] = b;
	c->groups[2] = NULL;
}

struct wire_cred core_cred(struct core *c)
{
	struct wire_cred cred = { .has_user = c->has_user, .has_cookie = c->has_cookie, .user = c->user,
				  .cookie = c->cookie, .has_token = c->has_token, .token = c->token };
	struct sink s = sink_of(c->group_bytes, sizeof(c->group_bytes)), n = sink_of(c->name_bytes, sizeof(c->name_bytes));
	size_t i;

	cred.has_do_as = c->has_do_as;
	cred.do_as = c->do_as;
	cred.peer = c->peer;
	if (c->peer_name) {
		sink_str16(&n, slice_str(c->peer_name));
		cred.names = 1;
	}
	cred.name = cur_of(c->name_bytes, sizeof(c->name_bytes) - n.left);
	cred.group_user = c->groups_user ? slice_str(c->groups_user) : c->has_do_as ? c->do_as : c->user;
	for (i = 0; cred.group_user.len && c->groups[i]; i++) {
		sink_str16(&s, slice_str(c->groups[i]));
		cred.groups++;
	}
	INVARIANT(sink_ok(&s));
	cred.group = cur_of(c->group_bytes, sizeof(c->group_bytes) - s.left);
	return cred;
}

struct sink *core_req(struct core *c)
{
	c->out = sink_of(c->req, CALL_LARGE_LEN);
	return &c->out;
}

enum wire_err core_bytes(struct core *c, uint32_t call, const void *p, size_t len)
{
	uint32_t e = svc_call(c->svc, c->w, call, shared_of(p, len), c->rsp, c->room, &c->len);

	INVARIANT(e < E_COUNT_ && c->len <= c->room);
	c->err = (enum wire_err)e;
	memset(&c->ans, 0, sizeof(c->ans));
	if (c->len == 0) {	/* no answer at all: only for what is no call, or has no room */
		INVARIANT(e == E_BAD_MESSAGE || e == E_TOO_BIG);
		return c->err;
	}
	INVARIANT(wire_ans_get(cur_of(c->rsp, c->len), &c->ans) == RC_OK);
	INVARIANT(c->ans.head.err == e);
	INVARIANT(e == E_OK || c->ans.body.left == 0);
	return c->err;
}

enum wire_err core_send(struct core *c, uint32_t call)
{
	INVARIANT(sink_ok(&c->out));
	if (fake_tap)
		fake_tap(call, c->req, c->out.need);
	return core_bytes(c, call, c->req, c->out.need);
}

const char *const core_open_acls[] = {
	"default.key.acl.MANAGEMENT", "*", "default.key.acl.GENERATE_EEK", "*",
	"default.key.acl.DECRYPT_EEK", "*", "default.key.acl.READ", "*", NULL,
};

enum wire_err core_config_list(struct core *c, const char *const *list)
{
	struct sink *s = core_req(c);
	uint32_t n = 0;

	while (list[2 * n])
		n++;
	wire_config_req_put(s, n);
	for (; *list; list += 2)
		wire_property_put(s, slice_str(list[0]), slice_str(list[1]));
	return core_send(c, CALL_CONFIG);
}

enum wire_err core_config(struct core *c, ...)
{
	const char *list[129];
	size_t n = 0;
	va_list ap;

	va_start(ap, c);
	while (n < 128 && (list[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	list[n] = NULL;
	INVARIANT(n % 2 == 0);
	return core_config_list(c, list);
}

/* ---- store calls ---- */

enum wire_err core_store_create(struct core *c)
{
	struct slice slot, head;

	core_req(c);
	if (core_send(c, CALL_STORE_CREATE) != E_OK)
		return c->err;
	INVARIANT(cur_str16(&c->ans.body, 512, &slot) && cur_str16(&c->ans.body, 256, &head) &&
		  cur_end(&c->ans.body));
	fake_store_free(&c->store);
	c->store.slots = 1;
	c->store.slot[0].number = 0;
	c->store.slot[0].len = slot.len;
	memcpy(c->store.slot[0].b, slot.p, slot.len);
	c->store.head_len = head.len;
	memcpy(c->store.head, head.p, head.len);
	return core_resume(c, NULL);
}

enum wire_err core_resume(struct core *c, const struct chain_tail *tail)
{
	uint8_t blob[CHAIN_TAIL_LEN];
	struct sink s = sink_of(blob, sizeof(blob));

	if (tail)
		chain_tail_put(&s, tail);
	wire_blob_req_put(core_req(c), slice_of(blob, s.need));
	sink_le64(&c->out, 0);
	return core_send(c, CALL_AUDIT_RESUME);
}

enum wire_err core_open_only(struct core *c, const struct fake_store *st)
{
	struct wire_open_req m = { .floor = st->floor, .count = st->count, .slots = st->slots,
				   .head = slice_of(st->head, st->head_len) };
	struct sink *s = core_req(c);
	uint8_t i;

	wire_open_req_put(s, &m);
	for (i = 0; i < st->slots; i++)
		wire_slot_put(s, st->slot[i].number, slice_of(st->slot[i].b, st->slot[i].len));
	return core_send(c, CALL_STORE_OPEN);
}

enum wire_err core_load(struct core *c, const struct fake_store *st, size_t from, size_t count)
{
	struct sink *s = core_req(c);
	size_t i;

	wire_load_req_put(s, (uint32_t)count);
	for (i = from; i < from + count; i++)
		wire_record_put(s, st->rec[i].id, slice_of(st->rec[i].p, st->rec[i].len));
	return core_send(c, CALL_STORE_LOAD);
}

enum wire_err core_store_open(struct core *c, const struct fake_store *st)
{
	enum wire_err e = core_open_only(c, st);
	size_t at = 0;

	while (e == E_OK && at < st->count) {
		size_t n = 0, bytes = 4;

		while (at + n < st->count && bytes + 20 + st->rec[at + n].len <= CALL_LARGE_LEN)
			bytes += 20 + st->rec[at + n++].len;
		INVARIANT(n);
		e = core_load(c, st, at, n);
		at += n;
	}
	if (e != E_OK)
		return e;
	core_req(c);
	e = core_send(c, CALL_STORE_READY);
	return e == E_OK ? core_resume(c, NULL) : e;
}

enum wire_err core_status(struct core *c, struct wire_status *out)
{
	core_req(c);
	if (core_send(c, CALL_STATUS) == E_OK)
		INVARIANT(cur_copy(&c->ans.body, out, sizeof(*out)) && cur_end(&c->ans.body));
	return c->err;
}

/* ---- calls of users ---- */

enum wire_err core_name_n(struct core *c, enum wire_call call, const char *name, uint32_t count, uint64_t from)
{
	struct wire_name_req m = { .cred = core_cred(c), .name = slice_str(name), .count = count, .from = from };

	wire_name_req_put(core_req(c), &m);
	if (core_send(c, call) == E_OK && call == CALL_DELETE)
		INVARIANT(wire_staged_next(&c->ans.body, &c->staged) && cur_end(&c->ans.body));
	return c->err;
}

enum wire_err core_name(struct core *c, enum wire_call call, const char *name)
{
	return core_name_n(c, call, name, 1, 0);
}

static enum wire_err create(struct core *c, struct wire_create_req *m, const char *material)
{
	uint8_t raw[64], enc[66];
	struct sink s = sink_of(enc, sizeof(enc));

	if (material) {
		sink_str16(&s, slice_of(raw, core_hex(material, raw, sizeof(raw))));
		INVARIANT(sink_ok(&s));
		m->materials = 1;
		m->material = cur_of(enc, sizeof(enc) - s.left);
	}
	m->cred = core_cred(c);
	m->description = slice_str("");
	wire_create_req_put(core_req(c), m);
	if (core_send(c, CALL_CREATE) == E_OK)
		INVARIANT(wire_staged_next(&c->ans.body, &c->staged) && cur_end(&c->ans.body));
	return c->err;
}

enum wire_err core_create(struct core *c, const char *name, uint32_t bits, const char *cipher, const char *material)
{
	struct wire_create_req m = { .name = slice_str(name), .length = bits, .has_cipher = cipher != NULL,
				     .cipher = slice_str(cipher ? cipher : "") };

	return create(c, &m, material);
}

enum wire_err core_create_attr(struct core *c, const char *name, const char *attr, const char *value)
{
	struct wire_create_req m = { .name = slice_str(name), .cipher = slice_str(""), .attrs = 1 };
	uint8_t enc[32768];
	struct sink s = sink_of(enc, sizeof(enc));

	sink_str16(&s, slice_str(attr));
	sink_str16(&s, slice_str(value));
	INVARIANT(sink_ok(&s));
	m.attr = cur_of(enc, sizeof(enc) - s.left);
	return create(c, &m, NULL);
}

enum wire_err core_roll(struct core *c, const char *name, const char *material)
{
	uint8_t raw[64];
	struct wire_roll_req m = { .cred = core_cred(c), .name = slice_str(name), .has_material = material != NULL };

	m.material = slice_of(raw, material ? core_hex(material, raw, sizeof(raw)) : 0);
	wire_roll_req_put(core_req(c), &m);
	if (core_send(c, CALL_ROLL) == E_OK)
		INVARIANT(wire_staged_next(&c->ans.body, &c->staged) && cur_end(&c->ans.body));
	return c->err;
}

enum wire_err core_eek(struct core *c, enum wire_call call, const char *version, const char *name, struct slice iv,
		       struct slice material)
{
	struct wire_eek_req m = { .cred = core_cred(c), .has_name = name != NULL, .name = slice_str(name ? name : ""),
				  .version_name = slice_str(version), .iv = iv, .material = material };

	wire_eek_req_put(core_req(c), &m);
	return core_send(c, call);
}

/* ---- delegation tokens ---- */

static enum wire_err dt_call(struct core *c, enum wire_call call, const struct wire_dt_req *m)
{
	wire_dt_req_put(core_req(c), m);
	if (core_send(c, call) == E_OK)
		INVARIANT(wire_staged_next(&c->ans.body, &c->staged) && cur_end(&c->ans.body) &&
			  c->staged.kv.present == (call != CALL_DT_CANCEL));
	return c->err;
}

enum wire_err core_dt_get(struct core *c, const char *renewer, uint8_t *out, struct slice *token)
{
	struct wire_dt_req m = { .cred = core_cred(c), .has_renewer = renewer != NULL,
				 .renewer = slice_str(renewer ? renewer : ""), .token = slice_of("", 0) };

	if (dt_call(c, CALL_DT_GET, &m) == E_OK) {
		INVARIANT(c->staged.kv.material.len <= WIRE_TOKEN_MAX);
		memcpy(out, c->staged.kv.material.p, c->staged.kv.material.len);
		*token = slice_of(out, c->staged.kv.material.len);
	}
	return c->err;
}

enum wire_err core_dt_renew(struct core *c, struct slice token, uint64_t *until)
{
	struct wire_dt_req m = { .cred = core_cred(c), .renewer = slice_of("", 0), .token = token };

	if (dt_call(c, CALL_DT_RENEW, &m) == E_OK) {
		struct cursor date = cur_of(c->staged.kv.material.p, c->staged.kv.material.len);

		INVARIANT(cur_le64(&date, until) && cur_end(&date));
	}
	return c->err;
}

enum wire_err core_dt_cancel(struct core *c, struct slice token)
{
	struct wire_dt_req m = { .cred = core_cred(c), .renewer = slice_of("", 0), .token = token };

	return dt_call(c, CALL_DT_CANCEL, &m);
}

/* ---- commits ---- */

enum wire_err core_head(struct core *c, const uint64_t *ticket, uint32_t count, uint64_t *epoch)
{
	struct wire_tickets_req m = { .count = count };
	struct sink *s = core_req(c);
	struct slice head;
	uint32_t i;

	wire_tickets_req_put(s, &m);
	for (i = 0; i < count; i++)
		sink_le64(s, ticket[i]);
	if (core_send(c, CALL_HEAD) != E_OK)
		return c->err;
	INVARIANT(cur_le64(&c->ans.body, epoch) && cur_str16(&c->ans.body, 256, &head) && cur_end(&c->ans.body));
	memcpy(c->store.head, head.p, head.len);
	c->store.head_len = head.len;
	return E_OK;
}

enum wire_err core_commit_epoch(struct core *c, uint64_t epoch)
{
	struct wire_tickets_req m = { .epoch = epoch };

	wire_tickets_req_put(core_req(c), &m);
	return core_send(c, CALL_COMMIT);
}

enum wire_err core_abort(struct core *c, uint64_t epoch, const uint64_t *ticket, uint32_t count)
{
	struct wire_tickets_req m = { .epoch = epoch, .count = count };
	struct sink *s = core_req(c);
	uint32_t i;

	wire_tickets_req_put(s, &m);
	for (i = 0; i < count; i++)
		sink_le64(s, ticket[i]);
	return core_send(c, CALL_ABORT);
}

void core_commit(struct core *c)
{
	uint64_t ticket = c->staged.ticket, epoch;
	int at = fake_store_find(&c->store, c->staged.id);

	if (c->staged.remove) {
		INVARIANT(at >= 0 && c->staged.record.len == 0);
		fake_store_remove(&c->store, (size_t)at);
	} else {	/* before the next answer overwrites it */
		fake_store_put(&c->store, c->staged.id, c->staged.record);
	}
	INVARIANT(core_head(c, &ticket, 1, &epoch) == E_OK);
	INVARIANT(core_commit_epoch(c, epoch) == E_OK);
}

void core_make(struct core *c, const char *name, const char *material)
{
	INVARIANT(core_create(c, name, material ? (uint32_t)strlen(material) * 4 : 0, NULL, material) == E_OK);
	core_commit(c);
}

struct slice core_current(struct core *c, const char *name)
{
	struct wire_kv kv;

	INVARIANT(core_name(c, CALL_CURRENT, name) == E_OK);
	INVARIANT(wire_kv_next(&c->ans.body, &kv) && cur_end(&c->ans.body));
	return kv.present ? kv.material : slice_of(NULL, 0);
}
