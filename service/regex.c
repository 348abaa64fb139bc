/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern becomes a program of a few instructions with relative jumps, so that a piece of it can be moved and repeated
 * as it is. The program runs as a Pike machine: all threads step through the text together, in order of preference, and no
 * two stand at the same instruction. The pattern is the owner's; the text is a client's.
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
	if (!c->why)
		c->why = why;
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

MUST_CHECK static bool emit(struct compiler *c, struct inst i)
{
	if (c->re->len == PROGRAM_MAX)
		return fail(c, "an expression as large as this is not supported");
	c->re->prog[c->re->len++] = i;
	return true;
}

/* Room for one instruction at `at`, which is the start of a piece. */
MUST_CHECK static bool insert(struct compiler *c, size_t at, struct inst i)
{
	struct regex *re = c->re;

	if (!emit(c, i))
		return false;
	memmove(&re->prog[at + 1], &re->prog[at], (re->len - 1 - at) * sizeof(re->prog[0]));
	re->prog[at] = i;
	return true;
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

static bool class_has(const struct class *k, uint8_t b)
{
	return k->bits[b / 8] >> b % 8 & 1;
}

static void class_invert(struct class *k)
{
	size_t i;

	for (i = 0; i < sizeof(k->bits); i++)
		k->bits[i] = (uint8_t)~k->bits[i];
}

MUST_CHECK static bool is_alnum(uint8_t b)
{
	return (lower(b) >= 'a' && lower(b) <= 'z') || (b >= '0' && b <= '9');
}

/* What follows a backslash: a byte, or a class (true in *set). */
MUST_CHECK static bool escape(struct compiler *c, uint8_t *b, struct class *k, bool *set)
{
	*k = (struct class){ 0 };
	if (!cur_u8(&c->in, b))
		return fail(c, "a backslash at the end");
	*set = true;
	switch (lower(*b)) {
	case 'd':
		class_add(k, '0', '9');
		break;
	case 'w':
		class_add(k, '0', '9');
		class_add(k, 'a', 'z');
		class_add(k, 'A', 'Z');
		class_add(k, '_', '_');
		break;
	case 's':
		class_add(k, '\t', '\r');
		class_add(k, ' ', ' ');
		break;
	default:
		*set = false;
		if (is_alnum(*b) || *b >= 0x80)
			return fail(c, "an escape other than \\d \\w \\s \\D \\W \\S and of punctuation is not supported");
		return true;
	}
	if (*b < 'a')
		class_invert(k);
	return true;
}

MUST_CHECK static bool class_emit(struct compiler *c, struct class *k, bool invert)
{
	unsigned i;

	if (c->re->icase)
		for (i = 'a'; i <= 'z'; i++)
			if (class_has(k, (uint8_t)i) || class_has(k, (uint8_t)(i - 32))) {
				class_add(k, i, i);
				class_add(k, i - 32, i - 32);
			}
	if (invert)
		class_invert(k);
	if (c->re->nclasses == CLASSES_MAX)
		return fail(c, "an expression with so many classes is not supported");
	c->re->class[c->re->nclasses] = *k;
	return emit(c, (struct inst){ .op = OP_CLASS, .c = (uint8_t)c->re->nclasses++ });
}

/* One end of a range, or a whole class (*set). */
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
	struct class all = { 0 }, k;
	bool invert = eat(c, '^'), set;
	uint8_t from, to;
	size_t i;

	if (peek(c, ']'))
		return fail(c, "] as the first character of a class is not supported; write \\]");
	while (!eat(c, ']')) {
		if (!class_item(c, &from, &k, &set))
			return false;
		if (set) {
			for (i = 0; i < sizeof(k.bits); i++)
				all.bits[i] |= k.bits[i];
			continue;
		}
		to = from;
		if (c->in.left > 1 && peek(c, '-') && c->in.at[1] != ']') {
			if (!eat(c, '-') || !class_item(c, &to, &k, &set))
				return false;
			if (set || to < from)
				return fail(c, "a range in a class that is not one");
		}
		class_add(&all, from, to);
	}
	return class_emit(c, &all, invert);
}

MUST_CHECK static bool alternatives(struct compiler *c);

/* Behind the opening parenthesis. */
MUST_CHECK static bool group(struct compiler *c)
{
	unsigned n = 0;

	if (eat(c, '?')) {
		if (!eat(c, ':'))
			return fail(c, "(?...) other than (?:...), and (?i) in front, is not supported");
	} else {
		n = ++c->re->groups;
		if (n >= REGEX_GROUPS)
			return fail(c, "more than nine groups are not supported");
	}
	if (++c->depth > DEPTH_MAX)
		return fail(c, "groups nested as deep as this are not supported");
	if ((n && !emit(c, (struct inst){ .op = OP_SAVE, .c = (uint8_t)(2 * n) })) || !alternatives(c))
		return false;
	c->depth--;
	if (!eat(c, ')'))
		return fail(c, "a group without )");
	return !n || emit(c, (struct inst){ .op = OP_SAVE, .c = (uint8_t)(2 * n + 1) });
}

/* A literal character: all bytes of a longer one, so that a repetition is of the whole. */
MUST_CHECK static bool literal(struct compiler *c, uint8_t b)
{
	if (!emit(c, (struct inst){ .op = OP_CHAR, .c = c->re->icase ? lower(b) : b }))
		return false;
	while (b >= 0xc0 && c->in.left && (c->in.at[0] & 0xc0) == 0x80) {
		uint8_t more;

		if (!cur_u8(&c->in, &more) || !emit(c, (struct inst){ .op = OP_CHAR, .c = more }))
			return false;
	}
	return true;
}

MUST_CHECK static bool atom(struct compiler *c)
{
	struct class k;
	bool set;
	uint8_t b;

	if (!cur_u8(&c->in, &b))
		return fail(c, "nothing to repeat");
	switch (b) {
	case '(':
		return group(c);
	case '[':
		return class_parse(c);
	case '.':
		return emit(c, (struct inst){ .op = OP_ANY });
	case '^':
		return emit(c, (struct inst){ .op = OP_BEGIN });
	case '$':
		return emit(c, (struct inst){ .op = OP_END });
	case '*':
	case '+':
	case '?':
	case '{':
		return fail(c, "nothing to repeat in front of * + ? or {");
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
	uint8_t b = 0;
	uint32_t v = 0;
	bool any = false;

	while (c->in.left && c->in.at[0] >= '0' && c->in.at[0] <= '9' && v <= REPEAT_MAX && cur_u8(&c->in, &b)) {
		v = v * 10 + b - '0';
		any = true;
	}
	*out = v;
	return any && v <= REPEAT_MAX;
}

/* *there false: no quantifier follows. */
MUST_CHECK static bool quantifier(struct compiler *c, uint32_t *min, uint32_t *max, bool *lazy, bool *there)
{
	*min = 0;
	*max = FOREVER;
	*there = true;
	if (eat(c, '{')) {
		if (!number(c, min))
			return fail(c, "a repetition {m,n} with numbers up to 255 is wanted");
		*max = *min;
		if (eat(c, ',')) {
			*max = FOREVER;
			if (!peek(c, '}') && (!number(c, max) || *max < *min))
				return fail(c, "a repetition {m,n} with m up to n, both up to 255, is wanted");
		}
		if (!eat(c, '}'))
			return fail(c, "a repetition without }");
	} else if (eat(c, '+')) {
		*min = 1;
	} else if (eat(c, '?')) {
		*max = 1;
	} else if (!eat(c, '*')) {
		*there = false;
		return true;
	}
	*lazy = eat(c, '?');
	if (peek(c, '+') || peek(c, '*') || peek(c, '?') || peek(c, '{'))
		return fail(c, "a possessive or a second quantifier is not supported");
	return true;
}

MUST_CHECK static bool emit_split(struct compiler *c, bool lazy, int to, int other)
{
	return emit(c, (struct inst){ .op = OP_SPLIT, .x = (int16_t)(lazy ? other : to), .y = (int16_t)(lazy ? to : other) });
}

/* Can the piece from `start` on be passed without consuming anything? */
MUST_CHECK static bool may_be_empty(const struct regex *re, size_t start)
{
	bool reached[PROGRAM_MAX + 1] = { [0] = true }, more = true;
	size_t i, len = re->len - start;

	while (more)
		for (more = false, i = 0; i < len; i++) {
			const struct inst *in = &re->prog[start + i];
			bool split = in->op == OP_SPLIT, jump = split || in->op == OP_JUMP;
			size_t to = i + (size_t)(jump ? in->x : 1), other = i + (size_t)(split ? in->y : 0);

			if (!reached[i] || in->op == OP_CHAR || in->op == OP_ANY || in->op == OP_CLASS)
				continue;
			more = more || !reached[to] || !reached[other];
			reached[to] = reached[other] = true;
		}
	return reached[len];
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
		size_t left = (times - i) * (len + 1);

		if (i >= min && (left > PROGRAM_MAX || !emit_split(c, lazy, 1, (int)(max == FOREVER ? len + 2 : left))))
			return fail(c, "an expression as large as this is not supported");
		for (j = 0; j < len; j++)
			if (!emit(c, piece[j]))
				return false;
	}
	if (max != FOREVER)
		return true;
	if (min == 0)
		return emit(c, (struct inst){ .op = OP_JUMP, .x = (int16_t)-(int)(len + 1) });
	return emit_split(c, lazy, -(int)len, 1);
}

MUST_CHECK static bool sequence(struct compiler *c)
{
	while (c->in.left && !peek(c, '|') && !(peek(c, ')') && c->depth)) {
		size_t start = c->re->len;
		bool lazy = false, there;
		uint32_t min, max;

		if (peek(c, ')'))
			return fail(c, "a ) without (");
		if (!atom(c) || !quantifier(c, &min, &max, &lazy, &there))
			return false;
		/* Java goes round once more for nothing, and its groups show it. Nobody needs that. */
		if (there && max > 1 && may_be_empty(c->re, start))
			return fail(c, "a repetition of something that may be empty is not supported");
		if (there && !repeat(c, start, min, max, lazy))
			return false;
	}
	return true;
}

/* a|b|c: SPLIT a JUMP SPLIT b JUMP c; the jumps to the end are chained by index + 1 until the end is known. */
MUST_CHECK static bool alternatives(struct compiler *c)
{
	struct regex *re = c->re;
	int16_t chain = 0;

	for (;;) {
		size_t start = re->len;

		if (!sequence(c))
			return false;
		if (!eat(c, '|'))
			break;
		if (!insert(c, start, (struct inst){ .op = OP_SPLIT, .x = 1, .y = (int16_t)(re->len - start + 2) }) ||
		    !emit(c, (struct inst){ .op = OP_JUMP, .x = chain }))
			return false;
		chain = (int16_t)re->len;
	}
	while (chain) {
		struct inst *jump = &re->prog[chain - 1];
		int16_t next = jump->x;

		jump->x = (int16_t)(re->len - (size_t)(chain - 1));
		chain = next;
	}
	return true;
}

enum rc regex_compile(struct slice pattern, struct regex **out, const char **why)
{
	struct compiler c = { .in = cur_of(pattern.p, pattern.len), .re = calloc(1, sizeof(struct regex)) };
	const uint8_t *p;

	*why = "no memory";
	if (!c.re)
		return RC_NO_ROOM;
	if (slice_starts(pattern, "(?i)"))
		c.re->icase = cur_take(&c.in, 4, &p);
	if (emit(&c, (struct inst){ .op = OP_SAVE, .c = 0 }) && alternatives(&c) &&
	    emit(&c, (struct inst){ .op = OP_SAVE, .c = 1 }) && emit(&c, (struct inst){ .op = OP_MATCH })) {
		*out = c.re;
		*why = NULL;
		return RC_OK;
	}
	*why = c.why;
	free(c.re);
	return RC_BAD_INPUT;
}

void regex_free(struct regex *re)
{
	free(re);
}

unsigned regex_groups(const struct regex *re)
{
	return re->groups;
}

struct thread {
	uint16_t pc;
	uint16_t slot[SLOTS];
};
struct list {
	size_t len;
	struct thread t[PROGRAM_MAX];
};
struct machine {
	const struct regex *re;
	struct slice text;
	uint32_t step, seen[PROGRAM_MAX];	/* the step at which an instruction was last reached */
	/* of follow(): where to go on, or with slot >= 0 what to put back */
	struct {
		uint16_t pc, value;
		int16_t slot;
	} stack[2 * PROGRAM_MAX];
	struct list list[2];
};

static uint16_t go(uint16_t pc, int16_t by)
{
	return (uint16_t)(pc + by);
}

/* Adds to `l` whatever pc leads to without consuming a byte at `pos`, best first. t: scratch with the slots so far. */
static void follow(struct machine *m, struct list *l, struct thread *t, uint16_t pc, size_t pos)
{
	size_t depth = 0;

	m->stack[depth].slot = -1;
	m->stack[depth++].pc = pc;
	while (depth) {
		const struct inst *i;

		if (m->stack[--depth].slot >= 0) {
			t->slot[m->stack[depth].slot] = m->stack[depth].value;
			continue;
		}
		pc = m->stack[depth].pc;
		for (;;) {
			if (m->seen[pc] == m->step)
				break;
			m->seen[pc] = m->step;
			i = &m->re->prog[pc];
			if (i->op == OP_JUMP) {
				pc = go(pc, i->x);
			} else if (i->op == OP_SPLIT) {
				m->stack[depth].slot = -1;
				m->stack[depth++].pc = go(pc, i->y);
				pc = go(pc, i->x);
			} else if (i->op == OP_SAVE) {
				m->stack[depth].slot = i->c;
				m->stack[depth++].value = t->slot[i->c];
				t->slot[i->c] = (uint16_t)pos;
				pc++;
			} else if ((i->op == OP_BEGIN && pos == 0) || (i->op == OP_END && pos == m->text.len)) {
				pc++;
			} else {
				if (i->op != OP_BEGIN && i->op != OP_END) {
					l->t[l->len] = *t;
					l->t[l->len++].pc = pc;
				}
				break;
			}
		}
	}
}

MUST_CHECK static bool consumes(const struct regex *re, const struct inst *i, uint8_t b)
{
	if (i->op == OP_CHAR)
		return (re->icase ? lower(b) : b) == i->c;
	if (i->op == OP_ANY)
		return b != '\n' && b != '\r';
	return i->op == OP_CLASS && class_has(&re->class[i->c], b);
}

static bool run(struct machine *m, size_t from, bool whole, struct thread *best)
{
	struct list *now = &m->list[0], *next = &m->list[1], *swap;
	bool found = false;
	size_t pos, i;

	m->step = 1;
	for (pos = from; pos <= m->text.len; pos++) {
		if (!found && (pos == from || !whole)) {	/* a thread that begins here comes last */
			struct thread t;

			memset(&t, 0xff, sizeof(t));	/* REGEX_NONE */
			follow(m, now, &t, 0, pos);
		}
		m->step++;
		next->len = 0;
		for (i = 0; i < now->len; i++) {
			struct thread *t = &now->t[i];
			const struct inst *in = &m->re->prog[t->pc];

			if (in->op == OP_MATCH && (!whole || pos == m->text.len)) {
				*best = *t;
				found = true;
				break;	/* the others are worse */
			}
			if (pos < m->text.len && consumes(m->re, in, m->text.p[pos]))
				follow(m, next, t, (uint16_t)(t->pc + 1), pos + 1);
		}
		swap = now;
		now = next;
		next = swap;
		if (now->len == 0 && (found || whole))
			break;
	}
	return found;
}

enum rc regex_search(const struct regex *re, struct slice text, size_t from, bool whole, struct regex_match *out)
{
	struct thread best;
	struct machine *m;
	bool found;
	size_t i;

	if (text.len > REGEX_TEXT_MAX || from > text.len)
		return RC_NO_ROOM;
	m = calloc(1, sizeof(*m));
	if (!m)
		return RC_MACHINE;
	m->re = re;
	m->text = text;
	found = run(m, from, whole, &best);
	free(m);
	if (!found)
		return RC_DENIED;
	for (i = 0; i < REGEX_GROUPS; i++) {
		out->at[i] = best.slot[2 * i];
		out->end[i] = best.slot[2 * i + 1];
		if (out->end[i] == REGEX_NONE || out->at[i] == REGEX_NONE)
			out->at[i] = out->end[i] = REGEX_NONE;
	}
	return RC_OK;
}

/* One element of a replacement: a byte, or a group (*group >= 0). The number goes on as long as there is such a group. */
MUST_CHECK static bool replacement_next(const struct regex *re, struct cursor *c, uint8_t *b, int *group_no)
{
	*group_no = -1;
	if (!cur_u8(c, b))
		return false;
	if (*b == '\\')
		return cur_u8(c, b);
	if (*b != '$')
		return true;
	if (!cur_u8(c, b) || *b < '0' || *b > '9')
		return false;
	*group_no = *b - '0';
	while (c->left && c->at[0] >= '0' && c->at[0] <= '9' && *group_no * 10 + c->at[0] - '0' <= (int)re->groups) {
		if (!cur_u8(c, b))
			return false;
		*group_no = *group_no * 10 + *b - '0';
	}
	return *group_no <= (int)re->groups;
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

static void substitute(const struct regex *re, struct slice text, const struct regex_match *m, struct slice to,
		       struct sink *out)
{
	struct cursor c = cur_of(to.p, to.len);
	uint8_t b;
	int n;

	while (c.left && replacement_next(re, &c, &b, &n)) {
		if (n < 0)
			sink_u8(out, b);
		else if (m->at[n] != REGEX_NONE)
			sink_put(out, text.p + m->at[n], (size_t)(m->end[n] - m->at[n]));
	}
}

enum rc regex_replace(const struct regex *re, struct slice text, struct slice to, bool all, char *out, size_t room,
		      size_t *len)
{
	struct sink s = sink_of(out, room);
	size_t from = 0, copied = 0;
	struct regex_match m;
	enum rc rc = RC_OK;

	while (from <= text.len && (rc = regex_search(re, text, from, false, &m)) == RC_OK) {
		sink_put(&s, text.p + copied, m.at[0] - copied);
		substitute(re, text, &m, to, &s);
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
