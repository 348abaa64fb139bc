/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test guest's entry, tables and exception gates. Virtual = physical for private memory (first 4 GiB, C-bit
 * set); the same 4 GiB without the C-bit at 512 GiB + physical.
 */
	.section .tables, "aw"
	.align 4096
	.set C, 1 << 39
pml4:	.quad private + 3 + C, shared + 3 + C
	.skip 4096 - 16
private:
	.quad 0x00000083 + C, 0x40000083 + C, 0x80000083 + C, 0xc0000083 + C
	.skip 4096 - 32
shared:	.quad 0x00000083, 0x40000083, 0x80000083, 0xc0000083
	.skip 4096 - 32

	.text
	.globl _start
_start:
	lea stack_top(%rip), %rsp
	push $0
	lgdt gdt_ptr(%rip)
	call guest_main
1:	hlt
	jmp 1b

	.globl level1_start
level1_start:
	lgdt gdt_ptr(%rip)
	call level1_main
1:	hlt
	jmp 1b

	.globl gates
	.align 16
gates:	.set i, 0
	.rept 32
	.align 16
	.if (i == 8) || (i == 10) || (i == 11) || (i == 12) || (i == 13) || (i == 14) || (i == 17) || (i == 29)
	.else
	push $0
	.endif
	push $i
	jmp trap
	.set i, i + 1
	.endr
trap:	push %rax
	push %rbx
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rbp
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, %rdi
	mov %rsp, %rbp
	and $~15, %rsp
	cld
	call guest_trap
	mov %rbp, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rbp
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %rbx
	pop %rax
	add $16, %rsp
	iretq

	.data
	.align 16
	.globl gdt
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
	.quad 0x00affb000000ffff, 0x00cff3000000ffff	/* 0x18 user code, 0x20 user data */
	.globl tss_descriptor
tss_descriptor:
	.quad 0, 0
gdt_ptr:
	.word . - gdt - 1
	.quad gdt
	.bss
	.align 16
	.skip 16384
	.globl stack_top
stack_top:
	.section .note.GNU-stack, "", @progbits
