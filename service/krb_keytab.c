/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keytab files. All integers are big-endian; the file is a version and then records, each behind its length. A negative
 * length is a hole that a deleted entry left.
 *
 *   file  := 05 02 record*
 *   record := size:i32 components:u16 str(realm) str(component)* name_type:u32 time:u32 kvno8:u8 etype:u16 str(key)
 *             [kvno:u32 [flags...]]      str := len:u16 bytes
 */
#include <stdlib.h>

#include "service/krb_priv.h"

MUST_CHECK static bool be(struct cursor *c, size_t n, uint32_t *out)
{
	const uint8_t *p;
	uint32_t v = 0;
	size_t i;

	if (!cur_take(c, n, &p))
		return false;
	for (i = 0; i < n; i++)
		v = v << 8 | p[i];
	*out = v;
	return true;
}

MUST_CHECK static bool str(struct cursor *c, struct slice *out)
{
	uint32_t len;

	return be(c, 2, &len) && cur_sub(c, len, out);
}

bool krb_name_add(struct krb_name *n, struct slice part, bool realm)
{
	size_t i, room = sizeof(n->b) - n->len;
	bool mark = realm || n->parts;

	if (part.len == 0 || part.len > room || part.len + mark > room)
		return false;
	for (i = 0; i < part.len; i++)
		if (part.p[i] == '/' || part.p[i] == '@' || part.p[i] == '\\' || part.p[i] < ' ' || part.p[i] == 0x7f)
			return false;
	if (mark)
		n->b[n->len++] = realm ? '@' : '/';
	memcpy(n->b + n->len, part.p, part.len);
	n->len += part.len;
	n->parts++;
	return true;
}

/* False: the record does not fit its form. *usable: of a type we take, with a name that can be asked for. */
MUST_CHECK static bool entry_parse(struct cursor c, struct krb_entry *e, bool *usable)
{
	struct krb_name name = { 0 };
	struct slice realm, part, key;
	uint32_t count, skipped, kvno, etype;

	if (!be(&c, 2, &count) || !str(&c, &realm))
		return false;
	*usable = count > 0;
	while (count--) {
		if (!str(&c, &part))
			return false;
		*usable = *usable && krb_name_add(&name, part, false);
	}
	*usable = *usable && krb_name_add(&name, realm, true);
	if (!be(&c, 4, &skipped) || !be(&c, 4, &skipped) || !be(&c, 1, &kvno) || !be(&c, 2, &etype) || !str(&c, &key))
		return false;
	/* A later addition; a zero there means that it was not written. */
	e->kvno8 = !be(&c, 4, &e->kvno) || e->kvno == 0;
	if (e->kvno8)
		e->kvno = kvno;
	if (crypto_krb_key_len((int32_t)etype) == 0)
		*usable = false;
	else if (key.len != crypto_krb_key_len((int32_t)etype))
		return false;
	if (!*usable)
		return true;
	e->key.etype = (int32_t)etype;
	memcpy(e->key.b, key.p, key.len);
	e->len = (uint16_t)name.len;
	memcpy(e->principal, name.b, name.len);
	return true;
}

/* Walks the records. out NULL: only counts. */
MUST_CHECK static bool records(struct cursor c, struct krb_entry *out, size_t *usable, size_t *all)
{
	struct krb_entry e = { 0 };
	const uint8_t *p;
	uint32_t size;
	bool use, ok = true;

	for (*usable = *all = 0; ok && c.left; ) {
		ok = be(&c, 4, &size);
		if (!ok || size == 0)	/* a zero length ends the file, as MIT reads it */
			break;
		use = false;
		ok = cur_take(&c, size & 0x80000000u ? 0u - size : size, &p);
		if (!ok || size & 0x80000000u)
			continue;
		ok = entry_parse(cur_of(p, size), &e, &use);
		*all += 1;
		if (ok && use && out)
			out[*usable] = e;
		*usable += use;
		mem_wipe(&e, sizeof(e));
	}
	mem_wipe(&e, sizeof(e));
	return ok;
}

enum rc krb_keytab_parse(struct slice file, struct krb_keys **out, const char **why)
{
	struct cursor c = cur_of(file.p, file.len);
	struct krb_keys *k;
	size_t usable, all;
	uint32_t version;

	*why = "it is larger than 1 MiB";
	if (file.len > KRB_KEYTAB_MAX)
		return RC_BAD_INPUT;
	*why = "it is not a keytab file";
	if (!be(&c, 2, &version) || version >> 8 != 5)
		return RC_BAD_INPUT;
	*why = "its format is not 0x0502; write it anew with kadmin or ktutil of MIT Kerberos 5";
	if (version != 0x0502)
		return RC_BAD_INPUT;
	*why = "it is cut off or damaged";
	if (!records(c, NULL, &usable, &all))
		return RC_BAD_INPUT;
	*why = "it holds no AES key: RC4 and DES are refused; give the principal AES keys and export it again";
	if (all == 0)
		*why = "it holds no entries";
	if (usable == 0)
		return RC_BAD_INPUT;
	*why = "it has more than 4096 entries";
	if (usable > KRB_KEYS_MAX)
		return RC_BAD_INPUT;
	*why = "no memory";
	k = calloc(1, sizeof(*k) + usable * sizeof(k->entry[0]));
	if (!k)
		return RC_NO_ROOM;
	k->count = usable;
	INVARIANT(records(c, k->entry, &usable, &all) && usable == k->count);
	*why = NULL;
	*out = k;
	return RC_OK;
}

void krb_keytab_wipe(struct krb_keys *k)
{
	if (k)
		mem_wipe(k, sizeof(*k) + k->count * sizeof(k->entry[0]));
}

void krb_keytab_free(struct krb_keys *k)
{
	krb_keytab_wipe(k);
	free(k);
}

size_t krb_keytab_count(const struct krb_keys *k)
{
	return k->count;
}

struct slice krb_keytab_principal(const struct krb_keys *k, size_t i)
{
	return slice_of(k->entry[i].principal, k->entry[i].len);
}

struct slice krb_keytab_realm(const struct krb_keys *k)
{
	struct slice p = krb_keytab_principal(k, 0);
	const uint8_t *at = memchr(p.p, '@', p.len);

	return slice_of(at + 1, p.len - (size_t)(at + 1 - p.p));
}

/* The names that one entry of the setting stands for; only HTTP/... ever. */
bool krb_principal_fits(struct slice wanted, struct slice full)
{
	const uint8_t *at = memchr(full.p, '@', full.len);

	if (!slice_starts(full, "HTTP/"))
		return false;
	if (slice_is(wanted, "*") || slice_eq(wanted, full))
		return true;
	return at && slice_eq(wanted, slice_of(full.p, (size_t)(at - full.p)));
}

bool krb_keytab_serves(const struct krb_keys *k, struct slice principal)
{
	size_t i;

	for (i = 0; i < k->count; i++)
		if (krb_principal_fits(principal, krb_keytab_principal(k, i)))
			return true;
	return false;
}
