/* SPDX-License-Identifier: Apache-2.0 */
/* The form of delegation tokens; see wire/dtoken.h. What is read here may have been written by anybody. */
#include "wire/dtoken.h"

static const char LONG_FORM[] =
	"java.io.IOException: a number of the delegation token is not in its shortest form";
#define CUT "java.io.EOFException"
#define BIG "java.io.IOException: value too long to fit in integer"
#define ONE_MIN (-112) /* the least that a single byte says itself */

static bool is_short(uint8_t first)
{
	return (int8_t)first >= ONE_MIN;
}

/* Bytes that follow the first one of a number. */
static unsigned payload(uint8_t first)
{
	return is_short(first) ? 0 : (unsigned)(((int8_t)first < -120 ? -120 : ONE_MIN) - (int8_t)first);
}

bool wire_vlong_get(struct cursor *c, int64_t *out)
{
	struct cursor t = *c;
	uint8_t first, b;
	uint64_t v = 0;
	unsigned n, i;
	bool negative;

	if (!cur_u8(&t, &first))
		return false;
	if (is_short(first)) {
		*out = (int8_t)first;
		*c = t;
		return true;
	}
	negative = (int8_t)first < -120;
	n = payload(first);
	for (i = 0; i < n; i++) {
		if (!cur_u8(&t, &b) || (i == 0 && b == 0))
			return false;
		v = v << 8 | b;
	}
	/* Of one byte: what would have fitted into the first. Of eight: no sign bit. */
	if (v > INT64_MAX || v < (negative ? 112u : 128u))
		return false;
	*out = negative ? -1 - (int64_t)v : (int64_t)v;
	*c = t;
	return true;
}

void wire_vlong_put(struct sink *s, int64_t v)
{
	uint64_t u = v < 0 ? ~(uint64_t)v : (uint64_t)v;
	unsigned n = 0;

	if (v >= ONE_MIN && v <= 127) {
		sink_u8(s, (uint8_t)v);
		return;
	}
	while (n < 8 && u >> 8 * n)
		n++;
	sink_u8(s, (uint8_t)((v < 0 ? -120 : ONE_MIN) - (int)n));
	while (n)
		sink_u8(s, (uint8_t)(u >> 8 * --n));
}

/* Where a number stops being readable: at the end of the bytes, or in itself. */
static const char *vlong_fault(const struct cursor *c)
{
	return c->left == 0 || c->left <= payload(c->at[0]) ? CUT : LONG_FORM;
}

static const char *get_vint(struct cursor *c, int32_t *out)
{
	struct cursor t = *c;
	const char *why;
	int64_t v;

	if (!wire_vlong_get(&t, &v)) {
		why = vlong_fault(c);
		return why == LONG_FORM && payload(c->at[0]) > sizeof(*out) ? BIG : why;
	}
	if (v < INT32_MIN || v > INT32_MAX)
		return BIG;
	*c = t;
	*out = (int32_t)v;
	return NULL;
}

static const char *get_vlong(struct cursor *c, int64_t *out)
{
	return wire_vlong_get(c, out) ? NULL : vlong_fault(c);
}

static const char *get_bytes(struct cursor *c, struct slice *out)
{
	int32_t n;
	const char *why = get_vint(c, &n);

	if (!why && (n < 0 || !cur_sub(c, (size_t)n, out)))
		why = CUT;
	return why;
}

static void put_bytes(struct sink *s, struct slice v)
{
	wire_vlong_put(s, (int64_t)v.len);
	sink_put(s, v.p, v.len);
}

const char wire_dtoken_unknown_version[] = "java.io.IOException: Unknown version of delegation token ";

const char *wire_dtoken_id_get(struct slice in, struct wire_dtoken_id *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct wire_dtoken_id r = { 0 };
	const char *why;
	uint8_t version;

	if (!cur_u8(&c, &version))
		return CUT;
	if (version != 0) {
		out->key = (int8_t)version;
		return wire_dtoken_unknown_version;
	}
	(void)((why = get_bytes(&c, &r.owner)) || (why = get_bytes(&c, &r.renewer)) ||
	       (why = get_bytes(&c, &r.real)) || (why = get_vlong(&c, &r.issued)) ||
	       (why = get_vlong(&c, &r.most)) || (why = get_vint(&c, &r.sequence)) ||
	       (why = get_vint(&c, &r.key)));
	if (why)
		return why;
	if (!cur_end(&c))
		return "java.io.IOException: bytes after the delegation token's identifier";
	*out = r;
	return NULL;
}

void wire_dtoken_id_put(struct sink *s, const struct wire_dtoken_id *id)
{
	sink_u8(s, 0);
	put_bytes(s, id->owner);
	put_bytes(s, id->renewer);
	put_bytes(s, id->real);
	wire_vlong_put(s, id->issued);
	wire_vlong_put(s, id->most);
	wire_vlong_put(s, id->sequence);
	wire_vlong_put(s, id->key);
}

const char *wire_dtoken_get(struct slice in, struct wire_dtoken *out)
{
	struct cursor c = cur_of(in.p, in.len);
	struct wire_dtoken r = { 0 };
	struct slice kind;
	const char *why;

	(void)((why = get_bytes(&c, &r.identifier)) || (why = get_bytes(&c, &r.password)) ||
	       (why = get_bytes(&c, &kind)) || (why = get_bytes(&c, &r.service)));
	if (why)
		return why;
	if (!cur_end(&c))
		return "java.io.IOException: bytes after the delegation token";
	if (!slice_is(kind, WIRE_DTOKEN_KIND))
		return "java.io.IOException: the delegation token is not of kind " WIRE_DTOKEN_KIND;
	why = wire_dtoken_id_get(r.identifier, &r.id);
	if (why)
		out->id.key = r.id.key;
	else
		*out = r;
	return why;
}

void wire_dtoken_put(struct sink *s, struct slice identifier, struct slice password)
{
	put_bytes(s, identifier);
	put_bytes(s, password);
	put_bytes(s, slice_str(WIRE_DTOKEN_KIND));
	put_bytes(s, slice_of("", 0));
}
