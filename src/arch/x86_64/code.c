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
	uint64_t region;
	uint64_t generation;
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

void arch_cell_fill(unsigned char *cell, const struct arch_cell *from)
{
	const struct user_regs_struct *r = &from->regs.gp;
	const struct cell_constants c = {
		.region = from->region,
		.generation = from->generation,
		.mask = from->sigmask,
		.flags = (uint8_t)(r->eflags & FLAG_CF_TO_SF),
		.overflow = (r->eflags & FLAG_OF) != 0,
		.regs = {r->r15, r->r14, r->r13, r->r12, r->rbp, r->rbx, r->r11, r->r10, r->r9,
			 r->r8, r->rax, r->rcx, r->rdx, r->rsi, r->rdi, r->rsp, r->rip},
	};

	memcpy(cell, arch_cell_begin, arch_cell_size());
	cell[arch_cell_direction_at - arch_cell_begin] = r->eflags & FLAG_DF ? OPCODE_STD : OPCODE_CLD;
	memcpy(cell + (arch_cell_constants_at - arch_cell_begin), &c, sizeof c);
}

void arch_cell_read(const unsigned char *cell, struct arch_cell *ret)
{
	struct user_regs_struct *r = &ret->regs.gp;
	struct cell_constants c;

	memcpy(&c, cell + (arch_cell_constants_at - arch_cell_begin), sizeof c);
	ret->region = c.region;
	ret->generation = c.generation;
	ret->sigmask = c.mask;
	r->r15 = c.regs[0];
	r->r14 = c.regs[1];
	r->r13 = c.regs[2];
	r->r12 = c.regs[3];
	r->rbp = c.regs[4];
	r->rbx = c.regs[5];
	r->r11 = c.regs[6];
	r->r10 = c.regs[7];
	r->r9 = c.regs[8];
	r->r8 = c.regs[9];
	r->rax = c.regs[10];
	r->rcx = c.regs[11];
	r->rdx = c.regs[12];
	r->rsi = c.regs[13];
	r->rdi = c.regs[14];
	r->rsp = c.regs[15];
	r->rip = c.regs[16];
	r->orig_rax = (unsigned long)-1;
	r->eflags &= ~(unsigned long)(FLAG_CF_TO_SF | FLAG_OF | FLAG_DF);
	r->eflags |= c.flags;
	r->eflags |= c.overflow ? FLAG_OF : 0;
	r->eflags |= cell[arch_cell_direction_at - arch_cell_begin] == OPCODE_STD ? FLAG_DF : 0;
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
