/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First instructions of the boot vCPU and of the others, traps, and the way into and out of CPL3.
 *
 * The image begins with the top page table that the boot VMSA's CR3 names: its C-bits are link-time
 * constants. Until trap_load() has run, no instruction here or in C may be one that the hypervisor
 * intercepts. Interrupts stay off, at CPL3 too: a thread of a process has no kernel stack of its own; a
 * trap at CPL3 puts all registers into its struct regs and returns from user_run().
 */
#include "monitor/x86/layout.h"

#define C_BIT (1 << MON_C_BIT)
#define PHYS(sym) (sym) - MON_VA + MON_PHYS

	.section .boot, "aw"
	.globl boot_pml4
boot_pml4:
	.fill	256, 8, 0
	.quad	PHYS(boot_direct) + C_BIT + 3
	.fill	254, 8, 0
	.quad	PHYS(boot_high) + C_BIT + 3
boot_direct:
	.set	gib, 0
	.rept	DIRECT_GIB
	.quad	(gib << 30) + C_BIT + 0x83
	.set	gib, gib + 1
	.endr
	.fill	512 - DIRECT_GIB, 8, 0
boot_high:
	.fill	510, 8, 0
	.quad	PHYS(boot_image) + C_BIT + 3
	.quad	0
boot_image:
	.set	page, 0
	.rept	MON_IMAGE_MAX >> 21
	.quad	MON_PHYS + (page << 21) + C_BIT + 0x83
	.set	page, page + 1
	.endr
	.fill	512 - (MON_IMAGE_MAX >> 21), 8, 0

	.text
	.globl monitor_entry, ap_entry
monitor_entry:				/* RDI: address of the launch information */
	lea	boot_stack_end(%rip), %rsp
	xor	%ebp, %ebp
	cld
	call	monitor_main
	ud2
ap_entry:				/* RSP: its stack; RDI: its struct cpu */
	xor	%ebp, %ebp
	cld
	call	monitor_ap_main
	ud2

	/* Selectors of the table that has just been loaded. */
	.globl	segments_load
segments_load:
	mov	$SEL_KDATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	xor	%eax, %eax
	mov	%eax, %fs
	mov	%eax, %gs
	pop	%rax
	push	$SEL_KCODE
	push	%rax
	lretq

	.macro	push_registers
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm
	.macro	pop_registers
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	.endm

	/* Into CPL3 with the registers of RDI = struct regs; returns the vector that ended it. */
	.globl	user_run
user_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %gs:CPU_KERNEL_RSP
	mov	%rdi, %rsp
	pop_registers
	add	$16, %rsp		/* vector and error code */
	swapgs
	iretq

	/* All registers are in the thread's struct regs: back to the caller of user_run(). */
user_left:
	mov	REGS_VECTOR(%rsp), %rax
	mov	%gs:CPU_KERNEL_RSP, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	cld
	ret

	.globl	syscall_entry
syscall_entry:
	swapgs
	mov	%rsp, %gs:CPU_USER_RSP
	mov	%gs:CPU_REGS_END, %rsp
	push	$SEL_UDATA
	push	%gs:CPU_USER_RSP
	push	%r11
	push	$SEL_UCODE
	push	%rcx
	push	$0
	push	$VECTOR_SYSCALL
	push_registers
	jmp	user_left

	/*
	 * The processor pushed onto a struct regs (IST). From CPL3: the thread's; its RFLAGS.AC would leave SMAP off.
	 * From CPL0 there is no way back. GS tells nothing then: the trap may have come before or after a swapgs.
	 */
trap_common:
	push_registers
	clac
	testb	$3, REGS_VECTOR + 24(%rsp)
	jz	1f
	swapgs
	jmp	user_left
1:	cld
	mov	%rsp, %rdi
	mov	$GS_BASE_MSR, %ecx
	rdmsr
	test	%edx, %edx
	js	2f			/* the upper half: ours */
	swapgs
2:	mov	%gs:CPU_FAULT_RSP, %rsp
	xor	%ebp, %ebp
	call	trap_kernel
	ud2

	/* 32 stubs of 16 bytes. An NMI is not ours: the host may send as many as it likes. */
	.balign	16
	.globl	trap_stubs
trap_stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	vector == VECTOR_NMI
	iretq
	.else
	.if	!(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push	$0
	.endif
	push	$vector
	jmp	trap_common
	.endif
	.set	vector, vector + 1
	.endr

	.section .bss
	.balign	4096
	.skip	CPU_STACK_LEN
boot_stack_end:
	.section .note.GNU-stack, "", @progbits
