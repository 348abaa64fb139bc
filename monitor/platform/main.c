/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform service as a program: one thread, two descriptors, no files, no environment. It ends when its
 * requests end; a request cut short, or anything else that cannot be, ends it with a failure.
 */
#include <unistd.h>

#include "monitor/platform/work.h"

void invariant_failed(const char *what, const char *file, int line)
{
	(void)what;
	(void)file;
	(void)line;
	_exit(70);
}

/* False at the end of the requests; does not return when one is cut short. */
static bool read_all(void *p, size_t len)
{
	uint8_t *to = p;
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		n = read(0, to + have, len - have);
		if (n == 0 && have == 0)
			return false;
		if (n <= 0)
			_exit(71);
		have += (size_t)n;
	}
	return true;
}

static void write_all(const void *p, size_t len)
{
	const uint8_t *from = p;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = write(1, from + done, len - done);
		if (n <= 0)
			_exit(72);
		done += (size_t)n;
	}
}

int main(void)
{
	static struct platform_req req;
	static struct platform_rsp rsp;
	static struct platform p;

	if (!platform_start(&p))
		return 69;
	while (read_all(&req, sizeof(req))) {
		platform_work(&p, &req, &rsp);
		write_all(&rsp, sizeof(rsp));
		mem_wipe(&rsp, sizeof(rsp));
	}
	return 0;
}
