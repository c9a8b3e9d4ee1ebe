/*
 * The extended processor state, as an XSAVE area in standard format
 * (Intel SDM volume 1, chapter 13; the kernel's NT_X86_XSTATE).
 */
#include "arch/arch.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "base/tracee.h"

#define XSTATE_ROOM (64u * 1024) /* AMX makes it 11 KiB; no processor comes near this */
#define XSTATE_BV 512            /* offset of XSTATE_BV in the XSAVE header */
#define XCOMP_BV 520
#define XSTATE_HEADER_END 576
#define MXCSR 24
#define MXCSR_RESERVED 0xffff0000u

int arch_get_xstate(pid_t tid, void **ret, size_t *ret_size)
{
	void *buf = malloc(XSTATE_ROOM);
	struct iovec iov = {buf, XSTATE_ROOM};
	void *fit;

	if (!buf)
		return -ENOMEM;
	if (tracee_ask(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &iov) < 0) {
		free(buf);
		return -errno;
	}
	fit = realloc(buf, iov.iov_len);
	*ret = fit ? fit : buf;
	*ret_size = iov.iov_len;
	return 0;
}

int arch_set_xstate(pid_t tid, const void *xstate, size_t size)
{
	struct iovec iov = {(void *)xstate, size};

	return tracee_ask(PTRACE_SETREGSET, tid, (void *)NT_X86_XSTATE, &iov) < 0 ? -errno : 0;
}

static uint64_t get64(const void *xstate, size_t at)
{
	uint64_t v;

	memcpy(&v, (const unsigned char *)xstate + at, sizeof v);
	return v;
}

bool arch_xstate_valid(const void *xstate, size_t size)
{
	uint32_t mxcsr;

	if (size < XSTATE_HEADER_END || size > XSTATE_ROOM)
		return false;
	memcpy(&mxcsr, (const unsigned char *)xstate + MXCSR, sizeof mxcsr);
	return get64(xstate, XCOMP_BV) == 0 && (mxcsr & MXCSR_RESERVED) == 0;
}

uint64_t arch_xstate_missing(const void *xstate, size_t size, uint64_t have)
{
	return size < XSTATE_HEADER_END ? 0 : get64(xstate, XSTATE_BV) & ~have;
}

uint64_t arch_xfeatures(void)
{
	unsigned int a, b, c, d, lo, hi;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return 3; /* x87 and SSE */
	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}
