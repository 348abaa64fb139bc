/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keyed hash of what strangers choose, with SipHash-1-3's mixing: who does not know the seed cannot make texts collide.
 * For tables in memory only; it is no proof of anything.
 */
#ifndef PROXY_SIP_H
#define PROXY_SIP_H

#include "base/base.h"

static inline uint64_t sip_rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = sip_rotl(v[1], 13) ^ v[0];
	v[0] = sip_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = sip_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = sip_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = sip_rotl(v[1], 17) ^ v[2];
	v[2] = sip_rotl(v[2], 32);
}

/* what: tells uses of one seed apart */
static inline void sip_begin(uint64_t v[4], const uint64_t seed[2], uint64_t what)
{
	v[0] = seed[0] ^ 0x736f6d6570736575u;
	v[1] = seed[1] ^ 0x646f72616e646f6du;
	v[2] = seed[0] ^ 0x6c7967656e657261u;
	v[3] = seed[1] ^ 0x7465646279746573u ^ what;
}

/* Its length is mixed in: several texts do not run into each other. */
static inline void sip_text(uint64_t v[4], struct slice s)
{
	uint64_t m;
	size_t i, n;

	for (i = 0; i <= s.len; i += 8) {
		n = s.len - i < 8 ? s.len - i : 8;
		m = (uint64_t)s.len << 56;
		if (n)
			memcpy(&m, s.p + i, n);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
}

static inline uint64_t sip_end(uint64_t v[4])
{
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
