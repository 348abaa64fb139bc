/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a store with many keys, fast: store_fill DATA-DIRECTORY COUNT. The directory is made where it is
 * absent. Keys are created by the service as for any client, many to a crossing; what makes it
 * fast is that the disk hears of it in a few large transactions, in the order the keys were made in.
 * Interrupted, it leaves a store that is refused: it is for measurements only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/kms.h"

#define TURN 100		/* calls a crossing */
#define GROUP 4000		/* changes under one head */
#define TXN 250000		/* records a transaction of the store */

struct pending {
	struct store_id id;
	size_t at, len;
};

struct fill {
	struct kms k;
	struct channel_lane *lane, *control;
	uint8_t cookie[WIRE_COOKIE_MAX];
	size_t cookie_len;
	struct pending *record;		/* TXN of them */
	size_t records;
	struct outbuf bytes;
	uint64_t ticket[GROUP];
	uint32_t tickets;
	struct outbuf head;
};

void invariant_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
	abort();
}

__attribute__((noreturn)) static void die(const char *what)
{
	fprintf(stderr, "store_fill: %s\n", what);
	exit(1);
}

static void must(enum rc rc, const char *what)
{
	if (rc != RC_OK)
		die(what);
}

static void start(struct fill *f, const char *data)
{
	struct store_options opt = { .create = true };
	struct core_error err = { .text = "no memory" };
	SECRET key = { 0 };
	struct kms *k = &f->k;
	enum rc rc;

	pthread_mutex_init(&k->control, NULL);
	k->workers = 1;
	rc = setup_conf(NULL, &k->conf, &k->settings, &err);
	if (rc == RC_OK)
		rc = setup_store(k, data, &opt, &err);
	if (rc == RC_OK)
		rc = setup_platform_key(data, true, &key, &err);
	if (rc == RC_OK)
		rc = setup_channel(k, &key, &err);
	if (rc == RC_OK)
		rc = core_configure(k, channel_lane(k->channel, CHANNEL_CONTROL), &err);
	if (rc == RC_OK)
		rc = core_open_store(k, true, false, &err);
	must(rc, err.text);
	f->lane = channel_lane(k->channel, 0);
	f->control = channel_lane(k->channel, CHANNEL_CONTROL);
}

static struct wire_ans call(struct fill *f, enum wire_call c, struct slice body, int *slot)
{
	struct wire_ans ans;
	uint32_t e;

	must(core_call(f->control, c, body, slot, &e, &ans), "the service died");
	if (e != E_OK)
		die("the service refuses a call");
	return ans;
}

static void log_in(struct fill *f)
{
	uint8_t body[256];
	struct sink s = sink_of(body, sizeof(body));
	struct wire_ans ans;
	int slot;

	wire_name_req_put(&s, &(struct wire_name_req){
				      .cred = { .has_user = true, .user = slice_str("bench"), .group = cur_of(NULL, 0) },
				      .name = slice_of("", 0) });
	ans = call(f, CALL_AUTH, slice_of(body, s.need), &slot);
	if (ans.cookie.len == 0 || ans.cookie.len > sizeof(f->cookie))
		die("no cookie");
	memcpy(f->cookie, ans.cookie.p, ans.cookie.len);
	f->cookie_len = ans.cookie.len;
	channel_slot_release(f->control, slot);
}

static size_t put_create(struct fill *f, int slot, uint64_t number)
{
	struct sink s = sink_of(channel_request(f->lane, slot), channel_room(slot));
	char name[32];

	snprintf(name, sizeof(name), "bench-key-%08llu", (unsigned long long)number);
	wire_create_req_put(&s, &(struct wire_create_req){
					.cred = { .has_cookie = true, .cookie = slice_of(f->cookie, f->cookie_len),
						  .group = cur_of(NULL, 0) },
					.name = slice_str(name), .attr = cur_of(NULL, 0), .material = cur_of(NULL, 0) });
	return s.need;
}

/* Keeps the record and the ticket of a staged change. */
static void keep(struct fill *f, int slot)
{
	struct slice bytes;
	struct wire_ans ans;
	struct wire_staged st;
	struct pending *p = &f->record[f->records++];

	if (channel_result(f->lane, slot, &bytes) != E_OK || wire_ans_get(cur_of(bytes.p, bytes.len), &ans) != RC_OK ||
	    !wire_staged_next(&ans.body, &st))
		die("a key could not be created; are these names in the store already?");
	memcpy(p->id.b, st.id, sizeof(st.id));
	p->at = f->bytes.len;
	p->len = st.record.len;
	outbuf_add(&f->bytes, st.record);
	f->ticket[f->tickets++] = st.ticket;
	channel_slot_release(f->lane, slot);
}

static void create_some(struct fill *f, uint64_t first, unsigned n)
{
	int slot[TURN];
	unsigned i;

	for (i = 0; i < n; i++) {
		slot[i] = channel_slot_take(f->lane, false);
		if (slot[i] < 0 || !channel_submit(f->lane, slot[i], CALL_CREATE, put_create(f, slot[i], first + i)))
			die("no slot");
	}
	must(channel_flush(f->lane), "the service died");
	for (i = 0; i < n; i++)
		keep(f, slot[i]);
}

/* Makes what was staged visible. The head is kept for the next transaction. */
static void commit(struct fill *f)
{
	static uint8_t body[12 + 8 * GROUP];
	struct sink s = sink_of(body, sizeof(body));
	struct wire_ans ans;
	struct slice head;
	uint64_t epoch;
	uint32_t i;
	int slot;

	wire_tickets_req_put(&s, &(struct wire_tickets_req){ .count = f->tickets });
	for (i = 0; i < f->tickets; i++)
		sink_le64(&s, f->ticket[i]);
	f->tickets = 0;
	ans = call(f, CALL_HEAD, slice_of(body, s.need), &slot);
	if (!cur_le64(&ans.body, &epoch) || !cur_str16(&ans.body, UINT16_MAX, &head))
		die("no head");
	outbuf_reset(&f->head);
	outbuf_add(&f->head, head);
	channel_slot_release(f->control, slot);
	s = sink_of(body, sizeof(body));
	wire_tickets_req_put(&s, &(struct wire_tickets_req){ .epoch = epoch });
	(void)call(f, CALL_COMMIT, slice_of(body, s.need), &slot);
	channel_slot_release(f->control, slot);
}

static void write_out(struct fill *f)
{
	struct store_error e;
	enum rc rc = store_txn_begin(f->k.store, &e);
	size_t i;

	for (i = 0; rc == RC_OK && i < f->records; i++)
		rc = store_txn_put(f->k.store, &f->record[i].id,
				   slice_of(f->bytes.p + f->record[i].at, f->record[i].len), &e);
	if (rc == RC_OK)
		rc = store_txn_put_head(f->k.store, outbuf_slice(&f->head), &e);
	if (rc == RC_OK)
		rc = store_txn_commit(f->k.store, &e);
	must(rc, e.text);
	f->records = 0;
	outbuf_reset(&f->bytes);
}

int main(int argc, char **argv)
{
	static struct fill f;
	uint64_t count, done = 0;
	unsigned n;

	if (argc != 3)
		die("usage: store_fill DATA-DIRECTORY COUNT");
	count = strtoull(argv[2], NULL, 10);
	f.record = calloc(TXN, sizeof(*f.record));
	if (!f.record)
		die("no memory");
	start(&f, argv[1]);
	log_in(&f);
	while (done < count) {
		n = count - done < TURN ? (unsigned)(count - done) : TURN;
		create_some(&f, done, n);
		done += n;
		if (f.tickets + TURN > GROUP || done == count || f.records + TURN > TXN)
			commit(&f);
		if (f.records + TURN > TXN || done == count)
			write_out(&f);
	}
	channel_close(f.k.channel);
	store_close(f.k.store);
	free(f.record);
	outbuf_free(&f.bytes);
	outbuf_free(&f.head);
	settings_free(f.k.settings);
	conf_free(f.k.conf);
	return 0;
}
