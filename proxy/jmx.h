/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /jmx as Hadoop's servlet answers it, with the beans that monitoring of a Hadoop KMS reads: the meters,
 * JvmMetrics, and those of java.lang whose figures mean something for a process that is no Java machine. All
 * figures are this process's own; what does not exist here (garbage collections) is 0, what has no limit is
 * -1.
 *
 * Trusts nothing in the query.
 */
#ifndef PROXY_JMX_H
#define PROXY_JMX_H

#include <stdio.h>

#include "base/base.h"
#include "proxy/metrics.h"

struct jmx_source {
	struct metrics *metrics;
	uint64_t now;             /* ns, CLOCK_MONOTONIC */
	const char *process_name; /* hadoop.kms.metrics.process.name */
	const char *session_id;   /* hadoop.kms.metrics.session.id; "" is null */
	uint64_t logged[4];       /* messages since start: fatal, error, warning, information */
};

/*
 * Writes the answer to a raw query string: "qry=<object name pattern>", "get=<object name>::<attribute>", or
 * neither for all beans. Returns the HTTP status: 200, 400 (malformed) or 404 (a bean without that
 * attribute). There is a body in every case; content type "application/json; charset=utf8".
 *
 * Hadoop means to send the same statuses, but by then its headers are on their way with 200.
 */
unsigned jmx_write(const struct jmx_source *s, struct slice query, FILE *f);

/*
 * Whether an object name matches a pattern; both are parsed. RC_BAD_INPUT: the pattern is no object name.
 * Exposed for tests.
 */
enum rc jmx_match(struct slice pattern, const char *name, bool *matches);

#endif
