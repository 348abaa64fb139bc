/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "proxy/metrics.h"
#include "tests/test.h"

#define S UINT64_C(1000000000)

static struct metrics *make(unsigned workers)
{
	struct metrics *m;

	EXPECT(metrics_create(workers, 100 * S, &m) == RC_OK);
	return m;
}

/* To be freed. */
static char *text_of(struct metrics *m)
{
	static char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	metrics_write(m, 100 * S, f);
	fclose(f);
	return text;
}

static bool near(double a, double b)
{
	return a > b - 1e-9 && a < b + 1e-9;
}

static uint64_t count(struct metrics *m, enum metrics_meter meter)
{
	struct metrics_rates r;

	metrics_meter_read(m, meter, 100 * S, &r);
	return r.count;
}

TEST(requests_mark_the_meters_that_hadoop_marks)
{
	struct metrics *m = make(2);
	struct metrics_worker *w = metrics_worker(m, 0), *v = metrics_worker(m, 1);

	metrics_request(w, KMS_OP_CREATE_KEY, 201, true, 1);
	metrics_request(v, KMS_OP_GET_KEYS_METADATA, 403, true, 1);
	metrics_request(w, KMS_OP_GET_KEY_VERSIONS, 200, true, 1);
	metrics_request(w, KMS_OP_GENERATE_EEK, 200, true, 1);
	metrics_request(w, KMS_OP_GENERATE_EEK, 500, true, 1); /* generate counts only when it succeeded */
	metrics_request(v, KMS_OP_DECRYPT_EEK, 403, true, 1);
	metrics_request(w, KMS_OP_DECRYPT_EEK, 401, true, 1);
	metrics_request(w, KMS_OP_STATUS, 200, true, 1);
	metrics_mark(v, METER_UNAUTHORIZED);
	EXPECT_INT(count(m, METER_ADMIN), 2);
	EXPECT_INT(count(m, METER_KEY), 1);
	EXPECT_INT(count(m, METER_GENERATE_EEK), 1);
	EXPECT_INT(count(m, METER_DECRYPT_EEK), 1);
	EXPECT_INT(count(m, METER_REENCRYPT_EEK), 0);
	EXPECT_INT(count(m, METER_UNAUTHORIZED), 1);
	EXPECT_INT(count(m, METER_UNAUTHENTICATED), 1);
	EXPECT_INT(count(m, METER_INVALID), 3);
	EXPECT_INT(metrics_requests(m, KMS_OP_GENERATE_EEK, RESULT_OK), 1);
	EXPECT_INT(metrics_requests(m, KMS_OP_GENERATE_EEK, RESULT_ERROR), 1);
	EXPECT_INT(metrics_requests(m, KMS_OP_DECRYPT_EEK, RESULT_DENIED), 1);
	EXPECT_INT(metrics_requests(m, KMS_OP_DECRYPT_EEK, RESULT_UNAUTHENTICATED), 1);
	metrics_free(m);
}

TEST(rates_are_weighted_every_five_seconds_as_dropwizard_does)
{
	struct metrics *m = make(1);
	struct metrics_worker *w = metrics_worker(m, 0);
	struct metrics_rates r;
	int i;

	for (i = 0; i < 50; i++)
		metrics_mark(w, METER_KEY);
	metrics_meter_read(m, METER_KEY, 105 * S - 1, &r);
	EXPECT(r.count == 50 && near(r.m1, 0)); /* no interval is over */
	metrics_meter_read(m, METER_KEY, 105 * S, &r);
	EXPECT(near(r.mean, 10) && near(r.m1, 10) && near(r.m5, 10) && near(r.m15, 10));
	metrics_tick(m, 110 * S); /* an empty interval */
	metrics_meter_read(m, METER_KEY, 110 * S, &r);
	EXPECT(near(r.m1, 10 * 0.9200444146293233));  /* exp(-1/12) */
	EXPECT(near(r.m5, 10 * 0.9834714538216175));  /* exp(-1/60) */
	EXPECT(near(r.m15, 10 * 0.9944598480048967)); /* exp(-1/180) */
	EXPECT(near(r.mean, 5));
	metrics_tick(m, 170 * S); /* a minute missed at once decays as twelve intervals */
	metrics_meter_read(m, METER_KEY, 170 * S, &r);
	EXPECT(near(r.m1, 10 * 0.9200444146293233 * 0.36787944117144233));
	metrics_tick(m, 5 * S); /* a clock that runs backwards changes nothing */
	metrics_meter_read(m, METER_KEY, 5 * S, &r);
	EXPECT(r.count == 50 && near(r.mean, 0));
	metrics_tick(m, UINT64_MAX); /* nor does one that leaps take for ever */
	metrics_free(m);
}

TEST(quantiles_are_at_most_a_quarter_too_high)
{
	static const uint64_t us[] = {0, 1, 3, 4, 5, 7, 8, 100, 1000, 65535, 1000000, 16777215};
	size_t i;

	for (i = 0; i < ARRAY_LEN(us); i++) {
		struct metrics *m = make(1);
		uint64_t q;

		metrics_request(metrics_worker(m, 0), KMS_OP_DECRYPT_EEK, 200, true, us[i] * 1000 + 999);
		q = metrics_quantile_us(m, KMS_OP_DECRYPT_EEK, 0.99);
		EXPECT(q > us[i] && q <= us[i] + us[i] / 4 + 1);
		metrics_free(m);
	}
}

TEST(quantiles_split_where_they_should_and_outliers_have_a_last_bucket)
{
	struct metrics *m = make(1);
	struct metrics_worker *w = metrics_worker(m, 0);
	int i;

	EXPECT_INT(metrics_quantile_us(m, KMS_OP_DECRYPT_EEK, 0.5), 0);
	for (i = 0; i < 99; i++)
		metrics_request(w, KMS_OP_DECRYPT_EEK, 200, true, 2000);
	metrics_request(w, KMS_OP_DECRYPT_EEK, 200, true, UINT64_MAX);
	EXPECT_INT(metrics_quantile_us(m, KMS_OP_DECRYPT_EEK, 0.5), 3);
	EXPECT_INT(metrics_quantile_us(m, KMS_OP_DECRYPT_EEK, 0.99), 3);
	EXPECT_INT(metrics_quantile_us(m, KMS_OP_DECRYPT_EEK, 1), 1 << 24);
	metrics_free(m);
}

static double seven(void *ctx)
{
	(void)ctx;
	return 7;
}

TEST(the_prometheus_text_is_complete_and_each_name_is_described_once)
{
	static const struct metrics_gauge gauges[] = {
		{.name = "svsm_kms_isolation",
		 .help = "Active isolation.",
		 .labels = "isolation=\"process\""},
		{.name = "svsm_kms_keys", .help = "Keys.", .read = seven},
		{.name = "svsm_kms_worker",
		 .help = "W.",
		 .labels = "w=\"0\"",
		 .read = seven,
		 .counter = true},
		{.name = "svsm_kms_worker",
		 .help = "W.",
		 .labels = "w=\"1\"",
		 .read = seven,
		 .counter = true},
	};
	struct metrics *m = make(3);
	const char *at, *end, *next;
	char *text, help[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(gauges); i++)
		EXPECT(metrics_add_gauge(m, &gauges[i]) == RC_OK);
	for (i = 0; i < 3; i++)
		metrics_request(metrics_worker(m, (unsigned)i), KMS_OP_DECRYPT_EEK, 200, true, 10000);
	text = text_of(m);
	EXPECT(strstr(text, "\nsvsm_kms_requests_total{op=\"DECRYPT_EEK\",result=\"ok\"} 3\n"));
	EXPECT(strstr(text, "_seconds_bucket{op=\"DECRYPT_EEK\",result=\"ok\",le=\"0.000008\"} 0\n"));
	EXPECT(strstr(text, "_seconds_bucket{op=\"DECRYPT_EEK\",result=\"ok\",le=\"0.000016\"} 3\n"));
	EXPECT(strstr(text, "_seconds_bucket{op=\"DECRYPT_EEK\",result=\"ok\",le=\"16.777216\"} 3\n"));
	EXPECT(strstr(text, "_seconds_bucket{op=\"DECRYPT_EEK\",result=\"ok\",le=\"+Inf\"} 3\n"));
	EXPECT(strstr(text, "_seconds_sum{op=\"DECRYPT_EEK\",result=\"ok\"} 0.000030000\n"));
	EXPECT(strstr(text, "\nsvsm_kms_isolation{isolation=\"process\"} 1\n"));
	EXPECT(strstr(text, "\nsvsm_kms_keys 7\n"));
	EXPECT(strstr(text, "\n# TYPE svsm_kms_worker counter\n"));
	EXPECT(text[strlen(text) - 1] == '\n');
	for (at = strstr(text, "# HELP "); at; at = next) {
		end = strchr(at + 7, ' ');
		snprintf(help, sizeof(help), "%.*s", (int)(end + 1 - at), at);
		EXPECT(strstr(at + 1, help) == NULL);
		next = strstr(at + 1, "# HELP ");
	}
	free(text);
	metrics_free(m);
}

TEST(results_have_histograms_of_their_own)
{
	struct metrics *m = make(2);
	char *text;

	metrics_request(metrics_worker(m, 0), KMS_OP_GET_KEYS, 200, true, 3000000);
	metrics_request(metrics_worker(m, 1), KMS_OP_GET_KEYS, 403, true, 5000);
	metrics_request(metrics_worker(m, 1), KMS_OP_GET_KEYS, 403, true, 5000);
	text = text_of(m);
	EXPECT(strstr(text, "\nsvsm_kms_request_duration_seconds_count{op=\"GET_KEYS\",result=\"ok\"} 1\n"));
	EXPECT(strstr(text, "\nsvsm_kms_request_duration_seconds_count{op=\"GET_KEYS\",result=\"denied\"} 2\n"));
	EXPECT(strstr(text, "_bucket{op=\"GET_KEYS\",result=\"denied\",le=\"0.000008\"} 2\n"));
	EXPECT(strstr(text, "_bucket{op=\"GET_KEYS\",result=\"ok\",le=\"0.000008\"} 0\n"));
	EXPECT(!strstr(text, "result=\"invalid\""));
	EXPECT_INT(metrics_quantile_us(m, KMS_OP_GET_KEYS, 0.5), 6);
	EXPECT(near(metrics_mean_ms(m, KMS_OP_GET_KEYS, RESULT_OK), 3));
	EXPECT(near(metrics_mean_ms(m, KMS_OP_GET_KEYS, RESULT_ERROR), 0));
	free(text);
	metrics_free(m);
}

TEST(who_is_not_known_moves_no_meter_but_that_of_the_invalid)
{
	struct metrics *m = make(1);
	struct metrics_worker *w = metrics_worker(m, 0);

	metrics_request(w, KMS_OP_GET_KEYS, 403, false, 1);
	EXPECT_INT(count(m, METER_ADMIN), 0);
	EXPECT_INT(count(m, METER_UNAUTHENTICATED), 0);
	EXPECT_INT(count(m, METER_INVALID), 1);
	EXPECT_INT(metrics_requests(m, KMS_OP_GET_KEYS, RESULT_DENIED), 1);
	metrics_free(m);
}

TEST(events_are_shown_before_they_first_happen_and_summed_over_workers)
{
	struct metrics *m = make(2);
	char *text = text_of(m);

	EXPECT(strstr(text, "\nsvsm_kms_authentications_total{credential=\"token\",result=\"ok\"} 0\n"));
	EXPECT(strstr(text, "\nsvsm_kms_proxy_user_refusals_total 0\n"));
	free(text);
	metrics_event(metrics_worker(m, 0), EVENT_DO_AS_REFUSED);
	metrics_event(metrics_worker(m, 1), EVENT_DO_AS_REFUSED);
	text = text_of(m);
	EXPECT(strstr(text, "\nsvsm_kms_proxy_user_refusals_total 2\n"));
	free(text);
	metrics_free(m);
}

TEST(credentials_are_counted_under_their_names_believed_or_not)
{
	static const char *const names[] = { "none", "user.name", "cookie", "negotiate", "token" };
	struct metrics *m = make(1);
	char *text, want[128];
	unsigned c, i;

	for (c = CREDENTIAL_NONE; c <= CREDENTIAL_TOKEN; c++)
		for (i = 0; i < c + 1; i++) {
			metrics_authentication(metrics_worker(m, 0), (enum metrics_credential)c, true);
			metrics_authentication(metrics_worker(m, 0), (enum metrics_credential)c, false);
			metrics_authentication(metrics_worker(m, 0), (enum metrics_credential)c, false);
		}
	text = text_of(m);
	for (c = CREDENTIAL_NONE; c <= CREDENTIAL_TOKEN; c++) {
		snprintf(want, sizeof(want), "{credential=\"%s\",result=\"ok\"} %u\n", names[c], c + 1);
		EXPECT(strstr(text, want));
		snprintf(want, sizeof(want), "{credential=\"%s\",result=\"refused\"} %u\n", names[c], 2 * c + 2);
		EXPECT(strstr(text, want));
	}
	free(text);
	metrics_free(m);
}

TEST(there_is_a_bound_on_gauges)
{
	struct metrics_gauge g = {.name = "x", .help = "X."};
	struct metrics *m = make(1);
	unsigned i;

	for (i = 0; i < METRICS_GAUGES_MAX; i++)
		EXPECT(metrics_add_gauge(m, &g) == RC_OK);
	EXPECT(metrics_add_gauge(m, &g) == RC_NO_ROOM);
	metrics_free(m);
}

static void *worker(void *arg)
{
	int i;

	for (i = 0; i < 100000; i++)
		metrics_request(arg, KMS_OP_DECRYPT_EEK, 200, true, 5000);
	return NULL;
}

TEST(readers_do_not_disturb_workers)
{
	struct metrics *m = make(2);
	pthread_t t[2];
	unsigned i;

	for (i = 0; i < 2; i++)
		EXPECT(pthread_create(&t[i], NULL, worker, metrics_worker(m, i)) == 0);
	for (i = 0; i < 20; i++)
		free(text_of(m));
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT_INT(metrics_requests(m, KMS_OP_DECRYPT_EEK, RESULT_OK), 200000);
	EXPECT_INT(count(m, METER_DECRYPT_EEK), 200000);
	metrics_free(m);
}

TEST(figures_of_this_process_are_plausible)
{
	struct metrics_process p;
	void *block = malloc(8 << 20);

	EXPECT(block != NULL);
	metrics_process_read(&p);
	EXPECT(p.resident > 0 && p.virtual_size >= p.resident);
	EXPECT(p.open_files >= 3 && p.max_files >= p.open_files);
	EXPECT(p.threads >= 1);
	EXPECT_INT(p.threads, p.threads_running + p.threads_blocked + p.threads_waiting);
	EXPECT(p.start_ms > 1600000000000);
	free(block);
}
