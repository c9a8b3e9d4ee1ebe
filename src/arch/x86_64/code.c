/* Where things stand in batch.S, and how its constants are filled. */
#include "arch/arch.h"

#include <string.h>

extern const unsigned char arch_cell_begin[], arch_cell_call_at[], arch_cell_after_at[],
	arch_cell_direction_at[], arch_cell_constants_at[], arch_cell_end[];
extern const unsigned char arch_batch_begin[], arch_batch_cure_at[], arch_batch_entry_at[],
	arch_batch_doorbell_at[], arch_batch_end[];

#define FLAG_CF_TO_SF 0xd5u /* the flags that sahf loads: CF PF AF ZF SF */
#define FLAG_DF 0x400u
#define FLAG_OF 0x800u
#define OPCODE_STD 0xfd
#define OPCODE_CLD 0xfc

struct cell_constants {
	uint64_t mask;
	uint8_t flags;
	uint8_t overflow;
	uint8_t pad[6];
	uint64_t regs[17];
};

size_t arch_cell_size(void)
{
	return (size_t)(arch_cell_end - arch_cell_begin);
}

size_t arch_cell_call(void)
{
	return (size_t)(arch_cell_call_at - arch_cell_begin);
}

size_t arch_cell_after(void)
{
	return (size_t)(arch_cell_after_at - arch_cell_begin);
}

void arch_cell_fill(unsigned char *cell, const struct arch_regs *regs, uint64_t sigmask)
{
	const struct user_regs_struct *r = &regs->gp;
	const struct cell_constants c = {
		.mask = sigmask,
		.flags = (uint8_t)(r->eflags & FLAG_CF_TO_SF),
		.overflow = (r->eflags & FLAG_OF) != 0,
		.regs = {r->r15, r->r14, r->r13, r->r12, r->rbp, r->rbx, r->r11, r->r10, r->r9,
			 r->r8, r->rax, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rip},
	};

	memcpy(cell, arch_cell_begin, arch_cell_size());
	cell[arch_cell_direction_at - arch_cell_begin] = r->eflags & FLAG_DF ? OPCODE_STD : OPCODE_CLD;
	memcpy(cell + (arch_cell_constants_at - arch_cell_begin), &c, sizeof c);
}

size_t arch_batch_size(void)
{
	return (size_t)(arch_batch_end - arch_batch_begin);
}

size_t arch_batch_entry(void)
{
	return (size_t)(arch_batch_entry_at - arch_batch_begin);
}

size_t arch_batch_doorbell(void)
{
	return (size_t)(arch_batch_doorbell_at - arch_batch_begin);
}

void arch_batch_copy(unsigned char *code, uint64_t cure)
{
	memcpy(code, arch_batch_begin, arch_batch_size());
	memcpy(code + (arch_batch_cure_at - arch_batch_begin), &cure, sizeof cure);
}

const unsigned char *arch_code_magic(void)
{
	return arch_cell_begin;
}
