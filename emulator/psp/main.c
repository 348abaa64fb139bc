/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secure processor as a program: one thread, two descriptors, no files, no environment. It ends when its
 * requests end; a request that cannot be read whole ends it with a failure.
 */
#include <unistd.h>

#include "emulator/psp/work.h"

void invariant_failed(const char *what, const char *file, int line)
{
	(void)what;
	(void)file;
	(void)line;
	_exit(70);
}

/* False at the end of the requests; does not return when one is cut short. */
static bool read_all(void *p, size_t len, bool may_end)
{
	uint8_t *to = p;
	size_t have = 0;
	ssize_t n;

	while (have < len) {
		n = read(0, to + have, len - have);
		if (n == 0 && have == 0 && may_end)
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
	static uint8_t data[PSP_IN_MAX];
	static struct psp_answer answer;
	static struct psp psp;
	struct psp_req req;
	struct psp_rsp rsp;

	if (!psp_start(&psp))
		return 69;
	while (read_all(&req, sizeof(req), true)) {
		if (req.len > sizeof(data))
			return 73;
		(void)read_all(data, req.len, false);
		rsp = (struct psp_rsp){ .status = psp_work(&psp, &req, data, &answer) };
		rsp.len = (uint32_t)answer.len;
		write_all(&rsp, sizeof(rsp));
		write_all(answer.data, answer.len);
		mem_wipe(data, req.len);
	}
	return 0;
}
