/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing the core up: configuration first, then the store, every record of which the core opens and
 * checks itself. Errors say what was found and what to do about it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/kms.h"

/* Where the entries of control calls go: one server a process. */
static struct chainlog *the_chain;

enum rc core_call(struct channel_lane *l, enum wire_call call, struct slice body, int *slot, uint32_t *err,
		  struct wire_ans *ans)
{
	bool large = body.len > CALL_PAGE;
	struct slice bytes;
	uint32_t generation;
	uint64_t last;
	enum rc rc;

	*ans = (struct wire_ans){ .user = slice_of("", 0), .arg = slice_of("", 0), .chain = slice_of("", 0) };
	for (;;) {
		*slot = channel_slot_take(l, large);
		if (*slot >= 0 && body.len > channel_room(*slot)) {
			channel_slot_release(l, *slot);
			*slot = -1;
		}
		if (*slot < 0)
			return RC_NO_ROOM;
		if (body.len)
			memcpy(channel_request(l, *slot), body.p, body.len);
		INVARIANT(channel_submit(l, *slot, call, body.len));	/* nothing else is under way */
		generation = channel_lane_generation(l);
		rc = channel_flush(l);
		if (rc != RC_OK) {
			channel_slot_release(l, *slot);
			return rc;
		}
		*err = channel_result(l, *slot, &bytes);
		if (bytes.len && wire_ans_get(cur_of(bytes.p, bytes.len), ans) != RC_OK)
			*err = E_INTERNAL;
		if (call != CALL_AUDIT_RESUME)	/* entries of a service that is gone are of no use */
			(void)!chainlog_add(the_chain, generation, ans->chain, false, &last);
		if (*err != E_TOO_BIG || large)
			return RC_OK;
		channel_slot_release(l, *slot);
		large = true;
	}
}

#define ARG(a) (int)((a)->arg.len < 600 ? (a)->arg.len : 600), (const char *)(a)->arg.p
#define NUM(a, i) (unsigned long long)(a)->head.num[i]

static bool owner_error_text(uint32_t err, const struct wire_ans *a, char *out, size_t room)
{
	switch (err) {
	case E_OWNER_ONLY:
		snprintf(out, room,
			 "the store has an owner, and takes only what the owner signed: put the owner's bundle into the "
			 "configuration directory as " OWNER_BUNDLE " (`svsm-kms owner sign` writes it)");
		break;
	case E_OWNER_SIGNATURE:
	case E_BAD_MESSAGE:
		snprintf(out, room, OWNER_BUNDLE ": its signature does not fit, or it is damaged; have the owner sign it again");
		break;
	case E_OWNER_OTHER:
		snprintf(out, room, OWNER_BUNDLE " is signed by somebody who is not the owner of this store");
		break;
	case E_OWNER_OLD:
		snprintf(out, room,
			 OWNER_BUNDLE " has version %llu, but the store takes nothing older than %llu: an earlier bundle was "
			 "put back, or a version was used twice. Sign again with a higher --number", NUM(a, 0), NUM(a, 1));
		break;
	case E_OWNER_STORE:
		snprintf(out, room,
			 OWNER_BUNDLE " is signed for another store; enrolling an owner needs the id of this one (--store)");
		break;
	default:
		return false;
	}
	return true;
}

/* What a platform keyslot that does not open means, and what to do about it. */
static const char *slot_key_text(uint32_t isolation)
{
	if (isolation == ISOLATION_PROCESS)
		return "the store's platform keyslot does not open with this machine's key: platform.key is "
		       "not the one this store was made with, or the keyslot is damaged. Put the right "
		       "platform.key back, or run `svsm-kms store recover` with the recovery key";
	return "the store's platform keyslot does not open with the key that the secure processor gives this virtual "
	       "machine: it was started from another image (monitor, service, kernel, initramfs or command line), on "
	       "another chip, or the keyslot is damaged. Start the image that the store was made with, or run `svsm-kms "
	       "store recover` with the recovery key";
}

void core_error_text(uint32_t isolation, uint32_t err, const struct wire_ans *a, char *out, size_t room)
{
	switch (err) {
	case E_CONFIG:
		snprintf(out, room, "the key service refuses the configuration: %.*s", ARG(a));
		break;
	case E_KEYTAB:
		snprintf(out, room,
			 "the authentication type needs Kerberos keys: %.*s. They come in the file that "
			 "hadoop.kms.authentication.kerberos.keytab names, or, once there is an owner, with `svsm-kms owner "
			 "sign --keytab`; the store keeps them", ARG(a));
		break;
	case E_SLOT_KEY:
		snprintf(out, room, "%s", slot_key_text(isolation));
		break;
	case E_SLOT_FORMAT:
		snprintf(
			out, room,
			"the store has no readable platform keyslot. Restore a backup, or run `svsm-kms store "
			"recover` with the recovery key");
		break;
	case E_HEAD:
		snprintf(out, room, "the store's head does not open: it is damaged or from another store. Restore the "
				    "whole data directory from a backup");
		break;
	case E_EPOCH_FLOOR:
		snprintf(
			out, room,
			"the store is at epoch %llu, but svsm.kms.store.epoch.min demands at least %llu: an old "
			"copy of the store was put back. Restore the newest copy; lower the setting only if "
			"going back is intended",
			NUM(a, 0), NUM(a, 1));
		break;
	case E_RECORD:
		snprintf(out, room, "record %.*s of the store does not open: it was changed, or is from another store. "
				    "Restore the whole data directory from a backup", ARG(a));
		break;
	case E_RECORD_AHEAD:
		snprintf(out, room, "record %.*s is newer than the store's head: an old head was put back. Restore the "
				    "whole data directory from one backup", ARG(a));
		break;
	case E_RECORD_TWICE:
		snprintf(
			out, room,
			"record %.*s is there twice: the store was mixed from copies. Restore the whole data "
			"directory from one backup",
			ARG(a));
		break;
	case E_COUNT:
		snprintf(out, room,
			 "the store has %llu records, its head was sealed over %llu: records were removed or "
			 "added. Restore the whole data directory from a backup",
			 NUM(a, 0), NUM(a, 1));
		break;
	case E_SET:
		snprintf(
			out, room,
			"the store's records are not those its head was sealed over: one was replaced by an "
			"older copy, or a deleted one was brought back. Restore the whole data directory from "
			"one backup");
		break;
	case E_NO_MEMORY:
		snprintf(
			out, room,
			"the key service has no memory for the store's keys; raise the limit of locked memory "
			"(ulimit -l), or give the machine more");
		break;
	case E_RANDOM:
		snprintf(out, room, "the random source of this machine failed its tests (RDSEED/RDRAND or getrandom)");
		break;
	case E_RECOVERY_KEY:
		snprintf(out, room, "the recovery key is not a P-384 key, or not the one this store was sealed for");
		break;
	default:
		if (!owner_error_text(err, a, out, room))
			snprintf(out, room, "the key service answers with error %u to a start-up call", err);
	}
}

/* The exit code of a store that is not to be trusted; sysexits' "data format error". */
#define EXIT_STORE 65

static enum rc refuse(const struct channel_lane *l, struct core_error *err, uint32_t e, const struct wire_ans *a)
{
	core_error_text(channel_lane_isolation(l), e, a, err->text, sizeof(err->text));
	err->exit_code = e == E_CONFIG || (e >= E_OWNER_ONLY && e <= E_OWNER_STORE) ? 78 : EXIT_STORE;
	return RC_DENIED;
}

static enum rc died(struct core_error *err)
{
	snprintf(err->text, sizeof(err->text), "the key service died while it was started; its last words are above");
	err->exit_code = 70;
	return RC_MACHINE;
}

/* One call whose answer is not needed. */
static enum rc simple_call(struct channel_lane *l, enum wire_call call, struct slice body, struct core_error *err)
{
	struct wire_ans ans;
	uint32_t e;
	int slot;

	if (core_call(l, call, body, &slot, &e, &ans) != RC_OK)
		return died(err);
	if (call == CALL_CONFIG)	/* there are secrets in it */
		mem_wipe(channel_request(l, slot), body.len);
	if (e != E_OK) {
		enum rc rc = refuse(l, err, e, &ans);

		channel_slot_release(l, slot);
		return rc;
	}
	channel_slot_release(l, slot);
	return RC_OK;
}

static void put_property(struct outbuf *o, struct slice name, struct slice value)
{
	uint8_t *to = outbuf_room(o, 6 + name.len + value.len);
	struct sink s = sink_of(to, to ? 6 + name.len + value.len : 0);

	if (!to)
		return;
	wire_property_put(&s, name, value);
	if (sink_ok(&s))
		outbuf_used(o, s.need);
	else
		o->failed = true;
}

enum rc core_config_body(const struct settings *settings, const struct conf *conf, bool with_secrets, struct outbuf *body,
			 struct core_error *err)
{
	struct settings_core_iter it = { 0 };
	struct slice name, value, secret = settings_signature_secret(settings),
		     keytab = settings_keytab(settings);
	uint32_t count = 0;

	outbuf_put(body, &count, sizeof(count));
	while (settings_core_next(settings, conf, &it, &name, &value)) {
		put_property(body, name, value);
		count++;
	}
	(void)!outbuf_room(body, secret.len + keytab.len + 256);	/* secrets are not to be moved, and left behind */
	if (secret.len && with_secrets) {
		put_property(body, slice_str("svsm.secret.signature"), secret);
		count++;
	}
	if (keytab.len && with_secrets) {
		put_property(body, slice_str("svsm.secret.keytab"), keytab);
		count++;
	}
	if (!outbuf_ok(body)) {
		snprintf(err->text, sizeof(err->text),
			 "the access control lists are larger than %u bytes altogether; use "
			 "groups instead of long lists of users",
			 CALL_LARGE_LEN);
		err->exit_code = 78;
		return RC_NO_ROOM;
	}
	memcpy(body->p, &count, sizeof(count));
	return RC_OK;
}

/* The core has taken it: whom its rules name is to be known. */
static void learn_peers(struct kms *k, struct slice body, bool bundle)
{
	struct cursor in = cur_of(body.p, body.len);
	struct wire_config_req config;
	struct wire_signed_req m;

	if (bundle ? wire_signed_req_get(in, &m) == RC_OK : wire_config_req_get(in, &config) == RC_OK)
		peers_learn(k->peers, bundle ? &m.config : &config);
}

enum rc core_configure(struct kms *k, struct channel_lane *l, struct core_error *err)
{
	OUTBUF body = { .max = CALL_LARGE_LEN };
	bool bundle;
	enum rc rc = owner_bundle_read(k->conf, &body, &bundle, err);

	if (rc == RC_OK && !bundle)
		rc = core_config_body(k->settings, k->conf, true, &body, err);
	if (rc == RC_OK)
		rc = simple_call(l, bundle ? CALL_CONFIG_SIGNED : CALL_CONFIG, outbuf_slice(&body), err);
	if (rc == RC_OK)
		learn_peers(k, outbuf_slice(&body), bundle);
	if (body.p)
		mem_wipe(body.p, body.len);
	return rc;
}

/* ---- store ---- */

static enum rc store_failed(struct core_error *err, const struct store_error *serr)
{
	snprintf(err->text, sizeof(err->text), "%s", serr->text);
	err->exit_code = serr->exit_code;
	return RC_MACHINE;
}

static enum rc make_store(struct kms *k, struct channel_lane *l, struct core_error *err)
{
	struct store_error serr;
	struct slice slot_blob, head;
	struct wire_ans ans;
	uint32_t e;
	int slot;
	enum rc rc;

	if (core_call(l, CALL_STORE_CREATE, slice_of("", 0), &slot, &e, &ans) != RC_OK)
		return died(err);
	if (e != E_OK)
		rc = refuse(l, err, e, &ans);
	else if (!cur_str16(&ans.body, UINT16_MAX, &slot_blob) || !cur_str16(&ans.body, UINT16_MAX, &head))
		rc = died(err);
	else if (store_txn_begin(k->store, &serr) != RC_OK ||
		 store_txn_put_keyslot(k->store, 0, slot_blob, &serr) != RC_OK ||
		 store_txn_put_head(k->store, head, &serr) != RC_OK || store_txn_commit(k->store, &serr) != RC_OK)
		rc = store_failed(err, &serr);
	else
		rc = RC_OK;
	channel_slot_release(l, slot);
	return rc;
}

static enum rc open_store(struct kms *k, struct channel_lane *l, struct slice head, uint64_t count,
			  struct core_error *err)
{
	bool there[256];
	struct store_error serr;
	struct store_buf blob = { 0 };
	OUTBUF body = { 0 };
	struct wire_open_req m = { .count = count, .head = head };
	const struct wire_ans none = { .arg = slice_of("", 0) };
	unsigned i, slots = 0;
	enum rc rc = store_keyslot_list(k->store, there, &serr);
	bool odd = head.len > UINT16_MAX;
	struct sink s;
	uint8_t *to;

	if (k->settings)
		m.floor = (uint64_t)settings_int(k->settings, SET_STORE_EPOCH_MIN);
	if (rc != RC_OK)
		return store_failed(err, &serr);
	for (i = 0; i < 256; i++)
		slots += there[i];
	if (odd || slots > UINT8_MAX)	/* nothing that this program writes */
		return refuse(l, err, odd ? E_HEAD : E_SLOT_FORMAT, &none);
	m.slots = (uint8_t)slots;
	to = outbuf_room(&body, 19 + head.len);
	if (!to)
		return died(err);
	s = sink_of(to, 19 + head.len);
	wire_open_req_put(&s, &m);
	outbuf_used(&body, s.need);
	for (i = 0; rc == RC_OK && i < 256; i++) {
		if (!there[i])
			continue;
		rc = store_keyslot_get(k->store, (uint8_t)i, &blob, &serr);
		odd |= blob.len > UINT16_MAX;
		if (rc != RC_OK || !blob.found || odd)
			break;
		to = outbuf_room(&body, 3 + blob.len);
		s = sink_of(to, to ? 3 + blob.len : 0);
		wire_slot_put(&s, (uint8_t)i, slice_of(blob.p, blob.len));
		if (to)
			outbuf_used(&body, s.need);
	}
	store_buf_free(&blob);
	if (rc != RC_OK)
		return store_failed(err, &serr);
	if (odd || !outbuf_ok(&body) || body.len > CALL_LARGE_LEN)
		return refuse(l, err, E_SLOT_FORMAT, &none);
	return simple_call(l, CALL_STORE_OPEN, outbuf_slice(&body), err);
}

/* One thread's share of the records. */
struct loader {
	struct kms *k;
	struct channel_lane *lane;
	uint8_t first, last;	/* of the ids' first bytes */
	pthread_t thread;
	struct core_error err;
	enum rc rc;
};

/*
 * Records sent at a time: more would be no faster, and what a slot has once held stays in memory, here
 * and in the service. A single record may be larger.
 */
#define LOAD_BYTES (256u << 10)

/* Fills the slot with records. *count 0: not even the one in buf fits. */
static enum rc fill(struct loader *ld, struct store_cursor *c, struct store_id *id, struct store_buf *buf, int slot,
		    size_t *len, uint32_t *count)
{
	struct sink s = sink_of(channel_request(ld->lane, slot), channel_room(slot));
	struct store_error serr;

	*count = 0;
	wire_load_req_put(&s, 0);
	while (buf->found && s.left >= WIRE_ID_LEN + 4 + buf->len && (*count == 0 || s.need < LOAD_BYTES)) {
		wire_record_put(&s, id->b, slice_of(buf->p, buf->len));
		(*count)++;
		if (store_cursor_next(c, id, buf, &serr) != RC_OK)
			return store_failed(&ld->err, &serr);
	}
	memcpy(channel_request(ld->lane, slot), count, sizeof(*count));
	*len = s.need;
	return RC_OK;
}

static enum rc send_slot(struct loader *ld, int slot, size_t len)
{
	struct wire_ans ans = { .arg = slice_of("", 0) };
	struct slice bytes;
	uint32_t e;

	if (!channel_submit(ld->lane, slot, CALL_STORE_LOAD, len) || channel_flush(ld->lane) != RC_OK)
		return died(&ld->err);
	e = channel_result(ld->lane, slot, &bytes);
	if (e != E_OK && bytes.len && wire_ans_get(cur_of(bytes.p, bytes.len), &ans) != RC_OK)
		e = E_INTERNAL;
	return e == E_OK ? RC_OK : refuse(ld->lane, &ld->err, e, &ans);
}

static void *load_thread(void *arg)
{
	struct loader *ld = arg;
	struct store_cursor *c;
	struct store_buf buf = { 0 };
	struct store_error serr;
	struct store_id id;
	uint32_t count = 0;
	size_t len = 0;
	int slot;

	ld->rc = store_cursor_open(ld->k->store, ld->first, ld->last, NULL, &c, &serr);
	if (ld->rc != RC_OK) {
		ld->rc = store_failed(&ld->err, &serr);
		return NULL;
	}
	slot = channel_slot_take(ld->lane, true);
	if (store_cursor_next(c, &id, &buf, &serr) != RC_OK)
		ld->rc = store_failed(&ld->err, &serr);
	while (ld->rc == RC_OK && buf.found) {
		ld->rc = fill(ld, c, &id, &buf, slot, &len, &count);
		if (ld->rc == RC_OK && count == 0) {
			snprintf(ld->err.text, sizeof(ld->err.text),
				 "a record of the store is larger than any that this "
				 "program writes. Restore the data directory from a backup");
			ld->err.exit_code = EXIT_STORE;
			ld->rc = RC_DENIED;
		}
		if (ld->rc == RC_OK)
			ld->rc = send_slot(ld, slot, len);
	}
	channel_slot_release(ld->lane, slot);
	store_buf_free(&buf);
	store_cursor_close(c);
	return NULL;
}

static enum rc load_records(struct kms *k, bool many_lanes, struct core_error *err)
{
	unsigned n = many_lanes ? k->workers : 1, i;
	struct loader *ld = calloc(n, sizeof(*ld));
	enum rc rc = RC_OK;

	if (!ld)
		return died(err);
	for (i = 0; i < n; i++) {
		ld[i].k = k;
		ld[i].lane = channel_lane(k->channel, many_lanes ? i : CHANNEL_CONTROL);
		ld[i].first = (uint8_t)(256 * i / n);
		ld[i].last = (uint8_t)(256 * (i + 1) / n - 1);
		if (n > 1 && pthread_create(&ld[i].thread, NULL, load_thread, &ld[i]) != 0)
			abort();
	}
	if (n == 1)
		load_thread(&ld[0]);
	for (i = 0; i < n; i++) {
		if (n > 1)
			pthread_join(ld[i].thread, NULL);
		if (ld[i].rc != RC_OK && (rc == RC_OK || ld[i].rc == RC_DENIED)) {
			/* After one share is refused the others fail as well: the first reason is the one to tell. */
			if (rc == RC_OK || !strstr(ld[i].err.text, "start-up call"))
				*err = ld[i].err;
			rc = ld[i].rc;
		}
	}
	free(ld);
	return rc;
}

/* ---- the audit chain ---- */

static void chain_text(struct core_error *err, const struct chain_resumed *r, const char *path, bool refuse)
{
	snprintf(err->text, sizeof(err->text),
		 "%.500s: %llu entries of the audit chain are missing: the store knows of %llu. The file was cut, replaced or "
		 "removed%s", path, (unsigned long long)r->lost, (unsigned long long)r->sealed,
		 refuse ? ". Put it back; or start once with svsm.kms.audit.on-failure=continue, and the chain will say that "
			  "they are lost" : "; the chain says so from here on");
	err->exit_code = EXIT_STORE;
}

static enum rc chain_refused(struct kms *k, const struct wire_ans *ans, struct core_error *err)
{
	const char *path = k->settings ? settings_str(k->settings, SET_AUDIT_CHAIN_FILE) : "";
	char name[1200];

	snprintf(err->text, sizeof(err->text), "the audit chain's file (%.500s) ends with an entry that %s", path,
		 ans->head.num[0] == CHAIN_FORKED ?
			 "is not the one that the store knows: it, or the store, was replaced by another copy" :
			 "this store's core did not write: it was changed, or belongs to another store");
	err->exit_code = EXIT_STORE;
	if (chainlog_goes_on(k->chain) && chainlog_set_aside(k->chain, name, sizeof(name)) == RC_OK) {
		fprintf(stderr, "svsm-kms: WARNING: %s; it is now %s\n", err->text, name);
		return RC_BUSY;
	}
	snprintf(err->text + strlen(err->text), sizeof(err->text) - strlen(err->text),
		 ". Put the right one back; or move it away and start once with svsm.kms.audit.on-failure=continue");
	return RC_DENIED;
}

/* Where the core took it up. The service's first life here refuses what is missing, if the setting says so. */
static enum rc chain_taken(struct kms *k, const struct wire_ans *ans, uint32_t generation, struct core_error *err)
{
	struct cursor body = ans->body;
	struct chain_resumed r;
	uint64_t last;

	if (!chain_resumed_get(&body, &r))
		return died(err);
	if (r.lost && k->chain) {
		bool refuse = !k->chain_taken_up && !chainlog_goes_on(k->chain);

		chain_text(err, &r, k->settings ? settings_str(k->settings, SET_AUDIT_CHAIN_FILE) : "", refuse);
		if (refuse)
			return RC_DENIED;
		fprintf(stderr, "svsm-kms: WARNING: %s\n", err->text);
	}
	chainlog_start(k->chain, &r);
	k->chain_taken_up = true;
	return chainlog_add(k->chain, generation, ans->chain, false, &last) == RC_OK ? RC_OK : died(err);
}

static enum rc resume_chain(struct kms *k, struct channel_lane *l, struct core_error *err)
{
	uint8_t tail[CHAIN_TAIL_LEN], body[2 + CHAIN_TAIL_LEN + 8];
	struct sink t = sink_of(tail, sizeof(tail)), s = sink_of(body, sizeof(body));
	struct chain_tail last;
	struct wire_ans ans;
	uint64_t seen;
	uint32_t e;
	int slot;
	enum rc rc;

	the_chain = k->chain;
	if (chainlog_tail(k->chain, &last, &seen))
		chain_tail_put(&t, &last);
	wire_blob_req_put(&s, slice_of(tail, t.need));
	sink_le64(&s, seen);
	chainlog_expect(k->chain, channel_generation(k->channel));
	if (core_call(l, CALL_AUDIT_RESUME, slice_of(body, s.need), &slot, &e, &ans) != RC_OK)
		return died(err);
	if (e == E_OK)
		rc = chain_taken(k, &ans, channel_lane_generation(l), err);
	else if (e == E_AUDIT)
		rc = chain_refused(k, &ans, err);
	else
		rc = refuse(l, err, e, &ans);
	channel_slot_release(l, slot);
	return rc == RC_BUSY ? resume_chain(k, l, err) : rc;	/* without a file it is not refused */
}

void core_declare_gap(struct kms *k)
{
	struct channel_lane *l = channel_lane(k->channel, CHANNEL_CONTROL);
	uint8_t tail[CHAIN_TAIL_LEN], body[2 + CHAIN_TAIL_LEN];
	struct sink t = sink_of(tail, sizeof(tail)), s = sink_of(body, sizeof(body));
	struct chain_tail last;
	struct wire_ans ans;
	bool given = false;
	uint32_t e;
	int slot;

	if (pthread_mutex_trylock(&k->control) != 0)
		return;
	if (chainlog_gap_due(k->chain, &last, &given)) {
		if (given)
			chain_tail_put(&t, &last);
		wire_blob_req_put(&s, slice_of(tail, t.need));
		if (core_call(l, CALL_AUDIT_GAP, slice_of(body, s.need), &slot, &e, &ans) == RC_OK) {
			if (e != E_OK)
				fprintf(stderr, "svsm-kms: the core does not declare the audit chain's gap: error %u\n", e);
			channel_slot_release(l, slot);
		}
	}
	pthread_mutex_unlock(&k->control);
}

static enum rc bring_store(struct kms *k, bool create, bool many_lanes, struct core_error *err)
{
	struct channel_lane *control = channel_lane(k->channel, CHANNEL_CONTROL);
	struct store_buf head = { 0 };
	struct store_error serr;
	struct store_stat stat;
	enum rc rc = store_head_get(k->store, &head, &serr);

	if (rc == RC_OK)
		rc = store_stat(k->store, &stat, &serr);
	if (rc != RC_OK) {
		store_buf_free(&head);
		return store_failed(err, &serr);
	}
	if (!head.found) {
		bool slots[256] = { false };

		store_buf_free(&head);
		if (store_keyslot_list(k->store, slots, &serr) != RC_OK)
			return store_failed(err, &serr);
		if (create && stat.records == 0 && !memchr(slots, true, sizeof(slots)))
			return make_store(k, control, err);
		snprintf(err->text, sizeof(err->text), "the store has no head%s", stat.records || !create ?
			 ": it is incomplete. Restore the whole data directory from a backup" :
			 ", but keyslots: it is incomplete. Restore the whole data directory from a backup");
		err->exit_code = EXIT_STORE;
		return RC_DENIED;
	}
	rc = open_store(k, control, slice_of(head.p, head.len), stat.records, err);
	store_buf_free(&head);
	if (rc == RC_OK)
		rc = load_records(k, many_lanes, err);
	if (rc == RC_OK)
		rc = simple_call(control, CALL_STORE_READY, slice_of("", 0), err);
	return rc;
}

enum rc core_open_store(struct kms *k, bool create, bool many_lanes, struct core_error *err)
{
	enum rc rc = bring_store(k, create, many_lanes, err);

	return rc == RC_OK ? resume_chain(k, channel_lane(k->channel, CHANNEL_CONTROL), err) : rc;
}

/* The disk may keep a commit, and with it the control lane, for long; who asks how we are must not wait for it. */
static enum rc last_status(struct kms *k, struct wire_status *out)
{
	enum rc rc;

	pthread_mutex_lock(&k->status_lock);
	*out = k->status;
	rc = k->status_known ? RC_OK : RC_MACHINE;
	pthread_mutex_unlock(&k->status_lock);
	return rc;
}

static void keep_status(struct kms *k, enum rc rc, const struct wire_status *st)
{
	pthread_mutex_lock(&k->status_lock);
	k->status_known = rc == RC_OK;
	if (rc == RC_OK)
		k->status = *st;
	pthread_mutex_unlock(&k->status_lock);
}

void core_status_forget(struct kms *k)
{
	keep_status(k, RC_MACHINE, NULL);
}

enum rc core_status_locked(struct kms *k, struct wire_status *out)
{
	struct channel_lane *l = channel_lane(k->channel, CHANNEL_CONTROL);
	struct wire_ans ans;
	uint32_t e;
	int slot;
	enum rc rc = core_call(l, CALL_STATUS, slice_of("", 0), &slot, &e, &ans);

	if (rc == RC_OK) {
		if (e != E_OK || !cur_copy(&ans.body, out, sizeof(*out)) || !cur_end(&ans.body))
			rc = RC_MACHINE;
		channel_slot_release(l, slot);
	}
	keep_status(k, rc, out);
	return rc;
}

enum rc core_status(struct kms *k, struct wire_status *out)
{
	enum rc rc;

	if (pthread_mutex_trylock(&k->control) != 0)
		return last_status(k, out);
	rc = core_status_locked(k, out);
	pthread_mutex_unlock(&k->control);
	return rc;
}
