/* SPDX-License-Identifier: Apache-2.0 */
/* `svsm-kms measure`: the launch digest that an attestation report of this image must show. */
#include <stdlib.h>

#include "client/cli.h"
#include "image/image.h"

/* Options that name a part's file, and the part. */
enum { PARTS = 5 };
struct inputs {
	struct buf file[PARTS];
	struct image_parts parts;
};

static int read_parts(struct cli *c, struct inputs *in)
{
	static const char *const names[PARTS] = { "monitor", "service", "platform", "kernel", "initrd" };
	struct slice *const to[PARTS] = { &in->parts.monitor, &in->parts.service, &in->parts.platform, &in->parts.kernel,
					  &in->parts.initrd };
	size_t i;

	for (i = 0; i < PARTS; i++) {
		const char *path = args_text(&c->args, names[i], NULL);

		in->file[i].max = IMAGE_FILE_MAX;
		if (!path)
			continue;
		if (!cli_read_file(c, path, false, &in->file[i]))
			return EXIT_USAGE;
		if (in->file[i].len == 0)
			return cli_fail(c, EXIT_USAGE, "%s: the file is empty", path);
		*to[i] = slice_of(in->file[i].p, in->file[i].len);
	}
	in->parts.cmdline = slice_str(args_text(&c->args, "cmdline", ""));
	in->parts.policy = args_number(&c->args, "policy", SNP_POLICY_DEFAULT);
	in->parts.guest_vmpl = (uint32_t)args_number(&c->args, "guest-vmpl", 1);
	return EXIT_OK;
}

static int print_measurement(struct cli *c, const char *name, struct slice file)
{
	char text[2 * SNP_DIGEST_LEN + 1];
	uint8_t digest[SNP_DIGEST_LEN];
	struct image img;
	const char *why;
	JSON *doc = NULL;
	size_t i;

	if (image_open(file, &img, &why) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "%s: %s", name, why);
	if (image_measure(&img, digest) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "libcrypto fails");
	for (i = 0; i < sizeof(digest); i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	if (!c->json) {
		cli_print("%s", text);
		return EXIT_OK;
	}
	doc = json_object();
	json_put_text(doc, "measurement", text);
	json_put_int(doc, "policy", (int64_t)img.policy);
	json_put_int(doc, "pages", img.pages);
	cli_print_json(doc);
	return EXIT_OK;
}

static int measure_parts(struct cli *c, struct inputs *in)
{
	uint8_t *file = NULL;
	const char *why;
	size_t len;
	int code = read_parts(c, in);

	if (code != EXIT_OK)
		return code;
	if (image_build(&in->parts, &file, &len, &why) != RC_OK)
		return cli_fail(c, EXIT_REFUSED, "%s", why);
	code = print_measurement(c, "the image", slice_of(file, len));
	free(file);
	return code;
}

int verb_measure(struct cli *c)
{
	static const char *const part_options[] = { "monitor", "service", "platform",   "kernel",
						    "initrd",  "cmdline", "guest-vmpl", "policy" };
	const char *image = args_text(&c->args, "image", NULL);
	struct inputs in = { 0 };
	size_t i;
	int code;

	if (!image) {
		code = args_has(&c->args, "monitor") ?
			       measure_parts(c, &in) :
			       cli_fail(c, EXIT_USAGE, "--image FILE, or the files it is built from, --monitor first");
	} else {
		for (i = 0; i < ARRAY_LEN(part_options); i++)
			if (args_has(&c->args, part_options[i]))
				return cli_fail(c, EXIT_USAGE, "--image and --%s exclude each other", part_options[i]);
		in.file[0].max = IMAGE_FILE_MAX;
		code = !cli_read_file(c, image, false, &in.file[0]) ?
			       EXIT_USAGE :
			       print_measurement(c, image, slice_of(in.file[0].p, in.file[0].len));
	}
	for (i = 0; i < PARTS; i++)
		buf_free(&in.file[i]);
	return code;
}
