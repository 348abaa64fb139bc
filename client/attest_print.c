/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verdict as a document, and that document as text: nothing can be in one and missing in the other. Numbers
 * of more than 32 bits, digests and ids are hexadecimal text.
 */
#include <stdlib.h>

#include "client/attest.h"

static void put_hex(cJSON *o, const char *name, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;
	char text[2 * 64 + 1];
	size_t i;

	INVARIANT(n <= 64);
	for (i = 0; i < n; i++) {
		text[2 * i] = digits[b[i] >> 4];
		text[2 * i + 1] = digits[b[i] & 15];
	}
	text[2 * n] = 0;
	json_put_text(o, name, text);
}

static void put_bits(cJSON *o, const char *name, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)v);
	json_put_text(o, name, text);
}

static void put_bool(cJSON *o, const char *name, bool v)
{
	if (!cJSON_AddBoolToObject(o, name, v))
		abort();
}

static cJSON *put_object(cJSON *o, const char *name)
{
	cJSON *inner = json_object();

	if (!cJSON_AddItemToObject(o, name, inner))
		abort();
	return inner;
}

static const struct {
	const char *name;
	uint64_t bit;
} policy_bits[] = {
	{ "smtAllowed", SNP_POLICY_SMT },
	{ "migrationAgentAllowed", SNP_POLICY_MIGRATE_MA },
	{ "debugAllowed", SNP_POLICY_DEBUG },
	{ "singleSocketOnly", SNP_POLICY_SINGLE_SOCKET },
}, platform_bits[] = {
	{ "smt", SNP_PLATFORM_SMT },
	{ "tsme", SNP_PLATFORM_TSME },
	{ "ecc", SNP_PLATFORM_ECC },
	{ "raplDisabled", SNP_PLATFORM_RAPL_DIS },
	{ "ciphertextHiding", SNP_PLATFORM_CIPHERTEXT_HIDING },
	{ "aliasCheckComplete", SNP_PLATFORM_ALIAS_CHECK },
	{ "tio", SNP_PLATFORM_TIO },
};

static void put_policy(cJSON *r, const struct snp_report *s)
{
	cJSON *o = put_object(r, "policy");
	size_t i;

	put_bits(o, "value", s->policy);
	json_put_int(o, "abiMajor", SNP_POLICY_ABI_MAJOR(s->policy));
	json_put_int(o, "abiMinor", SNP_POLICY_ABI_MINOR(s->policy));
	for (i = 0; i < ARRAY_LEN(policy_bits); i++)
		put_bool(o, policy_bits[i].name, s->policy & policy_bits[i].bit);
	o = put_object(r, "platform");
	put_bits(o, "value", s->platform_info);
	for (i = 0; i < ARRAY_LEN(platform_bits); i++)
		put_bool(o, platform_bits[i].name, s->platform_info & platform_bits[i].bit);
}

static void put_tcbs(cJSON *r, const struct verifier_verdict *v)
{
	const uint8_t *const raw[TCB_KINDS] = {
		[TCB_REPORTED] = v->report.reported_tcb,
		[TCB_CURRENT] = v->report.current_tcb,
		[TCB_COMMITTED] = v->report.committed_tcb,
		[TCB_LAUNCH] = v->report.launch_tcb,
	};
	cJSON *o = put_object(r, "tcb"), *one;
	size_t k, p;

	for (k = 0; k < TCB_KINDS; k++) {
		one = put_object(o, verifier_tcb_kind_name((enum verifier_tcb_kind)k));
		put_hex(one, "raw", raw[k], SNP_TCB_LEN);
		for (p = 0; v->product != PRODUCT_UNKNOWN && p < TCB_PARTS; p++)
			if (p != TCB_FMC || v->product == PRODUCT_TURIN)
				json_put_int(one, verifier_tcb_part_name((enum verifier_tcb_part)p), v->tcb[k].part[p]);
	}
}

static void put_version(cJSON *r, const char *name, uint8_t major, uint8_t minor, uint8_t build)
{
	char text[32];

	snprintf(text, sizeof(text), "%u.%u build %u", major, minor, build);
	json_put_text(r, name, text);
}

static const char *signer_name(uint32_t key_info)
{
	switch (SNP_KEY_INFO_SIGNER(key_info)) {
	case SNP_SIGNER_VCEK:
		return "VCEK";
	case SNP_SIGNER_VLEK:
		return "VLEK";
	case SNP_SIGNER_NONE:
		return "none";
	}
	return "unknown";
}

static void put_identity(cJSON *r, const struct verifier_verdict *v)
{
	const struct snp_report *s = &v->report;

	json_put_text(r, "product", verifier_product_name(v->product));
	if (v->has_cpuid) {
		json_put_int(r, "cpuFamily", s->cpuid_family);
		json_put_int(r, "cpuModel", s->cpuid_model);
		json_put_int(r, "cpuStepping", s->cpuid_stepping);
	}
	put_hex(r, "chipId", s->chip_id, sizeof(s->chip_id));
	put_version(r, "currentFirmware", s->current_major, s->current_minor, s->current_build);
	put_version(r, "committedFirmware", s->committed_major, s->committed_minor, s->committed_build);
	if (v->has_mitigations) {
		put_bits(r, "launchMitigations", s->launch_mitigations);
		put_bits(r, "currentMitigations", s->current_mitigations);
	}
}

static void put_report(cJSON *doc, const struct verifier_verdict *v)
{
	const struct snp_report *s = &v->report;
	cJSON *r = put_object(doc, "report");

	json_put_int(r, "version", s->version);
	json_put_int(r, "guestSvn", s->guest_svn);
	put_policy(r, s);
	put_hex(r, "familyId", s->family_id, sizeof(s->family_id));
	put_hex(r, "imageId", s->image_id, sizeof(s->image_id));
	json_put_int(r, "vmpl", s->vmpl);
	json_put_int(r, "signatureAlgorithm", s->signature_algo);
	json_put_text(r, "signingKey", signer_name(s->key_info));
	put_bool(r, "chipKeyMasked", s->key_info & SNP_KEY_INFO_MASKED);
	put_bool(r, "authorKey", s->key_info & SNP_KEY_INFO_AUTHOR);
	put_hex(r, "reportData", s->report_data, sizeof(s->report_data));
	put_hex(r, "measurement", s->measurement, sizeof(s->measurement));
	put_hex(r, "hostData", s->host_data, sizeof(s->host_data));
	put_hex(r, "idKeyDigest", s->id_key_digest, sizeof(s->id_key_digest));
	put_hex(r, "authorKeyDigest", s->author_key_digest, sizeof(s->author_key_digest));
	put_hex(r, "reportId", s->report_id, sizeof(s->report_id));
	put_hex(r, "migrationAgentReportId", s->report_id_ma, sizeof(s->report_id_ma));
	put_tcbs(r, v);
	put_identity(r, v);
	put_hex(r, "signatureR", s->r, SNP_SIG_P384);
	put_hex(r, "signatureS", s->s, SNP_SIG_P384);
}

static void put_leaf(cJSON *o, const struct verifier_leaf *l)
{
	json_put_text(o, "kind", l->vlek ? "VLEK" : "VCEK");
	json_put_int(o, "structureVersion", (int64_t)l->structure_version);
	json_put_text(o, "productName", l->product);
	put_hex(o, "tcb", l->tcb, sizeof(l->tcb));
	if (l->hwid_len)
		put_hex(o, "hardwareId", l->hwid, l->hwid_len);
	if (l->csp_id[0])
		json_put_text(o, "cspId", l->csp_id);
}

static void put_certificates(cJSON *doc, const struct verifier_verdict *v)
{
	static const char *const roles[CERT_ROLES] = {
		[CERT_ARK] = "root", [CERT_ASK] = "intermediate", [CERT_LEAF] = "leaf",
	};
	cJSON *all = put_object(doc, "certificates"), *o;
	char time[32];
	size_t i;

	for (i = 0; i < CERT_ROLES; i++) {
		if (!v->has_cert[i])
			continue;
		o = put_object(all, roles[i]);
		json_put_text(o, "subject", v->cert[i].subject);
		json_put_text(o, "issuer", v->cert[i].issuer);
		cli_time(v->cert[i].not_before * 1000, time);
		json_put_text(o, "notBefore", time);
		cli_time(v->cert[i].not_after * 1000, time);
		json_put_text(o, "notAfter", time);
		put_hex(o, "keySha384", v->cert[i].key_sha384, sizeof(v->cert[i].key_sha384));
		if (i == CERT_LEAF && v->has_leaf)
			put_leaf(o, &v->leaf);
	}
}

static void guid_text(const uint8_t g[16], char out[40])
{
	snprintf(out, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", g[3], g[2], g[1], g[0],
		 g[5], g[4], g[7], g[6], g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]);
}

static void put_manifest(cJSON *doc, const struct verifier_manifest *m)
{
	cJSON *o = put_object(doc, "manifest"), *services = put_object(o, "services"), *kms;
	char guid[40];
	size_t i;

	for (i = 0; i < m->count; i++) {	/* GUID: bytes of its manifest */
		guid_text(m->service[i].guid, guid);
		json_put_int(services, guid, m->service[i].len);
	}
	if (!m->has_kms)
		return;
	kms = put_object(o, "keyService");
	json_put_int(kms, "version", m->kms.version);
	put_bits(kms, "protocol", m->kms.protocol);
	put_hex(kms, "serviceSha384", m->kms.service, sizeof(m->kms.service));
	put_hex(kms, "platformSha384", m->kms.platform, sizeof(m->kms.platform));
	put_hex(kms, "owner", m->kms.evidence.owner, sizeof(m->kms.evidence.owner));
	put_hex(kms, "configurationSha256", m->kms.evidence.config_hash, sizeof(m->kms.evidence.config_hash));
	json_put_int(kms, "configurationVersion", (int64_t)m->kms.evidence.config_version);
	put_hex(kms, "storeId", m->kms.evidence.store_id, sizeof(m->kms.evidence.store_id));
	put_hex(kms, "auditKey", m->kms.evidence.audit_key, sizeof(m->kms.evidence.audit_key));
	put_hex(kms, "uploadKey", m->kms.evidence.upload_key, sizeof(m->kms.evidence.upload_key));
}

static const char *const results[] = {
	[CHECK_FAILED] = "failed",
	[CHECK_PASSED] = "passed",
	[CHECK_NOT_ASKED] = "not asked",
};

static void put_checks(cJSON *doc, const struct verifier_verdict *v)
{
	cJSON *all = put_object(doc, "checks"), *o;
	size_t i;

	for (i = 0; i < CHECKS; i++) {
		o = put_object(all, verifier_check_name((enum verifier_check_id)i));
		json_put_text(o, "result", results[v->check[i].result]);
		json_put_text(o, "says", v->check[i].says);
	}
}

static const char *root_name(const struct verifier_verdict *v)
{
	return v->root == ROOT_AMD ? "amd" : v->root == ROOT_TEST ? "test" : "none";
}

static const char *isolation_name(const struct verifier_verdict *v)
{
	return v->isolation ? boot_isolation_name(v->isolation) : "unproven";
}

cJSON *attest_document(const struct verifier_verdict *v)
{
	cJSON *doc = json_object();

	put_bool(doc, "accepted", v->accepted);
	json_put_text(doc, "isolation", isolation_name(v));
	json_put_text(doc, "root", root_name(v));
	put_checks(doc, v);
	if (v->has_report)
		put_report(doc, v);
	put_certificates(doc, v);
	if (v->has_manifest)
		put_manifest(doc, &v->manifest);
	return doc;
}

static void print_members(const cJSON *o, const char *before)
{
	const cJSON *m;
	char name[160];

	cJSON_ArrayForEach(m, o) {
		snprintf(name, sizeof(name), "%s%s", before, m->string);
		if (cJSON_IsObject(m)) {
			snprintf(name, sizeof(name), "%s%s.", before, m->string);
			print_members(m, name);
		} else if (cJSON_IsString(m)) {
			cli_print("%-34s %s", name, m->valuestring);
		} else if (cJSON_IsBool(m)) {
			cli_print("%-34s %s", name, cJSON_IsTrue(m) ? "yes" : "no");
		} else {
			cli_print("%-34s %.0f", name, m->valuedouble);
		}
	}
}

/* The names of the checks that ended so. */
static const char *names_of(const struct verifier_verdict *v, enum verifier_result r, char *out, size_t room)
{
	struct sink s = sink_of(out, room - 1);
	size_t i;

	for (i = 0; i < CHECKS; i++) {
		const char *name = verifier_check_name((enum verifier_check_id)i);

		if (v->check[i].result != r || i == CHECK_REVOCATION)
			continue;
		sink_put(&s, ", ", s.need ? 2 : 0);
		sink_put(&s, name, strlen(name));
	}
	INVARIANT(sink_ok(&s));		/* all names are ours */
	out[s.need] = 0;
	return out;
}

static void print_verdict(const struct verifier_verdict *v)
{
	char names[512];

	if (!v->accepted)
		cli_print("REFUSED: %s", names_of(v, CHECK_FAILED, names, sizeof(names)));
	else if (v->root == ROOT_TEST)
		cli_print("ACCEPTED under a TEST ROOT, isolation %s: this shows nothing about hardware",
			  isolation_name(v));
	else if (v->isolation)
		cli_print("ACCEPTED, isolation %s", isolation_name(v));
	else
		cli_print("ACCEPTED as far as asked; isolation of the key service unproven (not asked: %s)",
			  names_of(v, CHECK_NOT_ASKED, names, sizeof(names)));
}

void attest_print(const struct cli *c, const struct verifier_verdict *v)
{
	static const char *const parts[] = { "report", "certificates", "manifest" };
	JSON *doc = attest_document(v);
	const cJSON *part;
	char before[32];
	size_t i;

	for (i = 0; !c->quiet && i < CHECKS; i++)
		cli_print("%-9s  %-14s %s", results[v->check[i].result],
			  verifier_check_name((enum verifier_check_id)i), v->check[i].says);
	for (i = 0; !c->quiet && i < ARRAY_LEN(parts); i++) {
		part = doc_member(doc, parts[i]);
		snprintf(before, sizeof(before), "%s.", parts[i]);
		if (part)
			print_members(part, before);
	}
	print_verdict(v);
}
