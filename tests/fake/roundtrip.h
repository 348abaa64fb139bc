/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For each message: read it, walk all its parts, and write what was read. Where the reader accepts, the
 * writer must give the same bytes: the formats are canonical. Shared by tests/wire and the fuzz targets
 * beside the readers.
 */
#ifndef TESTS_FAKE_ROUNDTRIP_H
#define TESTS_FAKE_ROUNDTRIP_H

#include "wire/msg.h"

/* Every byte of a piece is touched, so that a sanitizer or a fence sees a length that is wrong. */
static inline unsigned rt_touch(struct slice s)
{
	unsigned sum = 0;
	size_t i;

	for (i = 0; i < s.len; i++)
		sum += s.p[i];
	__asm__ volatile("" : "+r"(sum));
	return sum;
}

static inline void rt_cred(const struct wire_cred *c)
{
	struct cursor g = c->group, p = c->name;
	struct slice one;
	unsigned n = 0;

	rt_touch(c->cookie);
	rt_touch(c->user);
	rt_touch(c->token);
	rt_touch(c->negotiate);
	rt_touch(c->do_as);
	rt_touch(c->peer);
	while (wire_group_next(&p, &one)) {
		rt_touch(one);
		n++;
	}
	INVARIANT(n == c->names && cur_end(&p));
	n = 0;
	while (wire_group_next(&g, &one)) {
		rt_touch(one);
		n++;
	}
	INVARIANT(n == c->groups && cur_end(&g));
}

static inline bool rt_name_req(struct cursor in, struct sink *out)
{
	struct wire_name_req m;

	if (wire_name_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.name);
	wire_name_req_put(out, &m);
	return true;
}

static inline bool rt_dt_req(struct cursor in, struct sink *out)
{
	struct wire_dt_req m;

	if (wire_dt_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.renewer);
	rt_touch(m.token);
	wire_dt_req_put(out, &m);
	return true;
}

static inline bool rt_create_req(struct cursor in, struct sink *out)
{
	struct wire_create_req m;
	struct cursor at;
	struct slice a, b;
	unsigned n = 0;

	if (wire_create_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.name);
	rt_touch(m.cipher);
	rt_touch(m.description);
	for (at = m.attr; wire_attr_next(&at, &a, &b); n++) {
		rt_touch(a);
		rt_touch(b);
	}
	INVARIANT(n == m.attrs && cur_end(&at));
	for (at = m.material, n = 0; wire_material_next(&at, &a); n++)
		rt_touch(a);
	INVARIANT(n == m.materials && cur_end(&at));
	wire_create_req_put(out, &m);
	return true;
}

static inline bool rt_roll_req(struct cursor in, struct sink *out)
{
	struct wire_roll_req m;

	if (wire_roll_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.name);
	rt_touch(m.material);
	wire_roll_req_put(out, &m);
	return true;
}

static inline bool rt_eek_req(struct cursor in, struct sink *out)
{
	struct wire_eek_req m;

	if (wire_eek_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.version_name);
	rt_touch(m.name);
	rt_touch(m.iv);
	rt_touch(m.material);
	wire_eek_req_put(out, &m);
	return true;
}

static inline bool rt_batch_req(struct cursor in, struct sink *out)
{
	struct wire_batch_req m;
	struct wire_item item;
	uint32_t n = 0;

	if (wire_batch_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.name);
	wire_batch_req_put(out, &m);
	for (; wire_item_next(&m.item, &item); n++) {
		rt_touch(item.version_name);
		rt_touch(item.iv);
		rt_touch(item.material);
		wire_item_put(out, &item);
	}
	INVARIANT(n == m.count && cur_end(&m.item));
	return true;
}

static inline bool rt_names_req(struct cursor in, struct sink *out)
{
	struct wire_names_req m;
	struct slice name;
	uint32_t n = 0;

	if (wire_names_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	wire_names_req_put(out, &m);
	for (; wire_name_next(&m.name, &name); n++) {
		rt_touch(name);
		sink_str16(out, name);
	}
	INVARIANT(n == m.count && cur_end(&m.name));
	return true;
}

/* out must begin where the answer is to begin. */
static inline bool rt_ans(struct cursor in, struct sink *out)
{
	struct wire_ans m;
	uint8_t *start = out->at;
	unsigned i;

	if (wire_ans_get(in, &m) != RC_OK)
		return false;
	rt_touch(m.user);
	rt_touch(m.cookie);
	rt_touch(m.arg);
	for (i = 0; i < m.head.events; i++)
		rt_touch(m.event[i].key);
	wire_ans_begin(out);
	sink_put(out, m.body.at, m.body.left);
	return wire_ans_end(out, start, &m) != 0;
}

/* These come in rows: as many as there are bytes for, and all bytes used. */
static inline bool rt_kv(struct cursor in, struct sink *out)
{
	struct wire_kv m;

	while (!cur_end(&in)) {
		if (!wire_kv_next(&in, &m))
			return false;
		rt_touch(m.name);
		rt_touch(m.material);
		wire_kv_put(out, &m);
	}
	return true;
}

static inline bool rt_meta(struct cursor in, struct sink *out)
{
	struct wire_meta m;
	struct slice a, b;
	struct cursor at;
	unsigned n;

	while (!cur_end(&in)) {
		if (!wire_meta_next(&in, &m))
			return false;
		rt_touch(m.name);
		rt_touch(m.cipher);
		rt_touch(m.description);
		for (at = m.attr, n = 0; wire_attr_next(&at, &a, &b); n++)
			rt_touch(b);
		INVARIANT(!m.present || (n == m.attrs && cur_end(&at)));
		wire_meta_put(out, &m);
	}
	return true;
}

static inline bool rt_eek(struct cursor in, struct sink *out)
{
	struct wire_eek m;

	while (!cur_end(&in)) {
		if (!wire_eek_next(&in, &m))
			return false;
		rt_touch(m.material);
		wire_eek_put(out, &m);
	}
	return true;
}

static inline bool rt_staged(struct cursor in, struct sink *out)
{
	struct wire_staged m;

	while (!cur_end(&in)) {
		if (!wire_staged_next(&in, &m))
			return false;
		rt_touch(m.record);
		rt_touch(m.kv.name);
		rt_touch(m.kv.material);
		wire_staged_put(out, &m);
	}
	return true;
}

static inline bool rt_config_req(struct cursor in, struct sink *out)
{
	struct wire_config_req m;
	struct slice name, value;
	uint32_t n = 0;

	if (wire_config_req_get(in, &m) != RC_OK)
		return false;
	wire_config_req_put(out, m.count);
	for (; wire_property_next(&m.property, &name, &value); n++) {
		rt_touch(name);
		rt_touch(value);
		wire_property_put(out, name, value);
	}
	INVARIANT(n == m.count && cur_end(&m.property));
	return true;
}

static inline bool rt_open_req(struct cursor in, struct sink *out)
{
	struct wire_open_req m;
	uint8_t number;
	struct slice blob;
	unsigned n = 0;

	if (wire_open_req_get(in, &m) != RC_OK)
		return false;
	rt_touch(m.head);
	wire_open_req_put(out, &m);
	for (; wire_slot_next(&m.slot, &number, &blob); n++) {
		rt_touch(blob);
		wire_slot_put(out, number, blob);
	}
	INVARIANT(n == m.slots && cur_end(&m.slot));
	return true;
}

static inline bool rt_load_req(struct cursor in, struct sink *out)
{
	struct wire_load_req m;
	const uint8_t *id;
	struct slice record;
	uint32_t n = 0;

	if (wire_load_req_get(in, &m) != RC_OK)
		return false;
	wire_load_req_put(out, m.count);
	for (; wire_record_next(&m.record, &id, &record); n++) {
		rt_touch(record);
		wire_record_put(out, id, record);
	}
	INVARIANT(n == m.count && cur_end(&m.record));
	return true;
}

static inline bool rt_tickets_req(struct cursor in, struct sink *out)
{
	struct wire_tickets_req m;
	uint64_t ticket;
	uint32_t n = 0;

	if (wire_tickets_req_get(in, &m) != RC_OK)
		return false;
	wire_tickets_req_put(out, &m);
	for (; cur_le64(&m.ticket, &ticket); n++)
		sink_le64(out, ticket);
	INVARIANT(n == m.count && cur_end(&m.ticket));
	return true;
}

static inline bool rt_blob_req(struct cursor in, struct sink *out)
{
	struct slice blob;

	if (wire_blob_req_get(in, &blob) != RC_OK)
		return false;
	rt_touch(blob);
	wire_blob_req_put(out, blob);
	return true;
}

static inline bool rt_acl_req(struct cursor in, struct sink *out)
{
	struct wire_acl_req m;

	if (wire_acl_req_get(in, &m) != RC_OK)
		return false;
	rt_cred(&m.cred);
	rt_touch(m.key);
	wire_acl_req_put(out, &m);
	return true;
}

/* A fuzz target: whatever is accepted is written again as it was. */
#define RT_FUZZ(message) \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) \
	{ \
		uint8_t *again = malloc(size + 1); \
		struct sink out = sink_of(again, size); \
\
		INVARIANT(again); \
		if (rt_##message(cur_of(data, size), &out)) { \
			INVARIANT(sink_ok(&out) && out.left == 0); \
			INVARIANT(size == 0 || memcmp(again, data, size) == 0); \
		} \
		free(again); \
		return 0; \
	}

#endif
