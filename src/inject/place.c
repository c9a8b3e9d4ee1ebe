#include "inject/place.h"

#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/fd.h"
#include "inject/inject.h"

#define GAP_LOWEST 0x100000000ull
#define GAP_MARGIN (4ull << 20)

size_t inject_cell_stride(void)
{
	return (arch_cell_size() + 15) & ~(size_t)15;
}

uint64_t inject_find_gap(const struct vm_areas *areas, uint64_t size)
{
	uint64_t at = GAP_LOWEST, whole = size + 2 * GAP_MARGIN;

	/* Areas are sorted. */
	for (size_t i = 0; i < areas->list.count; i++) {
		const struct vm_area *a = &areas->list.items[i];

		if (a->end <= at)
			continue;
		if (a->start >= at + whole)
			break;
		at = a->end;
	}
	return at + whole <= ARCH_USER_END ? at + GAP_MARGIN : 0;
}

/* Looks at the end of one page of code.  False: it is in use, and not by us. */
static bool look_at(int mem, const struct vm_area *area, struct leftovers *ret)
{
	size_t stride = inject_cell_stride();
	unsigned char bytes[CELL_MAX];

	*ret = (struct leftovers){.base = area->end - stride};
	for (size_t i = 0; i < CELL_SLOTS; i++) {
		bool free = true;

		if (fd_pread(mem, bytes, stride, ret->base - i * stride) != (ssize_t)stride)
			break;
		/* No instruction is made of zeros only, and constants at the very end are not either. */
		for (size_t k = 0; k < stride && free; k++)
			free = bytes[k] == 0;
		if (!free && memcmp(bytes, arch_code_magic(), ARCH_CODE_MAGIC) != 0)
			break;
		ret->slots[i].used = !free;
		if (!free) {
			memcpy(ret->slots[i].bytes, bytes, stride);
			arch_cell_read(bytes, &ret->slots[i].cell);
		}
		ret->room++;
	}
	return ret->room > 0;
}

static bool has_magic(int mem, uint64_t address)
{
	unsigned char magic[ARCH_CODE_MAGIC];

	return fd_pread(mem, magic, sizeof magic, address) == (ssize_t)sizeof magic &&
	       memcmp(magic, arch_code_magic(), sizeof magic) == 0;
}

bool inject_is_leftover(const struct leftovers *l, int mem, const struct vm_area *a)
{
	uint64_t size = a->end - a->start;

	if (a->path || a->shared || a->prot != (PROT_READ | PROT_EXEC) ||
	    (size != BATCH_CODE_SIZE && size != BATCH_REGION_SIZE))
		return false;
	if (has_magic(mem, a->start))
		return true;
	/* Killed before its code was in it, it is whole and untouched, and only its cell tells. */
	for (size_t i = 0; i < l->room; i++)
		if (l->slots[i].used && l->slots[i].cell.region == a->start)
			return size == BATCH_REGION_SIZE && a->rss == 0;
	return false;
}

static bool find_cells(int mem, const struct vm_areas *areas, struct leftovers *ret)
{
	/* The vdso first: its pages are shared with nobody's file, and every program has it. */
	for (int vdso = 1; vdso >= 0; vdso--)
		for (size_t i = 0; i < areas->list.count; i++) {
			const struct vm_area *a = &areas->list.items[i];
			bool is_vdso = a->path && strcmp(a->path, "[vdso]") == 0;

			if (is_vdso != vdso || a->gate || a->shared || !a->path ||
			    (!is_vdso && a->path[0] != '/') ||
			    (a->prot & (PROT_READ | PROT_EXEC)) != (PROT_READ | PROT_EXEC))
				continue;
			if (look_at(mem, a, ret))
				return true;
		}
	return false;
}

/* With its data, or before it had any: nothing else is where a new one would stand. */
static bool is_whole(const struct vm_areas *areas, size_t i)
{
	const struct vm_area *a = &areas->list.items[i], *next = a + 1;

	return a->end - a->start == BATCH_REGION_SIZE ||
	       (i + 1 < areas->list.count && next->start == a->end && next->shared &&
		next->end - next->start == BATCH_DATA_SIZE);
}

void inject_look(int mem, const struct vm_areas *areas, struct leftovers *ret)
{
	*ret = (struct leftovers){0};
	if (!find_cells(mem, areas, ret)) {
		*ret = (struct leftovers){0};
		return;
	}
	for (size_t i = 0; i < areas->list.count && !ret->region; i++)
		if (inject_is_leftover(ret, mem, &areas->list.items[i]) && is_whole(areas, i))
			ret->region = areas->list.items[i].start;
}

/*
 * Which slot's cure a thread at this place would come to; -1: none.  Several cells may name the
 * same region, for it is mapped where there is room: only the newest can be on its way from there.
 */
static int slot_of(const struct leftovers *l, uint64_t ip)
{
	int found = -1;

	for (size_t i = 0; i < l->room; i++) {
		if (!l->slots[i].used)
			continue;
		if (ip - (l->base - i * inject_cell_stride()) < inject_cell_stride())
			return (int)i;
		if (ip - l->slots[i].cell.region < BATCH_CODE_SIZE &&
		    (found < 0 ||
		     l->slots[i].cell.generation > l->slots[found].cell.generation))
			found = (int)i;
	}
	return found;
}

bool inject_recover(const struct leftovers *l, struct arch_regs *regs, uint64_t *sigmask)
{
	struct arch_cell cell = {.regs = *regs};
	int slot = slot_of(l, arch_ip(regs));

	if (slot < 0)
		return false;
	arch_cell_read(l->slots[slot].bytes, &cell);
	*regs = cell.regs;
	*sigmask = cell.sigmask;
	return true;
}

void inject_hide_leftovers(const struct leftovers *l, uint64_t address, void *copy, size_t size)
{
	size_t stride = inject_cell_stride();

	for (size_t i = 0; i < l->room; i++) {
		uint64_t at = l->base - i * stride;

		if (l->slots[i].used && at >= address && at + stride <= address + size)
			memset((char *)copy + (at - address), 0, stride);
	}
}
