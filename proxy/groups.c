/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operating system's groups of a user, for installations whose ACLs name such groups
 * (svsm.kms.groups.os). What root of this machine says here is believed by the service only when
 * that setting is on. Looked up once in five minutes for each user, as Hadoop does.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/kms.h"

#define ENTRIES 1024
#define LIFE_S 300
#define GROUPS 256

struct group_entry {
	char user[WIRE_USER_MAX + 1];
	time_t until;
	uint16_t count;
	struct outbuf names;	/* str16 each */
};

struct group_cache {
	struct group_entry *entry[ENTRIES];
};

struct group_cache *groups_new(void)
{
	return calloc(1, sizeof(struct group_cache));
}

static void entry_free(struct group_entry *e)
{
	if (e)
		outbuf_free(&e->names);
	free(e);
}

void groups_free(struct group_cache *g)
{
	size_t i;

	for (i = 0; g && i < ENTRIES; i++)
		entry_free(g->entry[i]);
	free(g);
}

static void add_group(struct group_entry *e, gid_t gid)
{
	char buf[16384];
	struct group g, *found = NULL;
	uint16_t len;

	if (getgrgid_r(gid, &g, buf, sizeof(buf), &found) != 0 || !found || strlen(g.gr_name) > WIRE_GROUP_MAX)
		return;
	len = (uint16_t)strlen(g.gr_name);
	outbuf_put(&e->names, &len, sizeof(len));
	outbuf_put(&e->names, g.gr_name, len);
	e->count++;
}

static void look_up(struct group_entry *e)
{
	struct passwd pw, *found = NULL;
	char buf[16384];
	gid_t gid[GROUPS];
	int n = GROUPS, i;

	outbuf_reset(&e->names);
	e->count = 0;
	if (getpwnam_r(e->user, &pw, buf, sizeof(buf), &found) != 0 || !found)
		return;
	if (getgrouplist(e->user, pw.pw_gid, gid, &n) < 0)
		n = GROUPS;
	for (i = 0; i < n; i++)
		add_group(e, gid[i]);
	if (!outbuf_ok(&e->names))
		e->count = 0;
}

static size_t bucket(struct slice user)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < user.len; i++)
		h = (h ^ user.p[i]) * 16777619u;
	return h % ENTRIES;
}

struct cursor groups_of(struct group_cache *g, struct slice user, uint16_t *count)
{
	struct group_entry **at = &g->entry[bucket(user)], *e = *at;
	struct timespec now;

	*count = 0;
	if (user.len == 0 || user.len > WIRE_USER_MAX || memchr(user.p, 0, user.len))
		return cur_of(NULL, 0);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (!e || !slice_is(user, e->user)) {
		entry_free(e);
		e = *at = calloc(1, sizeof(*e));
		if (!e)
			return cur_of(NULL, 0);
		memcpy(e->user, user.p, user.len);
	}
	if (now.tv_sec >= e->until) {
		look_up(e);
		e->until = now.tv_sec + LIFE_S;
	}
	*count = e->count;
	return e->count ? cur_of(e->names.p, e->names.len) : cur_of(NULL, 0);
}
