/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for /dev/svsm, its driver and the monitor: the rules of wire/uapi.h, with the real service as a process
 * behind them. One device, as in life. A test can make it refuse, lie, or lose its service.
 */
#ifndef TESTS_FAKE_SVSM_DEV_H
#define TESTS_FAKE_SVSM_DEV_H

#include "channel/impl.h"
#include "wire/uapi.h"

extern const struct svsm_sys fake_svsm;

/* Before open: the service's program, and how many lanes the device has. Also undoes all of the below. */
void fake_svsm_reset(const char *service, uint32_t lanes);
/* SVSM_IOC_INFO answers this; `honest` is what it would say. */
void fake_svsm_lie(const struct svsm_info *info);
struct svsm_info fake_svsm_honest(void);
/* The next `times` requests of this kind (SVSM_IOC_..; 0: mmap, 1: open) fail so, before anything is done. */
void fake_svsm_refuse(unsigned long request, int error, unsigned times);
/* The next `times` calls return at once, and the service has not run: a host that drops the switch, unnoticed. */
void fake_svsm_idle(unsigned times);
/* The sealing root (32 bytes of this value): another one is what another image would be given. */
void fake_svsm_root(uint8_t root);
/* Ends the service; returns when it is dead. */
void fake_svsm_die(void);

/* What has happened so far. */
struct fake_svsm_seen {
	unsigned opens, closes, calls, resets, starts;
	unsigned maps, unmaps;
	const uint8_t *req, *rsp;	/* where the pages are mapped in the opener, NULL: they are not */
	size_t req_len, rsp_len;
};
struct fake_svsm_seen fake_svsm_seen(void);

#endif
