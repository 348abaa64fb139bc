/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's way through the proxy up to the slot, without server and service: bytes, http_parse(),
 * route_find(), encode_request() into a buffer of a slot's size. What was written must be readable by
 * the message's own reader. Shared by the unit tests and the fuzz target.
 */
#ifndef TESTS_PROXY_REST_HELP_H
#define TESTS_PROXY_REST_HELP_H

#include <stdlib.h>

#include "proxy/kms.h"

struct rest {
	struct kms kms;
	struct hot_settings hot;
	struct kms_worker worker;
	struct work work;
	struct http_request request;
	enum http_result parsed;
	uint8_t *bytes;		/* the request, parsed in place */
	uint8_t *slot;		/* the message, exactly `room` bytes of memory */
	size_t room, need;
	bool fits;
};

/* The message that was written is one that its reader takes. */
static inline enum rc rest_read_back(const struct rest *t)
{
	struct cursor in = cur_of(t->slot, t->need);
	struct wire_create_req create;
	struct wire_name_req name;
	struct wire_roll_req roll;
	struct wire_eek_req eek;
	struct wire_batch_req batch;
	struct wire_names_req names;
	struct wire_dt_req dt;

	switch (t->work.call) {
	case CALL_CREATE:
	case CALL_IMPORT:
		return wire_create_req_get(in, &create);
	case CALL_ROLL:
		return wire_roll_req_get(in, &roll);
	case CALL_DECRYPT:
	case CALL_REENCRYPT:
		return wire_eek_req_get(in, &eek);
	case CALL_REENCRYPT_BATCH:
		return wire_batch_req_get(in, &batch);
	case CALL_METADATAS:
		return wire_names_req_get(in, &names);
	case CALL_DT_GET:
	case CALL_DT_RENEW:
	case CALL_DT_CANCEL:
		return wire_dt_req_get(in, &dt);
	case CALL_AUTH:
	case CALL_ADMIN:
	case CALL_DELETE:
	case CALL_INVALIDATE:
	case CALL_NAMES:
	case CALL_METADATA:
	case CALL_CURRENT:
	case CALL_VERSION_GET:
	case CALL_VERSIONS:
	case CALL_GENERATE:
		return wire_name_req_get(in, &name);
	default:
		return RC_DENIED;	/* no call that a request makes */
	}
}

/* As worker_request() and submit() in proxy/kms.c do it; pages that need no call are left out. */
static inline void rest_encode(struct rest *t, size_t room)
{
	struct sink s;

	free(t->slot);
	t->room = room;
	t->slot = malloc(room);
	if (!t->slot)
		abort();
	s = sink_of(t->slot, room);
	encode_request(&t->work, &s);
	t->fits = sink_ok(&s);
	t->need = s.need;
}

static inline bool rest_is_page(enum endpoint ep)
{
	return ep == EP_HEALTH || ep == EP_ATTESTATION || ep == EP_METRICS || ep == EP_INDEX ||
	       ep == EP_MISSING || ep == EP_BAD_PATH || ep == EP_OUTSIDE;
}

/* The bytes are copied to memory of exactly their size. Free with rest_free(). */
static inline struct rest *rest_new(const uint8_t *data, size_t size)
{
	static const struct http_limits limits = { .head_max = 65536, .body_max = 16 << 20 };
	struct rest *t = calloc(1, sizeof(*t));
	struct http_parser ps = { 0 };
	struct work *k = &t->work;
	size_t len = size, used;

	t->bytes = malloc(size ? size : 1);
	if (!t->bytes)
		abort();
	if (size)
		memcpy(t->bytes, data, size);
	t->hot.eek_max = WIRE_EEK_COUNT_MAX;
	t->kms.hot = &t->hot;
	t->worker.k = &t->kms;
	k->w = &t->worker;
	k->r = &t->request;
	t->parsed = http_parse(&ps, &limits, t->bytes, &len, &t->request, &used);
	if (t->parsed != HTTP_DONE)
		return t;
	route_find(&t->worker, &t->request, &k->route);
	if (rest_is_page(k->route.ep))
		return t;
	encode_keep_name(k, k->route.name);
	k->route.name = slice_of(k->name, k->route.name.len < sizeof(k->name) ? k->name_len : k->route.name.len);
	rest_encode(t, CALL_PAGE);
	if (!t->fits)
		rest_encode(t, CALL_LARGE_LEN);
	return t;
}

static inline void rest_free(struct rest *t)
{
	outbuf_free(&t->worker.scratch);
	outbuf_free(&t->worker.negotiate);
	outbuf_free(&t->worker.peer_names);
	outbuf_free(&t->work.proven_cookie);
	outbuf_free(&t->work.proven_user);
	free(t->worker.decoded);
	free(t->work.description);
	free(t->slot);
	free(t->bytes);
	free(t);
}

#endif
