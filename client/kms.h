/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Hadoop KMS REST interface as functions, and what its errors mean to a user. Documents are
 * checked (types, ranges, that they speak of the key asked for) before a verb sees them.
 *
 * cJSON's memory is wiped when freed (kms_json_init), since documents carry key material.
 */
#ifndef CLIENT_KMS_H
#define CLIENT_KMS_H

#include <cjson/cJSON.h>

#include "client/session.h"

#define KMS_BODY_MAX (32u << 20)	/* largest response read, bytes: a million names fit */
#define KMS_MATERIAL_MAX 4096		/* bytes of one key */

struct kms;

/* Once, before any other call: documents are wiped when they are freed. */
void kms_json_init(void);

struct kms *kms_open(const struct session_options *o);	/* NULL: out of memory */
void kms_close(struct kms *k);
struct session *kms_session(struct kms *k);

/* About the last call that returned false: an exit code, and a text that may hold anything. */
int kms_error_code(const struct kms *k);
const char *kms_error(const struct kms *k);
/* The last call failed since no login can be made: the next will fare no better. */
MUST_CHECK bool kms_shut_out(const struct kms *k);
/* Records an error of the caller's own; returns false. */
__attribute__((format(printf, 3, 4))) bool kms_fail(struct kms *k, int code, const char *fmt, ...);

struct kms_request {
	const char *method;
	const char *root;	/* NULL: below the configured path; else an absolute path such as "/health" */
	const char *before;	/* "/v1/key/" */
	const char *name;	/* encoded here; may be NULL */
	const char *about;	/* the key's name, for errors, when it is not in the path; may be NULL */
	const char *after;	/* "/_metadata"; may be NULL */
	const char *query;	/* encoded by the caller; may be NULL */
	const cJSON *body;	/* may be NULL; borrowed */
	unsigned want;		/* the status that means success */
	bool anonymous;
	bool no_document;	/* success has no body to parse */
};

/* *doc is the caller's to delete; NULL with no_document. */
MUST_CHECK bool kms_call(struct kms *k, const struct kms_request *r, cJSON **doc);

/* GET documents, checked. A key that is missing is EXIT_NOT_FOUND. */
MUST_CHECK bool kms_names(struct kms *k, cJSON **doc);
MUST_CHECK bool kms_metadata(struct kms *k, const char *name, cJSON **doc);
MUST_CHECK bool kms_versions(struct kms *k, const char *name, cJSON **doc);	/* with material */

/* True when the document has the form; `name` NULL accepts any key. */
MUST_CHECK bool kms_is_metadata(const cJSON *doc, const char *name);
MUST_CHECK bool kms_is_version(const cJSON *doc, const char *name);
MUST_CHECK bool kms_is_eek(const cJSON *doc);

/* A string member or NULL; an integer member, false when absent, fractional or out of range. */
const char *json_text(const cJSON *o, const char *member);
MUST_CHECK bool json_int(const cJSON *o, const char *member, int64_t min, int64_t max, int64_t *out);
const cJSON *doc_member(const cJSON *o, const char *member);
/* Builders; out of memory ends the program. */
cJSON *json_object(void);
void json_put_text(cJSON *o, const char *member, const char *value);	/* NULL: JSON null */
void json_put_int(cJSON *o, const char *member, int64_t value);
void json_put_copy(cJSON *o, const char *member, const cJSON *value);

/* Parses one document that fills the text, which ends with a zero at text[len]. NULL: not JSON. */
cJSON *doc_parse(const char *text, size_t len);

void json_drop(cJSON **doc);
#define JSON __attribute__((cleanup(json_drop))) cJSON

#endif
