/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that the monitor asks of the machine. Chosen at link time: monitor/x86/ executes the instruction,
 * tests/fake/plat.c models its rules. Any CPU may call any function at any time, unless it says otherwise.
 *
 * Addresses were checked by the caller (monitor/addr.h): aligned, without C-bit, inside the page table's
 * range, in a state that allows the access. An access that the hardware refuses all the same (the host took
 * the page away: #VC 0x404) ends in mon_panic(), never in a return.
 */
#ifndef MONITOR_PLAT_H
#define MONITOR_PLAT_H

#include "base/base.h"
#include "wire/boot.h"

/* Guest-physical, without the C-bit. */
struct gpa {
	uint64_t v;
};

/*
 * PVALIDATE (specification 2.2) and RMPADJUST (2.3) of one page of 4 KiB, or of 2 MiB when huge. The result is the
 * instruction's: SNP_OK, SNP_FAIL_*; PVALIDATE with CF: PLAT_NO_CHANGE. `attr` is RMPADJUST's RDX.
 */
#define PLAT_FAIL_IN_USE 3u	/* the VMSA bit of a page that a CPU is running on */
#define PLAT_NO_CHANGE 0x10u
MUST_CHECK unsigned plat_pvalidate(struct gpa page, bool huge, bool validate);
MUST_CHECK unsigned plat_rmpadjust(struct gpa page, bool huge, uint64_t attr);

/* Private (C = 1) memory of guest or monitor, through the monitor's own mapping. plat_read loads each byte once. */
void plat_zero(struct gpa at, size_t len);
void plat_read(struct gpa at, void *to, size_t len);
void plat_write(struct gpa at, const void *from, size_t len);
/* The same of shared (C = 0) memory: whatever the host says is there. */
void plat_read_shared(struct gpa at, void *to, size_t len);
/* Forget all translations, on all CPUs, that were cached before a right was taken away. */
void plat_flush(void);

/*
 * Asks the host for a page-state change of `pages` 4 KiB pages from `first` (GHCB NAE 0x80000010 in batches, 2 MiB
 * entries where both ends allow). RC_MACHINE: the host refused or answered nonsense; some may be changed.
 */
enum rc plat_page_state(struct gpa first, uint64_t pages, bool to_private);

/*
 * A guest request (GHCB NAE 0x80000011; 0x80000012 when certs != NULL): req and rsp are pages of 4096 bytes in private
 * memory, copied to and from shared pages. certs: room for certs_len bytes (a multiple of 4096), zeroed before.
 * Returns info2: [63:32] the host's error, [31:0] the firmware's. One caller at a time.
 */
MUST_CHECK uint64_t plat_guest_request(const uint8_t *req, uint8_t *rsp, uint8_t *certs, size_t certs_len);

/*
 * One request to the platform service (monitor/platform/platform.h), whole structs. One caller at a time.
 * RC_MACHINE: it has died, and stays so.
 */
enum rc plat_platform(const void *req, size_t req_len, void *rsp, size_t rsp_len);

/* Never goes backwards; milliseconds since any moment. By the host's leave: for waiting only. */
MUST_CHECK uint64_t plat_now_ms(void);

/*
 * The key service. One at most. None of start and destroy runs beside another or beside a lane of the service; run
 * is called for different lanes at the same time, never twice for one.
 *
 * start: the first call after a destroy (or ever) makes the address space, loads the measured ELF file and begins
 * to run it; `boot` is what it reads on fd 3, `frames` (frame numbers: gpa / 4096) are `boot->lanes` request areas of
 * MON_AREA_PAGES each, then as many response areas: fd 4 and fd 5. Both stay valid and unchanged until destroy.
 * Each call does a bounded piece. RC_BUSY: call again; RC_OK: the service sleeps in all its lanes; else: it has
 * died (destroy it).
 */
enum rc plat_service_start(const struct boot_msg *boot, const uint32_t *frames);
/* Runs a lane's thread until it waits on its `tail` again. RC_OK; RC_BUSY: not yet, call again; else: service died. */
enum rc plat_service_run(uint32_t lane);
/* Zeroes all its memory and registers and forgets it, in bounded pieces. RC_BUSY: call again; else RC_OK. */
enum rc plat_service_destroy(void);

/* Zeroes the service's memory, prints the reason, asks the host to terminate (set MON_REASON_SET). */
__attribute__((noreturn)) void plat_terminate(unsigned reason);

#endif
