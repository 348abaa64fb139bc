/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's side: configuration is read as the server reads it, and signed with a key that never goes to
 * the server. It can be done on another machine: only the bundle has to get into the server's directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/b64.h"
#include "client/cli.h"
#include "crypto/crypto.h"
#include "proxy/offline.h"
#include "wire/msg.h"

#define BUNDLE_NAME "kms-owner.bundle"

struct owner_key {
	uint8_t der[CRYPTO_DER_MAX], pub[CRYPTO_DER_MAX];
	size_t der_len, pub_len;
};

static bool read_key(struct cli *c, struct owner_key *k)
{
	const char *file = args_text(&c->args, "key", NULL);
	struct buf pem = { .max = 16384 };
	bool ok = false;

	k->der_len = sizeof(k->der);
	k->pub_len = sizeof(k->pub);
	if (!file) {
		cli_fail(c, EXIT_USAGE, "--key FILE is the owner's private key (P-384, PEM): openssl ecparam -name secp384r1 "
					"-genkey -noout -out owner.key");
		return false;
	}
	if (!cli_read_file(c, file, true, &pem))
		return false;
	ok = crypto_start() == RC_OK && crypto_pem_private(slice_of(pem.p, pem.len), k->der, &k->der_len) == RC_OK &&
	     crypto_public_of(slice_of(k->der, k->der_len), k->pub, &k->pub_len) == RC_OK;
	buf_free(&pem);
	if (!ok)
		cli_fail(c, EXIT_USAGE, "%s holds no unencrypted P-384 private key in PEM", file);
	return ok;
}

static enum rc write_whole(const char *path, const uint8_t *p, size_t len)
{
	char tmp[1300];
	int fd;
	bool ok;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", path) >= sizeof(tmp))
		return RC_BAD_INPUT;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return RC_MACHINE;
	ok = write(fd, p, len) == (ssize_t)len && fsync(fd) == 0;
	ok = close(fd) == 0 && ok && rename(tmp, path) == 0;
	if (!ok)
		unlink(tmp);
	return ok ? RC_OK : RC_MACHINE;
}

static int say_done(struct cli *c, const struct owner_key *k, const char *path, uint64_t version)
{
	uint8_t id[CRYPTO_HASH_LEN];
	char text[2 * CRYPTO_HASH_LEN + 1];
	cJSON *j;
	size_t i;

	if (crypto_sha256(k->pub, k->pub_len, id) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "libcrypto failed");
	for (i = 0; i < sizeof(id); i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	if (c->json) {
		j = cJSON_CreateObject();
		cJSON_AddStringToObject(j, "owner", text);
		cJSON_AddNumberToObject(j, "version", (double)version);
		cJSON_AddStringToObject(j, "bundle", path);
		cli_print_json(j);
		cJSON_Delete(j);
	} else if (!c->quiet) {
		cli_print("%s: version %llu, owner %s. The server takes it at its start, or when it gets SIGHUP.", path,
			  (unsigned long long)version, text);
	}
	return EXIT_OK;
}

/* One property more. */
static bool add_property(struct offline_config *f, struct slice name, struct slice value)
{
	size_t room = 6 + name.len + value.len;
	uint8_t *more = malloc(f->len + room);
	uint32_t count;
	struct sink s;

	if (!more)
		return false;
	memcpy(more, f->body, f->len);
	s = sink_of(more + f->len, room);
	wire_property_put(&s, name, value);
	INVARIANT(sink_ok(&s) && s.left == 0);
	memcpy(&count, more, sizeof(count));
	count++;
	memcpy(more, &count, sizeof(count));
	mem_wipe(f->body, f->len);
	free(f->body);
	f->body = more;
	f->len += room;
	return true;
}

/* Which recovery key the core may seal the data root for. */
static bool name_recovery_key(struct offline_config *f)
{
	uint8_t id[CRYPTO_HASH_LEN];
	char text[2 * CRYPTO_HASH_LEN + 1];
	size_t i;

	if (f->recovery_len == 0)
		return true;
	if (crypto_sha256(f->recovery, f->recovery_len, id) != RC_OK)
		return false;
	for (i = 0; i < sizeof(id); i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	return add_property(f, slice_str("svsm.kms.recovery.public-key-sha256"), slice_str(text));
}

/* The keytab, for that core's eyes only: the bundle is a file like any other. */
static int add_keytab(struct cli *c, struct offline_config *f)
{
	const char *file = args_text(&c->args, "keytab", NULL), *key = args_text(&c->args, "core-key", NULL);
	struct buf keytab = { .max = 65000 };
	uint8_t to[CRYPTO_UPLOAD_KEY_LEN], *blob;
	struct crypto *crypto;
	size_t n = 0;
	enum rc rc = RC_NO_ROOM;

	if (!file && !key)
		return EXIT_OK;
	if (!file || !key || hex_read(slice_str(key), to, sizeof(to), &n) != RC_OK || n != sizeof(to))
		return cli_fail(c, EXIT_USAGE, "--keytab FILE and --core-key HEX (64 hexadecimal digits) go together");
	if (!cli_read_file(c, file, true, &keytab))
		return EXIT_USAGE;
	crypto = crypto_new();
	blob = malloc(keytab.len + CRYPTO_UPLOAD_OVERHEAD);
	if (crypto && blob)
		rc = crypto_upload_seal(crypto, to, slice_str("svsm-kms keytab"), slice_of(keytab.p, keytab.len), blob);
	if (rc == RC_OK && !add_property(f, slice_str("svsm.sealed.keytab"),
					 slice_of(blob, keytab.len + CRYPTO_UPLOAD_OVERHEAD)))
		rc = RC_NO_ROOM;
	crypto_free(crypto);
	free(blob);
	if (keytab.p)
		mem_wipe(keytab.p, keytab.len);
	buf_free(&keytab);
	if (rc == RC_OK)
		return EXIT_OK;
	return cli_fail(c, EXIT_REFUSED, rc == RC_BAD_INPUT ? "--core-key is no key" : "no memory");
}

/* signature:str16 and the signed text, as wire/msg.h says. */
static int make_bundle(struct cli *c, const struct owner_key *k, const struct wire_signed_req *m, struct slice config,
		       const char *path)
{
	size_t text_len = 8 + 8 + 4 + 16 + 2 + k->pub_len + config.len, siglen = CRYPTO_SIGNATURE_MAX;
	uint8_t sig[CRYPTO_SIGNATURE_MAX], *text = malloc(text_len), *all = malloc(text_len + 2 + sizeof(sig));
	struct sink t = sink_of(text, text ? text_len : 0), s;
	int code = EXIT_OK;

	if (!text || !all) {
		free(text);
		free(all);
		return cli_fail(c, EXIT_REFUSED, "no memory");
	}
	wire_signed_text_put(&t, m);
	sink_put(&t, config.p, config.len);
	INVARIANT(sink_ok(&t) && t.left == 0);
	if (crypto_sign(slice_of(k->der, k->der_len), slice_of(text, text_len), sig, &siglen) != RC_OK) {
		code = cli_fail(c, EXIT_REFUSED, "libcrypto does not sign with this key");
	} else {
		s = sink_of(all, text_len + 2 + sizeof(sig));
		sink_str16(&s, slice_of(sig, siglen));
		sink_put(&s, text, text_len);
		if (write_whole(path, all, s.need) != RC_OK)
			code = cli_fail(c, EXIT_REFUSED, "%s: %s", path, strerror(errno));
	}
	free(text);
	free(all);
	return code;
}

static int sign(struct cli *c, bool enroll)
{
	const char *conf = args_text(&c->args, "conf", NULL), *store = args_text(&c->args, "store", NULL);
	struct wire_signed_req m = { .version = (uint64_t)args_number(&c->args, "number", 0),
				     .flags = enroll ? SIGNED_ENROLL : 0 };
	const char *out = args_text(&c->args, "out", NULL);
	struct owner_key k = { 0 };
	struct core_error err;
	struct offline_config config = { 0 };
	size_t idlen = 0;
	char path[1200];
	int code;

	if (!conf)
		return cli_fail(c, EXIT_USAGE, "--conf DIR says which configuration to sign");
	if (m.version == 0)
		return cli_fail(c, EXIT_USAGE, "--number N counts the owner's configurations: higher than any before");
	if (store && (hex_read(slice_str(store), m.store_id, sizeof(m.store_id), &idlen) != RC_OK || idlen != 16))
		return cli_fail(c, EXIT_USAGE, "--store ID is the store's id, 32 hexadecimal digits (`svsm-kms health`)");
	if (enroll && !store)
		return cli_fail(c, EXIT_USAGE, "owner enroll: --store ID says which store is to have this owner "
					       "(`svsm-kms health` shows it)");
	snprintf(path, sizeof(path), "%.1100s/" BUNDLE_NAME, conf);
	if (!read_key(c, &k))
		return EXIT_USAGE;
	m.public_der = slice_of(k.pub, k.pub_len);
	if (offline_config(conf, &config, &err) != RC_OK)
		code = cli_fail(c, EXIT_REFUSED, "%s", err.text);
	else if (enroll && config.kerberos && !args_text(&c->args, "keytab", NULL))
		code = cli_fail(c, EXIT_USAGE, "with Kerberos the first bundle brings the keys: --keytab FILE --core-key HEX "
					       "(uploadKey in `svsm-kms health`)");
	else if (!name_recovery_key(&config))
		code = cli_fail(c, EXIT_REFUSED, "no memory");
	else if ((code = add_keytab(c, &config)) == EXIT_OK)
		code = make_bundle(c, &k, &m, slice_of(config.body, config.len), out ? out : path);
	if (code == EXIT_OK && config.signature_secret)
		cli_warn(c, "the signature secret stays out of the bundle: whoever can read it could make cookies in any name. "
			    "The core signs them with a secret of its own, which other servers do not share");
	if (config.body)
		mem_wipe(config.body, config.len);
	free(config.body);
	mem_wipe(k.der, sizeof(k.der));
	return code == EXIT_OK ? say_done(c, &k, out ? out : path, m.version) : code;
}

int verb_owner_sign(struct cli *c)
{
	return sign(c, false);
}

int verb_owner_enroll(struct cli *c)
{
	return sign(c, true);
}
