/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services manifest of the SVSM attestation protocol (58019; layout in snp/svsm.h), or the key service's
 * manifest alone. A manifest is believed only once its hash is in a signed report: see CHECK_REPORT_DATA.
 *
 *   services := guid[16] len:u32 count:u32 entry[count] data..    len counts everything
 *   entry    := guid[16] off:u32 len:u32                          off counts from the start of services
 *
 * The data of the entries follow one another without gaps, in their order, to the end.
 */
#include "verifier/internal.h"

#define HEAD_LEN 24u
#define ENTRY_LEN 24u

/* 63849ebb-3d92-4670-a1ff-58f9c94b87bb */
static const uint8_t services_guid[16] = { 0xbb, 0x9e, 0x84, 0x63, 0x92, 0x3d, 0x70, 0x46,
					   0xa1, 0xff, 0x58, 0xf9, 0xc9, 0x4b, 0x87, 0xbb };
static const uint8_t kms_guid[16] = ATTEST_KMS_GUID;

/*
 * kms := version:u32 protocol:u32 service[48] platform[48] owner[32] config_hash[32] config_version:u64 store_id[16] zero:u64
 *        audit_key[32] upload_key[32]
 */
static enum rc parse_kms(struct cursor in, struct attest_kms_manifest *out)
{
	struct attest_kms_manifest m;

	if (!cur_le32(&in, &m.version) || !cur_le32(&in, &m.protocol) ||
	    !cur_copy(&in, m.service, sizeof(m.service)) || !cur_copy(&in, m.platform, sizeof(m.platform)) ||
	    !cur_copy(&in, m.evidence.owner, sizeof(m.evidence.owner)) ||
	    !cur_copy(&in, m.evidence.config_hash, sizeof(m.evidence.config_hash)) ||
	    !cur_le64(&in, &m.evidence.config_version) ||
	    !cur_copy(&in, m.evidence.store_id, sizeof(m.evidence.store_id)) || !cur_le64(&in, &m.evidence.zero) ||
	    !cur_copy(&in, m.evidence.audit_key, sizeof(m.evidence.audit_key)) ||
	    !cur_copy(&in, m.evidence.upload_key, sizeof(m.evidence.upload_key)) || !cur_end(&in) ||
	    m.version != ATTEST_KMS_VERSION || m.evidence.zero != 0)
		return RC_BAD_INPUT;
	*out = m;
	return RC_OK;
}

static bool is_twice(const struct verifier_manifest *m, const uint8_t guid[16])
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (memcmp(m->service[i].guid, guid, 16) == 0)
			return true;
	return false;
}

/* The next entry; its data must begin at *at, which moves to its end. */
static enum rc parse_entry(struct cursor *entries, struct slice all, uint32_t *at, struct verifier_manifest *m)
{
	uint8_t guid[16];
	uint32_t off, len;

	if (!cur_copy(entries, guid, sizeof(guid)) || !cur_le32(entries, &off) || !cur_le32(entries, &len) ||
	    off != *at || len > all.len - off || is_twice(m, guid))
		return RC_BAD_INPUT;
	if (memcmp(guid, kms_guid, sizeof(guid)) == 0) {
		if (parse_kms(cur_of(all.p + off, len), &m->kms) != RC_OK)
			return RC_BAD_INPUT;
		m->has_kms = true;
	}
	memcpy(m->service[m->count].guid, guid, sizeof(guid));
	m->service[m->count].len = len;
	m->count++;
	*at = off + len;
	return RC_OK;
}

static enum rc parse_table(struct slice all, struct verifier_manifest *out)
{
	struct cursor c = cur_of(all.p, all.len);
	struct verifier_manifest m = { .table = true };
	uint32_t len, count, i, at;
	const uint8_t *guid;

	if (!cur_take(&c, sizeof(services_guid), &guid) || !cur_le32(&c, &len) || !cur_le32(&c, &count) ||
	    len != all.len || count > VERIFIER_SERVICES || count * ENTRY_LEN > c.left)
		return RC_BAD_INPUT;
	at = HEAD_LEN + count * ENTRY_LEN;
	for (i = 0; i < count; i++)
		if (parse_entry(&c, all, &at, &m) != RC_OK)
			return RC_BAD_INPUT;
	if (at != all.len)
		return RC_BAD_INPUT;
	*out = m;
	return RC_OK;
}

enum rc verifier_manifest_parse(struct slice in, struct verifier_manifest *out)
{
	struct verifier_manifest alone = { .count = 1, .has_kms = true };

	if (in.len > VERIFIER_MANIFEST_MAX)
		return RC_BAD_INPUT;
	if (in.len >= sizeof(services_guid) && memcmp(in.p, services_guid, sizeof(services_guid)) == 0)
		return parse_table(in, out);
	/* Its version is no GUID's beginning: the two forms cannot be taken for one another. */
	if (parse_kms(cur_of(in.p, in.len), &alone.kms) != RC_OK)
		return RC_BAD_INPUT;
	memcpy(alone.service[0].guid, kms_guid, sizeof(kms_guid));
	alone.service[0].len = (uint32_t)in.len;
	*out = alone;
	return RC_OK;
}
