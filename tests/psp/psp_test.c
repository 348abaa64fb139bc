/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The emulated secure processor, in process and as the program through pipes. Known answers: launch digests and
 * guest messages computed from the layouts of AMD publication 56860 by other implementations of SHA-384 and AES-GCM.
 * The chip is one that mkchip made; reports are judged by the verifier.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "emulator/psp/work.h"
#include "tests/test.h"
#include "verifier/verifier.h"

static struct psp psp;
static struct psp_answer answer;
static uint8_t chip_file[sizeof(struct psp_chip) + PSP_OUT_MAX];
static size_t chip_len;
static char ark_pem[8192];
static size_t ark_len;

/* ---- the chip ---- */

static int run(const char *program, const char *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl(program, program, arg, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t read_file(const char *dir, const char *name, void *to, size_t room, mode_t *mode)
{
	char path[256];
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) != 0 || (n = read(fd, to, room)) < 0)
		abort();
	close(fd);
	*mode = st.st_mode & 07777;
	return (size_t)n;
}

static void remove_dir(const char *dir)
{
	static const char *const names[] = { "chip.bin", "ark.pem", "ask.pem", "vcek.pem" };
	char path[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* Once a program: RSA keys take their time. */
static void need_chip(void)
{
	char dir[] = "/tmp/svsm-chip-XXXXXX";
	mode_t mode;

	if (chip_len)
		return;
	if (!mkdtemp(dir) || run(SVSM_MKCHIP, dir) != 0)
		abort();
	chip_len = read_file(dir, "chip.bin", chip_file, sizeof(chip_file), &mode);
	EXPECT_INT(mode, 0600);
	ark_len = read_file(dir, "ark.pem", ark_pem, sizeof(ark_pem), &mode);
	/* A second call leaves everything as it is. */
	EXPECT_INT(run(SVSM_MKCHIP, dir), 0);
	{
		static uint8_t again[sizeof(chip_file)];

		EXPECT_INT(read_file(dir, "chip.bin", again, sizeof(again), &mode), chip_len);
		EXPECT_MEM(again, chip_file, chip_len);
	}
	remove_dir(dir);
}

/* ---- requests ---- */

static uint32_t ask(uint32_t op, uint64_t a, uint64_t b, uint64_t c, const void *data, size_t len)
{
	struct psp_req req = { .op = op, .len = (uint32_t)len, .arg = { a, b, c } };
	uint8_t *copy = test_fence(data, len);
	uint32_t status = psp_work(&psp, &req, copy, &answer);

	test_fence_free(copy, len);
	return status;
}

static uint32_t init(void)
{
	return ask(PSP_INIT, 0, 0, 0, chip_file, chip_len);
}

static void power_on(void)
{
	need_chip();
	crypto_free(psp.crypto);
	EXPECT(psp_start(&psp));
	EXPECT_INT(init(), SNP_FW_OK);
}

static uint32_t update(enum snp_page_type type, uint64_t gpa, const void *page)
{
	return ask(PSP_LAUNCH_UPDATE, type, gpa, 1, page, page ? PSP_PAGE : 0);
}

static uint32_t finish(void)
{
	static struct psp_finish f;

	memset(&f, 0, sizeof(f));
	memset(f.host_data, 0x4d, sizeof(f.host_data));
	return ask(PSP_LAUNCH_FINISH, 0, 0, 0, &f, sizeof(f));
}

static uint8_t page[PSP_PAGE];
static uint8_t vmpck[4][32];

/* A running guest with this byte in its only measured page. */
static void launch_with(uint64_t policy, uint8_t code)
{
	power_on();
	EXPECT_INT(ask(PSP_LAUNCH_START, policy, 0, 0, NULL, 0), SNP_FW_OK);
	memset(page, code, sizeof(page));
	EXPECT_INT(update(SNP_PAGE_NORMAL, 0x100000, page), SNP_FW_OK);
	EXPECT_INT(update(SNP_PAGE_SECRETS, 0x101000, NULL), SNP_FW_OK);
	memcpy(vmpck, answer.data + 0x20, sizeof(vmpck));
	EXPECT_INT(finish(), SNP_FW_OK);
}

static void launch(void)
{
	launch_with(SNP_POLICY_DEFAULT, 0xc0);
}

static bool is_hex(const uint8_t *p, const char *hex)
{
	uint8_t want[256];
	size_t n = test_unhex(hex, want, sizeof(want));

	return memcmp(p, want, n) == 0;
}

static bool all_zero(const void *m, size_t len)
{
	const uint8_t *b = m;
	size_t i;

	for (i = 0; i < len; i++)
		if (b[i])
			return false;
	return true;
}

/* ---- chip and order of commands ---- */

TEST(nothing_works_without_a_chip)
{
	need_chip();
	crypto_free(psp.crypto);
	EXPECT(psp_start(&psp));
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), PSP_INVALID_PLATFORM_STATE);
	EXPECT_INT(ask(PSP_CERTS, 0, 0, 0, NULL, 0), PSP_INVALID_PLATFORM_STATE);
	EXPECT_INT(ask(PSP_GUEST_REQUEST, 0, 0, 0, page, sizeof(page)), PSP_INVALID_PLATFORM_STATE);
}

TEST(a_malformed_chip_is_refused)
{
	size_t cut;

	need_chip();
	crypto_free(psp.crypto);
	EXPECT(psp_start(&psp));
	for (cut = 1; cut <= chip_len; cut += 97)
		EXPECT_INT(ask(PSP_INIT, 0, 0, 0, chip_file, chip_len - cut), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_INIT, 0, 0, 0, chip_file, chip_len + 1), PSP_INVALID_PARAM);
	EXPECT(!psp.has_chip);
}

TEST(a_chip_whose_key_does_not_fit_is_refused)
{
	size_t i;
	/* magic, version, private key, public key, CPU family (then 9), reserved */
	static const size_t at[] = { 0, 8, 16 + 64 + 32 + 47, 16 + 64 + 32 + 48 + 5, 264, 271 };

	need_chip();
	crypto_free(psp.crypto);
	EXPECT(psp_start(&psp));
	for (i = 0; i < ARRAY_LEN(at); i++) {
		chip_file[at[i]] ^= 0x10;
		EXPECT_INT(init(), PSP_INVALID_PARAM);
		chip_file[at[i]] ^= 0x10;
	}
	EXPECT_INT(init(), SNP_FW_OK);
	EXPECT_INT(init(), PSP_INVALID_PLATFORM_STATE);
}

TEST(commands_out_of_order_are_refused)
{
	power_on();
	EXPECT_INT(update(SNP_PAGE_ZERO, 0, NULL), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(finish(), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(ask(PSP_GUEST_REQUEST, 0, 0, 0, page, sizeof(page)), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(ask(PSP_GUEST_REQUEST, 0, 0, 0, page, sizeof(page)), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(finish(), SNP_FW_OK);
	EXPECT_INT(finish(), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(update(SNP_PAGE_ZERO, 0, NULL), PSP_INVALID_GUEST_STATE);
	EXPECT_INT(ask(0, 0, 0, 0, NULL, 0), SNP_FW_INVALID_COMMAND);
	EXPECT_INT(ask(7, 0, 0, 0, NULL, 0), SNP_FW_INVALID_COMMAND);
}

/* ---- launch ---- */

TEST(the_launch_digest_is_that_of_the_specification)
{
	static const char *const after[] = {
		"fcd01075a27fb4ad66ad0375d1910f07e220325f9329fb1861839b569b9d15ca877eafd18e0f8023fba22e173c42b4d1",
		"cc47e9eb3d0518bcda78466bf3c2bfc00ee10271dfddad35ece9f68ae41b60bed79199f962a3778f87d085a19116d793",
		"7acc026e82fbc06f647298f19b1c421f4017859372ca7b2ee09417d52078be60b07dcffee779bf104c2dff6799be822e",
		"881e4c4fc9b4487005d9c17672367f18caa6a54f69594a634019f5f657901209d16fe6e9567d1619d109deb09971b0e9",
		"3acbbb345c2a527bd2b5521a734ef5942abf4ad031f840af174e3d62b63a5fb36d3e431174e73e9924b1a5d5e586db7e",
	};
	static uint8_t zeros[PSP_PAGE], cpuid[PSP_PAGE] = { 1 };
	size_t i;

	power_on();
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	for (i = 0; i < sizeof(page); i++)
		page[i] = (uint8_t)i;
	EXPECT_INT(update(SNP_PAGE_NORMAL, 0x100000, page), SNP_FW_OK);
	EXPECT(is_hex(psp.guest.digest, after[0]));
	EXPECT_INT(update(SNP_PAGE_ZERO, 0x101000, NULL), SNP_FW_OK);
	EXPECT(is_hex(psp.guest.digest, after[1]));
	EXPECT_INT(update(SNP_PAGE_SECRETS, 0x102000, NULL), SNP_FW_OK);
	EXPECT(is_hex(psp.guest.digest, after[2]));
	EXPECT_INT(update(SNP_PAGE_CPUID, 0x103000, cpuid), SNP_FW_OK);
	EXPECT(is_hex(psp.guest.digest, after[3]));
	EXPECT_INT(update(SNP_PAGE_VMSA, 0x77000, zeros), SNP_FW_OK);	/* measured at its own address */
	EXPECT(is_hex(psp.guest.digest, after[4]));
	EXPECT_INT(finish(), SNP_FW_OK);
	EXPECT_INT(answer.len, 48);
	EXPECT(is_hex(answer.data, after[4]));
}

TEST(pages_in_one_request_count_like_pages_in_many)
{
	static uint8_t many[3 * PSP_PAGE];
	uint8_t digest[48];
	size_t i;

	for (i = 0; i < sizeof(many); i++)
		many[i] = (uint8_t)(i >> 9);
	power_on();
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	EXPECT_INT(ask(PSP_LAUNCH_UPDATE, SNP_PAGE_NORMAL, 0x5000, 3, many, sizeof(many)), SNP_FW_OK);
	EXPECT_INT(ask(PSP_LAUNCH_UPDATE, SNP_PAGE_UNMEASURED, 0x8000, 2, NULL, 0), SNP_FW_OK);
	memcpy(digest, psp.guest.digest, sizeof(digest));
	power_on();
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	for (i = 0; i < 3; i++)
		EXPECT_INT(update(SNP_PAGE_NORMAL, 0x5000 + i * PSP_PAGE, many + i * PSP_PAGE), SNP_FW_OK);
	EXPECT_INT(update(SNP_PAGE_UNMEASURED, 0x8000, NULL), SNP_FW_OK);
	EXPECT_INT(update(SNP_PAGE_UNMEASURED, 0x9000, NULL), SNP_FW_OK);
	EXPECT_MEM(digest, psp.guest.digest, sizeof(digest));
}

TEST(policies_that_cannot_be_kept_are_refused)
{
	static const uint64_t bad[] = {
		0, SNP_POLICY_SMT,		/* bit 17 is missing */
		SNP_POLICY_DEFAULT | 1ull << 22, SNP_POLICY_DEFAULT | 1ull << 24, SNP_POLICY_DEFAULT | 1ull << 63,
		SNP_POLICY_DEFAULT | 2 << 8,	/* a newer firmware */
		SNP_POLICY_DEFAULT | 1 << 8 | 0xff,
	};
	size_t i;

	power_on();
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(ask(PSP_LAUNCH_START, bad[i], 0, 0, NULL, 0), SNP_FW_POLICY_FAILURE);
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 1, 0, NULL, 0), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, page, 1), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT | 1 << 8 | 55, 0, 0, NULL, 0), SNP_FW_OK);
}

TEST(malformed_launch_pages_are_refused_and_not_measured)
{
	uint8_t before[48];

	power_on();
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	memcpy(before, psp.guest.digest, sizeof(before));
	memset(page, 0, sizeof(page));
	EXPECT_INT(update((enum snp_page_type)0, 0, page), PSP_INVALID_PARAM);
	EXPECT_INT(update((enum snp_page_type)7, 0, page), PSP_INVALID_PARAM);
	EXPECT_INT(update(SNP_PAGE_NORMAL, 0x1001, page), PSP_INVALID_ADDRESS);
	EXPECT_INT(update(SNP_PAGE_NORMAL, UINT64_MAX - 4095, page), PSP_INVALID_ADDRESS);
	EXPECT_INT(update(SNP_PAGE_NORMAL, 0, NULL), PSP_INVALID_PARAM);
	EXPECT_INT(update(SNP_PAGE_ZERO, 0, page), PSP_INVALID_PARAM);
	EXPECT_INT(update(SNP_PAGE_CPUID, 0, page), PSP_INVALID_PARAM);	/* no entry */
	page[0] = 65;
	EXPECT_INT(update(SNP_PAGE_CPUID, 0, page), PSP_INVALID_PARAM);
	page[0] = 1;
	page[4] = 1;
	EXPECT_INT(update(SNP_PAGE_CPUID, 0, page), PSP_INVALID_PARAM);
	page[4] = 0;
	page[16 + 40] = 1;
	EXPECT_INT(update(SNP_PAGE_CPUID, 0, page), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_LAUNCH_UPDATE, SNP_PAGE_NORMAL, 0, 2, page, PSP_PAGE), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_LAUNCH_UPDATE, SNP_PAGE_ZERO, 0, 0, NULL, 0), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_LAUNCH_UPDATE, SNP_PAGE_ZERO, 0, PSP_PAGES_MAX + 1, NULL, 0), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_LAUNCH_UPDATE, SNP_PAGE_SECRETS, 0, 2, NULL, 0), PSP_INVALID_PARAM);
	EXPECT_MEM(before, psp.guest.digest, sizeof(before));
}

TEST(each_launch_has_keys_of_its_own_for_each_level)
{
	uint8_t first[4][32];
	size_t i, j;

	launch();
	memcpy(first, vmpck, sizeof(first));
	launch();
	for (i = 0; i < 4; i++) {
		EXPECT(!all_zero(first[i], 32));
		for (j = 0; j < 4; j++) {
			EXPECT(memcmp(first[i], vmpck[j], 32) != 0);
			EXPECT(i == j || memcmp(first[i], first[j], 32) != 0);
		}
	}
}

/* ---- guest messages ---- */

static struct snp_msg_hdr hdr(uint64_t seqno, uint8_t type, uint16_t len, uint8_t level)
{
	return (struct snp_msg_hdr){ .seqno = seqno, .algo = 1, .hdr_version = 1, .hdr_len = 0x60, .type = type,
				     .version = 1, .payload_len = len, .vmpck = level };
}

/* Seals payload under VMPCK<h.vmpck> into page. */
static void seal(struct snp_msg_hdr h, const void *payload, size_t len)
{
	uint8_t iv[12] = { 0 };
	struct secret k;

	memset(page, 0, sizeof(page));
	memcpy(page + 0x60, payload, len);
	memcpy(k.b, vmpck[h.vmpck & 3], 32);
	memcpy(iv, &h.seqno, 8);
	EXPECT(crypto_gcm_seal(&k, iv, slice_of(&h.algo, 48), page + 0x60, h.payload_len, h.tag) == RC_OK);
	memcpy(page, &h, sizeof(h));
}

static uint32_t send(void)
{
	return ask(PSP_GUEST_REQUEST, 0, 0, 0, page, sizeof(page));
}

/* Opens the answer to message (seqno, type, level); returns its payload. */
static const uint8_t *opened(uint64_t seqno, uint8_t type, uint8_t level, size_t len)
{
	uint8_t iv[12] = { 0 };
	struct snp_msg_hdr h;
	struct secret k;

	EXPECT_INT(answer.len, PSP_PAGE);
	memcpy(&h, answer.data, sizeof(h));
	EXPECT(h.seqno == seqno + 1 && h.type == type + 1 && h.version == 1 && h.vmpck == level && h.payload_len == len);
	EXPECT(h.algo == 1 && h.hdr_version == 1 && h.hdr_len == 0x60);
	EXPECT(h.zero0 == 0 && h.zero1 == 0 && all_zero(h.zero2, sizeof(h.zero2)) && all_zero(h.tag + 16, 16));
	EXPECT(all_zero(answer.data + 0x60 + len, PSP_PAGE - 0x60 - len));
	memcpy(k.b, vmpck[level], 32);
	memcpy(iv, &h.seqno, 8);
	EXPECT(crypto_gcm_open(&k, iv, slice_of(&h.algo, 48), answer.data + 0x60, len, h.tag) == RC_OK);
	return answer.data + 0x60;
}

/* A message that is answered: the answer's payload. */
static void exchange(uint64_t seqno, uint8_t type, uint8_t level, const void *req, size_t req_len, void *rsp, size_t rsp_len)
{
	seal(hdr(seqno, type, (uint16_t)req_len, level), req, req_len);
	EXPECT_INT(send(), SNP_FW_OK);
	memcpy(rsp, opened(seqno, type, level, rsp_len), rsp_len);
}

static struct snp_key_rsp key(uint64_t seqno, uint8_t level, struct snp_key_req req)
{
	struct snp_key_rsp rsp;

	exchange(seqno, SNP_MSG_KEY_REQ, level, &req, sizeof(req), &rsp, sizeof(rsp));
	EXPECT(all_zero(rsp.zero, sizeof(rsp.zero)));
	EXPECT(rsp.status == 0 || all_zero(rsp.key, sizeof(rsp.key)));
	return rsp;
}

static struct snp_report_rsp report(uint64_t seqno, uint8_t level, struct snp_report_req req)
{
	struct snp_report_rsp rsp;

	exchange(seqno, SNP_MSG_REPORT_REQ, level, &req, sizeof(req), &rsp, sizeof(rsp));
	EXPECT(rsp.status == 0 || (rsp.report_len == 0 && all_zero(&rsp.report, sizeof(rsp.report))));
	return rsp;
}

TEST(the_specifications_messages_are_understood)
{
	static const char texts[2][512] = {
		"e22d803ca0aaea00420d0fc830cc86c4dc70dd3d68bd7d05560647e5013b996fccddd2ea048788e8f0f437f862242ea7"
		"c0e4fcb7d1456ca0bbb1da492b891678bcafa49213c0f2445044cd48be94fd5eb5f3e8b761e80896f353185b4abd740d",
		"908c5899595132d8f1388fa492d606c92fd3c064da9bd2e0cb97494f1e4bd012",
	};
	struct snp_msg_hdr h = hdr(1, SNP_MSG_REPORT_REQ, 96, 0);
	struct snp_report_rsp r;
	struct snp_key_rsp k;
	uint8_t i;

	launch();
	for (i = 0; i < 32; i++)
		vmpck[0][i] = psp.guest.vmpck[0].b[i] = i;
	memset(page, 0, sizeof(page));
	test_unhex("0f354f26b13f7433d3674d8eebcaf847", h.tag, 16);
	memcpy(page, &h, sizeof(h));
	test_unhex(texts[0], page + 0x60, 96);
	EXPECT_INT(send(), SNP_FW_OK);
	memcpy(&r, opened(1, SNP_MSG_REPORT_REQ, 0, sizeof(r)), sizeof(r));
	EXPECT(r.status == 0 && r.report.report_data[63] == 63);

	h = hdr(3, SNP_MSG_KEY_REQ, 32, 0);
	memset(page, 0, sizeof(page));
	test_unhex("4c1952e610e8147d1b74b16a0d13eeff", h.tag, 16);
	memcpy(page, &h, sizeof(h));
	test_unhex(texts[1], page + 0x60, 32);
	EXPECT_INT(send(), SNP_FW_OK);
	memcpy(&k, opened(3, SNP_MSG_KEY_REQ, 0, sizeof(k)), sizeof(k));
	EXPECT(k.status == 0 && !all_zero(k.key, 32));
}

TEST(an_answered_message_is_not_answered_again)
{
	const struct snp_key_req req = { .fields = 9 };
	static uint8_t first[PSP_PAGE];

	launch();
	seal(hdr(1, SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
	memcpy(first, page, sizeof(first));
	EXPECT_INT(send(), SNP_FW_OK);
	EXPECT_INT(send(), SNP_FW_AEAD_OFLOW);
	EXPECT_INT(answer.len, 0);
	(void)key(3, 0, req);
	memcpy(page, first, sizeof(page));
	EXPECT_INT(send(), SNP_FW_AEAD_OFLOW);
}

TEST(numbers_out_of_order_are_refused)
{
	static const uint64_t bad[] = { 0, 2, 3, 1ull << 32, UINT64_MAX };
	const struct snp_key_req req = { .fields = 9 };
	size_t i;

	launch();
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		seal(hdr(bad[i], SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
		EXPECT_INT(send(), SNP_FW_AEAD_OFLOW);
	}
	psp.guest.seqno[0] = UINT64_MAX - 1;
	seal(hdr(UINT64_MAX, SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
	EXPECT_INT(send(), SNP_FW_AEAD_OFLOW);
}

TEST(each_key_has_a_counter_of_its_own)
{
	uint8_t level;

	launch();
	for (level = 0; level < 4; level++) {
		EXPECT_INT(key(1, level, (struct snp_key_req){ .vmpl = level }).status, SNP_FW_OK);
		EXPECT_INT(key(3, level, (struct snp_key_req){ .vmpl = 3 }).status, SNP_FW_OK);
	}
}

TEST(a_changed_message_is_refused_and_the_true_one_still_answered)
{
	/* tag, type, version, payload size, payload */
	static const unsigned at[] = { 0, 15, 0x34, 0x35, 0x36, 0x60, 0x60 + 31 };
	const struct snp_key_req req = { .fields = 9 };
	size_t i;

	launch();
	seal(hdr(1, SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
	for (i = 0; i < ARRAY_LEN(at); i++) {
		page[at[i]] ^= 1;
		EXPECT_INT(send(), SNP_FW_BAD_MEASUREMENT);
		EXPECT(answer.len == 0 && all_zero(answer.data, sizeof(answer.data)));
		page[at[i]] ^= 1;
	}
	EXPECT_INT(send(), SNP_FW_OK);
}

TEST(a_message_under_another_levels_key_is_refused)
{
	const struct snp_key_req req = { .fields = 9 };

	launch();
	memcpy(vmpck[0], vmpck[1], 32);	/* what a guest at VMPL1 has */
	seal(hdr(1, SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
	EXPECT_INT(send(), SNP_FW_BAD_MEASUREMENT);
}

TEST(malformed_headers_are_refused)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} bad[] = {
		{ 0x28, 1 }, { 0x30, 0 }, { 0x30, 2 }, { 0x31, 0 }, { 0x32, 0x5f }, { 0x33, 1 }, { 0x37, 0x10 },
		{ 0x38, 1 }, { 0x3b, 1 }, { 0x3c, 4 }, { 0x3c, 255 }, { 0x3d, 1 }, { 0x5f, 1 },
	};
	const struct snp_key_req req = { .fields = 9 };
	size_t i;

	launch();
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		seal(hdr(1, SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
		page[bad[i].at] = bad[i].value;
		EXPECT_INT(send(), PSP_INVALID_PARAM);
	}
	EXPECT_INT(ask(PSP_GUEST_REQUEST, 0, 0, 0, page, 4095), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_GUEST_REQUEST, 0, 0, 0, page, 0), PSP_INVALID_PARAM);
	EXPECT_INT(ask(PSP_GUEST_REQUEST, 0, 1, 0, page, 4096), PSP_INVALID_PARAM);
}

TEST(messages_of_other_kinds_versions_and_sizes_are_refused_and_move_no_counter)
{
	static const uint8_t types[] = { 0, 1, 2, 4, 6, 7, 9, 11, 13, 17, 255 };
	static const uint8_t payload[4000];
	struct snp_msg_hdr h;
	size_t i;

	launch();
	for (i = 0; i < ARRAY_LEN(types); i++) {
		seal(hdr(1, types[i], 32, 0), payload, 32);
		EXPECT_INT(send(), PSP_INVALID_PARAM);
	}
	h = hdr(1, SNP_MSG_KEY_REQ, 32, 0);
	h.version = 2;
	seal(h, payload, 32);
	EXPECT_INT(send(), PSP_INVALID_PARAM);
	for (i = 0; i <= 4000; i += 500) {
		seal(hdr(1, SNP_MSG_KEY_REQ, (uint16_t)i, 0), payload, i);
		EXPECT_INT(send(), PSP_INVALID_PARAM);
		seal(hdr(1, SNP_MSG_REPORT_REQ, (uint16_t)i, 0), payload, i);
		EXPECT_INT(send(), PSP_INVALID_PARAM);
	}
	EXPECT_INT(key(1, 0, (struct snp_key_req){ 0 }).status, SNP_FW_OK);
}

/* ---- keys ---- */

TEST(a_key_survives_a_reboot_and_is_bound_to_what_was_selected)
{
	const struct snp_key_req sealing = { .fields = SNP_KEY_MIX_POLICY | SNP_KEY_MIX_MEASUREMENT };
	const struct snp_key_req chip_only = { 0 };
	struct snp_key_rsp a, b, all;

	launch_with(SNP_POLICY_DEFAULT, 1);
	a = key(1, 0, sealing);
	all = key(3, 0, chip_only);
	EXPECT(a.status == 0 && memcmp(a.key, all.key, 32) != 0);
	launch_with(SNP_POLICY_DEFAULT, 1);
	b = key(1, 0, sealing);
	EXPECT_MEM(a.key, b.key, 32);
	launch_with(SNP_POLICY_DEFAULT, 2);		/* other code */
	b = key(1, 0, sealing);
	EXPECT(memcmp(a.key, b.key, 32) != 0);
	b = key(3, 0, chip_only);
	EXPECT_MEM(all.key, b.key, 32);
	launch_with(SNP_POLICY_DEFAULT | SNP_POLICY_DEBUG, 1);	/* other policy */
	b = key(1, 0, sealing);
	EXPECT(memcmp(a.key, b.key, 32) != 0);
}

TEST(each_selection_and_each_level_gives_another_key)
{
	uint8_t seen[8][32];
	const struct snp_key_req reqs[8] = {
		{ 0 },
		{ .vmpl = 1 },
		{ .vmpl = 3 },
		{ .fields = SNP_KEY_MIX_POLICY },
		{ .fields = SNP_KEY_MIX_GUEST_SVN },
		{ .fields = SNP_KEY_MIX_TCB },
		{ .fields = SNP_KEY_MIX_TCB, .tcb = 2 },
		{ .root = SNP_KEY_ROOT_VMRK },
	};
	size_t i, j;

	launch();
	for (i = 0; i < 8; i++) {
		struct snp_key_rsp r = key(1 + 2 * i, 0, reqs[i]);

		EXPECT_INT(r.status, SNP_FW_OK);
		memcpy(seen[i], r.key, 32);
		for (j = 0; j < i; j++)
			EXPECT(memcmp(seen[i], seen[j], 32) != 0);
	}
}

TEST(what_was_not_selected_does_not_count)
{
	struct snp_key_rsp a, b;

	launch();
	a = key(1, 0, (struct snp_key_req){ .tcb = 2 });
	b = key(3, 0, (struct snp_key_req){ 0 });
	EXPECT_MEM(a.key, b.key, 32);
}

TEST(a_key_of_the_virtual_machine_does_not_survive_it)
{
	struct snp_key_rsp a, b;

	launch();
	a = key(1, 0, (struct snp_key_req){ .root = SNP_KEY_ROOT_VMRK });
	launch();
	b = key(1, 0, (struct snp_key_req){ .root = SNP_KEY_ROOT_VMRK });
	EXPECT(memcmp(a.key, b.key, 32) != 0);
}

TEST(another_chip_gives_other_keys)
{
	struct snp_key_rsp a, b;

	launch();
	a = key(1, 0, (struct snp_key_req){ .fields = 9 });
	chip_file[16 + 64] ^= 1;	/* its secret */
	launch();
	b = key(1, 0, (struct snp_key_req){ .fields = 9 });
	chip_file[16 + 64] ^= 1;
	EXPECT(memcmp(a.key, b.key, 32) != 0);
}

TEST(lower_levels_cannot_ask_for_the_keys_of_higher_ones)
{
	uint8_t level, wanted;
	uint64_t seqno;

	launch();
	for (level = 0; level < 4; level++) {
		for (wanted = 0, seqno = 1; wanted < 4; wanted++, seqno += 2)
			EXPECT_INT(key(seqno, level, (struct snp_key_req){ .vmpl = wanted }).status,
				   wanted < level ? SNP_FW_INVALID_PARAM : SNP_FW_OK);
		EXPECT_INT(key(seqno, level, (struct snp_key_req){ .vmpl = 4 }).status, SNP_FW_INVALID_PARAM);
	}
}

TEST(key_requests_beyond_their_limits_are_refused_inside_the_answer)
{
	struct snp_key_req bad[] = {
		{ .root = 2 }, { .root = UINT32_MAX }, { .zero = 1 }, { .fields = 1 << 6 }, { .fields = 1ull << 63 },
		{ .guest_svn = 1 },		/* none was given at launch */
		{ .tcb = 4 },			/* boot loader 4; 3 is committed */
		{ .tcb = 1ull << 16 },		/* a component without a name */
		{ .tcb = 0x74ull << 56 },	/* microcode */
		{ .tcb = UINT64_MAX },
	};
	size_t i;

	launch();
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(key(1 + 2 * i, 0, bad[i]).status, SNP_FW_INVALID_PARAM);
	EXPECT_INT(key(1 + 2 * i, 0, (struct snp_key_req){ .fields = SNP_KEY_MIX_TCB, .tcb = 0x73ull << 56 | 8ull << 48 | 3 })
			   .status,
		   SNP_FW_OK);
}

/* ---- reports ---- */

static enum verifier_result judged(const struct snp_report *r, bool accept_root, uint32_t vmpl)
{
	struct verifier_input in = {
		.report = slice_of(r, sizeof(*r)), .sources = 1,
		.certs = { slice_of(chip_file + sizeof(struct psp_chip), chip_len - sizeof(struct psp_chip)) },
		.root = slice_of(accept_root ? ark_pem : NULL, accept_root ? ark_len : 0),
	};
	struct verifier_policy policy = { .at = time(NULL), .vmpl = vmpl, .has_measurement = true, .nonce_len = 64 };
	static struct verifier_verdict v;
	enum rc rc;

	memcpy(policy.measurement, psp.guest.digest, sizeof(policy.measurement));
	memset(policy.nonce, 0xda, sizeof(policy.nonce));
	rc = verifier_judge(&in, &policy, &v);
	return rc == RC_OK ? CHECK_PASSED : rc == RC_DENIED ? CHECK_FAILED : CHECK_NOT_ASKED;
}

static struct snp_report_req report_req(uint32_t vmpl)
{
	struct snp_report_req req = { .vmpl = vmpl };

	memset(req.report_data, 0xda, sizeof(req.report_data));
	return req;
}

TEST(a_report_is_what_the_verifier_accepts_under_the_test_root_and_only_there)
{
	struct snp_report_rsp r;

	launch();
	r = report(1, 0, report_req(0));
	EXPECT_INT(r.status, 0);
	EXPECT_INT(r.report_len, SNP_REPORT_LEN);
	EXPECT_INT(judged(&r.report, true, 0), CHECK_PASSED);
	EXPECT_INT(judged(&r.report, false, 0), CHECK_FAILED);
	EXPECT_INT(judged(&r.report, true, 1), CHECK_FAILED);
	r.report.host_data[0] ^= 1;
	EXPECT_INT(judged(&r.report, true, 0), CHECK_FAILED);
}

TEST(a_report_says_what_was_launched)
{
	struct snp_report_rsp r, s;

	launch_with(SNP_POLICY_DEFAULT | SNP_POLICY_DEBUG, 7);
	r = report(1, 0, report_req(2));
	EXPECT(r.report.policy == (SNP_POLICY_DEFAULT | SNP_POLICY_DEBUG) && r.report.vmpl == 2);
	EXPECT_MEM(r.report.measurement, psp.guest.digest, 48);
	EXPECT(r.report.host_data[0] == 0x4d && r.report.host_data[31] == 0x4d);
	EXPECT(all_zero(r.report.id_key_digest, 48) && r.report.key_info == 0 && r.report.guest_svn == 0);
	EXPECT_INT(judged(&r.report, true, 2), CHECK_FAILED);	/* debugging is allowed */
	s = report(3, 0, report_req(2));
	EXPECT_MEM(r.report.report_id, s.report.report_id, 32);
	launch();
	s = report(1, 0, report_req(2));
	EXPECT(memcmp(r.report.report_id, s.report.report_id, 32) != 0);
	EXPECT_MEM(r.report.chip_id, s.report.chip_id, 64);
}

TEST(lower_levels_get_no_report_of_a_higher_one)
{
	uint8_t level, wanted;
	uint64_t seqno;

	launch();
	for (level = 1; level < 4; level++) {
		for (wanted = 0, seqno = 1; wanted < 4; wanted++, seqno += 2)
			EXPECT_INT(report(seqno, level, report_req(wanted)).status, wanted < level ? SNP_REPORT_BAD_PARAM : 0);
		EXPECT_INT(report(seqno, level, report_req(4)).status, SNP_REPORT_BAD_PARAM);
	}
}

TEST(malformed_report_requests_are_refused_inside_the_answer)
{
	struct snp_report_req req = report_req(0);

	launch();
	req.key_sel = SNP_KEY_SEL_VLEK;
	EXPECT_INT(report(1, 0, req).status, SNP_REPORT_BAD_KEY);
	req.key_sel = 3;
	EXPECT_INT(report(3, 0, req).status, SNP_REPORT_BAD_PARAM);
	req.key_sel = 4;
	EXPECT_INT(report(5, 0, req).status, SNP_REPORT_BAD_PARAM);
	req.key_sel = SNP_KEY_SEL_VCEK;
	req.zero[23] = 1;
	EXPECT_INT(report(7, 0, req).status, SNP_REPORT_BAD_PARAM);
	req.zero[23] = 0;
	EXPECT_INT(report(9, 0, req).status, 0);
}

/* ---- ID block ---- */

static struct psp_finish fin;
static uint8_t id_d[48], author_d[48];
static struct crypto_p384_public id_q, author_q;

/* Any private key: a small number; its public key comes from libcrypto. */
static void key_pair(uint8_t d[48], struct crypto_p384_public *q, const char *x, const char *y, uint8_t n)
{
	memset(d, 0, 48);
	d[47] = n;
	test_unhex(x, q->x, 48);
	test_unhex(y, q->y, 48);
}

static void reversed(uint8_t *to, const uint8_t *from)
{
	size_t i;

	for (i = 0; i < 48; i++)
		to[i] = from[47 - i];
}

static void put_signature(struct psp_signature *to, const uint8_t *d, const struct crypto_p384_public *q, const void *m,
			  size_t len)
{
	struct crypto_p384_signature s;

	EXPECT(crypto_p384_sign(d, q, slice_of(m, len), &s) == RC_OK);
	reversed(to->r, s.r);
	reversed(to->s, s.s);
}

static void put_key(struct psp_public_key *to, const struct crypto_p384_public *q)
{
	to->curve = 2;
	reversed(to->x, q->x);
	reversed(to->y, q->y);
}

static void sign_id_block(void)
{
	put_signature(&fin.id_auth.id_block_sig, id_d, &id_q, &fin.id_block, sizeof(fin.id_block));
}

/* A launch up to its finish, with a good ID block in fin, signed by the ID key, which the author's key signed. */
static void id_launch(void)
{
	/* FIPS 186-4: the base point of P-384, and its double */
	key_pair(id_d, &id_q, "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
		 "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f", 1);
	key_pair(author_d, &author_q,
		 "08d999057ba3d2d969260045c55b97f089025959a6f434d651d207d19fb96e9e4fe0e86ebe0e64f85b96a9c75295df61",
		 "8e80f1fa5b1b3cedb7bfe8dffd6dba74b275d875bc6cc43e904e505f256ab4255ffd43e94d39e22d61501e700a940e80", 2);
	power_on();
	EXPECT_INT(ask(PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	EXPECT_INT(update(SNP_PAGE_SECRETS, 0x1000, NULL), SNP_FW_OK);
	memcpy(vmpck, answer.data + 0x20, sizeof(vmpck));
	memset(&fin, 0, sizeof(fin));
	fin.flags = PSP_FINISH_ID_BLOCK | PSP_FINISH_AUTHOR_KEY;
	fin.id_block = (struct snp_id_block){ .version = 1, .guest_svn = 5, .policy = SNP_POLICY_DEFAULT,
					      .family_id = "family", .image_id = "image" };
	memcpy(fin.id_block.digest, psp.guest.digest, 48);
	fin.id_auth.id_key_algo = fin.id_auth.author_key_algo = 1;
	put_key(&fin.id_auth.id_key, &id_q);
	put_key(&fin.id_auth.author_key, &author_q);
	sign_id_block();
	put_signature(&fin.id_auth.id_key_sig, author_d, &author_q, &fin.id_auth.id_key, sizeof(fin.id_auth.id_key));
}

static uint32_t id_finish(void)
{
	return ask(PSP_LAUNCH_FINISH, 0, 0, 0, &fin, sizeof(fin));
}

TEST(a_signed_id_block_shows_in_reports_and_keys)
{
	struct snp_report_rsp r;
	struct snp_key_rsp a, b;

	id_launch();
	EXPECT_INT(id_finish(), SNP_FW_OK);
	r = report(1, 0, report_req(0));
	EXPECT(r.report.guest_svn == 5 && r.report.family_id[0] == 'f' && r.report.image_id[0] == 'i');
	EXPECT(!all_zero(r.report.id_key_digest, 48) && !all_zero(r.report.author_key_digest, 48));
	EXPECT_INT(r.report.key_info, SNP_KEY_INFO_AUTHOR);
	EXPECT_INT(judged(&r.report, true, 0), CHECK_PASSED);
	a = key(3, 0, (struct snp_key_req){ .fields = SNP_KEY_MIX_GUEST_SVN, .guest_svn = 5 });
	b = key(5, 0, (struct snp_key_req){ .fields = SNP_KEY_MIX_GUEST_SVN, .guest_svn = 4 });
	EXPECT(a.status == 0 && b.status == 0 && memcmp(a.key, b.key, 32) != 0);
	EXPECT_INT(key(7, 0, (struct snp_key_req){ .guest_svn = 6 }).status, SNP_FW_INVALID_PARAM);
	a = key(9, 0, (struct snp_key_req){ .fields = SNP_KEY_MIX_FAMILY_ID });
	b = key(11, 0, (struct snp_key_req){ .fields = SNP_KEY_MIX_IMAGE_ID });
	EXPECT(memcmp(a.key, b.key, 32) != 0);
}

TEST(an_id_block_for_another_image_or_policy_is_refused)
{
	id_launch();
	fin.id_block.digest[0] ^= 1;
	sign_id_block();
	EXPECT_INT(id_finish(), SNP_FW_BAD_MEASUREMENT);
	fin.id_block.digest[0] ^= 1;
	fin.id_block.policy |= SNP_POLICY_DEBUG;
	sign_id_block();
	EXPECT_INT(id_finish(), SNP_FW_POLICY_FAILURE);
	EXPECT_INT(send(), PSP_INVALID_GUEST_STATE);
	fin.id_block.policy = SNP_POLICY_DEFAULT;
	sign_id_block();
	EXPECT_INT(id_finish(), SNP_FW_OK);
}

TEST(an_id_block_that_is_not_signed_is_refused)
{
	uint8_t *const at[] = {
		fin.id_block.image_id, fin.id_auth.id_block_sig.r, &fin.id_auth.id_block_sig.s[71], fin.id_auth.id_key.x,
		&fin.id_auth.id_key.y[60], fin.id_auth.id_key.zero, fin.id_auth.id_key_sig.s, fin.id_auth.author_key.y,
		(uint8_t *)&fin.id_auth.author_key.curve, (uint8_t *)&fin.id_auth.id_key.curve,
	};
	size_t i;

	id_launch();
	for (i = 0; i < ARRAY_LEN(at); i++) {
		*at[i] ^= 1;
		EXPECT_INT(id_finish(), SNP_FW_BAD_SIGNATURE);
		*at[i] ^= 1;
	}
	EXPECT_INT(id_finish(), SNP_FW_OK);
}

TEST(malformed_finishes_are_refused)
{
	id_launch();
	fin.flags = 4;
	EXPECT_INT(id_finish(), PSP_INVALID_PARAM);
	fin.flags = PSP_FINISH_AUTHOR_KEY;	/* without a block */
	EXPECT_INT(id_finish(), PSP_INVALID_PARAM);
	fin.flags = PSP_FINISH_ID_BLOCK;
	fin.zero = 1;
	EXPECT_INT(id_finish(), PSP_INVALID_PARAM);
	fin.zero = 0;
	fin.id_block.version = 2;
	EXPECT_INT(id_finish(), PSP_INVALID_PARAM);
	fin.id_block.version = 1;
	fin.id_auth.id_key_algo = 0;
	EXPECT_INT(id_finish(), PSP_INVALID_PARAM);
	fin.id_auth.id_key_algo = 1;
	EXPECT_INT(ask(PSP_LAUNCH_FINISH, 0, 0, 0, &fin, sizeof(fin) - 1), PSP_INVALID_PARAM);
	EXPECT_INT(id_finish(), SNP_FW_OK);
}

/* ---- the program ---- */

struct program {
	pid_t pid;
	int to, from;
};

static struct program start(void)
{
	int in[2], out[2];
	struct program g;

	signal(SIGPIPE, SIG_IGN);
	if (pipe(in) != 0 || pipe(out) != 0)
		abort();
	g.pid = fork();
	if (g.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl(SVSM_PSP, "psp", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	g.to = in[1];
	g.from = out[0];
	return g;
}

static int stop(struct program *g)
{
	int status;

	close(g->to);
	close(g->from);
	return waitpid(g->pid, &status, 0) == g->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool put(struct program *g, const void *p, size_t len)
{
	const uint8_t *from = p;
	ssize_t n;

	for (; len; from += n, len -= (size_t)n)
		if ((n = write(g->to, from, len < 3000 ? len : 3000)) <= 0)
			return false;
	return true;
}

static bool get(struct program *g, void *p, size_t len)
{
	uint8_t *to = p;
	ssize_t n;

	for (; len; to += n, len -= (size_t)n)
		if ((n = read(g->from, to, len)) <= 0)
			return false;
	return true;
}

static uint32_t call(struct program *g, uint32_t op, uint64_t a, uint64_t b, uint64_t c, const void *data, size_t len)
{
	struct psp_req req = { .op = op, .len = (uint32_t)len, .arg = { a, b, c } };
	struct psp_rsp rsp;

	EXPECT(put(g, &req, sizeof(req)) && put(g, data, len) && get(g, &rsp, sizeof(rsp)));
	EXPECT(rsp.len <= PSP_OUT_MAX && rsp.zero == 0 && get(g, answer.data, rsp.len));
	answer.len = rsp.len;
	return rsp.status;
}

TEST(the_program_launches_a_guest_and_answers_it)
{
	const struct snp_key_req req = { .fields = 9 };
	static uint8_t many[PSP_PAGES_MAX * PSP_PAGE];
	struct program g;
	size_t certs;

	need_chip();
	memset(&fin, 0, sizeof(fin));
	g = start();
	EXPECT_INT(call(&g, PSP_CERTS, 0, 0, 0, NULL, 0), PSP_INVALID_PLATFORM_STATE);
	EXPECT_INT(call(&g, PSP_INIT, 0, 0, 0, chip_file, chip_len), SNP_FW_OK);
	EXPECT_INT(call(&g, PSP_CERTS, 0, 0, 0, NULL, 0), SNP_FW_OK);
	certs = chip_len - sizeof(struct psp_chip);
	EXPECT_INT(answer.len, (certs + 4095) / 4096 * 4096);
	EXPECT_MEM(answer.data, chip_file + sizeof(struct psp_chip), certs);
	EXPECT_INT(call(&g, PSP_LAUNCH_START, SNP_POLICY_DEFAULT, 0, 0, NULL, 0), SNP_FW_OK);
	EXPECT_INT(call(&g, PSP_LAUNCH_UPDATE, SNP_PAGE_NORMAL, 1 << 24, PSP_PAGES_MAX, many, sizeof(many)), SNP_FW_OK);
	EXPECT_INT(call(&g, PSP_LAUNCH_UPDATE, SNP_PAGE_SECRETS, 0x2000000, 1, NULL, 0), SNP_FW_OK);
	memcpy(vmpck, answer.data + 0x20, sizeof(vmpck));
	EXPECT_INT(call(&g, PSP_LAUNCH_FINISH, 0, 0, 0, &fin, sizeof(fin)), SNP_FW_OK);
	EXPECT_INT(answer.len, 48);
	seal(hdr(1, SNP_MSG_KEY_REQ, 32, 0), &req, sizeof(req));
	EXPECT_INT(call(&g, PSP_GUEST_REQUEST, 0, 0, 0, page, sizeof(page)), SNP_FW_OK);
	EXPECT_INT(((const struct snp_key_rsp *)(const void *)opened(1, SNP_MSG_KEY_REQ, 0, 64))->status, 0);
	EXPECT_INT(call(&g, PSP_GUEST_REQUEST, 0, 0, 0, page, sizeof(page)), SNP_FW_AEAD_OFLOW);
	EXPECT_INT(stop(&g), 0);
}

TEST(the_program_ends_at_requests_that_cannot_be_read)
{
	struct psp_req req = { .op = PSP_INIT, .len = PSP_IN_MAX + 1 };
	struct program g = start();
	uint8_t b;

	EXPECT(put(&g, &req, sizeof(req)));
	EXPECT(!get(&g, &b, 1));
	EXPECT_INT(stop(&g), 73);
	g = start();
	req.len = 100;
	EXPECT(put(&g, &req, sizeof(req)) && put(&g, page, 99));
	close(g.to);
	EXPECT(!get(&g, &b, 1));
	g.to = dup(0);
	EXPECT_INT(stop(&g), 71);
}
