/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attacker's editor for store.mdb: reads and writes entries through LMDB, so that the file's
 * structure stays sound and only the sealing can notice. For tests; trusts its caller.
 *
 *	edit dump FILE		prints "main|records KEY VALUE" in hex, one entry a line
 *	edit apply FILE		reads "put main|records KEY VALUE" and "del main|records KEY" from its input;
 *				an empty value is written "-"
 *	edit share FILE		the same while a server has the file open, taking turns with it
 */
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS "records"

static void must(int rc, const char *what)
{
	if (rc == 0)
		return;
	fprintf(stderr, "edit: %s: %s\n", what, mdb_strerror(rc));
	exit(1);
}

static void print_hex(MDB_val v)
{
	const unsigned char *p = v.mv_data;
	size_t i;

	for (i = 0; i < v.mv_size; i++)
		printf("%02x", p[i]);
	if (v.mv_size == 0)
		putchar('-');
}

static void dump(MDB_txn *txn, MDB_dbi dbi, const char *name)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc;

	must(mdb_cursor_open(txn, dbi, &c), "cursor");
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		if (strcmp(name, "main") == 0 && k.mv_size == strlen(RECORDS) &&
		    memcmp(k.mv_data, RECORDS, k.mv_size) == 0)
			continue;	/* the other tree's root */
		printf("%s ", name);
		print_hex(k);
		putchar(' ');
		print_hex(v);
		putchar('\n');
	}
	if (rc != MDB_NOTFOUND)
		must(rc, "read");
	mdb_cursor_close(c);
}

/* In place: hex digits become bytes. */
static MDB_val unhex(char *text)
{
	size_t n = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2, i;

	for (i = 0; i < n; i++) {
		const char digits[3] = { text[2 * i], text[2 * i + 1], 0 };

		text[i] = (char)strtoul(digits, NULL, 16);
	}
	return (MDB_val){ .mv_size = n, .mv_data = text };
}

static void apply_line(MDB_txn *txn, MDB_dbi main_dbi, MDB_dbi records, char *line)
{
	char *save, *what = strtok_r(line, " \n", &save), *tree = strtok_r(NULL, " \n", &save);
	char *key = strtok_r(NULL, " \n", &save), *value = strtok_r(NULL, " \n", &save);
	MDB_dbi dbi;
	MDB_val k, v;

	if (!what || !tree || !key || (strcmp(what, "put") == 0) != (value != NULL)) {
		fprintf(stderr, "edit: not a command\n");
		exit(1);
	}
	dbi = strcmp(tree, "main") == 0 ? main_dbi : records;
	k = unhex(key);
	if (!value) {
		must(mdb_del(txn, dbi, &k, NULL), "del");
		return;
	}
	v = unhex(value);
	must(mdb_put(txn, dbi, &k, &v, 0), "put");
}

static void apply(MDB_txn *txn, MDB_dbi main_dbi, MDB_dbi records)
{
	size_t room = 0;
	char *line = NULL;

	while (getline(&line, &room, stdin) > 0)
		apply_line(txn, main_dbi, records, line);
	free(line);
}

int main(int argc, char **argv)
{
	int share = argc == 3 && strcmp(argv[1], "share") == 0;
	int writes = argc == 3 && (share || strcmp(argv[1], "apply") == 0);
	MDB_dbi main_dbi, records;
	MDB_env *env;
	MDB_txn *txn;

	if (argc != 3 || (!writes && strcmp(argv[1], "dump") != 0)) {
		fprintf(stderr, "usage: edit dump|apply|share FILE\n");
		return 2;
	}
	must(mdb_env_create(&env), "env");
	must(mdb_env_set_mapsize(env, (size_t)1 << 30), "map size");
	must(mdb_env_set_maxdbs(env, 1), "trees");
	must(mdb_env_open(env, argv[2], MDB_NOSUBDIR | (share ? 0 : MDB_NOLOCK), 0600), argv[2]);
	must(mdb_txn_begin(env, NULL, writes ? 0 : MDB_RDONLY, &txn), "begin");
	must(mdb_dbi_open(txn, NULL, 0, &main_dbi), "main tree");
	must(mdb_dbi_open(txn, RECORDS, 0, &records), "records");
	if (writes) {
		apply(txn, main_dbi, records);
		must(mdb_txn_commit(txn), "commit");
	} else {
		dump(txn, main_dbi, "main");
		dump(txn, records, "records");
		mdb_txn_abort(txn);
	}
	mdb_env_close(env);
	return 0;
}
