/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule: DEFAULT, or RULE:[n:format](regex)s/from/to/g, either followed by "/L". n is the number of components it applies
 * to; $0 is the realm, $1 the primary, $2 the instance. As in Hadoop, the regex has to match all of the formatted text, it
 * ends at the first ')', and from and to end at the first '/'; nothing escapes those.
 */
#include <stdlib.h>

#include "service/names.h"
#include "service/regex.h"

struct rule {
	bool is_default, all, lower;
	uint64_t components;
	struct slice format, to;
	struct regex *match, *from;	/* NULL: none */
};
struct name_rules {
	bool mit;
	struct slice realm;
	uint8_t *text;			/* what the slices are of */
	size_t count;
	struct rule rule[NAMES_RULES_MAX];
};

MUST_CHECK static bool eat(struct cursor *c, const char *word)
{
	const uint8_t *p;

	return slice_starts(slice_of(c->at, c->left), word) && cur_take(c, strlen(word), &p);
}

/* All up to the next `end`, which is passed over. */
MUST_CHECK static bool until(struct cursor *c, char end, struct slice *out)
{
	const uint8_t *p = c->left ? memchr(c->at, end, c->left) : NULL, *skip;

	return p && cur_sub(c, (size_t)(p - c->at), out) && cur_take(c, 1, &skip);
}

static void skip_space(struct cursor *c)
{
	for (; c->left && (c->at[0] == ' ' || (c->at[0] >= '\t' && c->at[0] <= '\r')); c->left--)
		c->at++;
}

MUST_CHECK static bool digits(struct cursor *c, uint64_t *out)
{
	bool any = false;

	for (*out = 0; c->left && c->at[0] >= '0' && c->at[0] <= '9' && *out < 100000000; c->at++, c->left--) {
		*out = *out * 10 + c->at[0] - '0';
		any = true;
	}
	return any;
}

/* Writes a format with its parameters, of which there are `count` besides $0; false if it names another. NULL: only looks. */
MUST_CHECK static bool format_write(struct slice format, const struct slice *param, uint64_t count, struct sink *out)
{
	struct cursor c = cur_of(format.p, format.len);
	uint64_t n;
	uint8_t b;

	while (cur_u8(&c, &b)) {
		if (b == '$' && (!digits(&c, &n) || n > count))
			return false;
		if (b == '$' && out)
			sink_put(out, param[n].p, param[n].len);
		else if (out)
			sink_u8(out, b);
	}
	return true;
}

static enum rc substitution_parse(struct cursor *c, struct rule *r, const char **why)
{
	struct slice from;
	enum rc rc;

	*why = "s/from/to/ has to end with a slash";
	if (!until(c, '/', &from) || !until(c, '/', &r->to))
		return RC_BAD_INPUT;
	rc = regex_compile(from, &r->from, why);
	if (rc != RC_OK)
		return rc;
	*why = "the replacement names a group that the expression does not have, or ends with a backslash";
	if (!regex_replacement_valid(r->from, r->to))
		return RC_BAD_INPUT;
	r->all = eat(c, "g");
	return RC_OK;
}

static enum rc rule_parse(struct cursor *c, struct rule *r, const char **why)
{
	struct slice match;
	enum rc rc;

	r->is_default = eat(c, "DEFAULT");
	if (!r->is_default) {
		*why = "a rule is DEFAULT or RULE:[n:format](regex)s/from/to/g/L";
		if (!eat(c, "RULE:[") || !digits(c, &r->components) || !eat(c, ":") || !until(c, ']', &r->format))
			return RC_BAD_INPUT;
		*why = "a parameter in [n:format] is $0 to $n";
		if (!format_write(r->format, NULL, r->components, NULL))
			return RC_BAD_INPUT;
		if (eat(c, "(")) {
			*why = "a regular expression has to end with )";
			if (!until(c, ')', &match))
				return RC_BAD_INPUT;
			rc = regex_compile(match, &r->match, why);
			if (rc != RC_OK)
				return rc;
		}
		if (eat(c, "s/")) {
			rc = substitution_parse(c, r, why);
			if (rc != RC_OK)
				return rc;
		}
	}
	(void)!eat(c, "/");
	r->lower = eat(c, "L") && !r->is_default;
	return RC_OK;
}

static enum rc rules_parse(struct name_rules *n, struct cursor c, const char **why)
{
	enum rc rc;

	for (skip_space(&c); c.left; skip_space(&c)) {
		*why = "more than 256 rules";
		if (n->count == NAMES_RULES_MAX)
			return RC_NO_ROOM;
		rc = rule_parse(&c, &n->rule[n->count++], why);
		if (rc != RC_OK)
			return rc;
	}
	if (n->count == 0)
		n->rule[n->count++].is_default = true;
	*why = NULL;
	return RC_OK;
}

enum rc names_parse(struct slice rules, bool mit, struct slice realm, struct name_rules **out, const char **why)
{
	struct name_rules *n = calloc(1, sizeof(*n));
	enum rc rc;

	*why = "no memory";
	if (!n || !(n->text = malloc(rules.len + realm.len + 1))) {
		free(n);
		return RC_NO_ROOM;
	}
	n->mit = mit;
	if (rules.len)
		memcpy(n->text, rules.p, rules.len);
	if (realm.len)
		memcpy(n->text + rules.len, realm.p, realm.len);
	n->realm = slice_of(n->text + rules.len, realm.len);
	rc = rules_parse(n, cur_of(n->text, rules.len), why);
	if (rc == RC_OK)
		*out = n;
	else
		names_free(n);
	return rc;
}

void names_free(struct name_rules *n)
{
	size_t i;

	if (!n)
		return;
	for (i = 0; i < n->count; i++) {
		regex_free(n->rule[i].match);
		regex_free(n->rule[i].from);
	}
	free(n->text);
	free(n);
}

/* What Hadoop writes for the realm of a name that has none; no rule DEFAULT takes it for one. */
static const struct slice no_realm = { (const uint8_t *)"null", 4 };

/* param[0]: the realm, or no_realm; then the components, *count of them. */
MUST_CHECK static bool principal_parse(struct slice p, struct slice param[3], size_t *count)
{
	size_t i, start = 0, part = 1;

	param[0] = no_realm;
	*count = 0;
	for (i = 0; i <= p.len; i++) {
		uint8_t b = i < p.len ? p.p[i] : 0;

		if (i < p.len && (b < ' ' || b == 0x7f))
			return false;
		if (i < p.len && b != '/' && b != '@')
			continue;
		/* nothing empty, no third component, nothing behind the realm */
		if (i == start || part > 2 || (part == 0 && i < p.len))
			return false;
		param[part] = slice_of(p.p + start, i - start);
		*count += part != 0;
		part = b == '@' ? 0 : part + 1;
		start = i + 1;
	}
	return true;
}

/* RC_DENIED: this rule does not apply. */
static enum rc rule_apply(const struct name_rules *n, const struct rule *r, const struct slice param[3], size_t count,
			  char *out, size_t room, size_t *len)
{
	char base[REGEX_TEXT_MAX];
	struct sink s = sink_of(base, sizeof(base)), to = sink_of(out, room);
	struct regex_match m;
	struct slice text;
	enum rc rc;

	if (r->is_default) {
		if (param[0].p == no_realm.p || !slice_eq(n->realm, param[0]))
			return RC_DENIED;
		sink_put(&s, param[1].p, param[1].len);
	} else if (r->components != count || !format_write(r->format, param, count, &s)) {
		return RC_DENIED;
	}
	if (!sink_ok(&s))
		return RC_NO_ROOM;
	text = slice_of(base, sizeof(base) - s.left);
	if (r->match) {
		rc = regex_search(r->match, text, 0, true, &m);
		if (rc != RC_OK)
			return rc;
	}
	if (r->from)
		return regex_replace(r->from, text, r->to, r->all, out, room, len);
	sink_put(&to, text.p, text.len);
	*len = text.len;
	return sink_ok(&to) ? RC_OK : RC_NO_ROOM;
}

/* The result of the rule that applied. */
static enum rc result_check(const struct name_rules *n, const struct rule *r, char *out, size_t len)
{
	size_t i;

	if (len == 0)
		return RC_DENIED;
	for (i = 0; i < len; i++) {
		if ((uint8_t)out[i] < ' ' || out[i] == 0x7f)
			return RC_DENIED;
		if (!n->mit && (out[i] == '/' || out[i] == '@'))
			return RC_DENIED;
		if (r->lower && out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
	}
	return RC_OK;
}

enum rc names_map(const struct name_rules *n, struct slice principal, char *out, size_t room, size_t *len)
{
	struct slice param[3] = { 0 };
	enum rc rc = RC_DENIED;
	size_t count, i;
	bool is_short;

	if (principal.len > NAMES_PRINCIPAL_MAX || !principal_parse(principal, param, &count))
		return RC_DENIED;
	is_short = param[0].p == no_realm.p && count == 1;
	for (i = 0; !is_short && rc == RC_DENIED && i < n->count; i++) {
		rc = rule_apply(n, &n->rule[i], param, count, out, room, len);
		if (rc == RC_OK)
			return result_check(n, &n->rule[i], out, *len);
	}
	if (rc != RC_DENIED || (!is_short && !n->mit))
		return rc;
	/* short already, or taken as it is */
	if (principal.len > room)
		return RC_NO_ROOM;
	memcpy(out, principal.p, principal.len);
	*len = principal.len;
	return RC_OK;
}
