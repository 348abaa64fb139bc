/* SPDX-License-Identifier: Apache-2.0 */
/* See krb5_conf.h. */
#include "proxy/krb5_conf.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/text.h"

#define FILE_MAX (1u << 20)

/* Cuts the next line off. */
static struct slice line_of(struct slice *text)
{
	const uint8_t *end = memchr(text->p, '\n', text->len);
	size_t n = end ? (size_t)(end - text->p) : text->len;
	struct slice line = slice_of(text->p, n);

	n += end != NULL;
	*text = slice_of(text->p + n, text->len - n);
	return text_trim(line);
}

bool krb5_conf_realm(struct slice text, struct slice *realm)
{
	bool inside = false;

	while (text.len) {
		struct slice line = line_of(&text), name;
		const uint8_t *eq;

		if (line.len == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (line.p[0] == '[') {
			inside = slice_starts(line, "[libdefaults]");
			continue;
		}
		eq = memchr(line.p, '=', line.len);
		name = eq ? text_trim(slice_of(line.p, (size_t)(eq - line.p))) : line;
		if (!inside || !eq || !slice_is(name, "default_realm"))
			continue;
		*realm = text_trim(slice_of(eq + 1, (size_t)(line.p + line.len - eq - 1)));
		return realm->len != 0;
	}
	return false;
}

static bool realm_in(const char *path, char *out, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct slice realm;
	bool found = false;
	uint8_t *text;
	ssize_t n;

	if (fd < 0)
		return false;
	text = malloc(FILE_MAX);
	n = text ? read(fd, text, FILE_MAX) : -1;
	if (n > 0 && krb5_conf_realm(slice_of(text, (size_t)n), &realm) && realm.len < room) {
		snprintf(out, room, "%.*s", (int)realm.len, (const char *)realm.p);
		found = true;
	}
	free(text);
	close(fd);
	return found;
}

bool krb5_conf_default_realm(char *out, size_t room)
{
	const char *list = getenv("KRB5_CONFIG"), *end;
	char path[4096];

	for (list = list && *list ? list : "/etc/krb5.conf"; list; list = *end ? end + 1 : NULL) {
		end = strchrnul(list, ':');
		snprintf(path, sizeof(path), "%.*s", (int)(end - list < 4000 ? end - list : 4000), list);
		if (realm_in(path, out, room))
			return true;
	}
	return false;
}
