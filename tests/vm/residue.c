/* SPDX-License-Identifier: Apache-2.0 */
/*
 * residue DUMP SECRET-START-END HIDDEN-START-END PUBLIC...: does anything random-looking in VMPL0's memory occur in
 * the guest's? DUMP is all of the machine's memory, as the emulated machine's host sees it. Every 16 bytes at a
 * multiple of 8 in the SECRET range that look random (twelve different bytes, not mostly text) are taken, but for those
 * that also stand in a PUBLIC file (launch image, sealed store); then every byte offset of the rest of the dump,
 * without the HIDDEN range (the emulator's own memory), is compared. Keys of all kinds, secrets and expanded keys
 * are covered, without knowing where the core keeps them.
 *
 * Prints `value HEX at ADDRESS, in VMPL0 at ADDRESS` for each, at most 50, and `V values, F found, B bytes searched`.
 * A run of the tests' host, not of the VM.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW 16u
#define SLOTS (1u << 24)
#define PRINTED 50u

struct file {
	const uint8_t *b;
	size_t len;
};

struct range {
	uint64_t from, to;
};

/* Offsets into the dump, + 1; open addressing. A value that turns out public keeps its place, as dead. */
static uint64_t table[SLOTS];
static uint8_t dead[SLOTS / 8];
static uint8_t filter[1u << 24];	/* two bytes and a half of each value's head: most places end here */

static struct file dump;

static struct file map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct file f = { NULL, 0 };
	void *at;

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < (off_t)WINDOW)
		return f;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		f = (struct file){ at, (size_t)st.st_size };
	return f;
}

static bool range_of(const char *text, struct range *r)
{
	return sscanf(text, "%" SCNx64 "-%" SCNx64, &r->from, &r->to) == 2 && r->from < r->to;
}

static uint32_t short_of(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return (uint32_t)((v * 0x9e3779b97f4a7c15ull) >> 40);
}

static uint32_t slot_of(const uint8_t *p)
{
	uint64_t a, b;

	memcpy(&a, p, 8);
	memcpy(&b, p + 8, 8);
	return (uint32_t)(((a ^ b * 0xff51afd7ed558ccdull) * 0x9e3779b97f4a7c15ull) >> 40);
}

static bool looks_random(const uint8_t *p)
{
	uint64_t seen[4] = { 0 };
	unsigned different = 0, text = 0;

	for (unsigned i = 0; i < WINDOW; i++) {
		uint64_t bit = 1ull << (p[i] & 63);

		different += !(seen[p[i] >> 6] & bit);
		seen[p[i] >> 6] |= bit;
		text += p[i] >= 0x20 && p[i] < 0x7f;
	}
	return different >= 12 && text < 10;
}

/* The slot that holds these 16 bytes, or the empty one where they would be. */
static uint32_t find(const uint8_t *p)
{
	uint32_t i = slot_of(p);

	while (table[i] && memcmp(dump.b + table[i] - 1, p, WINDOW) != 0)
		i = (i + 1) % SLOTS;
	return i;
}

static uint64_t gather(struct range r)
{
	uint64_t values = 0;

	for (uint64_t at = r.from; at + WINDOW <= r.to && at + WINDOW <= dump.len; at += 8) {
		uint32_t i;

		if (!looks_random(dump.b + at))
			continue;
		i = find(dump.b + at);
		if (table[i])
			continue;
		if (++values > SLOTS / 2) {
			fprintf(stderr, "residue: too many values\n");
			exit(2);
		}
		table[i] = at + 1;
		filter[short_of(dump.b + at)] = 1;
	}
	return values;
}

static uint64_t strike_out(struct file f)
{
	uint64_t struck = 0;

	for (size_t at = 0; at + WINDOW <= f.len; at++) {
		uint32_t i;

		if (!filter[short_of(f.b + at)])
			continue;
		i = find(f.b + at);
		if (table[i] && !(dead[i / 8] >> (i % 8) & 1)) {
			dead[i / 8] |= (uint8_t)(1u << (i % 8));
			struck++;
		}
	}
	return struck;
}

static uint64_t search(struct range r)
{
	uint64_t found = 0;

	for (uint64_t at = r.from; at + WINDOW <= r.to && at + WINDOW <= dump.len; at++) {
		uint32_t i;

		if (!filter[short_of(dump.b + at)])
			continue;
		i = find(dump.b + at);
		if (!table[i] || dead[i / 8] >> (i % 8) & 1)
			continue;
		if (++found > PRINTED)
			continue;
		printf("value ");
		for (unsigned k = 0; k < WINDOW; k++)
			printf("%02x", dump.b[at + k]);
		printf(" at %#" PRIx64 ", in VMPL0 at %#" PRIx64 "\n", at, table[i] - 1);
	}
	return found;
}

int main(int argc, char **argv)
{
	uint64_t values, found = 0;
	struct range secret, hidden;

	if (argc < 4 || !range_of(argv[2], &secret) || !range_of(argv[3], &hidden) || secret.to > hidden.from) {
		fprintf(stderr, "usage: residue DUMP SECRET-START-END HIDDEN-START-END PUBLIC...\n");
		return 2;
	}
	dump = map(argv[1]);
	if (!dump.b || dump.len < hidden.to)
		return 2;
	values = gather(secret);
	for (int i = 4; i < argc; i++) {
		struct file f = map(argv[i]);

		if (!f.b) {
			fprintf(stderr, "residue: %s cannot be read\n", argv[i]);
			return 2;
		}
		values -= strike_out(f);
	}
	found += search((struct range){ 0, secret.from });
	found += search((struct range){ secret.to, hidden.from });
	found += search((struct range){ hidden.to, dump.len });
	printf("%" PRIu64 " values, %" PRIu64 " found, %" PRIu64 " bytes searched\n", values, found,
	       (uint64_t)dump.len - (secret.to - secret.from) - (hidden.to - hidden.from));
	return 0;
}
