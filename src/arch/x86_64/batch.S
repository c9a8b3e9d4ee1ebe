/*
 * The only code of Stasis that ever runs in a target.
 *
 * Two pieces, both position independent, without relocations, without a stack:
 *
 * cell   one system call instruction and, behind it, the cure: it gives the
 *        thread its signal mask and registers back from constants in the cell
 *        and continues where the thread was.  Whoever points a thread at the cell
 *        may therefore die at any moment.  It fits into the unused end of the vdso.
 *
 * batch  the interpreter of struct batch_header and struct batch_entry
 *        (inject/batch.h; the offsets below are theirs).  When all is done it
 *        rings a doorbell: a signal to itself that the program ignores, for
 *        which the tracer waits.  Nobody there: it goes on to the cure.
 *
 * Nothing here changes floating-point state.  System calls clobber rax, rcx, r11.
 */
	.section .batch, "a", @progbits

#define SYS_rt_sigprocmask 14
#define SYS_getpid 39
#define SYS_gettid 186
#define SYS_tgkill 234
#define SYS_exit_group 231
#define SIG_SETMASK 2

	.balign 8
	.globl	arch_cell_begin
	.hidden	arch_cell_begin
arch_cell_begin:
	.ascii	"stasis1\0"		/* by which a left-over cell is known */
	.globl	arch_cell_call_at
	.hidden	arch_cell_call_at
arch_cell_call_at:
	syscall
	.globl	arch_cell_after_at
	.hidden	arch_cell_after_at
arch_cell_after_at:
	movl	$SYS_rt_sigprocmask, %eax
	movl	$SIG_SETMASK, %edi
	leaq	cell_mask(%rip), %rsi
	xorl	%edx, %edx
	movl	$8, %r10d
	syscall
	/*
	 * Flags without popf, which would need memory below the stack pointer:
	 * 0x7f + 1 overflows, sahf sets the rest, and the tracer chose cld or std.
	 */
	movb	cell_overflow(%rip), %al
	addb	$0x7f, %al
	movb	cell_flags(%rip), %ah
	sahf
	.globl	arch_cell_direction_at
	.hidden	arch_cell_direction_at
arch_cell_direction_at:
	cld
	movq	cell_regs+0(%rip), %r15
	movq	cell_regs+8(%rip), %r14
	movq	cell_regs+16(%rip), %r13
	movq	cell_regs+24(%rip), %r12
	movq	cell_regs+32(%rip), %rbp
	movq	cell_regs+40(%rip), %rbx
	movq	cell_regs+48(%rip), %r11
	movq	cell_regs+56(%rip), %r10
	movq	cell_regs+64(%rip), %r9
	movq	cell_regs+72(%rip), %r8
	movq	cell_regs+80(%rip), %rax
	movq	cell_regs+88(%rip), %rcx
	movq	cell_regs+96(%rip), %rdx
	movq	cell_regs+104(%rip), %rsi
	movq	cell_regs+112(%rip), %rdi
	movq	cell_regs+120(%rip), %rsp
	jmp	*cell_regs+128(%rip)
	.balign 8
	.globl	arch_cell_constants_at
	.hidden	arch_cell_constants_at
arch_cell_constants_at:
cell_region:	.quad	0
cell_generation: .quad	0
cell_mask:	.quad	0
cell_flags:	.byte	0
cell_overflow:	.byte	0
	.balign 8
cell_regs:	.fill	17, 8, 0
	.globl	arch_cell_end
	.hidden	arch_cell_end
arch_cell_end:

/*
 * rbx  header: u32 version, u32 count, u64 executed, u32 signal, u32 zero
 * r12  the next entry: u64 nr, args[6], s64 ret, u32 flags, u32 refs
 * r13  entries left
 */
#define HEADER_COUNT 4
#define HEADER_EXECUTED 8
#define HEADER_SIGNAL 16
#define HEADER_SIZE 64
#define ENTRY_NR 0
#define ENTRY_ARGS 8
#define ENTRY_RET 56
#define ENTRY_FLAGS 64
#define ENTRY_REFS 68
#define ENTRY_SIZE 72
#define FLAG_MAY_FAIL 1
#define FLAG_CHILD_EXITS 2

	.balign 16
	.globl	arch_batch_begin
	.hidden	arch_batch_begin
arch_batch_begin:
	.ascii	"stasis1\0"
	.globl	arch_batch_cure_at
	.hidden	arch_batch_cure_at
arch_batch_cure_at:
.Lcure:
	.quad	0
	.globl	arch_batch_entry_at
	.hidden	arch_batch_entry_at
arch_batch_entry_at:
	movl	HEADER_COUNT(%rbx), %r13d
	leaq	HEADER_SIZE(%rbx), %r12
	xorl	%r14d, %r14d
	cld
.Lnext:
	testl	%r13d, %r13d
	jz	.Ldone
	/* Arguments that are results of earlier entries: bit i of refs, args[i] is the entry's index. */
	movl	ENTRY_REFS(%r12), %ecx
	xorl	%edx, %edx
.Lref:
	testl	%ecx, %ecx
	jz	.Lcall
	testl	$1, %ecx
	jz	.Lnoref
	movq	ENTRY_ARGS(%r12,%rdx,8), %rax
	imulq	$ENTRY_SIZE, %rax, %rax
	movq	HEADER_SIZE+ENTRY_RET(%rbx,%rax), %rax
	movq	%rax, ENTRY_ARGS(%r12,%rdx,8)
.Lnoref:
	shrl	$1, %ecx
	incl	%edx
	jmp	.Lref
.Lcall:
	movq	ENTRY_ARGS+0(%r12), %rdi
	movq	ENTRY_ARGS+8(%r12), %rsi
	movq	ENTRY_ARGS+16(%r12), %rdx
	movq	ENTRY_ARGS+24(%r12), %r10
	movq	ENTRY_ARGS+32(%r12), %r8
	movq	ENTRY_ARGS+40(%r12), %r9
	movq	ENTRY_NR(%r12), %rax
	syscall
	/* A child of a clone must never run on as a second copy of the program. */
	testl	$FLAG_CHILD_EXITS, ENTRY_FLAGS(%r12)
	jz	.Lresult
	testq	%rax, %rax
	jnz	.Lresult
	movl	$SYS_exit_group, %eax
	xorl	%edi, %edi
	syscall
	ud2
.Lresult:
	movq	%rax, ENTRY_RET(%r12)
	cmpq	$-4095, %rax
	jb	.Lgood
	testl	$FLAG_MAY_FAIL, ENTRY_FLAGS(%r12)
	jz	.Ldone
.Lgood:
	incl	%r14d
	decl	%r13d
	addq	$ENTRY_SIZE, %r12
	jmp	.Lnext
.Ldone:
	movq	%r14, HEADER_EXECUTED(%rbx)
	movl	$SYS_getpid, %eax
	syscall
	movl	%eax, %r15d
	movl	$SYS_gettid, %eax
	syscall
	movl	%r15d, %edi
	movl	%eax, %esi
	movl	HEADER_SIGNAL(%rbx), %edx
	movl	$SYS_tgkill, %eax
	.globl	arch_batch_doorbell_at
	.hidden	arch_batch_doorbell_at
arch_batch_doorbell_at:
	syscall
	jmp	*.Lcure(%rip)
	ud2
	.globl	arch_batch_end
	.hidden	arch_batch_end
arch_batch_end:
	.section .note.GNU-stack, "", @progbits
