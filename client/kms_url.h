/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of key management servers, as users write them:
 *
 *   http://HOST[:PORT][/PATH]            what curl understands; https:// too
 *   kms://http@HOST[;HOST...][:PORT][/PATH]   what Hadoop's configuration files say; kms://https@ too
 *
 * and the encoding of names in paths.
 */
#ifndef CLIENT_KMS_URL_H
#define CLIENT_KMS_URL_H

#include "client/buf.h"

#define KMS_HOSTS_MAX 8
#define KMS_HOST_MAX 255
#define KMS_PATH_MAX 255

struct kms_url {
	char host[KMS_HOSTS_MAX][KMS_HOST_MAX + 1];	/* IPv6 without its brackets */
	unsigned hosts;					/* at least 1 */
	uint16_t port;					/* 9600 when not given */
	bool tls;
	char path[KMS_PATH_MAX + 1];			/* "/kms" when not given; never ends with "/" */
};

/*
 * RC_OK: *out is set. RC_BAD_INPUT: anything else.
 * On failure *why is a static text for the user.
 */
enum rc kms_url_parse(struct slice in, struct kms_url *out, const char **why);

/* Adds a name with everything outside [A-Za-z0-9._*-] percent-encoded, as Hadoop's own client does. */
void kms_url_encode(struct buf *to, struct slice name);

#endif
