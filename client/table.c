/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of verbs. Parsing, help, man page and completion all come from here: one more verb is one
 * more row. Rows with two words form a group.
 */
#include "channel/tsm.h"
#include "client/cli.h"

#define CIPHERS "AES/CTR/NoPadding SM4/CTR/NoPadding"

/* All may be repeated, the last counts: so that they can be overridden behind a shell alias. */
const struct opt cli_common[] = {
	{ .name = "url",
	  .many = true,
	  .kind = OPT_TEXT,
	  .arg = "URL",
	  .help = "the server, http://HOST:PORT/kms or kms://http@HOST:PORT/kms, or with https (default: "
		  "$SVSM_KMS_URL, else http://127.0.0.1:9600/kms)" },
	{ .name = "ca",
	  .many = true,
	  .kind = OPT_FILE,
	  .arg = "FILE",
	  .help = "for https: the authorities to trust, PEM (default: the system's)" },
	{ .name = "client-cert",
	  .many = true,
	  .kind = OPT_FILE,
	  .arg = "FILE",
	  .help = "for https: a certificate to show, with its key, PEM" },
	{ .name = "insecure",
	  .many = true,
	  .kind = OPT_FLAG,
	  .help = "for https: do not check the server's certificate" },
	{ .name = "user",
	  .many = true,
	  .kind = OPT_TEXT,
	  .arg = "NAME",
	  .help = "who to be by simple authentication (default: the login name); with Kerberos, the principal whose "
		  "ticket to use (default: that of the default credential cache)" },
	{ .name = "negotiate",
	  .many = true,
	  .kind = OPT_FLAG,
	  .help = "log in with a Kerberos ticket before anything else is sent, and never just by name (without it, a server "
		  "that asks for a ticket gets one)" },
	{ .name = "token",
	  .many = true,
	  .kind = OPT_FILE,
	  .arg = "FILE",
	  .help = "a delegation token to show instead of a name or a ticket: what `token get` printed" },
	{ .name = "timeout",
	  .many = true,
	  .kind = OPT_NUMBER,
	  .arg = "SECONDS",
	  .min = 1,
	  .max = 3600,
	  .help = "for each request, connecting included (default 60)" },
	{ .name = "output",
	  .letter = 'o',
	  .many = true,
	  .kind = OPT_CHOICE,
	  .arg = "FORMAT",
	  .values = "text json",
	  .help = "text for people (default) or one JSON document for programs" },
	{ .name = "quiet",
	  .letter = 'q',
	  .many = true,
	  .kind = OPT_FLAG,
	  .help = "no remarks and no progress" },
	{ .name = "help", .letter = 'h', .many = true, .kind = OPT_FLAG, .help = "show help" },
	{ 0 },
};

#define MATERIAL_OPTS \
	{ .name = "material-file", .kind = OPT_FILE, .arg = "FILE", \
	  .help = "take the key from a file (- is standard input) instead of generating it" }, \
	{ .name = "material-format", .kind = OPT_CHOICE, .arg = "FORMAT", .values = "raw base64 hex", \
	  .help = "how the file holds it (default raw)" }

#define CHANNEL_OPT \
	{ .name = "channel", .kind = OPT_TEXT, .arg = "CHANNEL", \
	  .help = "where the core runs: process (default), or svsm:/dev/svsm for VMPL0 of this virtual machine" }

static const struct opt serve_opts[] = {
	{ .name = "conf", .kind = OPT_DIR, .arg = "DIR", .help = "configuration, as Hadoop KMS has it" },
	{ .name = "data", .kind = OPT_DIR, .arg = "DIR", .help = "where the sealed keys are kept" },
	{ .name = "listen", .kind = OPT_TEXT, .arg = "HOST:PORT", .help = "address to listen on" },
	CHANNEL_OPT,
	{ .name = "hints", .kind = OPT_FLAG, .help = "first print three commands to try, and what the isolation is worth" },
	{ 0 },
};

static const struct opt create_opts[] = {
	{ .name = "length", .kind = OPT_NUMBER, .arg = "BITS", .min = 8, .max = KMS_MATERIAL_MAX * 8,
	  .help = "of the key: 128, 192 or 256 (default: the server's, or that of the material)" },
	{ .name = "cipher", .kind = OPT_CHOICE, .arg = "CIPHER", .values = CIPHERS,
	  .help = "(default: the server's)" },
	{ .name = "description", .kind = OPT_TEXT, .arg = "TEXT", .help = "for people" },
	{ .name = "attr", .kind = OPT_TEXT, .arg = "NAME=VALUE", .many = true,
	  .help = "an attribute; may be repeated" },
	MATERIAL_OPTS,
	{ 0 },
};

static const struct opt list_opts[] = {
	{ .name = "metadata", .kind = OPT_FLAG, .help = "show what is known about each key" },
	{ 0 },
};

static const struct opt show_opts[] = {
	{ .name = "versions", .kind = OPT_FLAG, .help = "name each version" },
	{ .name = "material", .kind = OPT_FLAG, .help = "PRINT THE KEYS of all versions" },
	{ 0 },
};

static const struct opt roll_opts[] = { MATERIAL_OPTS, { 0 } };

static const struct opt delete_opts[] = {
	{ .name = "yes", .kind = OPT_FLAG, .help = "do not ask" },
	{ 0 },
};

static const struct opt generate_opts[] = {
	{ .name = "count", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = 10000,
	  .help = "how many (default 1)" },
	{ 0 },
};

static const struct opt token_get_opts[] = {
	{ .name = "renewer", .kind = OPT_TEXT, .arg = "NAME", .help = "who may renew it (default: its owner)" },
	{ .name = "out", .kind = OPT_FILE, .arg = "FILE", .help = "where to write it; must not exist" },
	{ 0 },
};

static const struct opt import_opts[] = {
	{ .name = "from", .kind = OPT_TEXT, .arg = "URL", .help = "the Hadoop KMS to copy from" },
	{ .name = "from-user", .kind = OPT_TEXT, .arg = "NAME", .help = "who to be there (default: --user)" },
	{ .name = "from-negotiate", .kind = OPT_FLAG, .help = "as --negotiate, for that server" },
	{ .name = "from-token", .kind = OPT_FILE, .arg = "FILE", .help = "a delegation token of that server to show there" },
	{ .name = "key", .kind = OPT_TEXT, .arg = "PATTERN", .many = true,
	  .help = "only keys that match this shell pattern; may be repeated" },
	{ .name = "dry-run", .kind = OPT_FLAG, .help = "compare only, write nothing" },
	{ 0 },
};

static const struct opt bench_opts[] = {
	{ .name = "connections", .kind = OPT_TEXT, .arg = "LIST",
	  .help = "how many at once, a run for each (default 1,16,64; at most 1024)" },
	{ .name = "seconds", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = 600,
	  .help = "how long each run lasts (default 5)" },
	{ .name = "op", .kind = OPT_CHOICE, .arg = "OP", .values = "decrypt generate create",
	  .help = "what to ask for (default decrypt)" },
	{ .name = "key", .kind = OPT_TEXT, .arg = "NAME",
	  .help = "existing key to use (default: a new one, deleted afterwards)" },
	{ 0 },
};

static const struct opt doctor_opts[] = {
	{ .name = "data", .kind = OPT_DIR, .arg = "DIR", .help = "data directory of the server to look at" },
	{ .name = "conf", .kind = OPT_DIR, .arg = "DIR", .help = "configuration directory to judge" },
	{ 0 },
};

static const struct opt export_opts[] = {
	{ .name = "recovery", .kind = OPT_FILE, .arg = "FILE", .help = "the copy to write; must not exist" },
	{ .name = "data", .kind = OPT_DIR, .arg = "DIR", .help = "data directory" },
	CHANNEL_OPT,
	{ 0 },
};

static const struct opt verify_opts[] = {
	{ .name = "data", .kind = OPT_DIR, .arg = "DIR", .help = "data directory" },
	{ .name = "conf", .kind = OPT_DIR, .arg = "DIR", .help = "configuration directory" },
	CHANNEL_OPT,
	{ 0 },
};

static const struct opt recover_opts[] = {
	{ .name = "data", .kind = OPT_DIR, .arg = "DIR", .help = "data directory" },
	{ .name = "key", .kind = OPT_FILE, .arg = "FILE", .help = "the owner's private recovery key, PEM" },
	CHANNEL_OPT,
	{ 0 },
};

static const struct opt owner_opts[] = {
	{ .name = "conf", .kind = OPT_DIR, .arg = "DIR", .help = "the configuration directory to sign" },
	{ .name = "key", .kind = OPT_FILE, .arg = "FILE", .help = "the owner's private key, P-384 in PEM" },
	{ .name = "number", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = 9007199254740991,
	  .help = "the configuration's number: higher than any signed before" },
	{ .name = "store", .kind = OPT_TEXT, .arg = "ID",
	  .help = "the store it is for, 32 hexadecimal digits as `health` shows them (default: any)" },
	{ .name = "keytab", .kind = OPT_FILE, .arg = "FILE",
	  .help = "Kerberos keys for the server, sealed so that only its core can open them (default: those it has)" },
	{ .name = "core-key", .kind = OPT_TEXT, .arg = "HEX",
	  .help = "what to seal them to: `uploadKey` of an attestation report, or of `health` where that is trusted" },
	{ .name = "out", .kind = OPT_FILE, .arg = "FILE",
	  .help = "where to write it (default: kms-owner.bundle in the configuration directory)" },
	{ 0 },
};

static const struct opt audit_verify_opts[] = {
	{ .name = "key", .kind = OPT_TEXT, .arg = "HEX",
	  .help = "the key that signs checkpoints, 64 hexadecimal digits: auditKey of `health`" },
	{ .name = "head", .kind = OPT_TEXT, .arg = "N:HASH",
	  .help = "an entry that must be there: auditHead of `health`, noted when the files ended there or later" },
	{ .name = "health", .kind = OPT_FILE, .arg = "FILE", .help = "take both from what `health -o json` printed" },
	{ 0 },
};

static const struct opt audit_show_opts[] = {
	{ .name = "from", .kind = OPT_NUMBER, .arg = "N", .min = 0, .max = INT64_MAX, .help = "begin with entry N" },
	{ .name = "count", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = INT64_MAX, .help = "at most so many entries" },
	{ 0 },
};

static const struct opt acl_opts[] = {
	{ .name = "conf", .kind = OPT_DIR, .arg = "DIR", .help = "configuration directory" },
	{ .name = "data", .kind = OPT_DIR, .arg = "DIR", .help = "data directory" },
	{ 0 },
};

static const struct opt measure_opts[] = {
	{ .name = "image", .kind = OPT_FILE, .arg = "FILE", .help = "a launch image (IGVM file)" },
	{ .name = "monitor", .kind = OPT_FILE, .arg = "FILE", .help = "or what it is built from: the monitor" },
	{ .name = "service", .kind = OPT_FILE, .arg = "FILE", .help = "the trusted core, svsm-kms-service" },
	{ .name = "platform", .kind = OPT_FILE, .arg = "FILE", .help = "the platform service, svsm-kms-platform" },
	{ .name = "kernel", .kind = OPT_FILE, .arg = "FILE", .help = "the Linux kernel, a bzImage" },
	{ .name = "initrd", .kind = OPT_FILE, .arg = "FILE", .help = "its initial RAM disk" },
	{ .name = "cmdline", .kind = OPT_TEXT, .arg = "TEXT", .help = "its command line" },
	{ .name = "policy", .kind = OPT_NUMBER, .arg = "N", .min = 0, .max = INT64_MAX,
	  .help = "the guest policy (default 196608: SMT allowed, no debugging, no migration)" },
	{ .name = "guest-vmpl", .kind = OPT_NUMBER, .arg = "N", .min = 1, .max = 3, .help = "of Linux (default 1)" },
	{ 0 },
};

static const struct opt attest_report_opts[] = {
	{ .name = "nonce", .kind = OPT_TEXT, .arg = "HEX",
	  .help = "1 to 64 bytes of your own, never used before; others than 64 are hashed with SHA-512" },
	{ .name = "out", .kind = OPT_FILE, .arg = "FILE", .help = "where to write the report" },
	{ .name = "manifest", .kind = OPT_FILE, .arg = "FILE", .help = "where to write the services manifest" },
	{ .name = "certs", .kind = OPT_FILE, .arg = "FILE", .help = "where to write the host's table of certificates" },
	{ .name = "tsm", .kind = OPT_DIR, .arg = "DIR",
	  .help = "ask this machine's kernel there, even when a server is named (default " TSM_DIR ")" },
	{ 0 },
};

#define MASK_OPT(n, text) { .name = n, .kind = OPT_TEXT, .arg = "HEX", .help = text }

static const struct opt attest_verify_opts[] = {
	{ .name = "chain", .kind = OPT_FILE, .arg = "FILE", .many = true,
	  .help = "certificates: PEM, DER, or the host's table; may be repeated" },
	{ .name = "vcek", .kind = OPT_FILE, .arg = "FILE", .many = true, .help = "the leaf, where it is in another file" },
	{ .name = "nonce", .kind = OPT_TEXT, .arg = "HEX", .help = "what the report was asked for with" },
	{ .name = "manifest", .kind = OPT_FILE, .arg = "FILE", .help = "the services manifest that came with the report" },
	{ .name = "measurement", .kind = OPT_TEXT, .arg = "HEX", .help = "the launch measurement it must have, 48 bytes" },
	{ .name = "owner", .kind = OPT_TEXT, .arg = "HEX",
	  .help = "who must own the store: SHA-256 of the public key, as owner enroll prints it" },
	{ .name = "root", .kind = OPT_FILE, .arg = "FILE",
	  .help = "accept this TEST root, an emulator's; AMD's are built in" },
	{ .name = "at", .kind = OPT_TEXT, .arg = "TIME", .help = "when certificates must be valid (default now)" },
	{ .name = "min-tcb", .kind = OPT_TEXT, .arg = "NAME=N,...",
	  .help = "lowest firmware: fmc, bootLoader, tee, snp, microcode" },
	{ .name = "vmpl", .kind = OPT_NUMBER, .arg = "N", .min = 0, .max = 3,
	  .help = "the level the report must be of (default 0, where the key service is)" },
	MASK_OPT("policy-set", "bits that the guest policy must have"),
	MASK_OPT("policy-clear", "bits that the guest policy must not have"),
	MASK_OPT("platform-set", "bits that the platform info must have"),
	MASK_OPT("platform-clear", "bits that the platform info must not have"),
	{ .name = "allow-debug", .kind = OPT_FLAG, .help = "accept a guest that its host may read and write" },
	{ .name = "allow-migration", .kind = OPT_FLAG, .help = "accept a guest with a migration agent" },
	{ .name = "allow-unknown-version", .kind = OPT_FLAG, .help = "accept report versions newer than 5" },
	{ 0 },
};

static const struct opt help_opts[] = {
	{ .name = "man", .kind = OPT_FLAG, .help = "print the manual page" },
	{ 0 },
};

const struct verb cli_verbs[] = {
	{ "serve", "", 0, 0, "run the server", NULL, serve_opts, NULL, serve_main },
	{ "key create", "NAME", 1, 1, "create a key",
	  "The key is generated inside the server's trusted core unless --material-file gives it. Key material is "
	  "never taken from the command line, where other users could read it.",
	  create_opts, verb_key_create, NULL },
	{ "key list", "", 0, 0, "list the names of keys",
	  "Names that contain @ are never listed by the server.", list_opts, verb_key_list, NULL },
	{ "key show", "NAME", 1, 1, "show what is known about a key",
	  "Shows no key material unless --material is given; --versions alone does not even ask for it.",
	  show_opts, verb_key_show, NULL },
	{ "key roll", "NAME", 1, 1, "make a new version of a key", NULL, roll_opts, verb_key_roll, NULL },
	{ "key delete", "NAME", 1, 1, "delete a key with all of its versions",
	  "What was encrypted under the key cannot be read any more. On a terminal the name has to be typed again; "
	  "elsewhere --yes is required.",
	  delete_opts, verb_key_delete, NULL },
	{ "key invalidate", "NAME", 1, 1, "make the server forget what it caches about a key", NULL, NULL,
	  verb_key_invalidate, NULL },
	{ "eek generate", "NAME", 1, 1, "make new encrypted keys under a key",
	  "Prints one encrypted key per line, as JSON; with -o json an array.", generate_opts,
	  verb_eek_generate, NULL },
	{ "eek decrypt", "[FILE]", 0, 1, "decrypt encrypted keys and PRINT THEM",
	  "Reads what eek generate printed, from a file or standard input. Prints one key per line in URL-safe "
	  "Base64; with -o json an array.",
	  NULL, verb_eek_decrypt, NULL },
	{ "eek reencrypt", "[FILE]", 0, 1, "bring encrypted keys to the current version of their key",
	  "Reads what eek generate printed, from a file or standard input, and prints the same form.", NULL,
	  verb_eek_reencrypt, NULL },
	{ "token get", "", 0, 0, "get a delegation token",
	  "Whoever has it is its owner until it ends: a day, or longer if the renewer renews it. Prints it, or writes it "
	  "to a file that only its owner reads; --token takes either. A server that wants Kerberos gives one for a ticket.",
	  token_get_opts, verb_token_get, NULL },
	{ "token renew", "FILE", 1, 1, "make a delegation token live longer",
	  "To be asked by the token's renewer. Prints until when it is good now.", NULL, verb_token_renew, NULL },
	{ "token cancel", "FILE", 1, 1, "end a delegation token", "To be asked by its owner or its renewer.", NULL,
	  verb_token_cancel, NULL },
	{ "import", "", 0, 0, "copy all keys from a running Hadoop KMS",
	  "Copies names, versions, key material, creation dates, descriptions, attributes and ciphers, then reads "
	  "every key back and compares. Nothing is ever overwritten: a key that is there with the same content is "
	  "reported as \"same\", one with other content as a conflict (exit code 6). Safe to repeat. Names that "
	  "contain @ are not listed by Hadoop KMS and therefore not copied. A server that wants Kerberos is shown the ticket "
	  "of kinit. The user needs rights on both sides; where one is missing the report says which.",
	  import_opts, verb_import, NULL },
	{ "export", "", 0, 0, "write a copy of the store that the recovery key opens",
	  "The store is copied as one commit left it, then the copy is checked as by store verify, and removed if it is "
	  "not good; a server may be running. The copy is sealed: it is worth nothing without this machine's "
	  "platform.key or the owner's recovery key.",
	  export_opts, verb_export, NULL },
	{ "store verify", "", 0, 0, "check that a data directory is complete and unchanged",
	  "Checks the file's structure, opens every record in a core of its own, and compares with the sealed head, all "
	  "as the last commit left it. A server may be running; its file grows faster meanwhile. Replacing the whole "
	  "directory by an older copy is found only by comparing the epoch that is printed with one noted earlier (or by "
	  "svsm.kms.store.epoch.min).",
	  verify_opts, verb_store_verify, NULL },
	{ "store recover", "", 0, 0, "open a data directory with the owner's recovery key",
	  "Makes the store openable on this machine: a new platform keyslot is written. The recovery key is used in "
	  "this process only and is not passed on; the server must be stopped.",
	  recover_opts, verb_store_recover, NULL },
	{ "owner enroll", "", 0, 0, "give a store an owner: from then on only the owner configures it",
	  "Signs a configuration that makes the holder of the key the owner of the store with this id. The core keeps "
	  "the key's fingerprint in its sealed head: afterwards it takes access control lists, users, and the "
	  "recovery key only in bundles that this key signed, never an older one than before. There is no way back. "
	  "What the core decides by is signed; addresses, limits and logs stay with whoever runs the server.",
	  owner_opts, verb_owner_enroll, NULL },
	{ "owner sign", "", 0, 0, "sign a configuration as the store's owner",
	  "Reads a configuration directory as the server does and writes a bundle; the server gives it to its core at "
	  "its start or on SIGHUP. The key is not needed on the server's machine.",
	  owner_opts, verb_owner_sign, NULL },
	{ "acl check", "USER OP KEY", 3, 3, "say whether a user may do something, and why",
	  "OP is CREATE_KEY, DELETE_KEY, ROLL_NEW_VERSION, INVALIDATE_CACHE, GET_KEYS, GET_KEYS_METADATA, GET_METADATA, "
	  "GET_CURRENT_KEY, GET_KEY_VERSION, GET_KEY_VERSIONS, GENERATE_EEK, DECRYPT_EEK, REENCRYPT_EEK or "
	  "REENCRYPT_EEK_BATCH. Without --data no key exists, so its key.acl.name is taken to be its own name. The exit code "
	  "is 0 when it is allowed, 4 when not.",
	  acl_opts, verb_acl_check, NULL },
	{ "audit verify", "FILE...", 1, 255, "check that an audit chain is complete and unchanged",
	  "Reads the files of a chain (kms-audit.chain, rotated ones first) and names the first entry that is not as the core "
	  "made it. Works offline and needs no right but to read the files. Exit codes: 0 whole, 10 no audit chain, 11 edited, "
	  "12 entries removed, 13 reordered or doubled, 14 cut off, 15 a forged checkpoint, 16 another key, 17 another store, 18 "
	  "nothing wrong but entries declared lost. Without --key anybody could have made the whole chain, without --head the "
	  "end could be missing.",
	  audit_verify_opts, verb_audit_verify, NULL },
	{ "audit show", "FILE...", 1, 255, "print the entries of an audit chain",
	  "One line for each, with -o json one document. Checks nothing: see audit verify.", audit_show_opts, verb_audit_show,
	  NULL },
	{ "measure", "", 0, 0, "compute the launch measurement of a virtual machine's image",
	  "Prints the launch digest, 96 hex digits, that an attestation report of a machine started from this image shows. "
	  "Takes the image, or the files it is built from; nothing in them is run.",
	  measure_opts, verb_measure, NULL },
	{ "attest report", "", 0, 0, "fetch an attestation report of the key service",
	  "Asks the server that --url or $SVSM_KMS_URL names; without one, this machine's kernel (configfs-tsm; needs "
	  "root). Who carries a report need not be trusted: attest verify judges it.",
	  attest_report_opts, verb_attest_report, NULL },
	{ "attest verify", "REPORT", 1, 1, "judge an attestation report",
	  "Prints every check and every field, then the verdict. Exit code 0 only if all that was asked for holds, 6 if "
	  "not. Without --nonce the report may be an old one, without --measurement anything may run there, without "
	  "--min-tcb the firmware may have known flaws. Lists of revoked certificates are not read.",
	  attest_verify_opts, verb_attest_verify, NULL },
	{ "bench", "", 0, 0, "measure a running server",
	  "A closed loop: each connection sends its next request when the last was answered. The load generator runs "
	  "on one CPU and its own cost is part of the result. Without --key it makes keys named svsm-kms-bench-... "
	  "and deletes them at the end; --op create always makes and deletes its own.",
	  bench_opts, verb_bench, NULL },
	{ "doctor", "", 0, 0, "look for what is commonly wrong, with remedies",
	  "Prints a line for each check: ok, warn or fail. Checks of limits and CPU are about this machine and the "
	  "user who runs doctor: run it as the server's user. With --conf it reads the configuration as the server does and "
	  "judges it: who can reach the server and what he has to prove, keytab, certificate and who can read them, cookie "
	  "secret, audit chain, clock, proxy users. Exit code 6 when a check failed.",
	  doctor_opts, verb_doctor, NULL },
	{ "health", "", 0, 0, "ask the server how it is and which isolation is active",
	  "The isolation \"process\" protects keys against other users of the machine only, not against root and not "
	  "against the machine's owner.",
	  NULL, verb_health, NULL },
	{ "version", "", 0, 0, "print the version", NULL, NULL, verb_version, NULL },
	{ "completion", "bash", 1, 1, "print a completion script", NULL, NULL, verb_completion, NULL },
	{ "help", "[VERB]", 0, 2, "explain a verb, or list all", NULL, help_opts, verb_help, NULL },
	{ 0 },
};
