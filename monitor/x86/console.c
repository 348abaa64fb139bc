/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console, and the end. The text of a line is ours or a number: nothing of a guest and no key is printed.
 */
#include <string.h>

#include "monitor/x86/x86.h"

static uint32_t console_lock;

static size_t add_text(char *line, size_t at, size_t max, const char *text)
{
	size_t n = strlen(text);

	if (n > max - at)
		n = max - at;
	memcpy(line + at, text, n);
	return at + n;
}

static size_t add_hex(char *line, size_t at, size_t max, uint64_t v)
{
	char digits[19] = "0x";
	unsigned n = 2, shift = 60;

	while (shift && !(v >> shift & 15))
		shift -= 4;
	for (;; shift -= 4) {
		digits[n++] = "0123456789abcdef"[v >> shift & 15];
		if (!shift)
			break;
	}
	digits[n] = 0;
	return add_text(line, at, max, digits);
}

static void print(const char *const *text, const uint64_t *number, unsigned count)
{
	char line[256];
	size_t n = add_text(line, 0, sizeof(line) - 2, "monitor: ");
	unsigned i;

	for (i = 0; i < count; i++) {
		n = add_text(line, n, sizeof(line) - 2, text[i]);
		if (number)
			n = add_hex(line, n, sizeof(line) - 2, number[i]);
	}
	line[n++] = '\r';
	line[n++] = '\n';
	spin_lock(&console_lock);
	console_write(line, n);
	spin_unlock(&console_lock);
}

void say(const char *text)
{
	print(&text, NULL, 1);
}

void say_number(const char *text, uint64_t v)
{
	print(&text, &v, 1);
}

void console_break(void)
{
	console_lock = 0;
}

void stop(enum mon_reason why, const char *text)
{
	const char *t[] = { "stopped: ", text };

	console_break();
	print(t, NULL, 2);
	mon_panic(&mon, why);
}

void invariant_failed(const char *what, const char *file, int line)
{
	say_number(file, (uint64_t)line);
	stop(MON_REASON_INVARIANT, what);
}

/* The compiler's: a random value, once there is one, between a function's arrays and its return address. */
uintptr_t __stack_chk_guard = 0x5bd1e9955bd1e995;
__attribute__((noreturn)) void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
	stop(MON_REASON_INVARIANT, "a stack is overwritten");
}
