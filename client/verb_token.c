/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `svsm-kms token`: delegation tokens of Hadoop KMS. What `get` prints is what --token reads: whoever has it is its owner
 * until it ends, so it goes to a file of its own and never into arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cli.h"

/* A new file that only its owner reads. */
static int write_token(struct cli *c, const char *path, const char *text)
{
	CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);

	if (fd < 0)
		return cli_fail(c, EXIT_USAGE, "%s: %s", path, strerror(errno));
	if (write(fd, text, len) != (ssize_t)len || write(fd, "\n", 1) != 1 || fsync(fd) != 0)
		return cli_fail(c, EXIT_REFUSED, "%s: %s", path, strerror(errno));
	return EXIT_OK;
}

int verb_token_get(struct cli *c)
{
	struct kms_request r = { .method = "GET", .before = "/v1/", .want = 200 };
	const char *renewer = args_text(&c->args, "renewer", NULL), *out = args_text(&c->args, "out", NULL), *text;
	BUF query = { .max = 4096 };
	struct kms *k = cli_kms(c);
	JSON *doc = NULL;

	if (!k)
		return EXIT_USAGE;
	buf_str(&query, "op=GETDELEGATIONTOKEN");
	if (renewer) {
		buf_str(&query, "&renewer=");
		kms_url_encode(&query, slice_str(renewer));
	}
	r.query = buf_text(&query);
	if (!r.query)
		return cli_fail(c, EXIT_USAGE, "--renewer: the name is too long");
	if (!kms_call(k, &r, &doc))
		return cli_fail_kms(c, k);
	text = json_text(doc_member(doc, "Token"), "urlString");
	if (!text)
		return cli_fail(c, EXIT_REFUSED, "the server's answer is not a delegation token");
	if (out)
		return write_token(c, out, text);
	if (c->json)
		cli_print_json(doc);
	else
		cli_print("%s", text);
	return EXIT_OK;
}

/* The token in a file is what the request is about; who asks is said as always. */
static int about_token(struct cli *c, const char *op, struct kms_request *r, cJSON **doc)
{
	BUF file = { .max = 16384 };
	BUF query = { .max = 65536 };
	const char *token = cli_token(c, c->args.words[0], &file);
	struct kms *k = token ? cli_kms(c) : NULL;

	if (!k)
		return EXIT_USAGE;
	buf_fmt(&query, "op=%s&token=", op);
	kms_url_encode(&query, slice_str(token));
	r->method = "PUT";
	r->before = "/v1/";
	r->want = 200;
	r->query = buf_text(&query);
	if (!r->query)
		return cli_fail(c, EXIT_USAGE, "%s: the token is too long", c->args.words[0]);
	return kms_call(k, r, doc) ? EXIT_OK : cli_fail_kms(c, k);
}

int verb_token_renew(struct cli *c)
{
	struct kms_request r = { 0 };
	JSON *doc = NULL;
	int64_t until = 0;
	char time[32];
	int code = about_token(c, "RENEWDELEGATIONTOKEN", &r, &doc);

	if (code != EXIT_OK)
		return code;
	if (!json_int(doc, "long", 0, INT64_MAX, &until))
		return cli_fail(c, EXIT_REFUSED, "the server's answer is not a time");
	cli_time(until, time);
	if (c->json)
		cli_print_json(doc);
	else
		cli_print("good until %s", time);
	return EXIT_OK;
}

int verb_token_cancel(struct cli *c)
{
	struct kms_request r = { .no_document = true };
	int code = about_token(c, "CANCELDELEGATIONTOKEN", &r, NULL);

	if (code == EXIT_OK)
		cli_note(c, "cancelled");
	return code;
}
