/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and writers of the audit chain, pairwise; see chain.h. Readers are fed with files that anybody wrote. */
#include "wire/chain.h"

enum rc chain_entry_get(struct slice in, struct chain_entry *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct chain_entry e;

	if (!cur_le64(&c, &e.seq) || !cur_le64(&c, &e.time_ms) || !cur_u8(&c, &e.type) || !cur_u8(&c, &e.status) ||
	    !cur_u8(&c, &e.op) || !cur_u8(&c, &e.result) || !cur_le16(&c, &e.lane) ||
	    !cur_str16(&c, UINT16_MAX, &e.user) || !cur_str16(&c, UINT16_MAX, &e.principal) ||
	    !cur_str16(&c, UINT16_MAX, &e.real) || !cur_str16(&c, UINT16_MAX, &e.key) ||
	    !cur_str16(&c, UINT16_MAX, &e.peer) || !cur_str16(&c, UINT16_MAX, &e.detail) || !cur_end(&c))
		return RC_BAD_INPUT;
	if (e.type == 0 || e.type >= CHAIN_TYPES)
		return RC_BAD_INPUT;
	*out = e;
	return RC_OK;
}

void chain_entry_put(struct sink *s, const struct chain_entry *e)
{
	sink_le64(s, e->seq);
	sink_le64(s, e->time_ms);
	sink_u8(s, e->type);
	sink_u8(s, e->status);
	sink_u8(s, e->op);
	sink_u8(s, e->result);
	sink_le16(s, e->lane);
	sink_str16(s, e->user);
	sink_str16(s, e->principal);
	sink_str16(s, e->real);
	sink_str16(s, e->key);
	sink_str16(s, e->peer);
	sink_str16(s, e->detail);
}

enum rc chain_frame_next(struct cursor *in, struct chain_frame *out)
{
	struct cursor c = *in, e;
	struct chain_frame f;
	uint32_t len, again;
	uint64_t time;

	f.whole.p = c.at;
	if (!cur_le32(&c, &len))
		return RC_BUSY;
	if (len < CHAIN_ENTRY_MIN || len > CHAIN_ENTRY_MAX)
		return RC_BAD_INPUT;
	if (!cur_sub(&c, len, &f.entry) || !cur_copy(&c, f.hash, sizeof(f.hash)) || !cur_copy(&c, f.mac, sizeof(f.mac)) ||
	    !cur_le32(&c, &again))
		return RC_BUSY;
	e = cur_of(f.entry.p, f.entry.len);
	if (again != len || !cur_le64(&e, &f.seq) || !cur_le64(&e, &time) || !cur_u8(&e, &f.type))
		return RC_BAD_INPUT;
	f.whole.len = len + CHAIN_FRAME_EXTRA;
	*in = c;
	*out = f;
	return RC_OK;
}

void chain_frame_put(struct sink *s, const struct chain_entry *e)
{
	uint8_t *start = sink_room(s, 4), *later;
	uint32_t len;

	chain_entry_put(s, e);
	later = sink_room(s, CHAIN_HASH_LEN + CHAIN_MAC_LEN);
	if (!later)
		return;
	len = (uint32_t)(later - start) - 4;
	memset(later, 0, CHAIN_HASH_LEN + CHAIN_MAC_LEN);
	memcpy(start, &len, sizeof(len));
	sink_le32(s, len);
}

enum rc chain_header_get(struct slice in, struct chain_header *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct chain_header h;
	char magic[8];

	if (!cur_copy(&c, magic, sizeof(magic)) || memcmp(magic, CHAIN_MAGIC, sizeof(magic)) != 0 ||
	    !cur_copy(&c, h.store_id, sizeof(h.store_id)) || !cur_le64(&c, &h.seq) ||
	    !cur_copy(&c, h.hash, sizeof(h.hash)) || !cur_copy(&c, h.mac, sizeof(h.mac)) || !cur_end(&c))
		return RC_BAD_INPUT;
	*out = h;
	return RC_OK;
}

void chain_header_put(struct sink *s, const struct chain_header *h)
{
	sink_put(s, CHAIN_MAGIC, 8);
	sink_put(s, h->store_id, sizeof(h->store_id));
	sink_le64(s, h->seq);
	sink_put(s, h->hash, sizeof(h->hash));
	sink_put(s, h->mac, sizeof(h->mac));
}

MUST_CHECK static bool loss_get(struct cursor *c, struct chain_loss *l)
{
	return cur_le64(c, &l->from) && cur_le64(c, &l->to) && cur_copy(c, l->before, sizeof(l->before)) &&
	       cur_copy(c, l->prev, sizeof(l->prev));
}

enum rc chain_loss_get(struct slice in, struct chain_loss *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct chain_loss l;

	if (!loss_get(&c, &l) || !cur_end(&c))
		return RC_BAD_INPUT;
	*out = l;
	return RC_OK;
}

void chain_loss_put(struct sink *s, const struct chain_loss *l)
{
	sink_le64(s, l->from);
	sink_le64(s, l->to);
	sink_put(s, l->before, sizeof(l->before));
	sink_put(s, l->prev, sizeof(l->prev));
}

enum rc chain_start_get(struct slice in, struct chain_start *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct chain_start m;

	if (!loss_get(&c, &m.loss) || !cur_copy(&c, m.store_id, sizeof(m.store_id)) ||
	    !cur_copy(&c, m.public, sizeof(m.public)) || !cur_le32(&c, &m.isolation) || !cur_le64(&c, &m.epoch) ||
	    !cur_copy(&c, m.owner, sizeof(m.owner)) || !cur_le64(&c, &m.config_version) ||
	    !cur_copy(&c, m.config_hash, sizeof(m.config_hash)) || !cur_end(&c))
		return RC_BAD_INPUT;
	*out = m;
	return RC_OK;
}

void chain_start_put(struct sink *s, const struct chain_start *m)
{
	chain_loss_put(s, &m->loss);
	sink_put(s, m->store_id, sizeof(m->store_id));
	sink_put(s, m->public, sizeof(m->public));
	sink_le32(s, m->isolation);
	sink_le64(s, m->epoch);
	sink_put(s, m->owner, sizeof(m->owner));
	sink_le64(s, m->config_version);
	sink_put(s, m->config_hash, sizeof(m->config_hash));
}

enum rc chain_checkpoint_get(struct slice in, struct chain_checkpoint *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct chain_checkpoint m;

	if (!cur_copy(&c, m.store_id, sizeof(m.store_id)) || !cur_le64(&c, &m.seq) ||
	    !cur_copy(&c, m.hash, sizeof(m.hash)) || !cur_le64(&c, &m.epoch) ||
	    !cur_copy(&c, m.public, sizeof(m.public)) || !cur_copy(&c, m.signature, sizeof(m.signature)) || !cur_end(&c))
		return RC_BAD_INPUT;
	*out = m;
	return RC_OK;
}

void chain_checkpoint_put(struct sink *s, const struct chain_checkpoint *m)
{
	sink_put(s, m->store_id, sizeof(m->store_id));
	sink_le64(s, m->seq);
	sink_put(s, m->hash, sizeof(m->hash));
	sink_le64(s, m->epoch);
	sink_put(s, m->public, sizeof(m->public));
	sink_put(s, m->signature, sizeof(m->signature));
}

void chain_signed_put(struct sink *s, const struct chain_checkpoint *m, uint64_t time_ms)
{
	sink_put(s, CHAIN_SIGNED, sizeof(CHAIN_SIGNED) - 1);
	sink_put(s, m->store_id, sizeof(m->store_id));
	sink_le64(s, m->seq);
	sink_put(s, m->hash, sizeof(m->hash));
	sink_le64(s, m->epoch);
	sink_le64(s, time_ms);
}

enum rc chain_tail_get(struct slice in, struct chain_tail *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct chain_tail t;

	if (!cur_le64(&c, &t.seq) || !cur_copy(&c, t.hash, sizeof(t.hash)) || !cur_copy(&c, t.mac, sizeof(t.mac)) ||
	    !cur_end(&c))
		return RC_BAD_INPUT;
	*out = t;
	return RC_OK;
}

void chain_tail_put(struct sink *s, const struct chain_tail *t)
{
	sink_le64(s, t->seq);
	sink_put(s, t->hash, sizeof(t->hash));
	sink_put(s, t->mac, sizeof(t->mac));
}

bool chain_resumed_get(struct cursor *c, struct chain_resumed *out)
{
	struct slice header;
	struct cursor t = *c;

	if (!cur_sub(&t, CHAIN_HEADER_LEN, &header) || chain_header_get(header, &out->at) != RC_OK ||
	    !cur_le64(&t, &out->lost) || !cur_le64(&t, &out->sealed) || !cur_end(&t))
		return false;
	*c = t;
	return true;
}

void chain_resumed_put(struct sink *s, const struct chain_resumed *r)
{
	chain_header_put(s, &r->at);
	sink_le64(s, r->lost);
	sink_le64(s, r->sealed);
}

const char *chain_type_name(unsigned type)
{
	static const char *const names[CHAIN_TYPES] = {
		[CHAIN_START] = "START",	   [CHAIN_DECISION] = "DECISION", [CHAIN_CONTROL] = "CONTROL",
		[CHAIN_CHECKPOINT] = "CHECKPOINT", [CHAIN_GAP] = "GAP",		  [CHAIN_STOP] = "STOP",
	};

	return type < CHAIN_TYPES && names[type] ? names[type] : "UNKNOWN";
}

const char *chain_status_name(unsigned status)
{
	static const char *const names[] = {
		[EVENT_OK] = "OK",
		[EVENT_UNAUTHORIZED] = "UNAUTHORIZED",
		[EVENT_UNAUTHORIZED_KEY] = "UNAUTHORIZED",
		[CHAIN_UNAUTHENTICATED] = "UNAUTHENTICATED",
		[CHAIN_FAILED] = "FAILED",
	};

	return status < ARRAY_LEN(names) && names[status] ? names[status] : "UNKNOWN";
}

const char *chain_control_name(unsigned op)
{
	static const char *const names[CHAIN_CONTROLS] = {
		[CHAIN_CONFIG] = "CONFIG",
		[CHAIN_COMMIT] = "COMMIT",
		[CHAIN_ABORT] = "ABORT",
		[CHAIN_RECOVERY_SLOT] = "RECOVERY_SLOT",
		[CHAIN_KEYTAB] = "KEYTAB",
	};

	return op < CHAIN_CONTROLS && names[op] ? names[op] : "UNKNOWN";
}

const char *chain_op_name(const struct chain_entry *e)
{
	static const char *const more[] = { "AUTHENTICATE", "ADMIN", "GET_DELEGATION_TOKEN", "RENEW_DELEGATION_TOKEN",
					    "CANCEL_DELEGATION_TOKEN" };
	_Static_assert(ARRAY_LEN(more) == CHAIN_OP_END - CHAIN_OP_AUTH, "a name for each");

	if (e->type == CHAIN_CONTROL)
		return chain_control_name(e->op);
	if (e->type != CHAIN_DECISION)
		return "";
	if (e->op >= CHAIN_OP_AUTH && e->op < CHAIN_OP_END)
		return more[e->op - CHAIN_OP_AUTH];
	return e->status == EVENT_UNAUTHORIZED_KEY ? wire_keyop_name(e->op) : wire_op_name(e->op);
}
