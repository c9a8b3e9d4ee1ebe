#include "engine/afford.h"

#include <errno.h>
#include <sys/sysinfo.h>

#include "arch/arch.h"
#include "kind/kind.h"

uint64_t machine_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX / 2;
}

/* Neither can overflow: each range lies within its area, and they are added one by one. */
static uint64_t bytes_of(Rec__Range *const *ranges, size_t count, uint64_t limit)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count && sum <= limit; i++)
		sum += ranges[i]->end - ranges[i]->start;
	return sum;
}

static void forget_huge(Rec__Area *a)
{
	for (size_t i = 0; i < a->n_huge; i++)
		message_free(&a->huge[i]->base);
	a->n_huge = 0;
}

static uint64_t huge_bytes(const Rec__Memory *m, uint64_t limit)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->n_areas && sum <= limit; i++)
		sum += bytes_of(m->areas[i]->huge, m->areas[i]->n_huge, limit);
	return sum;
}

static uint64_t guarded_bytes(const Rec__Memory *m, uint64_t limit)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->n_areas && sum <= limit; i++)
		sum += bytes_of(m->areas[i]->guards, m->areas[i]->n_guards, limit);
	return sum;
}

/* Each guard page takes an entry of a page table. */
static int afford_one(Rec__Memory *m, uint64_t memory, struct error **err)
{
	uint64_t entries = memory / sizeof(uint64_t);
	uint64_t most = entries < UINT64_MAX / 2 / ARCH_PAGE_SIZE ? entries * ARCH_PAGE_SIZE
								  : UINT64_MAX / 2;

	if (guarded_bytes(m, most) > most)
		return refuse(err, ENOMEM, NULL,
			      "process %u has more guard pages than this machine has memory for",
			      m->pid);
	if (huge_bytes(m, memory) > memory)
		for (size_t i = 0; i < m->n_areas; i++)
			forget_huge(m->areas[i]);
	return 0;
}

int afford_memory(struct rebuild *r, uint64_t memory, struct error **err)
{
	int res = 0;

	vec_each(t, &r->tasks)
		if ((*t)->memory && res == 0)
			res = afford_one((*t)->memory, memory, err);
	return res;
}
