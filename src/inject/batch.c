/* Building a batch; running it is runner.c's. */
#include "inject/batch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SCRATCH_ALIGN 16u

int batch_init(struct batch *b, uint64_t region)
{
	/* Mostly the first pages are used: calloc(3) would clear all of it, each time. */
	void *data = mmap(NULL, BATCH_DATA_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*b = (struct batch){.region = region, .data = data == MAP_FAILED ? NULL : data};
	return b->data ? 0 : -ENOMEM;
}

void batch_free(struct batch *b)
{
	if (b->data)
		munmap(b->data, BATCH_DATA_SIZE);
	*b = (struct batch){0};
}

void batch_truncate(struct batch *b, uint32_t count, size_t scratch_used)
{
	const size_t entry = sizeof(struct batch_entry);

	memset(b->data + sizeof(struct batch_header) + count * entry, 0, (b->count - count) * entry);
	memset(b->data + BATCH_SCRATCH_AT + scratch_used, 0, b->scratch_used - scratch_used);
	b->count = count;
	b->scratch_used = scratch_used;
	b->overflow = false;
}

void batch_clear(struct batch *b)
{
	memset(b->data, 0, sizeof(struct batch_header));
	batch_truncate(b, 0, 0);
}

struct batch_entry *batch_entry(const struct batch *b, uint32_t index)
{
	return (struct batch_entry *)(b->data + sizeof(struct batch_header)) + index;
}

uint32_t batch_add(struct batch *b, uint32_t flags, long nr, const uint64_t args[6])
{
	struct batch_entry *e;

	if (b->count == BATCH_ENTRIES) {
		b->overflow = true;
		return BATCH_ENTRIES - 1;
	}
	e = batch_entry(b, b->count);
	*e = (struct batch_entry){.nr = (uint64_t)nr, .flags = flags, .ret = -ECANCELED};
	memcpy(e->args, args, sizeof e->args);
	return b->count++;
}

void batch_refer(struct batch *b, uint32_t index, unsigned int arg, uint32_t source)
{
	struct batch_entry *e = batch_entry(b, index);

	e->args[arg] = source;
	e->refs |= 1u << arg;
}

uint64_t batch_space(struct batch *b, size_t size)
{
	size_t at = (b->scratch_used + SCRATCH_ALIGN - 1) & ~(size_t)(SCRATCH_ALIGN - 1);

	if (size > BATCH_ASIDE_AT - BATCH_SCRATCH_AT ||
	    at > BATCH_ASIDE_AT - BATCH_SCRATCH_AT - size) {
		b->overflow = true;
		at = 0;
	} else {
		b->scratch_used = at + size;
	}
	return b->region + BATCH_CODE_SIZE + BATCH_SCRATCH_AT + at;
}

uint64_t batch_put(struct batch *b, const void *bytes, size_t size)
{
	uint64_t address = batch_space(b, size);

	if (!b->overflow)
		memcpy(batch_at(b, address), bytes, size);
	return address;
}

uint64_t batch_put_string(struct batch *b, const char *s)
{
	return batch_put(b, s, strlen(s) + 1);
}

void *batch_at(const struct batch *b, uint64_t address)
{
	return b->data + (address - b->region - BATCH_CODE_SIZE);
}

bool batch_has_room(const struct batch *b, uint32_t entries, size_t scratch)
{
	return b->count + entries <= BATCH_ENTRIES &&
	       b->scratch_used + scratch + SCRATCH_ALIGN * 4 <= BATCH_ASIDE_AT - BATCH_SCRATCH_AT;
}

int64_t batch_result(const struct batch *b, uint32_t index)
{
	return batch_entry(b, index)->ret;
}
