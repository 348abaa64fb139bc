/* SPDX-License-Identifier: Apache-2.0 */
/* The public header of client/: the `svsm-kms` command. See client/README.md. */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

/* Exit codes are a promise to scripts: never renumber. The table with their meaning is in help.c. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_REFUSED = 1,	/* the server refused or failed */
	EXIT_USAGE = 2,
	EXIT_CONNECT = 3,
	EXIT_AUTH = 4,		/* 401, 403 */
	EXIT_NOT_FOUND = 5,
	EXIT_CONFLICT = 6,	/* exists already, differs, or a check failed */
};

/* All of the command; returns its exit code. argv as main() got it, not changed. */
int client_main(int argc, char **argv);

/* `svsm-kms serve`: argv[0] is "serve", the rest are its arguments. Returns an exit code. */
int serve_main(int argc, char **argv);

#endif
