/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recovery keyslot. The core wraps its data root for the owner's public key; which key that was is
 * kept beside the slot as a plain item, so that a changed key is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base64.h"
#include "proxy/kms.h"

#define RECOVERY_SLOT 1
#define ITEM "recovery.public-key"
#define PEM_MAX 8192

static enum rc bad_file(struct core_error *err, const char *path, const char *what)
{
	snprintf(err->text, sizeof(err->text),
		 "svsm.kms.recovery.public-key: %.500s: %s. It must be a P-384 public key in "
		 "PEM, as `openssl ecparam -name secp384r1 -genkey -noout | openssl ec -pubout` writes it",
		 path, what);
	err->exit_code = 78;
	return RC_BAD_INPUT;
}

/* The DER between the PEM lines; what it holds is for the core to check. */
enum rc recovery_read_pem(const char *path, uint8_t *der, size_t room, size_t *len, struct core_error *err)
{
	static const char begin[] = "-----BEGIN PUBLIC KEY-----", end[] = "-----END PUBLIC KEY-----";
	char text[PEM_MAX];
	const char *from, *to;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return bad_file(err, path, strerror(errno));
	from = memmem(text, (size_t)n, begin, sizeof(begin) - 1);
	to = from ? memmem(from, (size_t)(text + n - from), end, sizeof(end) - 1) : NULL;
	if (!to)
		return bad_file(err, path, "no PUBLIC KEY in it");
	from += sizeof(begin) - 1;
	if (!base64_decode(slice_of(from, (size_t)(to - from)), der, room, len) || *len == 0)
		return bad_file(err, path, "too long");
	return RC_OK;
}

static enum rc write_slot(struct kms *k, struct slice slot, struct slice der, struct core_error *err)
{
	struct store_error serr;
	enum rc rc = store_txn_begin(k->store, &serr);

	if (rc == RC_OK)
		rc = store_txn_put_keyslot(k->store, RECOVERY_SLOT, slot, &serr);
	if (rc == RC_OK)
		rc = store_txn_put_item(k->store, slice_str(ITEM), der, &serr);
	if (rc == RC_OK)
		rc = store_txn_commit(k->store, &serr);
	else
		store_txn_abort(k->store);
	if (rc != RC_OK) {
		snprintf(err->text, sizeof(err->text), "%s", serr.text);
		err->exit_code = serr.exit_code;
	}
	return rc;
}

static enum rc make_slot(struct kms *k, const char *path, struct slice der, struct core_error *err)
{
	struct channel_lane *l = channel_lane(k->channel, CHANNEL_CONTROL);
	uint8_t body[2 + 1024];
	struct sink s = sink_of(body, sizeof(body));
	struct wire_ans ans;
	struct slice slot;
	uint32_t e;
	int n;
	enum rc rc;

	wire_blob_req_put(&s, der);
	if (!sink_ok(&s) || core_call(l, CALL_SLOT_RECOVERY, slice_of(body, s.need), &n, &e, &ans) != RC_OK)
		return bad_file(err, path, "the key service did not take it");
	if (e != E_OK || !cur_str16(&ans.body, UINT16_MAX, &slot))
		rc = bad_file(err, path, e == E_OWNER_ONLY ? "not the recovery key that the owner's bundle names" :
							     "not a P-384 public key");
	else
		rc = write_slot(k, slot, der, err);
	channel_slot_release(l, n);
	return rc;
}

enum rc recovery_slot_update(struct kms *k, const char *path, struct core_error *err)
{
	struct store_buf known = { 0 }, slot = { 0 };
	struct store_error serr;
	uint8_t der[1024];
	size_t len;
	bool same;
	enum rc rc = recovery_read_pem(path, der, sizeof(der), &len, err);

	if (rc != RC_OK)
		return rc;
	same = store_item_get(k->store, slice_str(ITEM), &known, &serr) == RC_OK && known.found &&
	       slice_eq(slice_of(known.p, known.len), slice_of(der, len)) &&
	       store_keyslot_get(k->store, RECOVERY_SLOT, &slot, &serr) == RC_OK && slot.found;
	store_buf_free(&known);
	store_buf_free(&slot);
	return same ? RC_OK : make_slot(k, path, slice_of(der, len), err);
}
