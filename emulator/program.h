/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A static ELF program in an SVM context of its own: CPL3, its memory and nothing else, system calls answered by
 * L0. It reads requests on fd 0 and writes answers on fd 1; between two requests it stands still in read(0).
 */
#ifndef EMULATOR_PROGRAM_H
#define EMULATOR_PROGRAM_H

#include "emulator/l0.h"

/* Loads the program and runs it until it waits for its first request. Stops L0 when it is no such program. */
void program_start(struct module elf);
/*
 * Hands it `head` and `data` as one stream, runs it until it wants more, and collects what it writes: at most
 * `max` bytes into `out`; *len gets how many. Stops L0 when the program dies. Lock held, any CPU.
 */
void program_call(struct slice head, struct slice data, uint8_t *out, uint64_t max, uint64_t *len);

#endif
