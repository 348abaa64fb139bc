/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that changes whenever somebody is about to look at it, for tests: preloaded (LD_PRELOAD) into a
 * program that reads a store, it stands before LMDB's reading functions and tells the test, over the socket
 * named by SVSM_TEST_BUSY, to let a server commit; the read goes on once the commit is acknowledged. So
 * what another machine would show once in a thousand runs is there in every one.
 */
#include <dlfcn.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One commit; a test that does not answer ends the program. */
static void let_commit(const char *before)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("SVSM_TEST_BUSY");
	char done;
	int fd;

	if (!path)
		return;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    write(fd, before, strlen(before)) != (ssize_t)strlen(before) || shutdown(fd, SHUT_WR) != 0 ||
	    read(fd, &done, 1) != 1)
		abort();
	close(fd);
}

static void *real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (!p)
		abort();
	return p;
}

#define REAL(fn) ((__typeof__(&(fn)))real(#fn))

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn)
{
	let_commit("begin");
	return REAL(mdb_txn_begin)(env, parent, flags, txn);
}

int mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat)
{
	let_commit("stat");
	return REAL(mdb_stat)(txn, dbi, stat);
}

int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor)
{
	let_commit("open");
	return REAL(mdb_cursor_open)(txn, dbi, cursor);
}

int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op)
{
	let_commit("next");
	return REAL(mdb_cursor_get)(cursor, key, data, op);
}
