/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L0's entry points: multiboot1 (32-bit), the trampoline of the other CPUs, exception stubs, the world
 * switch, and the idle wait. Everything is identity-mapped with 1 GiB pages; GIF stays 0 in L0 except
 * in the two places below that take a pending NMI.
 */
	.set TRAMPOLINE, 0x8000		/* real-mode page for the other CPUs; zeroed before the guest gets it */
	.set CR4_BITS, 0x620		/* PAE OSFXSR OSXMMEXCPT */
	.set EFER_BITS, 0x1901		/* SVME NXE LME SCE */

	.section .multiboot, "a"
	.align 4
	.long 0x1badb002, 3, -(0x1badb002 + 3)	/* pages aligned, memory information */

	.section .text.boot, "ax"
	.code32
	.globl _start
_start:
	cli
	movl %eax, l0_boot_magic
	movl %ebx, l0_boot_info
	movl $boot_pdpt, %eax
	orl $7, %eax
	movl %eax, boot_pml4
	xorl %ecx, %ecx
	xorl %edx, %edx
	xorl %eax, %eax
1:	movl %eax, %ebx
	orl $0x87, %ebx
	movl %ebx, boot_pdpt(, %ecx, 8)
	movl %edx, boot_pdpt + 4(, %ecx, 8)
	addl $0x40000000, %eax
	adcl $0, %edx
	incl %ecx
	cmpl $512, %ecx
	jne 1b
	movl $boot_stack_top, %esp
	call long_mode
	ljmp $8, $boot64

long_mode:
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $CR4_BITS, %eax
	andl $~0x80, %eax
	movl %eax, %cr4
	movl $0xc0000080, %ecx
	rdmsr
	orl $EFER_BITS, %eax
	wrmsr
	movl %cr0, %eax
	andl $~0x6000000c, %eax
	orl $0x80010023, %eax
	movl %eax, %cr0
	lgdt gdt_ptr
	ret

	.code64
boot64:
	movabs $boot_stack_top, %rsp
	call segments
	clgi
	call l0_main
1:	hlt
	jmp 1b

segments:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %eax, %fs
	movl %eax, %gs
	lgdt gdt_ptr
	ret

	.code16
	.globl l0_trampoline, l0_trampoline_end
l0_trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl tramp_gdt_ptr - l0_trampoline + TRAMPOLINE
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x18, $cpu32
	.align 8
tramp_gdt:
	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
tramp_gdt_ptr:
	.word 31
	.long tramp_gdt - l0_trampoline + TRAMPOLINE
l0_trampoline_end:
	.code32
cpu32:
	movl $16, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl l0_cpu_stack, %esp
	call long_mode
	ljmp $8, $cpu64
	.code64
cpu64:
	movq l0_cpu_stack, %rsp
	call segments
	clgi
	call l0_cpu_main
1:	hlt
	jmp 1b

/*
 * void svm_run(uint64_t vmcb, struct gregs *g, uint64_t host_block): one VMRUN. FS, GS, TR, LDTR and the
 * system-call MSRs are switched by VMLOAD/VMSAVE; nothing touches the FPU.
 */
	.text
	.globl svm_run
svm_run:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	push %rdx
	push %rsi
	mov %rdx, %rax
	vmsave %rax
	mov %rdi, %rax
	vmload %rax
	mov 0(%rsi), %rbx
	mov 8(%rsi), %rcx
	mov 16(%rsi), %rdx
	mov 32(%rsi), %rdi
	mov 40(%rsi), %rbp
	mov 48(%rsi), %r8
	mov 56(%rsi), %r9
	mov 64(%rsi), %r10
	mov 72(%rsi), %r11
	mov 80(%rsi), %r12
	mov 88(%rsi), %r13
	mov 96(%rsi), %r14
	mov 104(%rsi), %r15
	mov 24(%rsi), %rsi
	vmrun %rax
	vmsave %rax
	xchg %rsi, (%rsp)
	mov %rbx, 0(%rsi)
	mov %rcx, 8(%rsi)
	mov %rdx, 16(%rsi)
	mov %rdi, 32(%rsi)
	mov %rbp, 40(%rsi)
	mov %r8, 48(%rsi)
	mov %r9, 56(%rsi)
	mov %r10, 64(%rsi)
	mov %r11, 72(%rsi)
	mov %r12, 80(%rsi)
	mov %r13, 88(%rsi)
	mov %r14, 96(%rsi)
	mov %r15, 104(%rsi)
	pop %rax
	mov %rax, 24(%rsi)
	pop %rax
	vmload %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/* void cpu_take_nmi(void): an intercepted NMI stays pending; let it in, where its gate drops it. */
	.globl cpu_take_nmi
cpu_take_nmi:
	stgi
	nop
	clgi
	ret

/*
 * void cpu_wait_nmi(void): sleeps until an NMI arrives. An NMI between STGI and HLT would be lost, so the
 * NMI gate below moves a return address inside the window past the HLT.
 */
	.globl cpu_wait_nmi
cpu_wait_nmi:
	stgi
wait_window:
	nop
wait_hlt:
	hlt
wait_done:
	clgi
	ret

	.globl nmi_gate
nmi_gate:
	push %rax
	mov 8(%rsp), %rax
	cmp $wait_window, %rax
	jb 1f
	cmp $wait_hlt, %rax
	ja 1f
	movq $wait_done, 8(%rsp)
1:	pop %rax
	iretq

	.globl exception_gates
	.align 16
exception_gates:
	.set i, 0
	.rept 32
	.align 16
	.if (i == 8) || (i == 10) || (i == 11) || (i == 12) || (i == 13) || (i == 14) || (i == 17)
	.else
	push $0
	.endif
	push $i
	jmp exception_common
	.set i, i + 1
	.endr
exception_common:
	mov %rsp, %rdi
	and $~15, %rsp
	call l0_exception
1:	hlt
	jmp 1b

	.data
	.align 16
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdt_ptr:
	.word 31
	.quad gdt
	.globl l0_boot_magic, l0_boot_info, l0_cpu_stack
	.align 8
l0_boot_magic:
	.long 0
l0_boot_info:
	.long 0
l0_cpu_stack:
	.quad 0

	.bss
	.align 4096
boot_pml4:
	.skip 4096
boot_pdpt:
	.skip 4096
	.skip 32768
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
