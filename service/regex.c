/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern becomes a program of a few instructions with relative jumps, so that a piece of it can be moved and repeated as
 * it is. The program runs as Java's matcher does, alternative after alternative, but remembers where it has been: no
 * instruction is tried twice at one place of the text, since what failed there once fails again. So time and memory
 * are at most program times text. The pattern is the owner's; the text is a client's. Nothing recurses on the text.
 */
#include <stdlib.h>

#include "service/regex.h"

#define PROGRAM_MAX 512u
#define CLASSES_MAX 64u
#define DEPTH_MAX 16u
#define REPEAT_MAX 255u
#define FOREVER UINT32_MAX
#define SLOTS (2 * REGEX_GROUPS)

enum op { OP_CHAR, OP_ANY, OP_CLASS, OP_SPLIT, OP_JUMP, OP_SAVE, OP_BEGIN, OP_END, OP_MATCH };
struct inst {
	uint8_t op, c;		/* c: byte, class or slot */
	int16_t x, y;		/* relative: where to go; of a split, x is preferred */
};
struct class {
	uint8_t bits[32];
};
struct regex {
	unsigned groups;	/* without group 0 */
	bool icase;
	size_t len, nclasses;
	struct inst prog[PROGRAM_MAX];
	struct class class[CLASSES_MAX];
};

struct compiler {
	struct cursor in;
	struct regex *re;
	unsigned depth;
	const char *why;
};

static bool fail(struct compiler *c, const char *why)
{
	c->why = c->why ? c->why : why;
	return false;
}

MUST_CHECK static bool peek(const struct compiler *c, char want)
{
	return c->in.left && c->in.at[0] == (uint8_t)want;
}

MUST_CHECK static bool eat(struct compiler *c, char want)
{
	const uint8_t *p;

	return peek(c, want) && cur_take(&c->in, 1, &p);
}

MUST_CHECK static bool emit(struct compiler *c, enum op op, unsigned ch, size_t x, size_t y)
{
	if (c->re->len == PROGRAM_MAX)
		return fail(c, "an expression as large as this is not supported");
	c->re->prog[c->re->len++] =
		(struct inst){ .op = (uint8_t)op, .c = (uint8_t)ch, .x = (int16_t)x, .y = (int16_t)y };
	return true;
}

static bool is_digit(uint8_t b)
{
	return b >= '0' && b <= '9';
}

static uint8_t lower(uint8_t b)
{
	return b >= 'A' && b <= 'Z' ? (uint8_t)(b + 32) : b;
}

static void class_add(struct class *k, unsigned from, unsigned to)
{
	for (; from <= to; from++)
		k->bits[from / 8] |= (uint8_t)(1u << from % 8);
}

static bool class_has(const struct class *k, unsigned b)
{
	return k->bits[b / 8] >> b % 8 & 1;
}

/* What follows a backslash: a byte, or (*set) all of a class, which is added to k. */
MUST_CHECK static bool escape(struct compiler *c, uint8_t *b, struct class *k, bool *set)
{
	struct class all = { 0 };
	size_t i;

	if (!cur_u8(&c->in, b))
		return fail(c, "a backslash at the end");
	*set = strchr("dws", lower(*b)) && *b;
	if (!*set && (*b >= 0x80 || is_digit(*b) || (lower(*b) >= 'a' && lower(*b) <= 'z')))
		return fail(c, "an escape other than \\d \\w \\s \\D \\W \\S and of punctuation is not supported");
	if (lower(*b) == 's') {
		class_add(&all, '\t', '\r');
		class_add(&all, ' ', ' ');
	} else {
		class_add(&all, '0', '9');
	}
	if (lower(*b) == 'w') {
		class_add(&all, 'a', 'z');
		class_add(&all, 'A', 'Z');
		class_add(&all, '_', '_');
	}
	for (i = 0; *set && i < sizeof(all.bits); i++)
		k->bits[i] |= (uint8_t)(*b < 'a' ? ~all.bits[i] : all.bits[i]);
	return true;
}

MUST_CHECK static bool class_emit(struct compiler *c, struct class *k, bool invert)
{
	unsigned i;

	for (i = 'a'; c->re->icase && i <= 'z'; i++)
		if (class_has(k, i) || class_has(k, i - 32)) {
			class_add(k, i, i);
			class_add(k, i - 32, i - 32);
		}
	for (i = 0; invert && i < sizeof(k->bits); i++)
		k->bits[i] = (uint8_t)~k->bits[i];
	if (c->re->nclasses == CLASSES_MAX)
		return fail(c, "an expression with so many classes is not supported");
	c->re->class[c->re->nclasses] = *k;
	return emit(c, OP_CLASS, (unsigned)c->re->nclasses++, 0, 0);
}

/* One end of a range, or a whole class (*set), which is added to k. */
MUST_CHECK static bool class_item(struct compiler *c, uint8_t *b, struct class *k, bool *set)
{
	*set = false;
	if (!cur_u8(&c->in, b))
		return fail(c, "a class without ]");
	if (*b == '\\')
		return escape(c, b, k, set);
	if (*b == '[' || (*b == '&' && peek(c, '&')) || *b >= 0x80)
		return fail(c, "nested classes, && and characters beyond ASCII in a class are not supported");
	return true;
}

MUST_CHECK static bool class_parse(struct compiler *c)
{
	bool invert = eat(c, '^'), set, end_is_set = false;
	struct class k = { 0 };
	uint8_t from, to;

	if (peek(c, ']'))
		return fail(c, "] as the first character of a class is not supported; write \\]");
	while (!eat(c, ']')) {
		if (!class_item(c, &from, &k, &set))
			return false;
		if (set)
			continue;
		to = from;
		if (c->in.left > 1 && c->in.at[1] != ']' && eat(c, '-') && !class_item(c, &to, &k, &end_is_set))
			return false;
		if (end_is_set || to < from)
			return fail(c, "a range in a class that is not one");
		class_add(&k, from, to);
	}
	return class_emit(c, &k, invert);
}

/* These set *empty: it may match without consuming anything. */
MUST_CHECK static bool alternatives(struct compiler *c, bool *empty);

/* Behind the opening parenthesis. */
MUST_CHECK static bool group(struct compiler *c, bool *empty)
{
	unsigned n = 0;

	if (!eat(c, '?'))
		n = ++c->re->groups;
	else if (!eat(c, ':'))
		return fail(c, "(?...) other than (?:...), and (?i) in front, is not supported");
	if (n >= REGEX_GROUPS || ++c->depth > DEPTH_MAX)
		return fail(c, "more than nine groups, and groups nested as deep as this, are not supported");
	if ((n && !emit(c, OP_SAVE, 2 * n, 0, 0)) || !alternatives(c, empty))
		return false;
	c->depth--;
	if (!eat(c, ')'))
		return fail(c, "a group without )");
	return !n || emit(c, OP_SAVE, 2 * n + 1, 0, 0);
}

/* A literal character: all bytes of a longer one, so that a repetition is of the whole. */
MUST_CHECK static bool literal(struct compiler *c, uint8_t b)
{
	bool more = b >= 0xc0;

	if (!emit(c, OP_CHAR, c->re->icase ? lower(b) : b, 0, 0))
		return false;
	while (more && c->in.left && (c->in.at[0] & 0xc0) == 0x80)
		if (!cur_u8(&c->in, &b) || !emit(c, OP_CHAR, b, 0, 0))
			return false;
	return true;
}

MUST_CHECK static bool atom(struct compiler *c, bool *empty)
{
	struct class k = { 0 };
	bool set;
	uint8_t b;

	if (!cur_u8(&c->in, &b) || strchr("*+?{", b ? b : 'x'))
		return fail(c, "nothing to repeat in front of * + ? or {");
	*empty = b == '^' || b == '$';
	switch (b) {
	case '(':
		return group(c, empty);
	case '[':
		return class_parse(c);
	case '.':
		return emit(c, OP_ANY, 0, 0, 0);
	case '^':
		return emit(c, OP_BEGIN, 0, 0, 0);
	case '$':
		return emit(c, OP_END, 0, 0, 0);
	case '\\':
		if (!escape(c, &b, &k, &set))
			return false;
		return set ? class_emit(c, &k, false) : literal(c, b);
	default:
		return literal(c, b);
	}
}

MUST_CHECK static bool number(struct compiler *c, uint32_t *out)
{
	bool any = false;

	for (*out = 0; c->in.left && is_digit(c->in.at[0]) && *out <= REPEAT_MAX; any = true) {
		*out = *out * 10 + c->in.at[0] - '0';
		c->in = cur_of(c->in.at + 1, c->in.left - 1);
	}
	return any && *out <= REPEAT_MAX;
}

/* Without a quantifier: once. */
MUST_CHECK static bool quantifier(struct compiler *c, uint32_t *min, uint32_t *max, bool *lazy)
{
	bool bad = false;

	*min = 0;
	*max = FOREVER;
	if (eat(c, '{')) {
		bad = !number(c, min);
		*max = *min;
		if (eat(c, ',') && !number(c, max))
			*max = peek(c, '}') ? FOREVER : 0;
		if (bad || *max < *min || !eat(c, '}'))
			return fail(c, "a repetition is {m}, {m,} or {m,n} with m up to n, both up to 255");
	} else if (eat(c, '+')) {
		*min = 1;
	} else if (eat(c, '?')) {
		*max = 1;
	} else if (!eat(c, '*')) {
		*min = *max = 1;
		return true;
	}
	*lazy = eat(c, '?');
	if (peek(c, '+') || peek(c, '*') || peek(c, '?') || peek(c, '{'))
		return fail(c, "a possessive or a second quantifier is not supported");
	return true;
}

MUST_CHECK static bool split(struct compiler *c, bool lazy, size_t to, size_t other)
{
	return emit(c, OP_SPLIT, 0, lazy ? other : to, lazy ? to : other);
}

/* The piece from `start` on, `min` to `max` times. */
MUST_CHECK static bool repeat(struct compiler *c, size_t start, uint32_t min, uint32_t max, bool lazy)
{
	struct regex *re = c->re;
	struct inst piece[PROGRAM_MAX];
	size_t len = re->len - start, j;
	uint32_t i, times = max == FOREVER ? min + (min == 0) : max;

	memcpy(piece, &re->prog[start], len * sizeof(piece[0]));
	re->len = start;
	for (i = 0; i < times; i++) {
		/* An optional one can be left for the end of them all; forever comes back behind itself. */
		if (i >= min && !split(c, lazy, 1, max == FOREVER ? len + 2 : (times - i) * (len + 1)))
			return false;
		for (j = 0; j < len; j++)
			if (!emit(c, piece[j].op, piece[j].c, (size_t)piece[j].x, (size_t)piece[j].y))
				return false;
	}
	if (max != FOREVER)
		return true;
	return min ? split(c, lazy, -len, 1) : emit(c, OP_JUMP, 0, -(len + 1), 0);
}

MUST_CHECK static bool sequence(struct compiler *c, bool *empty)
{
	*empty = true;
	while (c->in.left && !peek(c, '|') && !(peek(c, ')') && c->depth)) {
		size_t start = c->re->len;
		uint32_t min, max;
		bool lazy = false, nothing;

		if (peek(c, ')'))
			return fail(c, "a ) without (");
		if (!atom(c, &nothing) || !quantifier(c, &min, &max, &lazy))
			return false;
		/* Java goes round once more for nothing, and its groups show it. Nobody needs that. */
		if (max > 1 && nothing)
			return fail(c, "a repetition of something that may be empty is not supported");
		if ((min != 1 || max != 1) && !repeat(c, start, min, max, lazy))
			return false;
		*empty = *empty && (nothing || min == 0);
	}
	return true;
}

/* a|b|c: SPLIT a JUMP SPLIT b JUMP c; the jumps to the end are chained by index + 1 until the end is known. */
MUST_CHECK static bool alternatives(struct compiler *c, bool *empty)
{
	struct inst *prog = c->re->prog;
	size_t chain = 0, start, len;
	bool one;

	for (*empty = false;;) {
		start = c->re->len;
		if (!sequence(c, &one))
			return false;
		*empty = *empty || one;
		if (!eat(c, '|'))
			break;
		len = c->re->len - start;
		if (!emit(c, OP_JUMP, 0, 0, 0) || !emit(c, OP_JUMP, 0, chain, 0))
			return false;
		memmove(&prog[start + 1], &prog[start], len * sizeof(prog[0]));
		prog[start] = (struct inst){ .op = OP_SPLIT, .x = 1, .y = (int16_t)(len + 2) };
		chain = c->re->len;
	}
	while (chain) {
		struct inst *jump = &prog[chain - 1];

		start = chain - 1;
		chain = (size_t)jump->x;
		jump->x = (int16_t)(c->re->len - start);
	}
	return true;
}

enum rc regex_compile(struct slice pattern, struct regex **out, const char **why)
{
	struct compiler c = { .in = cur_of(pattern.p, pattern.len), .re = calloc(1, sizeof(struct regex)) };
	const uint8_t *p;
	bool empty;

	*why = "no memory";
	if (!c.re)
		return RC_NO_ROOM;
	if (slice_starts(pattern, "(?i)"))
		c.re->icase = cur_take(&c.in, 4, &p);
	if (!emit(&c, OP_SAVE, 0, 0, 0) || !alternatives(&c, &empty) || !emit(&c, OP_SAVE, 1, 0, 0) ||
	    !emit(&c, OP_MATCH, 0, 0, 0)) {
		*why = c.why;
		free(c.re);
		return RC_BAD_INPUT;
	}
	*out = c.re;
	*why = NULL;
	return RC_OK;
}

void regex_free(struct regex *re)
{
	free(re);
}

unsigned regex_groups(const struct regex *re)
{
	return re->groups;
}

/* Where to go on when all else has failed, or (slot >= 0) what to put back into a slot before. */
struct later {
	int16_t slot;
	uint16_t pc, pos;
};
struct machine {
	const struct regex *re;
	struct slice text;
	bool whole;
	uint16_t slot[SLOTS];
	uint8_t *seen;		/* bits: instruction and place */
	struct later *stack;
	size_t depth;
};

static void push(struct machine *m, int slot, size_t pc, size_t pos)
{
	m->stack[m->depth++] = (struct later){ (int16_t)slot, (uint16_t)pc, (uint16_t)pos };
}

/* One instruction at one place. False: it does not match there. */
MUST_CHECK static bool step(struct machine *m, size_t *pc, size_t *pos)
{
	const struct inst *i = &m->re->prog[*pc];
	bool in = *pos < m->text.len;
	uint8_t b = in ? m->text.p[*pos] : 0;

	switch (i->op) {
	case OP_CHAR:
		in = in && (m->re->icase ? lower(b) : b) == i->c;
		break;
	case OP_ANY:
		in = in && b != '\n' && b != '\r';
		break;
	case OP_CLASS:
		in = in && class_has(&m->re->class[i->c], b);
		break;
	case OP_SPLIT:
		push(m, -1, *pc + (size_t)i->y, *pos);
		[[fallthrough]];
	case OP_JUMP:
		*pc += (size_t)i->x;
		return true;
	case OP_SAVE:
		push(m, i->c, 0, m->slot[i->c]);
		m->slot[i->c] = (uint16_t)*pos;
		*pc += 1;
		return true;
	default:
		*pc += 1;
		return *pos == (i->op == OP_BEGIN ? 0 : m->text.len);
	}
	*pc += 1;
	*pos += 1;
	return in;
}

/* From one place on. Slots are as they were if it fails. */
MUST_CHECK static bool run(struct machine *m, size_t pos)
{
	size_t pc, bit;

	push(m, -1, 0, pos);
	while (m->depth) {
		const struct later *l = &m->stack[--m->depth];

		if (l->slot >= 0) {
			m->slot[l->slot] = l->pos;
			continue;
		}
		pc = l->pc;
		pos = l->pos;
		do {
			if (m->re->prog[pc].op == OP_MATCH && (!m->whole || pos == m->text.len))
				return true;
			bit = pc * (m->text.len + 1) + pos;
			if (m->re->prog[pc].op == OP_MATCH || m->seen[bit / 8] >> bit % 8 & 1)
				break;
			m->seen[bit / 8] |= (uint8_t)(1u << bit % 8);
		} while (step(m, &pc, &pos));
	}
	return false;
}

enum rc regex_search(const struct regex *re, struct slice text, size_t from, bool whole, struct regex_match *out)
{
	struct machine m = { .re = re, .text = text, .whole = whole };
	size_t places = re->len * (text.len + 1), i;
	bool found = false;

	if (text.len > REGEX_TEXT_MAX || from > text.len)
		return RC_NO_ROOM;
	m.seen = calloc(1, places / 8 + 1);
	m.stack = malloc((places + 1) * sizeof(*m.stack));
	memset(m.slot, 0xff, sizeof(m.slot));	/* REGEX_NONE */
	for (i = from; m.seen && m.stack && !found && i <= (whole ? from : text.len); i++)
		found = run(&m, i);
	for (i = 0; i < REGEX_GROUPS; i++) {
		out->at[i] = m.slot[2 * i + 1] == REGEX_NONE ? REGEX_NONE : m.slot[2 * i];
		out->end[i] = m.slot[2 * i + 1];
	}
	free(m.seen);
	free(m.stack);
	if (!m.seen || !m.stack)
		return RC_MACHINE;
	return found ? RC_OK : RC_DENIED;
}

/* One element of a replacement: a byte, or a group (*group_no >= 0). Its number goes on as long as there is such a group. */
MUST_CHECK static bool replacement_next(const struct regex *re, struct cursor *c, uint8_t *b, int *group_no)
{
	*group_no = -1;
	if (!cur_u8(c, b))
		return false;
	if (*b == '\\')
		return cur_u8(c, b);
	if (*b != '$')
		return true;
	for (*group_no = 0; cur_u8(c, b) && is_digit(*b); ) {
		*group_no = *group_no * 10 + *b - '0';
		if (!c->left || !is_digit(c->at[0]) || *group_no * 10 + c->at[0] - '0' > (int)re->groups)
			return *group_no <= (int)re->groups;
	}
	return false;
}

bool regex_replacement_valid(const struct regex *re, struct slice to)
{
	struct cursor c = cur_of(to.p, to.len);
	uint8_t b;
	int n;

	while (c.left)
		if (!replacement_next(re, &c, &b, &n))
			return false;
	return true;
}

enum rc regex_replace(const struct regex *re, struct slice text, struct slice to, bool all, char *out, size_t room,
		      size_t *len)
{
	struct sink s = sink_of(out, room);
	size_t from = 0, copied = 0;
	struct regex_match m;
	enum rc rc = RC_OK;
	uint8_t b;
	int n;

	while (from <= text.len && (rc = regex_search(re, text, from, false, &m)) == RC_OK) {
		struct cursor c = cur_of(to.p, to.len);

		sink_put(&s, text.p + copied, m.at[0] - copied);
		while (c.left && replacement_next(re, &c, &b, &n))
			if (n < 0)
				sink_u8(&s, b);
			else if (m.at[n] != REGEX_NONE)
				sink_put(&s, text.p + m.at[n], (size_t)(m.end[n] - m.at[n]));
		copied = m.end[0];
		if (!all)
			break;
		from = copied + (m.at[0] == m.end[0]);	/* an empty match does not stand in the way of the next */
	}
	if (rc != RC_OK && rc != RC_DENIED)
		return rc;
	sink_put(&s, text.p + copied, text.len - copied);
	*len = room - s.left;
	return sink_ok(&s) ? RC_OK : RC_NO_ROOM;
}
