/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform service, in process and as the program itself through pipes. Known answers: messages computed
 * from the layout of AMD publication 56860 with another AES-GCM implementation; hashes: FIPS 180-4 ("abc").
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/platform/work.h"
#include "snp/guestmsg.h"
#include "tests/test.h"

static struct platform p;
static struct platform_req req;
static struct platform_rsp rsp;

static void fresh(uint32_t op)
{
	if (!p.hash && !platform_start(&p))
		abort();
	memset(&req, 0, sizeof(req));
	req.op = op;
}

/* The message of the known answers: VMPCK0 = 00..1f. */
static void message(uint32_t op, uint8_t type, uint64_t seqno, const void *payload, uint16_t len)
{
	struct snp_msg_hdr h = { .seqno = seqno, .algo = 1, .hdr_version = 1, .hdr_len = sizeof(h), .type = type,
				 .version = 1, .payload_len = len };
	unsigned i;

	fresh(op);
	req.len = PLATFORM_PAGE;
	for (i = 0; i < sizeof(req.key); i++)
		req.key[i] = (uint8_t)i;
	memcpy(req.data, &h, sizeof(h));
	if (len)
		memcpy(req.data + sizeof(h), payload, len);
}

static void report_request(uint32_t op)
{
	uint8_t payload[96] = { 0 };
	unsigned i;

	for (i = 0; i < 64; i++)
		payload[i] = (uint8_t)i;
	message(op, SNP_MSG_REPORT_REQ, 1, payload, sizeof(payload));
}

static const char report_tag[] = "0f354f26b13f7433d3674d8eebcaf847";
static const char report_text[] =
	"e22d803ca0aaea00420d0fc830cc86c4dc70dd3d68bd7d05560647e5013b996fccddd2ea048788e8f0f437f862242ea7"
	"c0e4fcb7d1456ca0bbb1da492b891678bcafa49213c0f2445044cd48be94fd5eb5f3e8b761e80896f353185b4abd740d";

static bool is_hex(const uint8_t *p_, const char *hex)
{
	uint8_t want[256];
	size_t n = test_unhex(hex, want, sizeof(want));

	return memcmp(p_, want, n) == 0;
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

TEST(a_report_request_is_sealed_as_the_specification_says)
{
	report_request(PLATFORM_SEAL);
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_OK);
	EXPECT(is_hex(rsp.data, report_tag));
	EXPECT(all_zero(rsp.data + 16, 16));
	EXPECT(is_hex(rsp.data + 0x60, report_text));
	EXPECT(all_zero(rsp.data + 0x60 + 96, PLATFORM_PAGE - 0x60 - 96));
}

TEST(a_key_request_is_sealed_as_the_specification_says)
{
	struct snp_key_req k = { .fields = SNP_KEY_MIX_POLICY | SNP_KEY_MIX_MEASUREMENT };

	message(PLATFORM_SEAL, SNP_MSG_KEY_REQ, 3, &k, sizeof(k));
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_OK);
	EXPECT(is_hex(rsp.data, "4c1952e610e8147d1b74b16a0d13eeff"));
	EXPECT(is_hex(rsp.data + 0x60, "908c5899595132d8f1388fa492d606c92fd3c064da9bd2e0cb97494f1e4bd012"));
}

TEST(requests_are_wiped_whatever_becomes_of_them)
{
	report_request(PLATFORM_SEAL);
	platform_work(&p, &req, &rsp);
	EXPECT(all_zero(&req, sizeof(req)));
	report_request(77);
	platform_work(&p, &req, &rsp);
	EXPECT(all_zero(&req, sizeof(req)));
	EXPECT_INT(rsp.status, PLATFORM_BAD);
}

TEST(what_was_sealed_opens_again)
{
	report_request(PLATFORM_SEAL);
	platform_work(&p, &req, &rsp);
	report_request(PLATFORM_OPEN);
	memcpy(req.data, rsp.data, PLATFORM_PAGE);
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_OK);
	EXPECT(rsp.data[0x60 + 63] == 63 && rsp.data[0x60 + 64] == 0);
}

TEST(a_changed_bit_anywhere_under_the_tag_is_refused_and_gives_no_plaintext)
{
	/* tag, sequence number, each kind of header field, payload */
	static const unsigned at[] = { 0, 15, 0x20, 0x34, 0x35, 0x36, 0x3c, 0x60, 0x60 + 95 };
	static uint8_t sealed[PLATFORM_PAGE];
	size_t i;

	report_request(PLATFORM_SEAL);
	platform_work(&p, &req, &rsp);
	memcpy(sealed, rsp.data, sizeof(sealed));
	for (i = 0; i < ARRAY_LEN(at); i++) {
		report_request(PLATFORM_OPEN);
		memcpy(req.data, sealed, sizeof(sealed));
		req.data[at[i]] ^= 2;
		platform_work(&p, &req, &rsp);
		EXPECT_INT(rsp.status, PLATFORM_DENIED);
		EXPECT(all_zero(rsp.data, sizeof(rsp.data)));
	}
}

TEST(another_key_does_not_open)
{
	report_request(PLATFORM_SEAL);
	platform_work(&p, &req, &rsp);
	report_request(PLATFORM_OPEN);
	memcpy(req.data, rsp.data, PLATFORM_PAGE);
	req.key[31] ^= 1;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_DENIED);
}

TEST(malformed_headers_are_neither_sealed_nor_opened)
{
	static const struct {
		unsigned at;
		uint8_t value;
	} bad[] = {
		{ 0x20, 0 },	/* sequence number 0 */
		{ 0x28, 1 },	/* reserved */
		{ 0x2f, 1 },
		{ 0x30, 0 },	/* no algorithm */
		{ 0x30, 2 },
		{ 0x31, 2 },	/* header version */
		{ 0x32, 0x61 },	/* header size */
		{ 0x33, 1 },
		{ 0x37, 0x10 },	/* payload beyond the page */
		{ 0x38, 1 },	/* reserved */
		{ 0x3c, 4 },	/* no such VMPCK */
		{ 0x3d, 1 },	/* reserved */
		{ 0x5f, 1 },
	};
	uint32_t op;
	size_t i;

	for (op = PLATFORM_SEAL; op <= PLATFORM_OPEN; op++) {
		for (i = 0; i < ARRAY_LEN(bad); i++) {
			report_request(op);
			req.data[bad[i].at] = bad[i].value;
			platform_work(&p, &req, &rsp);
			EXPECT_INT(rsp.status, PLATFORM_BAD);
			EXPECT(all_zero(rsp.data, sizeof(rsp.data)));
		}
	}
}

TEST(the_largest_payload_is_sealed_and_one_byte_more_is_not)
{
	static uint8_t payload[SNP_MSG_MAX_PAYLOAD];

	message(PLATFORM_SEAL, SNP_MSG_REPORT_REQ, 1, payload, SNP_MSG_MAX_PAYLOAD);
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_OK);
	message(PLATFORM_SEAL, SNP_MSG_REPORT_REQ, 1, payload, SNP_MSG_MAX_PAYLOAD);
	req.data[0x36]++;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
}

TEST(malformed_requests_are_refused)
{
	report_request(0);
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	report_request(5);
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	report_request(PLATFORM_SEAL);
	req.zero0 = 1;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	report_request(PLATFORM_SEAL);
	req.zero1[15] = 1;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	report_request(PLATFORM_SEAL);
	req.len--;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	report_request(PLATFORM_SEAL);
	req.flags = PLATFORM_FIRST;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
}

static uint32_t hash_piece(uint32_t op, uint32_t flags, const char *text)
{
	fresh(op);
	req.flags = flags;
	req.len = (uint32_t)strlen(text);
	memcpy(req.data, text, req.len);
	platform_work(&p, &req, &rsp);
	return rsp.status;
}

static const char abc384[] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
static const char abc512[] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

TEST(hashes_are_those_of_the_standard)
{
	EXPECT_INT(hash_piece(PLATFORM_SHA384, PLATFORM_FIRST | PLATFORM_LAST, "abc"), PLATFORM_OK);
	EXPECT(is_hex(rsp.data, abc384) && all_zero(rsp.data + 48, sizeof(rsp.data) - 48));
	EXPECT_INT(hash_piece(PLATFORM_SHA512, PLATFORM_FIRST | PLATFORM_LAST, "abc"), PLATFORM_OK);
	EXPECT(is_hex(rsp.data, abc512) && all_zero(rsp.data + 64, sizeof(rsp.data) - 64));
}

TEST(a_hash_in_pieces_is_the_hash_of_the_whole)
{
	EXPECT_INT(hash_piece(PLATFORM_SHA384, PLATFORM_FIRST, "a"), PLATFORM_OK);
	EXPECT(all_zero(rsp.data, sizeof(rsp.data)));
	EXPECT_INT(hash_piece(PLATFORM_SHA384, 0, "b"), PLATFORM_OK);
	EXPECT_INT(hash_piece(PLATFORM_SHA384, 0, ""), PLATFORM_OK);
	EXPECT_INT(hash_piece(PLATFORM_SHA384, PLATFORM_LAST, "c"), PLATFORM_OK);
	EXPECT(is_hex(rsp.data, abc384));
}

TEST(a_message_between_two_pieces_of_a_hash_does_not_disturb_it)
{
	EXPECT_INT(hash_piece(PLATFORM_SHA512, PLATFORM_FIRST, "a"), PLATFORM_OK);
	report_request(PLATFORM_SEAL);
	platform_work(&p, &req, &rsp);
	EXPECT_INT(hash_piece(PLATFORM_SHA512, PLATFORM_LAST, "bc"), PLATFORM_OK);
	EXPECT(is_hex(rsp.data, abc512));
}

TEST(a_piece_without_a_beginning_is_refused)
{
	EXPECT_INT(hash_piece(PLATFORM_SHA384, PLATFORM_FIRST | PLATFORM_LAST, "abc"), PLATFORM_OK);
	EXPECT_INT(hash_piece(PLATFORM_SHA384, 0, "abc"), PLATFORM_BAD);
	EXPECT_INT(hash_piece(PLATFORM_SHA384, PLATFORM_LAST, "abc"), PLATFORM_BAD);
	EXPECT_INT(hash_piece(PLATFORM_SHA384, PLATFORM_FIRST, "abc"), PLATFORM_OK);
	EXPECT_INT(hash_piece(PLATFORM_SHA512, PLATFORM_LAST, "abc"), PLATFORM_BAD);
}

TEST(a_hash_of_more_than_fits_is_refused)
{
	fresh(PLATFORM_SHA384);
	req.flags = PLATFORM_FIRST | PLATFORM_LAST;
	req.len = PLATFORM_DATA_MAX + 1;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	fresh(PLATFORM_SHA384);
	req.flags = 4 | PLATFORM_FIRST;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
	fresh(PLATFORM_SHA384);
	req.flags = PLATFORM_FIRST;
	req.key[0] = 1;
	platform_work(&p, &req, &rsp);
	EXPECT_INT(rsp.status, PLATFORM_BAD);
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
		execl(SVSM_PLATFORM, "svsm-kms-platform", (char *)NULL);
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
	if (waitpid(g->pid, &status, 0) != g->pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static bool transfer(int fd, void *m, size_t len, bool out)
{
	uint8_t *b = m;
	size_t done = 0;

	while (done < len) {
		/* in pieces that fit nothing: the program has to put them together */
		size_t piece = len - done < 1000 ? len - done : 1000;
		ssize_t n = out ? write(fd, b + done, piece) : read(fd, b + done, len - done);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

TEST(the_program_answers_request_after_request_and_ends_with_them)
{
	struct program g = start();
	int i;

	for (i = 0; i < 3; i++) {
		report_request(PLATFORM_SEAL);
		EXPECT(transfer(g.to, &req, sizeof(req), true));
		EXPECT(transfer(g.from, &rsp, sizeof(rsp), false));
		EXPECT_INT(rsp.status, PLATFORM_OK);
		EXPECT(is_hex(rsp.data + 0x60, report_text));
		report_request(9);
		EXPECT(transfer(g.to, &req, sizeof(req), true));
		EXPECT(transfer(g.from, &rsp, sizeof(rsp), false));
		EXPECT_INT(rsp.status, PLATFORM_BAD);
	}
	EXPECT_INT(stop(&g), 0);
}

TEST(the_program_does_not_answer_a_request_that_is_cut_short)
{
	struct program g = start();

	report_request(PLATFORM_SEAL);
	EXPECT(transfer(g.to, &req, sizeof(req) - 1, true));
	close(g.to);
	EXPECT(!transfer(g.from, &rsp, 1, false));
	g.to = dup(0);
	EXPECT_INT(stop(&g), 71);
}
