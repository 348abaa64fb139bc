/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reader of Hadoop configuration XML, on expat; see xml_conf.h for what it understands.
 *
 * What always holds: a failed load or reload leaves nothing half changed; no text of a file is
 * looked at before its size was checked; a document type ends the parse, so there are no entities
 * but the five of XML.
 */
#include "proxy/xml_conf.h"

#include <errno.h>
#include <expat.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/text.h"

#define INCLUDE_DEPTH_MAX 4
#define SUBST_MAX 20 /* Hadoop's own limit */
#define CHUNK 65536u

/* Texts live as long as their list and are freed together. */
struct chunk {
	struct chunk *next;
	size_t used, size;
	char bytes[];
};

struct list {
	struct chunk *chunks;
	size_t text; /* bytes handed out */
	struct conf_prop *props;
	size_t count, room;
	uint32_t *index; /* hash -> position + 1; a power of two, at most half full */
	size_t index_size;
	struct conf_note *notes;
	size_t note_count, note_room;
};

struct conf {
	char *dir;
	struct list lists[CONF_LISTS];
	struct stat acls_stat; /* of the kms-acls.xml last read, good or broken */
};

struct reader {
	XML_Parser xml;
	struct list *list;
	const char *file; /* in the list's texts */
	const char *dir;  /* for includes, or NULL */
	struct conf_error *err;
	enum rc rc;
	unsigned depth;  /* of includes */
	size_t elements; /* open elements */
	bool taking;     /* inside an element whose text counts */
	char *token;
	size_t token_len, token_room;
	/* the property being read */
	bool has_name, has_value, final;
	struct slice name, value;
	unsigned line;
	/* the include being read */
	bool fallback_allowed, fallback_entered;
};

/* ---- errors and texts ---- */

__attribute__((format(printf, 5, 6))) static enum rc
fail(struct conf_error *err, enum rc rc, const char *file, unsigned line, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (line)
		n = snprintf(err->text, sizeof(err->text), "%s:%u: ", file, line);
	else
		n = snprintf(err->text, sizeof(err->text), "%s: ", file);
	if (n < 0 || (size_t)n >= sizeof(err->text))
		return rc;
	va_start(ap, fmt);
	vsnprintf(err->text + n, sizeof(err->text) - (size_t)n, fmt, ap);
	va_end(ap);
	return rc;
}

/* A NUL-terminated copy in the list's texts; p is NULL when a limit or memory is exhausted. */
static struct slice text_copy(struct list *l, struct slice s)
{
	struct chunk *k = l->chunks;
	char *to;

	if (s.len >= CONF_TEXT_MAX - l->text)
		return slice_of(NULL, 0);
	if (!k || k->size - k->used <= s.len) {
		size_t size = s.len + 1 > CHUNK ? s.len + 1 : CHUNK;

		k = malloc(sizeof(*k) + size);
		if (!k)
			return slice_of(NULL, 0);
		*k = (struct chunk){.next = l->chunks, .size = size};
		l->chunks = k;
	}
	to = k->bytes + k->used;
	if (s.len)
		memcpy(to, s.p, s.len);
	to[s.len] = 0;
	k->used += s.len + 1;
	l->text += s.len + 1;
	return slice_of(to, s.len);
}

/* Room for one more element of `size` bytes; false when out of memory. */
MUST_CHECK static bool grow(void *array, size_t count, size_t *room, size_t size)
{
	void **a = array;
	size_t n = *room ? *room * 2 : 32;
	void *p;

	if (count < *room)
		return true;
	p = reallocarray(*a, n, size);
	if (!p)
		return false;
	*a = p;
	*room = n;
	return true;
}

static void list_free(struct list *l)
{
	while (l->chunks) {
		struct chunk *k = l->chunks;

		l->chunks = k->next;
		free(k);
	}
	free(l->props);
	free(l->index);
	free(l->notes);
	*l = (struct list){0};
}

/* ---- the list ---- */

static uint32_t hash(struct slice s)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return h ^ h >> 15;
}

static struct conf_prop *lookup(const struct list *l, struct slice name)
{
	size_t i;

	if (!l->index_size)
		return NULL;
	for (i = hash(name) & (l->index_size - 1); l->index[i]; i = (i + 1) & (l->index_size - 1))
		if (slice_eq(l->props[l->index[i] - 1].name, name))
			return &l->props[l->index[i] - 1];
	return NULL;
}

static void index_put(struct list *l, size_t pos)
{
	size_t i = hash(l->props[pos].name) & (l->index_size - 1);

	while (l->index[i])
		i = (i + 1) & (l->index_size - 1);
	l->index[i] = (uint32_t)pos + 1;
}

MUST_CHECK static bool index_grow(struct list *l)
{
	size_t n = l->index_size ? l->index_size * 2 : 128, i;
	uint32_t *p;

	if (l->count * 2 < l->index_size)
		return true;
	p = calloc(n, sizeof(*p));
	if (!p)
		return false;
	free(l->index);
	l->index = p;
	l->index_size = n;
	for (i = 0; i < l->count; i++)
		index_put(l, i);
	return true;
}

MUST_CHECK static bool note(struct list *l, enum conf_note_kind kind, struct slice name, const char *file,
			    unsigned line)
{
	if (!grow(&l->notes, l->note_count, &l->note_room, sizeof(*l->notes)))
		return false;
	l->notes[l->note_count++] =
		(struct conf_note){.kind = kind, .name = name, .file = file, .line = line};
	return true;
}

static struct conf_prop *add(struct list *l, struct slice name)
{
	struct conf_prop *p = lookup(l, name);

	if (p)
		return p;
	if (l->count >= CONF_PROPS_MAX || !grow(&l->props, l->count, &l->room, sizeof(*l->props)) ||
	    !index_grow(l))
		return NULL;
	p = &l->props[l->count++];
	*p = (struct conf_prop){.name = name};
	index_put(l, l->count - 1);
	return p;
}

/* One <property>: as Hadoop, a property without a value can still be final. */
static enum rc keep(struct list *l, struct slice name, const struct slice *value, bool final,
		    const char *file, unsigned line)
{
	struct conf_prop *p;
	bool ok = true;

	if (!value) {
		ok = note(l, CONF_NOTE_EMPTY, name, file, line);
		if (!ok || !final)
			return ok ? RC_OK : RC_NO_ROOM;
	}
	p = add(l, name);
	if (!p)
		return RC_NO_ROOM;
	if (p->final) {
		if (value && p->raw.p && slice_eq(p->raw, *value))
			return RC_OK;
		return note(l, CONF_NOTE_FINAL, name, file, line) ? RC_OK : RC_NO_ROOM;
	}
	if (value) {
		if (p->raw.p && p->file == file)
			ok = note(l, CONF_NOTE_TWICE, name, file, line);
		p->raw = *value;
	}
	p->file = file;
	p->line = line;
	p->final = final;
	return ok ? RC_OK : RC_NO_ROOM;
}

/* ---- XML ---- */

static unsigned line_of(const struct reader *r)
{
	XML_Size n = XML_GetCurrentLineNumber(r->xml);

	return n > UINT32_MAX ? 0 : (unsigned)n;
}

static void stop(struct reader *r, enum rc rc)
{
	r->rc = rc;
	XML_StopParser(r->xml, XML_FALSE);
}

static void stop_no_room(struct reader *r)
{
	stop(r, fail(r->err, RC_NO_ROOM, r->file, line_of(r),
		     "too many or too large properties; split the file or give the server more memory"));
}

/* Names come as "namespace\nlocal": Hadoop looks at the local name only. */
static const char *local(const char *name)
{
	const char *p = strrchr(name, '\n');

	return p ? p + 1 : name;
}

MUST_CHECK static bool is_true(struct slice s)
{
	return slice_is(s, "true");
}

static enum rc read_file(struct list *l, const char *dir, const char *name, unsigned depth, struct stat *st,
			 struct conf_error *err);

static void start_property(struct reader *r, const char **attr)
{
	r->has_name = r->has_value = r->final = false;
	r->line = line_of(r);
	for (; attr[0]; attr += 2) {
		const char *a = local(attr[0]);
		struct slice v = slice_str(attr[1]);

		if (strcmp(a, "name") == 0) {
			r->name = text_copy(r->list, v);
			r->has_name = true;
		} else if (strcmp(a, "value") == 0) {
			r->value = text_copy(r->list, v);
			r->has_value = true;
		} else if (strcmp(a, "final") == 0) {
			r->final = is_true(v);
		}
	}
	if ((r->has_name && !r->name.p) || (r->has_value && !r->value.p))
		stop_no_room(r);
}

static void start_include(struct reader *r, const char **attr)
{
	const char *href = NULL;
	enum rc rc;

	for (; attr[0]; attr += 2)
		if (strcmp(local(attr[0]), "href") == 0)
			href = attr[1];
	if (!href)
		return;
	if (!r->dir || strchr(href, '/') || strchr(href, ':') || href[0] == '.' || href[0] == 0) {
		stop(r,
		     fail(r->err, RC_BAD_INPUT, r->file, line_of(r),
			  "include of '%.200s' refused: only a file name in the same directory can be included; "
			  "copy the file there",
			  href));
		return;
	}
	if (r->depth >= INCLUDE_DEPTH_MAX) {
		stop(r, fail(r->err, RC_BAD_INPUT, r->file, line_of(r),
			     "includes are nested too deeply; does a file include itself?"));
		return;
	}
	rc = read_file(r->list, r->dir, href, r->depth + 1, NULL, r->err);
	if (rc == RC_BUSY) /* it does not exist */
		r->fallback_allowed = true;
	else if (rc != RC_OK)
		stop(r, rc);
}

static void on_start(void *user, const char *name, const char **attr)
{
	struct reader *r = user;
	const char *e = local(name);

	if (r->rc != RC_OK)
		return;
	if (r->elements++ == 0 && strcmp(e, "configuration") != 0) {
		stop(r,
		     fail(r->err, RC_BAD_INPUT, r->file, line_of(r),
			  "the document is <%.60s>, not <configuration>; is this a Hadoop configuration file?",
			  e));
		return;
	}
	if (strcmp(e, "property") == 0) {
		start_property(r, attr);
	} else if (strcmp(e, "name") == 0 || strcmp(e, "value") == 0 || strcmp(e, "final") == 0 ||
		   strcmp(e, "source") == 0 || strcmp(e, "tag") == 0) {
		r->taking = true;
		r->token_len = 0;
	} else if (strcmp(e, "include") == 0) {
		start_include(r, attr);
	} else if (strcmp(e, "fallback") == 0) {
		r->fallback_entered = true;
	}
}

static void end_property(struct reader *r)
{
	enum rc rc;

	if (!r->has_name || (!r->fallback_allowed && r->fallback_entered))
		return;
	rc = keep(r->list, r->name, r->has_value ? &r->value : NULL, r->final, r->file, r->line);
	if (rc != RC_OK)
		stop_no_room(r);
}

static void end_include(struct reader *r)
{
	if (r->fallback_allowed && !r->fallback_entered)
		stop(r, fail(r->err, RC_BAD_INPUT, r->file, line_of(r),
			     "the included file does not exist; create it, or add an empty <xi:fallback/>"));
	r->fallback_allowed = r->fallback_entered = false;
}

static void on_end(void *user, const char *name)
{
	struct reader *r = user;
	const char *e = local(name);
	struct slice t = slice_of(r->token ? r->token : "", r->token_len);

	if (r->rc != RC_OK)
		return;
	r->elements--;
	if (strcmp(e, "property") == 0) {
		end_property(r);
	} else if (strcmp(e, "include") == 0) {
		end_include(r);
	} else if (strcmp(e, "final") == 0) {
		r->final = is_true(t);
	} else if (strcmp(e, "name") == 0 && t.len) {
		r->name = text_copy(r->list, text_trim(t));
		r->has_name = true;
		if (!r->name.p)
			stop_no_room(r);
	} else if (strcmp(e, "value") == 0 && t.len) {
		r->value = text_copy(r->list, t);
		r->has_value = true;
		if (!r->value.p)
			stop_no_room(r);
	}
}

static void on_text(void *user, const char *s, int len)
{
	struct reader *r = user;
	size_t n = (size_t)len;

	if (r->rc != RC_OK || !r->taking)
		return;
	if (n > r->token_room - r->token_len) {
		size_t room = (r->token_len + n) * 2;
		char *p = realloc(r->token, room);

		if (!p) {
			stop_no_room(r);
			return;
		}
		r->token = p;
		r->token_room = room;
	}
	memcpy(r->token + r->token_len, s, n);
	r->token_len += n;
}

static void on_doctype(void *user, const char *name, const char *sysid, const char *pubid, int internal)
{
	struct reader *r = user;

	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	if (r->rc == RC_OK)
		stop(r,
		     fail(r->err, RC_BAD_INPUT, r->file, line_of(r),
			  "a document type (<!DOCTYPE ...>) is not accepted; remove it and write entities out"));
}

static enum rc reader_run(struct reader *r, struct slice xml)
{
	/* expat takes an int; files are far smaller */
	INVARIANT(xml.len <= CONF_FILE_MAX);
	XML_SetUserData(r->xml, r);
	XML_SetElementHandler(r->xml, on_start, on_end);
	XML_SetCharacterDataHandler(r->xml, on_text);
	XML_SetStartDoctypeDeclHandler(r->xml, on_doctype);
	if (XML_Parse(r->xml, (const char *)xml.p, (int)xml.len, 1) != XML_STATUS_OK && r->rc == RC_OK)
		r->rc = fail(
			r->err, RC_BAD_INPUT, r->file, line_of(r),
			"not valid XML (%s at column %lu); correct the file, `xmllint --noout` shows the place",
			XML_ErrorString(XML_GetErrorCode(r->xml)),
			(unsigned long)XML_GetCurrentColumnNumber(r->xml) + 1);
	return r->rc;
}

static enum rc read_xml(struct list *l, const char *dir, const char *path, struct slice xml, unsigned depth,
			struct conf_error *err)
{
	struct reader r = {.list = l, .dir = dir, .err = err, .depth = depth};
	struct slice file = text_copy(l, slice_str(path));
	enum rc rc = RC_NO_ROOM;

	if (xml.len > CONF_FILE_MAX)
		return fail(err, RC_NO_ROOM, path, 0, "larger than %u bytes; split it", CONF_FILE_MAX);
	r.file = (const char *)file.p;
	r.xml = XML_ParserCreateNS(NULL, '\n');
	if (r.xml && r.file)
		rc = reader_run(&r, xml);
	else
		rc = fail(err, RC_NO_ROOM, path, 0, "out of memory");
	if (r.xml)
		XML_ParserFree(r.xml);
	free(r.token);
	return rc;
}

/* ---- files ---- */

/* Reads an open file into *out (to be freed), at most CONF_FILE_MAX bytes. */
static enum rc slurp(int fd, const char *path, size_t size, char **out, size_t *len, struct conf_error *err)
{
	/* one byte more than its size: a file that grows meanwhile is read again at the next change */
	char *p = malloc(size + 1);
	size_t n = 0;

	if (!p)
		return fail(err, RC_NO_ROOM, path, 0, "out of memory");
	while (n < size) {
		ssize_t got = read(fd, p + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(p);
			return fail(err, RC_MACHINE, path, 0, "cannot be read: %s", strerror(errno));
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*out = p;
	*len = n;
	return RC_OK;
}

static enum rc read_fd(struct list *l, const char *dir, const char *path, int fd, unsigned depth,
		       struct stat *st, struct conf_error *err)
{
	size_t len = 0;
	char *p = NULL;
	struct slice label;
	enum rc rc;

	if (fstat(fd, st) != 0)
		return fail(err, RC_MACHINE, path, 0, "%s", strerror(errno));
	if (!S_ISREG(st->st_mode))
		return fail(err, RC_BAD_INPUT, path, 0, "not a regular file");
	if (st->st_size < 0 || (uintmax_t)st->st_size > CONF_FILE_MAX)
		return fail(err, RC_NO_ROOM, path, 0, "larger than %u bytes; split it", CONF_FILE_MAX);
	if (st->st_mode & S_IWOTH) {
		label = text_copy(l, slice_str(path));
		if (!label.p || !note(l, CONF_NOTE_WRITABLE, slice_str(""), (const char *)label.p, 0))
			return fail(err, RC_NO_ROOM, path, 0, "out of memory");
	}
	rc = slurp(fd, path, (size_t)st->st_size, &p, &len, err);
	if (rc == RC_OK)
		rc = read_xml(l, dir, path, slice_of(p, len), depth, err);
	free(p);
	return rc;
}

/* RC_BUSY: the file does not exist. st may be NULL; it is filled as soon as the file is open. */
static enum rc read_file(struct list *l, const char *dir, const char *name, unsigned depth, struct stat *st,
			 struct conf_error *err)
{
	struct stat unused;
	char path[4096];
	enum rc rc;
	int n, fd;

	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return fail(err, RC_BAD_INPUT, name, 0, "path too long");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return fail(err, RC_BUSY, path, 0, "does not exist");
	if (fd < 0)
		return fail(err, RC_MACHINE, path, 0,
			    "cannot be opened: %s; the server's user must be able to read it",
			    strerror(errno));
	rc = read_fd(l, dir, path, fd, depth, st ? st : &unused, err);
	close(fd);
	return rc;
}

/* ---- substitution ---- */

/* The first ${name} of s as Hadoop finds it: name holds no blank, no '$', no '}' and is not empty. */
MUST_CHECK static bool find_var(struct slice s, size_t *start, size_t *end)
{
	size_t at = 1;

	while (at < s.len) {
		const uint8_t *brace = memchr(s.p + at, '{', s.len - at);
		size_t b, i;

		if (!brace)
			return false;
		b = (size_t)(brace - s.p);
		if (b + 2 >= s.len)
			return false;
		at = b + 1;
		if (s.p[b - 1] != '$')
			continue;
		for (i = b + 1; i < s.len && s.p[i] != '}' && s.p[i] != ' ' && s.p[i] != '$'; i++)
			;
		if (i == s.len)
			return false;
		if (s.p[i] == '}' && i > b + 1) {
			*start = b + 1;
			*end = i;
			return true;
		}
		at = i + 1;
	}
	return false;
}

/* The environment variable called name, or NULL. */
static const char *env_get(struct slice name)
{
	char buf[256];

	if (name.len >= sizeof(buf))
		return NULL;
	memcpy(buf, name.p, name.len);
	buf[name.len] = 0;
	return getenv(buf);
}

/* NAME, NAME-default (used when unset), NAME:-default (when unset or empty). */
MUST_CHECK static bool env_var(struct slice v, struct slice *out)
{
	size_t i, skip;
	const char *e;

	for (i = 0; i < v.len; i++) {
		bool colon = v.p[i] == ':' && i + 1 < v.len && v.p[i + 1] == '-';

		if (!colon && v.p[i] != '-')
			continue;
		skip = colon ? 2 : 1;
		e = env_get(slice_of(v.p, i));
		*out = e && (*e || !colon) ? slice_str(e) : slice_of(v.p + i + skip, v.len - i - skip);
		return true;
	}
	e = env_get(v);
	if (e)
		*out = slice_str(e);
	return e != NULL;
}

static const char *user_home(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw && pw->pw_dir ? pw->pw_dir : getenv("HOME");
}

static const char *user_name(void)
{
	const struct passwd *pw = getpwuid(getuid());

	return pw ? pw->pw_name : getenv("USER");
}

static const char *user_dir(void)
{
	static char buf[4096];

	return getcwd(buf, sizeof(buf));
}

/* What Java would answer; user's values are looked up each time, which is rare. */
static const struct {
	const char *name;
	const char *value;
	const char *(*get)(void);
} system_props[] = {
	{"user.home", NULL, user_home},   {"user.name", NULL, user_name}, {"user.dir", NULL, user_dir},
	{"java.io.tmpdir", "/tmp", NULL}, {"file.separator", "/", NULL},  {"path.separator", ":", NULL},
	{"line.separator", "\n", NULL},   {"os.name", "Linux", NULL},
};

/* Defaults of core-default.xml that other properties are commonly built from. */
static const struct {
	const char *name;
	const char *value;
} raw_defaults[] = {
	{"hadoop.tmp.dir", "/tmp/hadoop-${user.name}"},
};

MUST_CHECK static bool var_value(const struct list *l, const char *dir, struct slice var, struct slice *out)
{
	const struct conf_prop *p;
	const char *v;
	size_t i;

	if (slice_starts(var, "env.") && var.len > 4 && env_var(slice_of(var.p + 4, var.len - 4), out))
		return true;
	if (slice_is(var, "kms.config.dir") && dir) {
		*out = slice_str(dir);
		return true;
	}
	for (i = 0; i < ARRAY_LEN(system_props); i++) {
		if (!slice_is(var, system_props[i].name))
			continue;
		v = system_props[i].get ? system_props[i].get() : system_props[i].value;
		if (v) {
			*out = slice_str(v);
			return true;
		}
	}
	p = lookup(l, var);
	if (p && p->raw.p) {
		*out = p->raw;
		return true;
	}
	for (i = 0; i < ARRAY_LEN(raw_defaults); i++) {
		if (slice_is(var, raw_defaults[i].name)) {
			*out = slice_str(raw_defaults[i].value);
			return true;
		}
	}
	return false;
}

/* s with s[from..to) replaced by v, in a fresh buffer; NULL when too long or out of memory. */
static char *replace_range(struct slice s, size_t from, size_t to, struct slice v, size_t *len)
{
	size_t n = s.len - (to - from);
	char *p;

	if (__builtin_add_overflow(n, v.len, &n) || n > CONF_VALUE_MAX)
		return NULL;
	p = malloc(n + 1);
	if (!p)
		return NULL;
	memcpy(p, s.p, from);
	if (v.len)
		memcpy(p + from, v.p, v.len);
	memcpy(p + from + v.len, s.p + to, s.len - to);
	*len = n;
	return p;
}

/* Fills p->value from p->raw. */
static enum rc substitute(struct list *l, const char *dir, struct conf_prop *p, struct conf_error *err)
{
	struct slice s = p->raw, v, ref;
	size_t start = 0, end = 0, len = 0;
	char *cur = NULL, *next;
	unsigned round;

	for (round = 0; round < SUBST_MAX; round++) {
		if (!find_var(s, &start, &end) || !var_value(l, dir, slice_of(s.p + start, end - start), &v))
			break;
		ref = slice_of(s.p + start - 2, end - start + 3);
		if (v.len >= ref.len && memmem(v.p, v.len, ref.p, ref.len)) {
			s = p->raw; /* refers to itself: left as it is written, as Hadoop does */
			break;
		}
		next = replace_range(s, start - 2, end + 1, v, &len);
		free(cur);
		if (!next)
			return fail(
				err, RC_NO_ROOM, p->file, p->line,
				"'%.*s' becomes longer than %u bytes; shorten the properties it refers to",
				TEXT_ARG(p->name), CONF_VALUE_MAX);
		cur = next;
		s = slice_of(cur, len);
	}
	if (round < SUBST_MAX)
		p->value = s.p == p->raw.p ? p->raw : text_copy(l, s);
	free(cur);
	if (round == SUBST_MAX)
		return fail(
			err, RC_BAD_INPUT, p->file, p->line,
			"'%.*s' needs more than %d substitutions; do its ${...} refer to each other in a circle?",
			TEXT_ARG(p->name), SUBST_MAX);
	if (!p->value.p)
		return fail(err, RC_NO_ROOM, p->file, p->line, "too much text; split the file");
	return RC_OK;
}

static enum rc list_seal(struct list *l, const char *dir, struct conf_error *err)
{
	enum rc rc = RC_OK;
	size_t i;

	for (i = 0; i < l->count && rc == RC_OK; i++)
		if (l->props[i].raw.p)
			rc = substitute(l, dir, &l->props[i], err);
	return rc;
}

/* ---- the public face ---- */

static enum rc load_acls(struct conf *c, struct list *l, struct stat *st, struct conf_error *err)
{
	enum rc rc = read_file(l, c->dir, "kms-acls.xml", 0, st, err);

	if (rc == RC_BUSY)
		return fail(
			err, RC_BAD_INPUT, c->dir, 0,
			"kms-acls.xml does not exist; without it no key could be used. Create it, for example with "
			"default.key.acl.MANAGEMENT, .GENERATE_EEK, .DECRYPT_EEK and .READ");
	if (rc != RC_OK)
		return rc;
	return list_seal(l, c->dir, err);
}

static enum rc load_site(struct conf *c, struct list *l, struct conf_error *err)
{
	enum rc rc = read_file(l, c->dir, "core-site.xml", 0, NULL, err);
	struct slice file;

	if (rc == RC_BUSY) {
		file = text_copy(l, slice_str("core-site.xml"));
		rc = file.p && note(l, CONF_NOTE_MISSING, slice_str(""), (const char *)file.p, 0)
			     ? RC_OK
			     : RC_NO_ROOM;
	}
	if (rc != RC_OK)
		return rc;
	rc = read_file(l, c->dir, "kms-site.xml", 0, NULL, err);
	if (rc == RC_BUSY)
		return fail(err, RC_BAD_INPUT, c->dir, 0,
			    "kms-site.xml does not exist; is this the configuration directory? An empty "
			    "<configuration/> will do");
	if (rc != RC_OK)
		return rc;
	return list_seal(l, c->dir, err);
}

/* In the configuration directory, or anywhere if its name is a whole path. It may be absent. */
static enum rc load_ssl(struct conf *c, struct list *l, struct conf_error *err)
{
	const struct slice *on = conf_get(c, "hadoop.kms.ssl.enabled"), *named = conf_get(c, "hadoop.ssl.server.conf");
	struct slice name = named && text_trim(*named).len ? text_trim(*named) : slice_str("ssl-server.xml");
	char path[4096], *slash;
	struct slice file;
	enum rc rc;

	if (!on || !text_is_nocase(text_trim(*on), "true"))
		return RC_OK;
	if (name.len >= sizeof(path))
		return fail(err, RC_BAD_INPUT, c->dir, 0, "hadoop.ssl.server.conf is too long for a path");
	snprintf(path, sizeof(path), "%.*s", (int)name.len, (const char *)name.p);
	slash = path[0] == '/' ? strrchr(path, '/') : NULL;
	if (slash)
		*slash = 0;
	rc = slash ? read_file(l, path, slash + 1, 0, NULL, err) : read_file(l, c->dir, path, 0, NULL, err);
	if (rc == RC_BUSY) {
		file = text_copy(l, name);
		return file.p && note(l, CONF_NOTE_MISSING, slice_str(""), (const char *)file.p, 0) ? RC_OK : RC_NO_ROOM;
	}
	return rc == RC_OK ? list_seal(l, c->dir, err) : rc;
}

struct conf *conf_new(void)
{
	return calloc(1, sizeof(struct conf));
}

enum rc conf_load_dir(const char *dir, struct conf **out, struct conf_error *err)
{
	struct conf *c = conf_new();
	enum rc rc;

	err->text[0] = 0;
	if (c)
		c->dir = strdup(dir);
	if (!c || !c->dir) {
		conf_free(c);
		return fail(err, RC_NO_ROOM, dir, 0, "out of memory");
	}
	rc = load_site(c, &c->lists[CONF_SITE], err);
	if (rc == RC_OK)
		rc = load_acls(c, &c->lists[CONF_ACLS], &c->acls_stat, err);
	if (rc == RC_OK)
		rc = load_ssl(c, &c->lists[CONF_SSL], err);
	if (rc != RC_OK) {
		conf_free(c);
		return rc;
	}
	err->text[0] = 0;
	*out = c;
	return RC_OK;
}

enum rc conf_parse(struct conf *c, enum conf_list list, const char *label, struct slice xml,
		   struct conf_error *err)
{
	err->text[0] = 0;
	return read_xml(&c->lists[list], NULL, label, xml, 0, err);
}

enum rc conf_seal(struct conf *c, enum conf_list list, struct conf_error *err)
{
	err->text[0] = 0;
	return list_seal(&c->lists[list], c->dir, err);
}

#define PROP(name, value) "<property><name>" name "</name><value>" value "</value></property>\n"

/* clang-format off */
static const char default_site[] = "<configuration>\n"
	PROP("hadoop.kms.http.host", "127.0.0.1")
	PROP("hadoop.kms.authentication.type", "simple")
	"</configuration>\n";

static const char default_acls[] = "<configuration>\n"
	PROP("hadoop.kms.acl.CREATE", "*")
	PROP("hadoop.kms.acl.DELETE", "*")
	PROP("hadoop.kms.acl.ROLLOVER", "*")
	PROP("hadoop.kms.acl.GET", "*")
	PROP("hadoop.kms.acl.GET_KEYS", "*")
	PROP("hadoop.kms.acl.GET_METADATA", "*")
	PROP("hadoop.kms.acl.SET_KEY_MATERIAL", "*")
	PROP("hadoop.kms.acl.GENERATE_EEK", "*")
	PROP("hadoop.kms.acl.DECRYPT_EEK", "*")
	PROP("default.key.acl.MANAGEMENT", "*")
	PROP("default.key.acl.GENERATE_EEK", "*")
	PROP("default.key.acl.DECRYPT_EEK", "*")
	PROP("default.key.acl.READ", "*")
	"</configuration>\n";
/* clang-format on */

enum rc conf_default(struct conf **out, struct conf_error *err)
{
	struct conf *c = conf_new();
	enum rc rc;

	if (!c)
		return fail(err, RC_NO_ROOM, "built-in", 0, "out of memory");
	rc = conf_parse(c, CONF_SITE, "built-in", slice_str(default_site), err);
	if (rc == RC_OK)
		rc = conf_seal(c, CONF_SITE, err);
	if (rc == RC_OK)
		rc = conf_parse(c, CONF_ACLS, "built-in", slice_str(default_acls), err);
	if (rc == RC_OK)
		rc = conf_seal(c, CONF_ACLS, err);
	if (rc != RC_OK) {
		conf_free(c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

void conf_free(struct conf *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < CONF_LISTS; i++)
		list_free(&c->lists[i]);
	free(c->dir);
	free(c);
}

const char *conf_dir(const struct conf *c)
{
	return c->dir;
}

const struct conf_prop *conf_find(const struct conf *c, enum conf_list list, struct slice name)
{
	const struct conf_prop *p = lookup(&c->lists[list], name);

	return p && p->value.p ? p : NULL;
}

const struct slice *conf_get(const struct conf *c, const char *name)
{
	const struct conf_prop *p = conf_find(c, CONF_SITE, slice_str(name));

	return p ? &p->value : NULL;
}

const struct conf_prop *conf_next(const struct conf *c, enum conf_list list, const char *prefix, size_t *at)
{
	const struct list *l = &c->lists[list];

	while (*at < l->count) {
		const struct conf_prop *p = &l->props[(*at)++];

		if (p->value.p && slice_starts(p->name, prefix))
			return p;
	}
	return NULL;
}

const struct conf_note *conf_note_next(const struct conf *c, enum conf_list list, size_t *at)
{
	const struct list *l = &c->lists[list];

	return *at < l->note_count ? &l->notes[(*at)++] : NULL;
}

bool conf_acls_changed(const struct conf *c)
{
	const struct stat *old = &c->acls_stat;
	char path[4096];
	struct stat now;
	int n;

	if (!c->dir)
		return false;
	n = snprintf(path, sizeof(path), "%s/kms-acls.xml", c->dir);
	if (n < 0 || (size_t)n >= sizeof(path) || stat(path, &now) != 0)
		return false;
	return now.st_ino != old->st_ino || now.st_dev != old->st_dev || now.st_size != old->st_size ||
	       now.st_mtim.tv_sec != old->st_mtim.tv_sec || now.st_mtim.tv_nsec != old->st_mtim.tv_nsec;
}

enum rc conf_acls_reload(struct conf *c,
			 enum rc (*check)(void *ctx, const struct conf *c, struct conf_error *err), void *ctx,
			 struct conf_error *err)
{
	struct list fresh = {0}, old;
	enum rc rc;

	err->text[0] = 0;
	if (!c->dir)
		return fail(err, RC_DENIED, "kms-acls.xml", 0,
			    "the server runs without a configuration directory");
	rc = load_acls(c, &fresh, &c->acls_stat, err);
	if (rc != RC_OK) {
		list_free(&fresh);
		return rc;
	}
	old = c->lists[CONF_ACLS];
	c->lists[CONF_ACLS] = fresh;
	if (check)
		rc = check(ctx, c, err);
	if (rc != RC_OK) {
		c->lists[CONF_ACLS] = old;
		list_free(&fresh);
		return rc;
	}
	list_free(&old);
	err->text[0] = 0;
	return RC_OK;
}
