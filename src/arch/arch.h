/*
 * What differs between processor architectures: registers as ptrace gives
 * them, how an interrupted system call is told and repeated, and the two
 * pieces of code that may run in a target (batch.S).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#define ARCH_PAGE_SIZE 4096u
#define ARCH_PAGE_SHIFT 12
#define ARCH_ELF_MACHINE 62 /* EM_X86_64 */

/* The end of what a user program may map (4-level paging; see Documentation/arch/x86/x86_64/mm.rst). */
#define ARCH_USER_END 0x7ffffffff000ull
#define ARCH_USER_END_5LEVEL 0xfffffffffff000ull

struct arch_regs {
	struct user_regs_struct gp;
};

/* In both: -errno.  The thread must be in a ptrace-stop of ours. */
int arch_get_regs(pid_t tid, struct arch_regs *ret);
int arch_set_regs(pid_t tid, const struct arch_regs *regs);

/* The whole XSAVE area, malloc'ed. */
int arch_get_xstate(pid_t tid, void **ret, size_t *ret_size);
int arch_set_xstate(pid_t tid, const void *xstate, size_t size);
/* 0 when a processor with the features have can load it; else the missing feature bits. */
uint64_t arch_xstate_missing(const void *xstate, size_t size, uint64_t have);
/* True when the bytes are an XSAVE area that is safe to hand to the kernel. */
bool arch_xstate_valid(const void *xstate, size_t size);
uint64_t arch_xfeatures(void);

/* The stopped thread runs 64-bit code (not the 32-bit compatibility mode). */
bool arch_is_native(const struct arch_regs *regs);

/* The number of the system call in which the thread stands, -1: none. */
long arch_syscall_nr(const struct arch_regs *regs);
void arch_set_syscall_nr(struct arch_regs *regs, long nr);
/* The number that these bytes, which end where the thread stands, load and call; -1: not seen. */
#define ARCH_SYSCALL_CODE 7
long arch_syscall_nr_in_code(const unsigned char code[ARCH_SYSCALL_CODE]);
long arch_syscall_result(const struct arch_regs *regs);
void arch_set_syscall_result(struct arch_regs *regs, long result);
uint64_t arch_syscall_arg(const struct arch_regs *regs, unsigned int n);
void arch_set_syscall_arg(struct arch_regs *regs, unsigned int n, uint64_t value);
/* Makes regs issue their system call again without the kernel's help. */
void arch_repeat_syscall(struct arch_regs *regs);

uint64_t arch_ip(const struct arch_regs *regs);
void arch_set_ip(struct arch_regs *regs, uint64_t ip);

/* regs such that a system call instruction at ip executes nr(args). */
void arch_prepare_syscall(struct arch_regs *regs, uint64_t ip, long nr, const uint64_t args[6]);
/* regs such that the batch runner at ip starts with its header at header. */
void arch_prepare_batch(struct arch_regs *regs, uint64_t ip, uint64_t header);

/*
 * The cure cell: `system call instruction; cure`, then the constants that the
 * cure loads.  The cure sets the signal mask and all general registers to these
 * constants and goes on at the saved instruction; it needs no stack and leaves
 * the floating-point state alone.  Sizes and offsets are in bytes.
 */
size_t arch_cell_size(void);
size_t arch_cell_call(void);  /* offset of the system call instruction */
size_t arch_cell_after(void); /* offset of the cure behind it */

/* What a cell holds besides its code. */
struct arch_cell {
	struct arch_regs regs; /* to which it cures */
	uint64_t sigmask;
	uint64_t region;     /* where the batches of its checkpoint run: for who finds it */
	uint64_t generation; /* cells are numbered in the order of their making */
};

/* Writes a cell of arch_cell_size() bytes. */
void arch_cell_fill(unsigned char *cell, const struct arch_cell *from);
/* Reads one; what a cell does not hold of the registers (segments) stays as it is in *ret. */
void arch_cell_read(const unsigned char *cell, struct arch_cell *ret);

/* The batch runner (inject/batch.h has its data).  After the doorbell it jumps to cure. */
size_t arch_batch_size(void);
size_t arch_batch_entry(void);    /* offset of its first instruction */
size_t arch_batch_doorbell(void); /* offset of the doorbell's system call instruction */
void arch_batch_copy(unsigned char *code, uint64_t cure);

/* Both pieces begin with these eight bytes, by which left-overs are recognised. */
#define ARCH_CODE_MAGIC 8
const unsigned char *arch_code_magic(void);
