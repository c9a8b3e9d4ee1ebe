/* General registers by PTRACE_GETREGSET/SETREGSET (NT_PRSTATUS), and system calls in them. */
#include "arch/arch.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "base/tracee.h"

#define USER_CS_64 0x33
#define SYSCALL_INSTRUCTION_SIZE 2

int arch_get_regs(pid_t tid, struct arch_regs *ret)
{
	struct arch_regs regs;
	struct iovec iov = {&regs.gp, sizeof regs.gp};

	if (tracee_ask(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) < 0)
		return -errno;
	*ret = regs;
	return 0;
}

int arch_set_regs(pid_t tid, const struct arch_regs *regs)
{
	struct iovec iov = {(void *)&regs->gp, sizeof regs->gp};

	return tracee_ask(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &iov) < 0 ? -errno : 0;
}

bool arch_is_native(const struct arch_regs *regs)
{
	return regs->gp.cs == USER_CS_64;
}

long arch_syscall_nr(const struct arch_regs *regs)
{
	return (int)regs->gp.orig_rax;
}

void arch_set_syscall_nr(struct arch_regs *regs, long nr)
{
	regs->gp.orig_rax = (unsigned long)nr;
}

long arch_syscall_nr_in_code(const unsigned char code[ARCH_SYSCALL_CODE])
{
	int nr;

	/* mov $nr, %eax; syscall */
	if (code[0] != 0xb8 || code[5] != 0x0f || code[6] != 0x05)
		return -1;
	memcpy(&nr, code + 1, sizeof nr);
	return nr;
}

long arch_syscall_result(const struct arch_regs *regs)
{
	return (long)regs->gp.rax;
}

void arch_set_syscall_result(struct arch_regs *regs, long result)
{
	regs->gp.rax = (unsigned long)result;
}

uint64_t arch_syscall_arg(const struct arch_regs *regs, unsigned int n)
{
	const struct user_regs_struct *r = &regs->gp;
	const uint64_t args[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};

	return args[n];
}

void arch_set_syscall_arg(struct arch_regs *regs, unsigned int n, uint64_t value)
{
	struct user_regs_struct *r = &regs->gp;
	unsigned long long *args[6] = {
		(unsigned long long *)&r->rdi, (unsigned long long *)&r->rsi,
		(unsigned long long *)&r->rdx, (unsigned long long *)&r->r10,
		(unsigned long long *)&r->r8,  (unsigned long long *)&r->r9,
	};

	*args[n] = value;
}

void arch_repeat_syscall(struct arch_regs *regs)
{
	regs->gp.rax = regs->gp.orig_rax;
	regs->gp.rip -= SYSCALL_INSTRUCTION_SIZE;
	regs->gp.orig_rax = (unsigned long)-1;
}

uint64_t arch_ip(const struct arch_regs *regs)
{
	return regs->gp.rip;
}

void arch_set_ip(struct arch_regs *regs, uint64_t ip)
{
	regs->gp.rip = ip;
}

void arch_prepare_syscall(struct arch_regs *regs, uint64_t ip, long nr, const uint64_t args[6])
{
	struct user_regs_struct *r = &regs->gp;

	/* No system call is pending: else the kernel would restart the old one. */
	r->orig_rax = (unsigned long)-1;
	r->rax = (unsigned long)nr;
	r->rdi = args[0];
	r->rsi = args[1];
	r->rdx = args[2];
	r->r10 = args[3];
	r->r8 = args[4];
	r->r9 = args[5];
	r->rip = ip;
}

void arch_prepare_batch(struct arch_regs *regs, uint64_t ip, uint64_t header)
{
	regs->gp.orig_rax = (unsigned long)-1;
	regs->gp.rbx = header;
	regs->gp.rip = ip;
}
