/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `svsm-kms serve`: starts service, store and HTTP server in the foreground, and watches over them. The
 * main thread owns signals, configuration and the service's life; it is the thread that starts the
 * service, which dies with it.
 */
#include <getopt.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/kms.h"
#include "proxy/notify.h"

int serve_main(int argc, char **argv);

struct serve {
	const char *conf_dir, *data, *listen, *channel;
	bool hints;
	struct kms k;
	struct server_config config;
	struct server_limits limits;
	const char *listens[16];
	char *listen_copy;
	char data_buf[1024], audit_path[2048], chain_path[2048], listen_buf[512];
	uint64_t checkpoint_at, checkpoint_entries;	/* the last one asked for: ms, entry */
	int signals;
	uint64_t deaths[5];	/* when the service died lately, ms */
	struct notify notify;	/* the service manager */
	char serving[400];	/* for its status line */
};

static uint64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A manager compares it with the moment of its own signal: milliseconds would be before that. */
static uint64_t mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void say(const char *text)
{
	fprintf(stderr, "svsm-kms: %s\n", text);
}

static int usage(void)
{
	fprintf(stderr, "usage: svsm-kms serve [--conf DIR] [--data DIR] [--listen HOST:PORT[,HOST:PORT]]\n"
			"                      [--channel process|svsm:DEVICE] [--hints]\n");
	return 2;
}

static bool parse_args(struct serve *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "conf", required_argument, NULL, 'c' }, { "data", required_argument, NULL, 'd' },
		{ "listen", required_argument, NULL, 'l' }, { "channel", required_argument, NULL, 'n' },
		{ "hints", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;

	optind = 1;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'c':
			s->conf_dir = optarg;
			break;
		case 'd':
			s->data = optarg;
			break;
		case 'l':
			s->listen = optarg;
			break;
		case 'n':
			s->channel = optarg;
			break;
		case 'h':
			s->hints = true;
			break;
		default:
			return false;
		}
	return optind == argc;
}

/* ---- settings to structures ---- */

static unsigned cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

/* Splits the list in place. */
static bool split_listen(struct serve *s, const char *text)
{
	char *save = NULL, *one;

	s->listen_copy = strdup(text);
	for (one = s->listen_copy ? strtok_r(s->listen_copy, ", ", &save) : NULL; one;
	     one = strtok_r(NULL, ", ", &save)) {
		if (s->config.listen_count == ARRAY_LEN(s->listens))
			return false;
		s->listens[s->config.listen_count++] = one;
	}
	s->config.listen = s->listens;
	return s->config.listen_count > 0;
}

static enum rc choose_listen(struct serve *s, struct core_error *err)
{
	const struct settings *set = s->k.settings;
	const char *text = s->listen;
	size_t i;

	if (!text && settings_is_set(set, SET_LISTEN))
		text = settings_str(set, SET_LISTEN);
	if (!text || !*text) {
		snprintf(s->listen_buf, sizeof(s->listen_buf), "%s:%lld",
			 s->conf_dir ? settings_str(set, SET_HTTP_HOST) : "127.0.0.1",
			 (long long)settings_int(set, SET_HTTP_PORT));
		text = s->listen_buf;
	}
	err->exit_code = 78;
	if (!split_listen(s, text)) {
		snprintf(err->text, sizeof(err->text), "--listen: \"%s\" is no list of up to 16 HOST:PORT", text);
		return RC_BAD_INPUT;
	}
	for (i = 0; !s->conf_dir && i < s->config.listen_count; i++)
		if (!setup_is_loopback(s->listens[i])) {
			snprintf(err->text, sizeof(err->text), "without --conf every caller may do everything, so only "
				 "loopback addresses are served; give --conf with ACLs to listen on %s", s->listens[i]);
			return RC_DENIED;
		}
	return RC_OK;
}

static void fill_config(struct serve *s)
{
	const struct settings *set = s->k.settings;
	struct server_limits *l = &s->config.limits;

	l->http.head_max = (size_t)settings_int(set, SET_HEADER_MAX);
	l->http.body_max = (size_t)settings_int(set, SET_BODY_MAX);
	l->connections = (unsigned)settings_int(set, SET_CONNECTIONS_MAX);
	l->head_ms = (unsigned)settings_int(set, SET_TIMEOUT_HEADER);
	l->body_ms = (unsigned)settings_int(set, SET_TIMEOUT_BODY);
	l->write_ms = (unsigned)settings_int(set, SET_TIMEOUT_WRITE);
	l->idle_ms = (unsigned)settings_int(set, SET_IDLE_TIMEOUT);
	l->backlog = (unsigned)settings_int(set, SET_BACKLOG);
	l->handshake_ms = (unsigned)settings_int(set, SET_TIMEOUT_HANDSHAKE);
	l->handshakes = (unsigned)settings_int(set, SET_HANDSHAKES_MAX);
	s->config.tls = s->k.tls;
	s->config.workers = s->k.workers;
	s->config.pin = settings_bool(set, SET_PIN);
	s->config.ops = &kms_ops;
	s->config.ctx = &s->k;
}

/* What the request path reads; set before the workers start, and at a reload. */
MUST_CHECK static bool cache_settings(struct kms *k)
{
	const char *path = settings_str(k->settings, SET_COOKIE_PATH),
		   *domain = settings_str(k->settings, SET_COOKIE_DOMAIN);
	struct hot_settings *h = calloc(1, sizeof(*h));
	struct outbuf o = { 0 };

	if (!h)
		return false;
	h->older = k->hot;
	h->groups_os = settings_bool(k->settings, SET_GROUPS_OS);
	h->dt_scan_s = (uint32_t)settings_int(k->settings, SET_DT_SCAN);
	h->cookie_persistent = settings_bool(k->settings, SET_COOKIE_PERSISTENT);
	h->eek_max = (uint32_t)settings_int(k->settings, SET_EEK_MAX);
	h->negotiate = settings_kerberos(k->settings);
	h->admin_pages = settings_bool(k->settings, SET_SECURITY_AUTHORIZATION);
	h->admin_instrumentation = settings_bool(k->settings, SET_INSTRUMENTATION_ADMIN);
	snprintf(h->whitelist, sizeof(h->whitelist), "%s", settings_str(k->settings, SET_KRB_WHITELIST));
	if (*path)
		outbuf_printf(&o, "; Path=%s", path);
	if (*domain)
		outbuf_printf(&o, "; Domain=%s", domain);
	snprintf(h->cookie_suffix, sizeof(h->cookie_suffix), "%.*s", (int)o.len, o.len ? (char *)o.p : "");
	outbuf_free(&o);
	__atomic_store_n(&k->hot, h, __ATOMIC_RELEASE);
	throttle_set(k->throttle, (uint32_t)settings_int(k->settings, SET_FAILED_LOGINS));
	throttle_set(k->unauthenticated, (uint32_t)settings_int(k->settings, SET_FAILED_LOGINS));
	return true;
}

/* ---- starting ---- */

static double gauge_connections(void *ctx)
{
	struct kms *k = ctx;

	return (double)server_stats(k->server).open;
}

static double gauge_refused(void *ctx)
{
	return (double)server_stats(((struct kms *)ctx)->server).refused;
}

static double gauge_malformed(void *ctx)
{
	return (double)server_stats(((struct kms *)ctx)->server).errors;
}

static double gauge_audit_failing(void *ctx)
{
	struct audit_state st;

	audit_state(((struct kms *)ctx)->audit, &st);
	return st.failing;
}

static struct chainlog_state chain_of(void *ctx)
{
	struct chainlog_state st = { 0 };
	const struct kms *k = ctx;

	if (k->chain)
		chainlog_state(k->chain, &st);
	return st;
}

static double gauge_chain_entries(void *ctx)
{
	return (double)chain_of(ctx).written;
}

static double gauge_chain_lost(void *ctx)
{
	struct chainlog_state st = chain_of(ctx);

	return (double)(st.lost + st.lost_at_start);
}

static double gauge_chain_failing(void *ctx)
{
	struct chainlog_state st = chain_of(ctx);

	return st.failing || st.dropping;
}

static double gauge_handshakes(void *ctx)
{
	return (double)server_stats(((struct kms *)ctx)->server).handshakes;
}

static double gauge_turned_away(void *ctx)
{
	return (double)__atomic_load_n(&((struct kms *)ctx)->turned_away, __ATOMIC_RELAXED);
}

static double gauge_not_logged(void *ctx)
{
	return (double)__atomic_load_n(&((struct kms *)ctx)->not_logged, __ATOMIC_RELAXED);
}

static double gauge_resumed(void *ctx)
{
	return (double)server_stats(((struct kms *)ctx)->server).resumed;
}

static double gauge_handshakes_failed(void *ctx)
{
	return (double)server_stats(((struct kms *)ctx)->server).handshakes_failed;
}

static double gauge_restarts(void *ctx)
{
	return (double)__atomic_load_n(&((struct kms *)ctx)->restarts, __ATOMIC_RELAXED);
}

static double gauge_groups(void *ctx)
{
	return (double)__atomic_load_n(&((struct kms *)ctx)->groups, __ATOMIC_RELAXED);
}

static double gauge_committed(void *ctx)
{
	return (double)__atomic_load_n(&((struct kms *)ctx)->committed, __ATOMIC_RELAXED);
}

static double gauge_crossings(void *ctx)
{
	uint64_t crossings, calls;

	channel_counts(((struct kms *)ctx)->channel, &crossings, &calls);
	return (double)crossings;
}

static double gauge_calls(void *ctx)
{
	uint64_t crossings, calls;

	channel_counts(((struct kms *)ctx)->channel, &crossings, &calls);
	return (double)calls;
}

static double gauge_store_bytes(void *ctx)
{
	struct store_stat st;

	return store_stat(((struct kms *)ctx)->store, &st, NULL) == RC_OK ? (double)st.file_bytes : 0;
}

/* From any thread: one call on the control lane. */
static double gauge_status(struct kms *k, size_t field)
{
	struct wire_status st;
	uint64_t v;

	if (core_status(k, &st) != RC_OK)
		return 0;
	memcpy(&v, (const uint8_t *)&st + field, sizeof(v));
	return (double)v;
}

static double gauge_keys(void *ctx)
{
	return gauge_status(ctx, offsetof(struct wire_status, keys));
}

static double gauge_tokens(void *ctx)
{
	return gauge_status(ctx, offsetof(struct wire_status, tokens));
}

static double gauge_epoch(void *ctx)
{
	return gauge_status(ctx, offsetof(struct wire_status, epoch));
}

#define INFO(isolation) "isolation=\"" isolation "\",version=\"" SVSM_VERSION "\""

static enum rc add_gauges(struct kms *k)
{
	const char *isolation = boot_isolation_name(channel_isolation(k->channel));
	const struct metrics_gauge g[] = {
		{ "svsm_kms_info", "The isolation in force and the version",
		  strcmp(isolation, "process") == 0     ? INFO("process")
		  : strcmp(isolation, "vmpl0-snp") == 0 ? INFO("vmpl0-snp")
							: INFO("vmpl0-emulated"),
		  false, NULL, k },
		{ "svsm_kms_connections", "Open client connections", NULL, false, gauge_connections, k },
		{ "svsm_kms_connections_refused_total", "Connections answered 503 because of a limit", NULL, true,
		  gauge_refused, k },
		{ "svsm_kms_requests_malformed_total", "Requests that were no HTTP, or over a limit", NULL, true,
		  gauge_malformed, k },
		{ "svsm_kms_failed_logins_turned_away_total",
		  "Requests answered 429 because too many credentials from their address were refused", NULL, true,
		  gauge_turned_away, k },
		{ "svsm_kms_unauthenticated_not_logged_total",
		  "Requests answered 401 without a line in kms-audit.log because it had too many from their address", NULL,
		  true, gauge_not_logged, k },
		{ "svsm_kms_tls_handshakes_total", "TLS handshakes completed", NULL, true, gauge_handshakes, k },
		{ "svsm_kms_tls_resumed_total", "TLS handshakes that took up an earlier session", NULL, true, gauge_resumed, k },
		{ "svsm_kms_tls_failed_total", "TLS handshakes that failed or were given up", NULL, true,
		  gauge_handshakes_failed, k },
		{ "svsm_kms_keys", "Keys in the core", NULL, false, gauge_keys, k },
		{ "svsm_kms_delegation_tokens", "Delegation tokens in the core", NULL, false, gauge_tokens, k },
		{ "svsm_kms_audit_failing", "1 while the audit log cannot be written", NULL, false, gauge_audit_failing, k },
		{ "svsm_kms_audit_chain_entries_total", "Entries in the audit chain", NULL, true, gauge_chain_entries, k },
		{ "svsm_kms_audit_chain_lost_total", "Entries of the audit chain lost since the start, or found lost then", NULL,
		  true, gauge_chain_lost, k },
		{ "svsm_kms_audit_chain_failing", "1 while the audit chain cannot be written", NULL, false,
		  gauge_chain_failing, k },
		{ "svsm_kms_store_epoch", "Epoch of the sealed store", NULL, false, gauge_epoch, k },
		{ "svsm_kms_store_bytes", "Size of the store's file", NULL, false, gauge_store_bytes, k },
		{ "svsm_kms_service_restarts_total", "Times the service had to be started again", NULL, true,
		  gauge_restarts, k },
		{ "svsm_kms_commits_total", "Durable commits", NULL, true, gauge_groups, k },
		{ "svsm_kms_changes_total", "Changes in those commits", NULL, true, gauge_committed, k },
		{ "svsm_kms_crossings_total", "Crossings into the service", NULL, true, gauge_crossings, k },
		{ "svsm_kms_core_calls_total", "Calls carried by those crossings", NULL, true, gauge_calls,
		  k },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(g); i++)
		if (metrics_add_gauge(k->metrics, &g[i]) != RC_OK)
			return RC_NO_ROOM;
	return RC_OK;
}

static enum rc open_audit(struct serve *s, struct core_error *err)
{
	const char *file = settings_str(s->k.settings, SET_AUDIT_FILE);
	struct audit_options o = { .window_ms = (uint32_t)settings_int(s->k.settings, SET_AUDIT_WINDOW) };

	snprintf(s->audit_path, sizeof(s->audit_path), "%s%s%s", *file == '/' ? "" : s->data,
		 *file == '/' ? "" : "/", file);
	o.path = s->audit_path;
	if (audit_open(&o, &s->k.audit) == RC_OK)
		return RC_OK;
	snprintf(err->text, sizeof(err->text), "%.1000s: cannot be opened for the audit log: %m", s->audit_path);
	err->exit_code = 74;
	return RC_MACHINE;
}

/* Before the core: it takes the chain up at the file's end. */
static enum rc open_chain(struct serve *s, struct core_error *err)
{
	const char *file = settings_str(s->k.settings, SET_AUDIT_CHAIN_FILE);
	struct chainlog_options o = { .path = s->chain_path,
				      .refuse = strcmp(settings_str(s->k.settings, SET_AUDIT_ON_FAILURE), "refuse") == 0 };
	char why[sizeof(err->text)];
	OUTBUF carried = { 0 };
	enum rc rc;

	if (strcmp(file, "none") == 0) {
		say("warning: svsm.kms.audit.chain.file is none: nobody will be able to tell whether the audit log was changed");
		return RC_OK;
	}
	snprintf(s->chain_path, sizeof(s->chain_path), "%s%s%s", *file == '/' ? "" : s->data, *file == '/' ? "" : "/", file);
	rc = chainlog_open(&o, &s->k.chain, why, sizeof(why));
	if (rc == RC_OK && *why)
		say(why);
	if (rc == RC_OK && commit_carried(s->k.store, &carried)) {
		chainlog_restore(s->k.chain, &carried, why, sizeof(why));
		if (*why)
			say(why);
	}
	if (rc != RC_OK)
		snprintf(err->text, sizeof(err->text), "%s", *why ? why : "no memory");
	err->exit_code = rc == RC_BAD_INPUT ? 65 : 74;
	return rc;
}

/* Declares what was lost; has a checkpoint made when it is time. */
static void tick_chain(struct serve *s)
{
	struct chainlog_state st;
	uint64_t ms = mono_ms();

	if (!s->k.chain)
		return;
	core_declare_gap(&s->k);
	chainlog_state(s->k.chain, &st);
	if (ms - s->checkpoint_at < (uint64_t)settings_int(s->k.settings, SET_AUDIT_CHECKPOINT_MS) &&
	    st.written - s->checkpoint_entries < (uint64_t)settings_int(s->k.settings, SET_AUDIT_CHECKPOINT_ENTRIES))
		return;
	s->checkpoint_at = ms;
	s->checkpoint_entries = st.written;
	commit_checkpoint(&s->k);
}

static enum rc add_recovery_slot(struct serve *s, struct core_error *err);

/* An empty store is the oldest of all. */
static enum rc may_make_store(const struct serve *s, struct core_error *err)
{
	long long floor = (long long)settings_int(s->k.settings, SET_STORE_EPOCH_MIN);

	if (floor <= 1)
		return RC_OK;
	err->exit_code = 65;
	snprintf(err->text, sizeof(err->text), "%.500s: there is no store, but svsm.kms.store.epoch.min demands one of epoch "
		 "%lld at least: it was removed. Restore the newest copy; remove the setting only if beginning anew is "
		 "intended", s->data, floor);
	return RC_DENIED;
}

static enum rc start_core(struct serve *s, struct core_error *err)
{
	struct store_options opt = { .create = true,
				     .limit = (uint64_t)settings_int(s->k.settings, SET_STORE_MAP_MAX) };
	struct kms *k = &s->k;
	SECRET key = { 0 };
	struct stat st;
	char file[1200];
	enum rc rc;

	/* An existing store without its key must not get a new key. */
	snprintf(file, sizeof(file), "%s/store.mdb", s->data);
	rc = setup_store(k, s->data, &opt, err);
	if (rc == RC_OK)
		rc = open_chain(s, err);
	if (rc == RC_OK) {
		struct store_buf head = { 0 };
		bool fresh = store_head_get(k->store, &head, NULL) == RC_OK && !head.found;

		store_buf_free(&head);
		rc = fresh ? may_make_store(s, err) : RC_OK;
		if (rc == RC_OK && !*k->device)
			rc = setup_platform_key(s->data, fresh && stat(file, &st) == 0, &key, err);
	}
	if (rc == RC_OK)
		rc = setup_channel(k, &key, err);
	if (rc == RC_OK)
		rc = core_configure(k, channel_lane(k->channel, CHANNEL_CONTROL), err);
	if (rc == RC_OK)
		rc = core_open_store(k, true, true, err);
	if (rc == RC_OK) {
		pthread_mutex_lock(&k->control);
		rc = owner_keep(k, err);
		pthread_mutex_unlock(&k->control);
	}
	if (rc == RC_OK)
		rc = add_recovery_slot(s, err);
	return rc;
}

/* Before anything is listened to: a server that cannot show its certificate is of no use. */
static enum rc start_tls(struct serve *s, struct core_error *err)
{
	struct kms *k = &s->k;
	struct tls_options o;
	struct tls_paths paths;
	struct keystore_error kerr;
	char warning[256] = "";
	enum rc rc;

	if (!settings_bool(k->settings, SET_SSL_ENABLED))
		return RC_OK;
	rc = tls_options_of(k->settings, k->conf, &o, &paths, &kerr);
	if (rc == RC_OK)
		rc = tls_create(&o, &k->tls, warning, &kerr);
	if (*warning)
		fprintf(stderr, "svsm-kms: warning: %s\n", warning);
	if (rc != RC_OK) {
		snprintf(err->text, sizeof(err->text), "TLS: %.1000s", kerr.text);
		err->exit_code = 78;
	}
	return rc;
}

/* The files anew; on any error the certificate in force stays. always: even if they look unchanged. */
static void reload_tls(struct kms *k, bool always)
{
	struct tls_options o;
	struct tls_paths paths;
	struct keystore_error kerr;
	char warning[256] = "";
	enum rc rc;

	if (!k->tls || (!always && !tls_changed(k->tls)))
		return;
	rc = tls_options_of(k->settings, k->conf, &o, &paths, &kerr);
	if (rc == RC_OK)
		rc = tls_reload(k->tls, &o, warning, &kerr);
	if (*warning)
		fprintf(stderr, "svsm-kms: warning: %s\n", warning);
	fprintf(stderr, "svsm-kms: TLS certificates %s%s\n", rc == RC_OK ? "reloaded" : "not reloaded, the old ones stay: ",
		rc == RC_OK ? "" : kerr.text);
}

static uint64_t reload_interval(const struct settings *set)
{
	bool old = !settings_is_set(set, SET_SSL_RELOAD) && settings_is_set(set, SET_SSL_RELOAD_OLD);

	return (uint64_t)settings_int(set, old ? SET_SSL_RELOAD_OLD : SET_SSL_RELOAD);
}

static enum rc start_server(struct serve *s, struct core_error *err)
{
	struct kms *k = &s->k;
	char why[512];
	enum rc rc;

	err->exit_code = 71;
	snprintf(err->text, sizeof(err->text), "no memory");
	k->attest = attest_new(&(struct tsm){ .dir = settings_str(k->settings, SET_ATTEST_DIR), .ops = &tsm_linux });
	if (!k->attest || metrics_create(k->workers, mono_ms() * 1000000, &k->metrics) != RC_OK || add_gauges(k) != RC_OK)
		return RC_NO_ROOM;
	fill_config(s);
	workers_prepare(k);
	rc = server_create(&s->config, &k->server, why, sizeof(why));
	if (rc != RC_OK) {
		snprintf(err->text, sizeof(err->text), "%s", why);
		return rc;
	}
	if (commit_start(k) != RC_OK || server_run(k->server) != RC_OK) {
		snprintf(err->text, sizeof(err->text),
			 "cannot start threads; check the limit of processes (ulimit -u)");
		return RC_MACHINE;
	}
	return RC_OK;
}

static void print_ready(struct serve *s)
{
	const char *isolation = boot_isolation_name(channel_isolation(s->k.channel));
	const char *scheme = s->k.tls ? "https" : "http";
	struct wire_status st = { 0 };
	char url[300];
	size_t i;

	(void)!core_status(&s->k, &st);
	snprintf(url, sizeof(url), "%s://%.200s/kms", scheme, s->listens[0]);
	if (strrchr(s->listens[0], ':') && strcmp(strrchr(s->listens[0], ':'), ":0") == 0)
		snprintf(url, sizeof(url), "%s://127.0.0.1:%u/kms", scheme, server_port(s->k.server, 0));
	for (i = 1; i < s->config.listen_count; i++)
		fprintf(stderr, "svsm-kms: also listening on %s\n", s->listens[i]);
	if (!st.memory_locked)
		say("warning: memory cannot be locked, so keys may reach the swap; raise the limit (ulimit -l unlimited)");
	if (s->hints)
		printf("Try, in another terminal:\n"
		       "  curl -s -X POST -H 'Content-Type: application/json' -d '{\"name\":\"k1\"}' '%s/v1/keys?user.name=me'\n"
		       "  build/svsm-kms key list --metadata --url %s\n"
		       "  hadoop key list -provider kms://%s@%s/kms\n"
		       "Isolation: %s: %s. Data: %s\n",
		       url, url, scheme, s->listens[0], isolation, isolation_protects(isolation), s->data);
	printf("svsm-kms %s ready on %s isolation=%s data=%s keys=%llu epoch=%llu\n", SVSM_VERSION, url, isolation, s->data,
	       (unsigned long long)st.keys, (unsigned long long)st.epoch);
	fflush(stdout);
	snprintf(s->serving, sizeof(s->serving), "Serving on %s, isolation %s", url, isolation);
	notify_ready(&s->notify, s->serving);
}

/* ---- running ---- */

static bool asks_groups(void *ctx, unsigned worker)
{
	return __atomic_load_n(&((struct kms *)ctx)->worker[worker].asks_groups, __ATOMIC_ACQUIRE);
}

/*
 * A sign of life means that every worker has taken a turn since the last one, and that the core has answered just now:
 * one that hangs holds this thread here. Without it the manager ends us. A core that died is none of its business, it
 * is started again by ourselves; nor is a disk that hangs, with a worker in its write() or a change on its way to the
 * store, or a directory of users that does not answer: another process would hang too.
 */
static void sign_of_life(struct serve *s)
{
	struct kms *k = &s->k;
	struct wire_status st;

	if (!notify_due(&s->notify, mono_ms()) || (!server_alive(k->server, asks_groups, k) && !chain_of(k).failing))
		return;
	if (pthread_mutex_trylock(&k->control) == 0) {
		(void)!core_status_locked(k, &st);
		pthread_mutex_unlock(&k->control);
	} else if (!__atomic_load_n(&k->at_disk, __ATOMIC_ACQUIRE)) {
		return;	/* who has it is waiting for the core: the next tick will show */
	}
	notify_alive(&s->notify, mono_ms());
}

/* Otherwise an edit that is not signed would seem to count. */
static void say_who_decides(struct kms *k)
{
	static const uint8_t none[32];
	struct wire_status st;

	if (core_status(k, &st) == RC_OK && memcmp(st.owner, none, sizeof(none)) != 0)
		fprintf(stderr,
			"svsm-kms: the store has an owner: rights, users and Kerberos are those of the owner's bundle, "
			"version %llu, whatever the files beside it say; `svsm-kms owner sign` makes a new one\n",
			(unsigned long long)st.config_version);
}

static void reload_all(struct serve *s)
{
	struct kms *k = &s->k;
	struct settings *settings, *old_settings;
	struct conf *conf, *old_conf;
	struct core_error err;
	enum rc rc;

	if (audit_reopen(k->audit) != RC_OK)
		say("the audit log could not be opened again; the old file stays in use");
	(void)!chainlog_reopen(k->chain);	/* it says so itself */
	if (setup_conf(s->conf_dir, &conf, &settings, &err) != RC_OK) {
		fprintf(stderr, "svsm-kms: configuration not reloaded, the old one stays: %s\n", err.text);
		return;
	}
	pthread_rwlock_wrlock(&k->settings_lock);
	old_settings = k->settings;
	old_conf = k->conf;
	k->settings = settings;
	k->conf = conf;
	pthread_mutex_lock(&k->control);
	rc = core_configure(k, channel_lane(k->channel, CHANNEL_CONTROL), &err);
	if (rc == RC_OK)
		rc = owner_keep(k, &err);
	pthread_mutex_unlock(&k->control);
	if (rc != RC_OK) {
		k->settings = old_settings;
		k->conf = old_conf;
		old_settings = settings;
		old_conf = conf;
		fprintf(stderr, "svsm-kms: configuration not reloaded, the old one stays: %s\n", err.text);
	} else {
		if (!cache_settings(k))
			say("no memory: some settings stay as they were");
		setup_notices(k->settings);
		say("configuration reloaded; addresses, limits and worker settings change at the next start");
	}
	pthread_rwlock_unlock(&k->settings_lock);
	settings_free(old_settings);
	conf_free(old_conf);
	if (rc == RC_OK)
		say_who_decides(k);
}

/*
 * With the new list in place: what the core refuses must not stay, or its next start would fail. If the core
 * has just died, the list counts: the restart hands it over.
 */
static enum rc try_acls(void *ctx, const struct conf *c, struct conf_error *cerr)
{
	struct kms *k = ctx;
	struct core_error err;
	enum rc rc = settings_check_acls(k->settings, c, cerr);

	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&k->control);
	rc = core_configure(k, channel_lane(k->channel, CHANNEL_CONTROL), &err);
	pthread_mutex_unlock(&k->control);
	if (rc == RC_MACHINE)
		return RC_OK;
	if (rc != RC_OK)
		snprintf(cerr->text, sizeof(cerr->text), "%.1000s", err.text);
	return rc;
}

/* Such as that an empty list means everybody. */
static void acl_notices(const struct settings *set)
{
	const struct settings_notice *n;
	size_t at = 0;

	while ((n = settings_notice_next(set, &at)))
		if (strstr(n->text, "kms-acls.xml"))
			fprintf(stderr, "svsm-kms: %s%s\n", n->level == SETTINGS_WARNING ? "warning: " : "", n->text);
}

/* kms-acls.xml alone, when it changed on disk. */
static void reload_acls(struct serve *s)
{
	struct kms *k = &s->k;
	struct conf_error cerr = { "" }, again;
	enum rc rc;

	if (!conf_acls_changed(k->conf))
		return;
	pthread_rwlock_wrlock(&k->settings_lock);
	rc = conf_acls_reload(k->conf, try_acls, k, &cerr);
	if (rc != RC_OK)	/* the notices are to be those of the list in force */
		INVARIANT(settings_check_acls(k->settings, k->conf, &again) == RC_OK);
	pthread_rwlock_unlock(&k->settings_lock);
	if (rc == RC_OK)
		acl_notices(k->settings);
	fprintf(stderr, "svsm-kms: kms-acls.xml %s%s\n", rc == RC_OK ? "reloaded" : "not reloaded, the old ACLs stay: ",
		rc == RC_OK ? "" : cerr.text);
}

/* A core that was not killed from outside died of a fault of its own, which must not pass unseen. */
static void tell_how_it_died(const struct kms *k)
{
	siginfo_t si = { 0 };

	if (channel_pid(k->channel) <= 0)	/* at VMPL0: the monitor has said it on the console */
		return;
	if (waitid(P_PID, (id_t)channel_pid(k->channel), &si, WEXITED | WNOHANG | WNOWAIT) != 0 || si.si_pid == 0)
		return;
	if (si.si_code == CLD_EXITED)
		fprintf(stderr, "svsm-kms: the key service ended by itself, with code %d\n", si.si_status);
	else if (si.si_status != SIGKILL)
		fprintf(stderr, "svsm-kms: the key service was ended by signal %d\n", si.si_status);
}

/* False: it dies too often, or the store does not open any more. */
static bool restart_service(struct serve *s)
{
	struct kms *k = &s->k;
	struct channel_error cerr;
	struct core_error err;
	uint64_t now = mono_ms();
	enum rc rc;

	say("the key service died; starting it again");
	tell_how_it_died(k);
	memmove(s->deaths, s->deaths + 1, sizeof(s->deaths) - sizeof(s->deaths[0]));
	s->deaths[ARRAY_LEN(s->deaths) - 1] = now;
	if (s->deaths[0] && now - s->deaths[0] < 2000) {
		snprintf(k->fatal, sizeof(k->fatal),
			 "the key service died %zu times within two seconds; its last words "
			 "are above",
			 ARRAY_LEN(s->deaths));
		return false;
	}
	chainlog_died(k->chain);	/* who waits for its entries may hold the lock */
	core_status_forget(k);
	pthread_mutex_lock(&k->control);
	core_status_forget(k);	/* who asked in between may have been told the old */
	rc = channel_restart(k->channel, &cerr);
	if (rc != RC_OK)
		snprintf(err.text, sizeof(err.text), "%s", cerr.text);
	if (rc == RC_OK)
		rc = core_configure(k, channel_lane(k->channel, CHANNEL_CONTROL), &err);
	if (rc == RC_OK)
		rc = core_open_store(k, false, false, &err);
	if (rc == RC_OK)
		rc = owner_keep(k, &err);
	pthread_mutex_unlock(&k->control);
	__atomic_fetch_add(&k->restarts, 1, __ATOMIC_RELAXED);
	if (rc == RC_OK) {
		say("the key service is back");
		return true;
	}
	if (rc == RC_MACHINE && strstr(err.text, "died while"))
		return true;	/* again: its death is seen at the next turn */
	snprintf(k->fatal, sizeof(k->fatal), "%.1000s", err.text);
	return false;
}

/* How often to look after ACLs and the workers' wish to stop, whatever the audit window is. */
#define TICK_MS 500u

/* Returns the exit code. */
static int run(struct serve *s)
{
	struct kms *k = &s->k;
	uint32_t tick = audit_tick_ms(k->audit);
	uint64_t next_acls = 0, next_tls = mono_ms() + reload_interval(k->settings);
	struct signalfd_siginfo si;

	for (;;) {
		struct pollfd p[2] = { { .fd = s->signals, .events = POLLIN },
				       { .fd = channel_death_fd(k->channel), .events = POLLIN } };

		(void)!poll(p, 2, (int)(tick < TICK_MS ? tick : TICK_MS));
		audit_tick(k->audit);
		tick_chain(s);
		metrics_tick(k->metrics, mono_ms() * 1000000);
		sign_of_life(s);
		if (p[1].revents && !restart_service(s))
			break;
		if (__atomic_load_n(&k->must_stop, __ATOMIC_SEQ_CST))
			break;
		if (mono_ms() >= next_acls) {
			reload_acls(s);
			next_acls = mono_ms() + 1000;
		}
		if (mono_ms() >= next_tls) {
			reload_tls(k, false);
			next_tls = mono_ms() + reload_interval(k->settings);
		}
		if (!(p[0].revents & POLLIN) || read(s->signals, &si, sizeof(si)) != (ssize_t)sizeof(si))
			continue;
		if (si.ssi_signo != SIGHUP)
			return 0;
		notify_reloading(&s->notify, mono_us(), "Reading the configuration");
		reload_all(s);
		reload_tls(k, true);
		notify_ready(&s->notify, s->serving);
	}
	fprintf(stderr, "svsm-kms: stopping: %s\n", k->fatal);
	return 74;
}

/* Requests under way have STOP_MS to finish; a core that does not answer by then is not waited for. */
#define STOP_MS 5000
#define ATTEST_STOP_MS 2000	/* a kernel that is still asking the secure processor keeps its own memory */
#define STOP_CORE_S 8

struct stop_watch {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool stopped;
	struct channel *channel;
};

static void *watch_stop(void *arg)
{
	struct stop_watch *w = arg;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_CORE_S;
	pthread_mutex_lock(&w->lock);
	while (!w->stopped && pthread_cond_timedwait(&w->cond, &w->lock, &until) == 0)
		;
	if (!w->stopped) {
		say("the key service does not answer; it is killed");
		channel_kill(w->channel);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void stop_threads(struct kms *k)
{
	struct stop_watch w = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER,
				.channel = k->channel };
	bool watched = pthread_create(&w.thread, NULL, watch_stop, &w) == 0;

	server_stop(k->server, STOP_MS);
	if (k->commits.thread) {
		commit_stop(k);
		if (!chainlog_refuses(k->chain))
			commit_last_checkpoint(k);
	}
	pthread_mutex_lock(&w.lock);
	w.stopped = true;
	pthread_cond_signal(&w.cond);
	pthread_mutex_unlock(&w.lock);
	if (watched)
		pthread_join(w.thread, NULL);
}

static void shut_down(struct serve *s)
{
	struct kms *k = &s->k;
	unsigned i;

	if (k->server)
		stop_threads(k);
	(void)!attest_stop(k->attest, ATTEST_STOP_MS);
	server_free(k->server);
	tls_free(k->tls);
	for (i = 0; k->worker && i < k->workers; i++)
		worker_free(&k->worker[i]);
	channel_close(k->channel);
	chainlog_close(k->chain);
	peers_free(k->peers);
	throttle_free(k->throttle);
	throttle_free(k->unauthenticated);
	audit_close(k->audit);
	store_close(k->store);
	metrics_free(k->metrics);
	while (k->hot) {
		const struct hot_settings *older = k->hot->older;

		free((void *)(uintptr_t)k->hot);
		k->hot = older;
	}
	settings_free(k->settings);
	conf_free(k->conf);
	free(k->worker);
	free(s->listen_copy);
}

static enum rc start(struct serve *s, struct core_error *err)
{
	struct kms *k = &s->k;
	enum rc rc;

	pthread_rwlock_init(&k->settings_lock, NULL);
	pthread_mutex_init(&k->control, NULL);
	pthread_mutex_init(&k->status_lock, NULL);
	rc = setup_conf(s->conf_dir, &k->conf, &k->settings, err);
	if (rc != RC_OK)
		return rc;
	setup_notices(k->settings);
	k->peers = peers_new();
	k->throttle = throttle_new();
	k->unauthenticated = throttle_new();
	if (!k->peers || !k->throttle || !k->unauthenticated)
		return RC_NO_ROOM;
	if (!s->data)
		s->data = settings_str(k->settings, SET_DATA_DIR);
	snprintf(s->data_buf, sizeof(s->data_buf), "%s", s->data);
	s->data = s->data_buf;
	k->workers = (unsigned)settings_int(k->settings, SET_WORKERS);
	rc = setup_choose_channel(k, s->channel, err);
	if (rc == RC_OK)
		rc = cache_settings(k) ? choose_listen(s, err) : RC_NO_ROOM;
	if (rc == RC_OK)
		rc = start_tls(s, err);
	if (rc == RC_OK && k->workers == 0)
		k->workers = cpus();
	if (rc == RC_OK)
		rc = start_core(s, err);
	if (rc == RC_OK) {
		k->worker = calloc(k->workers, sizeof(*k->worker));
		rc = k->worker ? RC_OK : RC_NO_ROOM;
	}
	if (rc == RC_OK)
		rc = open_audit(s, err);
	if (rc == RC_OK)
		rc = start_server(s, err);
	return rc;
}

static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int serve_main(int argc, char **argv)
{
	static struct serve s;
	struct core_error err = { .text = "no memory", .exit_code = 71 };
	int code;

	if (!parse_args(&s, argc, argv))
		return usage();
	umask(077);
	mallopt(M_ARENA_MAX, 2);
	s.signals = block_signals();
	if (s.signals < 0) {
		say("signalfd is not available");
		return 71;
	}
	if (notify_open(getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), &s.notify) != RC_OK)
		say("the service manager named by NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID cannot be told anything");
	notify_status(&s.notify, "Opening the store");
	if (start(&s, &err) != RC_OK) {
		notify_status(&s.notify, err.text);
		fprintf(stderr, "svsm-kms: %s\n", err.text);
		shut_down(&s);
		return err.exit_code;
	}
	print_ready(&s);
	s.checkpoint_at = mono_ms();
	code = run(&s);
	notify_stopping(&s.notify, code ? s.k.fatal : "Finishing requests");
	shut_down(&s);
	notify_close(&s.notify);
	if (code == 0)
		say("stopped");
	return code;
}

/* The slot for the owner's recovery key, when one is configured. Slot 1; rewritten when the key changes. */
static enum rc add_recovery_slot(struct serve *s, struct core_error *err)
{
	const char *path = settings_str(s->k.settings, SET_RECOVERY_KEY);

	if (!*path)
		return RC_OK;
	return recovery_slot_update(&s->k, path, err);
}
