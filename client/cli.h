/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb is given: its options, how to print, how to fail, and the connection. Verbs are rows
 * of the table in table.c; a new one is a row and a function.
 */
#ifndef CLIENT_CLI_H
#define CLIENT_CLI_H

#include <stdio.h>

#include <cjson/cJSON.h>

#include "client/args.h"
#include "client/client.h"
#include "client/kms.h"

struct cli;

struct verb {
	const char *name;		/* one or two words: "key create" */
	const char *args;		/* as shown in help: "NAME" */
	unsigned min, max;		/* how many of them */
	const char *help;		/* one line */
	const char *text;		/* more, for --help and the man page; NULL or sentences */
	const struct opt *opts;		/* its own, beside the common ones; NULL when none */
	int (*run)(struct cli *);	/* returns an exit code */
	int (*raw)(int argc, char **argv);	/* instead of run: parses for itself */
};

extern const struct verb cli_verbs[];	/* table.c; ends with a row without a name */
extern const struct opt cli_common[];

struct cli {
	const struct verb *verb;	/* NULL before one is found */
	struct args args;		/* parsed by verb->opts and cli_common */
	bool json, quiet;
	struct kms *kms;		/* opened by cli_kms(); closed by client_main() */
	char login[64];
};

/* The connection to --url, opened (not yet connected) at first use. NULL: the error is printed and is
 * a usage error. */
struct kms *cli_kms(struct cli *c);
struct cli_login {
	const char *user;	/* by simple authentication */
	const char *principal;	/* whose Kerberos ticket; NULL: that of the default cache */
	const char *token;	/* a file with a delegation token, or NULL */
	bool negotiate;		/* by ticket only */
};
/* Like that for another address; the caller closes it. `option` is named in the error. */
struct kms *cli_kms_at(struct cli *c, const char *option, const char *url, const struct cli_login *as);
const char *cli_user(struct cli *c);
/*
 * A delegation token from a file, which `file` then owns: its urlString, or the server's answer that it is in; either way
 * Base64, fit for a header. NULL: the error is printed and is a usage error.
 */
const char *cli_token(struct cli *c, const char *path, struct buf *file);

/* Prints an error ("svsm-kms: ...", or a JSON document, to stderr) and returns `code`. */
__attribute__((format(printf, 3, 4))) int cli_fail(struct cli *c, int code, const char *fmt, ...);
/* The same for what the last kms_...() call on k reported. */
int cli_fail_kms(struct cli *c, const struct kms *k);
/* A remark to stderr, unless -q. */
__attribute__((format(printf, 2, 3))) void cli_note(struct cli *c, const char *fmt, ...);
/* A warning to stderr, always. */
__attribute__((format(printf, 2, 3))) void cli_warn(struct cli *c, const char *fmt, ...);

/* To stdout. Everything printed this way is made fit for a terminal (text.h). */
__attribute__((format(printf, 1, 2))) void cli_print(const char *fmt, ...);
/* A JSON document on one line. Does not take ownership. */
void cli_print_json(const cJSON *doc);
/* Milliseconds since 1970 as "2024-01-31T12:00:00Z". */
void cli_time(int64_t ms, char out[32]);

/* help.c */
int verb_help(struct cli *c);
int verb_completion(struct cli *c);
void help_verb(const struct verb *v);
void help_all(void);
void help_group(const char *group);

/* verb_key.c */
int verb_key_create(struct cli *c);
int verb_key_list(struct cli *c);
int verb_key_show(struct cli *c);
int verb_key_roll(struct cli *c);
int verb_key_delete(struct cli *c);
int verb_key_invalidate(struct cli *c);

/* verb_eek.c */
int verb_eek_generate(struct cli *c);
int verb_eek_decrypt(struct cli *c);
int verb_eek_reencrypt(struct cli *c);

/* verb_import.c, verb_bench.c, verb_doctor.c, verb_health.c, verb_store.c */
int verb_import(struct cli *c);
int verb_bench(struct cli *c);
int verb_doctor(struct cli *c);
int verb_health(struct cli *c);
int verb_version(struct cli *c);
int verb_export(struct cli *c);
int verb_store_verify(struct cli *c);
int verb_store_recover(struct cli *c);
int verb_owner_sign(struct cli *c);
int verb_owner_enroll(struct cli *c);
int verb_acl_check(struct cli *c);

/* verb_token.c */
int verb_token_get(struct cli *c);
int verb_token_renew(struct cli *c);
int verb_token_cancel(struct cli *c);

/* verb_audit.c */
int verb_audit_verify(struct cli *c);
int verb_audit_show(struct cli *c);

/* verb_measure.c */
int verb_measure(struct cli *c);

/* verb_attest.c */
int verb_attest_report(struct cli *c);
int verb_attest_verify(struct cli *c);

/*
 * Reads at most out->max bytes of a file ("-" is stdin) that holds a secret; warns when others may
 * read it. False: the error is printed.
 */
MUST_CHECK bool cli_read_file(struct cli *c, const char *path, bool secret, struct buf *out);

#endif
