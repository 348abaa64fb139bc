/* SPDX-License-Identifier: Apache-2.0 */
/* A keytab's names; see krb5_keytab.h. All numbers in it are big-endian. */
#include "proxy/krb5_keytab.h"

MUST_CHECK static bool be(struct cursor *c, size_t bytes, uint32_t *out)
{
	const uint8_t *p;
	uint32_t v = 0;

	if (!cur_take(c, bytes, &p))
		return false;
	while (bytes--)
		v = v << 8 | *p++;
	*out = v;
	return true;
}

MUST_CHECK static bool counted(struct cursor *c, struct slice *out)
{
	uint32_t len;

	return be(c, 2, &len) && cur_sub(c, len, out);
}

static void add(char name[KRB5_KEYTAB_NAME_MAX], size_t *len, bool *fits, char before, struct slice part)
{
	size_t i;

	*fits = *fits && *len + part.len + 2 <= KRB5_KEYTAB_NAME_MAX;
	for (i = 0; *fits && i < part.len; i++)
		*fits = part.p[i] > ' ' && part.p[i] != 0x7f;
	if (!*fits)
		return;
	if (before)
		name[(*len)++] = before;
	memcpy(name + *len, part.p, part.len);
	*len += part.len;
}

/* entry := count:u16 realm:str (part:str){count} type:u32 time:u32 kvno:u8 etype:u16 key:str [kvno:u32 ...] */
MUST_CHECK static bool entry(struct cursor c, struct krb5_keytab_entry *out)
{
	struct krb5_keytab_entry e = { .name = "" };
	uint32_t count, skipped, etype, i;
	struct slice realm, part;
	bool fits = true;
	size_t len = 0;

	if (!be(&c, 2, &count) || !counted(&c, &realm))
		return false;
	for (i = 0; i < count; i++) {
		if (!counted(&c, &part))
			return false;
		add(e.name, &len, &fits, i ? '/' : 0, part);
	}
	add(e.name, &len, &fits, '@', realm);
	if (!be(&c, 4, &skipped) || !be(&c, 4, &skipped) || !be(&c, 1, &skipped) || !be(&c, 2, &etype) || !counted(&c, &part))
		return false;
	e.name[fits && count ? len : 0] = 0;
	e.etype = (uint16_t)etype;
	*out = e;
	return true;
}

enum rc krb5_keytab_begin(struct slice file, struct cursor *c)
{
	uint32_t version;

	*c = cur_of(file.p, file.len);
	return be(c, 2, &version) && version == 0x0502 ? RC_OK : RC_BAD_INPUT;
}

enum rc krb5_keytab_next(struct cursor *c, struct krb5_keytab_entry *out)
{
	const uint8_t *p;
	uint32_t size;

	while (c->left) {
		if (!be(c, 4, &size))
			return RC_BAD_INPUT;
		if (size == 0) /* ends the file, as MIT reads it */
			break;
		if (!cur_take(c, size & 0x80000000u ? 0u - size : size, &p))
			return RC_BAD_INPUT;
		if (!(size & 0x80000000u)) /* else a deleted one */
			return entry(cur_of(p, size), out) ? RC_OK : RC_BAD_INPUT;
	}
	return RC_BUSY;
}
