/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request bodies: cJSON, and what has to hold beyond it. Refused: anything behind the value, members
 * that occur twice, NUL characters (cJSON's texts end there, and two readers would see two names), more
 * than a quarter of a million values, invalid UTF-8, raw control characters in texts, and numbers that
 * JSON does not have (cJSON reads both).
 */
#ifndef PROXY_JSON_H
#define PROXY_JSON_H

#include <cjson/cJSON.h>

#include "base/base.h"

enum json_fault { JSON_FINE, JSON_EMPTY, JSON_CUT, JSON_SYNTAX, JSON_MANY, JSON_TWICE, JSON_NUL, JSON_UTF8 };

/* NULL and the fault, or the value, to be freed with cJSON_Delete(). A JSON null is a value. */
cJSON *json_parse(struct slice body, enum json_fault *fault);
const char *json_fault_text(enum json_fault f);

static inline void json_drop(cJSON **j)
{
	cJSON_Delete(*j);
}
#define JSON_VALUE __attribute__((cleanup(json_drop))) cJSON

/*
 * The short way for the requests that come most: one object of a few members, each a text of printable
 * ASCII without escapes. False: anything else, right or wrong; then json_parse() has to look at it.
 * What this accepts json_parse() accepts with the same meaning. Slices point into the body.
 */
#define JSON_FLAT_MAX 8
struct json_flat {
	size_t count;
	struct {
		struct slice name, value;
	} member[JSON_FLAT_MAX];
};
MUST_CHECK bool json_flat(struct slice body, struct json_flat *out);
/* False, and an empty slice, when it is not there. Names are compared exactly. */
MUST_CHECK bool json_flat_get(const struct json_flat *j, const char *name, struct slice *out);

/* The member, or NULL when it is absent or null. Names are compared exactly. */
const cJSON *json_member(const cJSON *object, const char *name);

#endif
