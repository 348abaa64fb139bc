/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the HTTP path costs: the parser alone, then one pinned worker that answers a 200-byte POST with
 * 100 bytes of JSON, under load from wrk (if installed) on another CPU. Prints requests per second and
 * CPU time of the worker per request. Not part of the tests.
 *
 *   server-bench [seconds [connections]]      0 seconds: the parser only
 *   server-bench serve PORT                   only the server, for any load generator
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/server.h"

static const char answer[] =
	"{\"name\":\"k1\",\"versionName\":\"EK\",\"material\":\"AAECAwQFBgcICQoLDA0ODw\","
	"\"padding\":\"0123456789012345\"}  ";
static clockid_t worker_clock;

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *start(void *ctx, unsigned worker)
{
	if (worker == 0)
		pthread_getcpuclockid(pthread_self(), &worker_clock);
	return ctx;
}

static void on_request(void *w, struct server_conn *c, const struct http_request *r)
{
	struct reply reply = { .status = 200, .content_type = "application/json" };

	(void)w;
	(void)r;
	reply.body = slice_of(answer, 100);
	server_reply(c, &reply);
}

static void parser_alone(void)
{
	static char text[] = "POST /kms/v1/keyversion/k1%400/_eek?eek_op=decrypt HTTP/1.1\r\n"
			     "Host: kms.example.com:9600\r\nUser-Agent: Java/17.0.2\r\n"
			     "Accept: text/html, image/gif, image/jpeg, */*; q=0.2\r\n"
			     "Connection: keep-alive\r\nContent-Type: application/json\r\n"
			     "Content-Length: 57\r\n\r\n"
			     "{\"name\":\"k1\",\"iv\":\"AAECAwQFBgcICQoLDA0ODw\",\"material\":\"\"}";
	static struct http_request r;
	struct http_limits limits = { HTTP_HEAD_MAX, 1 << 20 };
	size_t n = 3000000, i, len, used, sum = 0;
	uint64_t t = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	for (i = 0; i < n; i++) {
		struct http_parser ps = { 0 };

		len = sizeof(text) - 1;
		if (http_parse(&ps, &limits, (uint8_t *)text, &len, &r, &used) != HTTP_DONE)
			abort();
		sum += r.header_count;
	}
	t = now_ns(CLOCK_PROCESS_CPUTIME_ID) - t;
	printf("parser alone: %zu bytes, %.0f ns (%zu headers)\n", sizeof(text) - 1, (double)t / (double)n,
	       sum / n);
}

static void write_script(const char *path)
{
	FILE *f = fopen(path, "w");

	if (!f)
		exit(1);
	fprintf(f, "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 80)\n"
		   "wrk.headers[\"Content-Type\"] = \"application/json\"\n");
	fclose(f);
}

static void load(uint16_t port, const char *seconds, const char *connections)
{
	char url[128], time[16], script[] = "/tmp/server-bench-XXXXXX";
	int fd = mkstemp(script);
	pid_t pid;

	if (fd < 0)
		exit(1);
	close(fd);
	write_script(script);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/kms/v1/keyversion/k1%%400/_eek?eek_op=decrypt", port);
	snprintf(time, sizeof(time), "%ss", seconds);
	pid = fork();
	if (pid == 0) {
		execlp("taskset", "taskset", "-c", "1", "wrk", "-t1", "-c", connections, "-d", time,
		       "--latency", "-s", script, url, (char *)NULL);
		fprintf(stderr, "taskset and wrk are needed\n");
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	unlink(script);
}

int main(int argc, char **argv)
{
	static const struct server_ops ops = { .start = start, .request = on_request };
	bool serve = argc > 2 && strcmp(argv[1], "serve") == 0;
	char address[32], why[128];
	const char *listen[] = { address };
	struct server_config config = {
		.listen = listen, .listen_count = 1, .workers = 1, .pin = true, .ops = &ops
	};
	struct server *s;
	struct server_stats stats;
	uint64_t cpu;

	snprintf(address, sizeof(address), "127.0.0.1:%s", serve ? argv[2] : "0");
	if (server_create(&config, &s, why, sizeof(why)) != RC_OK || server_run(s) != RC_OK) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (serve) {
		printf("port %u\n", server_port(s, 0));
		fflush(stdout);
		for (;;)
			pause();
	}
	parser_alone();
	if (argc > 1 && atoi(argv[1]) == 0) {
		server_free(s);
		return 0;
	}
	cpu = now_ns(worker_clock);
	load(server_port(s, 0), argc > 1 ? argv[1] : "5", argc > 2 ? argv[2] : "64");
	cpu = now_ns(worker_clock) - cpu;
	stats = server_stats(s);
	if (stats.requests)
		printf("worker: %.2f us CPU per request, %lu requests\n",
		       (double)cpu / 1000 / (double)stats.requests, (unsigned long)stats.requests);
	server_free(s);
	return 0;
}
