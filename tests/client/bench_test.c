/* SPDX-License-Identifier: Apache-2.0 */
#include "client/bench.h"
#include "tests/test.h"

TEST(buckets_are_in_order_without_gaps)
{
	unsigned i;

	for (i = 0; i + 1 < BENCH_BUCKETS; i++) {
		EXPECT_INT(bench_bucket(bench_bucket_top(i)), i);
		EXPECT_INT(bench_bucket(bench_bucket_top(i) + 1), i + 1);
	}
	EXPECT_INT(bench_bucket(UINT64_MAX), BENCH_BUCKETS - 1);
	EXPECT_INT(bench_bucket(0), 0);
}

TEST(percentiles_are_those_of_the_counts)
{
	static struct bench_result r;
	unsigned i;

	EXPECT_INT(bench_percentile(&r, 99), 0);
	for (i = 0; i < 99; i++)
		r.bucket[bench_bucket(10)]++;
	r.bucket[bench_bucket(31)]++;
	r.good = 100;
	EXPECT_INT(bench_percentile(&r, 50), 10);
	EXPECT_INT(bench_percentile(&r, 99), 10);
	EXPECT_INT(bench_percentile(&r, 100), 31);
}
