/*
 * Shows: x87, SSE, AVX and AVX-512 registers and their control words, held by
 * a thread that is busy in user mode and makes no system call.
 */
#include <pthread.h>
#include <stdint.h>

#include "check.h"

struct xstate {
	uint8_t fxsave[512];    /* x87, MXCSR, xmm0 to xmm15 */
	uint8_t vector[32][64]; /* as much of each as this machine has */
	uint64_t masks[8];
} __attribute__((aligned(64)));

enum level {
	SSE,
	AVX,
	AVX512,
};

/* Loads all of *in, spins until *stop, stores all to *out. */
extern void xstate_hold(const struct xstate *in, struct xstate *out, volatile uint32_t *stop,
			long level);

#define EACH(last, instruction)                                                                    \
	".set i, 0\n"                                                                              \
	".rept " #last " + 1\n"                                                                    \
	"	insn_" #instruction " %i\n"                                                        \
	".set i, i + 1\n"                                                                          \
	".endr\n"

asm(".altmacro\n"
    ".macro insn_load_ymm n\n	vmovups 512+64*\\n(%rdi), %ymm\\n\n.endm\n"
    ".macro insn_store_ymm n\n	vmovups %ymm\\n, 512+64*\\n(%rsi)\n.endm\n"
    ".macro insn_load_zmm n\n	vmovups 512+64*\\n(%rdi), %zmm\\n\n.endm\n"
    ".macro insn_store_zmm n\n	vmovups %zmm\\n, 512+64*\\n(%rsi)\n.endm\n"
    ".macro insn_load_mask n\n	kmovw 2560+8*\\n(%rdi), %k\\n\n.endm\n"
    ".macro insn_store_mask n\n	kmovw %k\\n, 2560+8*\\n(%rsi)\n.endm\n"
    ".text\n"
    "xstate_hold:\n"
    "	sub $520, %rsp\n"
    "	fxsave64 (%rsp)\n"
    "	fxrstor64 (%rdi)\n"
    "	cmp $1, %rcx\n"
    "	jb 1f\n"
    "	ja 2f\n" EACH(
	    15,
	    load_ymm) "	jmp 1f\n"
		      "2:\n" EACH(31, load_zmm) EACH(
			      7, load_mask) "1:	cmpl $0, (%rdx)\n"
					    "	je 1b\n"
					    "	cmp $1, %rcx\n"
					    "	jb 1f\n"
					    "	ja 2f\n" EACH(
						    15,
						    store_ymm) "	jmp 1f\n"
							       "2:\n" EACH(31, store_zmm) EACH(
								       7,
								       store_mask) "1:	fxsave64 "
										   "(%rsi)\n"
										   "	fxrstor64 "
										   "(%rsp)\n"
										   "	add $520, "
										   "%rsp\n"
										   "	ret\n"
										   ".noaltmacro\n");

static struct xstate in, out;
static volatile uint32_t stop;
static enum level level;

static void *spin(void *arg)
{
	xstate_hold(&in, &out, &stop, level);
	return arg;
}

static void choose(void)
{
	const uint16_t x87_control = 0x0c7f; /* round to zero, double extended off */
	const uint32_t mxcsr = 0xffc0;       /* flush to zero, round to zero, all masked, DAZ */

	asm volatile("fninit; fldpi; fldl2e; fld1; fldln2; fldl2t");
	asm volatile("fxsave64 %0" : "=m"(in.fxsave));
	asm volatile("fninit");
	memcpy(in.fxsave, &x87_control, sizeof x87_control);
	memcpy(in.fxsave + 24, &mxcsr, sizeof mxcsr);
	for (int i = 0; i < 32; i++)
		for (int j = 0; j < 64; j++)
			in.vector[i][j] = (uint8_t)(i * 71 + j * 13 + 1);
	for (int i = 0; i < 16; i++)
		memcpy(in.fxsave + 160 + 16 * i, in.vector[i], 16);
	for (int i = 0; i < 8; i++)
		in.masks[i] = (uint64_t)(0x8421 + i * 0x111) & 0xffff;
}

int main(void)
{
	const size_t width[] = {[SSE] = 0, [AVX] = 32, [AVX512] = 64};
	pthread_t thread;

	choose();
	level = __builtin_cpu_supports("avx512f") ? AVX512 : __builtin_cpu_supports("avx") ? AVX : SSE;
	CHECK_EQ(pthread_create(&thread, NULL, spin, NULL), 0);
	test_nap(50);

	test_ready();

	test_nap(50);
	CHECK(memcmp(out.fxsave, (char[512]){0}, 512) == 0); /* still spinning */
	stop = 1;
	CHECK_EQ(pthread_join(thread, NULL), 0);
	/* Control, status and tags; then MXCSR, x87 and SSE registers.  Between them is where
	 * the last x87 instruction was, which processors keep as they please. */
	CHECK(memcmp(out.fxsave, in.fxsave, 6) == 0);
	CHECK(memcmp(out.fxsave + 24, in.fxsave + 24, 4) == 0);
	for (int i = 0; i < 8; i++)
		CHECK(memcmp(out.fxsave + 32 + 16 * i, in.fxsave + 32 + 16 * i, 10) == 0);
	CHECK(memcmp(out.fxsave + 160, in.fxsave + 160, 256) == 0);
	for (int i = 0; i < (level == AVX512 ? 32 : 16); i++)
		CHECK(memcmp(out.vector[i], in.vector[i], width[level]) == 0);
	for (int i = 0; level == AVX512 && i < 8; i++)
		CHECK_EQ(out.masks[i], in.masks[i]);
	test_passed();
}
