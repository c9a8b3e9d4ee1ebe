/*
 * Shows: every general register, the flags, the instruction pointer and the
 * red zone below the stack pointer of a thread that is busy in user mode.
 * Its rax looks like the kernel's mark of an interrupted call (-516), which
 * it is not: nothing may be restarted here.
 */
#include <pthread.h>
#include <stdint.h>

#include "check.h"

enum {
	RAX,
	RBX,
	RDX,
	RSI,
	RDI,
	RBP,
	RSP,
	R8,
	R15 = R8 + 7,
	FLAGS,
	COUNT,
	RED_ZONE = 16, /* words */
};

/* Seen by the assembly below; rcx is what it spins with. */
uint64_t regs_in[COUNT], regs_out[COUNT], regs_saved_rsp;
volatile uint32_t regs_stop;
static uint64_t own_stack[512];
extern void regs_hold(void);

/* None of the instructions of the loop touches the flags. */
asm(".text\n"
    "regs_hold:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	mov %rsp, regs_saved_rsp(%rip)\n"
    "	mov regs_in+6*8(%rip), %rsp\n"
    "	lea -128(%rsp), %rsp\n" /* popf below the red zone to be */
    "	pushq regs_in+15*8(%rip)\n"
    "	popfq\n"
    "	lea 128(%rsp), %rsp\n"
    "	mov regs_in+0*8(%rip), %rax\n"
    "	mov regs_in+1*8(%rip), %rbx\n"
    "	mov regs_in+2*8(%rip), %rdx\n"
    "	mov regs_in+3*8(%rip), %rsi\n"
    "	mov regs_in+4*8(%rip), %rdi\n"
    "	mov regs_in+5*8(%rip), %rbp\n"
    ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "	mov regs_in+(\\n-1)*8(%rip), %r\\n\n"
    ".endr\n"
    "1:	mov regs_stop(%rip), %ecx\n"
    "	jrcxz 1b\n"
    "	mov %rax, regs_out+0*8(%rip)\n"
    "	mov %rbx, regs_out+1*8(%rip)\n"
    "	mov %rdx, regs_out+2*8(%rip)\n"
    "	mov %rsi, regs_out+3*8(%rip)\n"
    "	mov %rdi, regs_out+4*8(%rip)\n"
    "	mov %rbp, regs_out+5*8(%rip)\n"
    "	mov %rsp, regs_out+6*8(%rip)\n"
    ".irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "	mov %r\\n, regs_out+(\\n-1)*8(%rip)\n"
    ".endr\n"
    "	mov regs_saved_rsp(%rip), %rsp\n"
    "	pushfq\n"
    "	popq regs_out+15*8(%rip)\n"
    "	cld\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n");

static void *spin(void *arg)
{
	regs_hold();
	return arg;
}

int main(void)
{
	/* CF AF SF DF, and IF as always in user mode. */
	const uint64_t flags = 0x001 | 0x010 | 0x080 | 0x400, mask = 0xcd5;
	uint64_t *red_zone = own_stack + 256 - RED_ZONE;
	pthread_t thread;

	for (int i = 0; i < FLAGS; i++)
		regs_in[i] = 0x0123456789abcdefu * (2u * (unsigned int)i + 1);
	regs_in[RAX] = (uint64_t)-516;
	regs_in[RSP] = (uint64_t)(own_stack + 256);
	regs_in[FLAGS] = flags | 0x202;
	for (int i = 0; i < RED_ZONE; i++)
		red_zone[i] = ~(uint64_t)i;
	CHECK_EQ(pthread_create(&thread, NULL, spin, NULL), 0);
	test_nap(50);

	test_ready();

	test_nap(50);
	CHECK(regs_out[RSP] == 0); /* still spinning */
	regs_stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (int i = 0; i < FLAGS; i++)
		CHECK_EQ(regs_out[i], regs_in[i]);
	CHECK_EQ(regs_out[FLAGS] & mask, flags);
	for (int i = 0; i < RED_ZONE; i++)
		CHECK_EQ(red_zone[i], ~(uint64_t)i);
	test_passed();
}
