/*
 * The structure-aware half of the targets that take images: what libFuzzer hands over is taken
 * apart, and frames, fields of records and tables of runs are changed (tests/unit/mutate.h), or
 * bytes, as libFuzzer does it.  An input is one byte of choices and one or several images.
 */
#pragma once

#ifdef FUZZ_MUTATOR

#include "mutator-record.h"

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max, unsigned int seed);

/* A number of the prologue or of a run. */
static inline void mutate_memory(struct dice *d, struct piece *it)
{
	uint32_t count = 0;
	size_t at;

	if (it->len < IMAGE_MEMORY_PROLOGUE_SIZE + IMAGE_RUN_SIZE || dice_below(d, 3) == 0) {
		mutate_blindly(it);
		return;
	}
	memcpy(&count, it->bytes, sizeof count);
	if (count == 0 || count > (it->len - IMAGE_MEMORY_PROLOGUE_SIZE) / IMAGE_RUN_SIZE)
		count = 1;
	if (dice_below(d, 6) == 0) {
		at = dice_below(d, 3);
		mutate_at(d, it->bytes + (at == 2 ? 8 : at * 4), at == 2 ? 8 : 4);
		return;
	}
	at = IMAGE_MEMORY_PROLOGUE_SIZE + dice_below(d, count * 3) * 8;
	if (dice_below(d, 2)) {
		uint64_t v;

		memcpy(&v, it->bytes + at, sizeof v);
		v = mutate_number(d, v / 4096) * 4096;
		memcpy(it->bytes + at, &v, sizeof v);
	} else {
		mutate_at(d, it->bytes + at, 8);
	}
}

static inline void mutate_order(struct dice *d, struct pieces *p)
{
	size_t i = dice_below(d, p->count), j = dice_below(d, p->count);
	struct piece it = p->items[i];

	switch (dice_below(d, 5)) {
	case 0:
		free(it.bytes);
		memmove(&p->items[i], &p->items[i + 1], (--p->count - i) * sizeof it);
		break;
	case 1:
		if (p->count == PIECES_MAX)
			break;
		memmove(&p->items[j + 1], &p->items[j], (p->count++ - j) * sizeof it);
		p->items[j] = piece_of(it.type, it.flags, it.bytes, it.len);
		break;
	case 2:
		p->items[i] = p->items[j];
		p->items[j] = it;
		break;
	case 3:
		p->items[i].type = p->items[j].type;
		break;
	default:
		mutate_at(d, dice_below(d, 2) ? &p->items[i].flags : &p->items[i].type, 4);
	}
}

static inline void mutate_pieces(struct dice *d, struct pieces *p)
{
	for (size_t n = 1 + dice_below(d, 3); n > 0 && p->count > 0; n--) {
		struct piece *it = &p->items[dice_below(d, p->count)];

		if (dice_below(d, 8) == 0)
			mutate_order(d, p);
		else if (it->type == IMAGE_TYPE_MEMORY)
			mutate_memory(d, it);
		else
			mutate_record(d, it);
	}
}

/* Of several images one is changed. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct dice d = {seed};
	struct pieces *p;
	struct output o;
	size_t images = 0, which;

	if (size < 1 + IMAGE_HEADER_SIZE || dice_below(&d, 16) == 0)
		return LLVMFuzzerMutate(data, size, max);
	p = calloc(1, sizeof *p);
	o = output_room(max);
	for (size_t at = 1; at < size; images++) {
		at += pieces_split(p, data + at, size - at);
		pieces_free(p);
	}
	which = dice_below(&d, images);
	if (dice_below(&d, 16) == 0)
		data[0] = (uint8_t)dice_any(&d);
	output_add(&o, data, 1);
	for (size_t at = 1, i = 0; at < size; i++) {
		at += pieces_split(p, data + at, size - at);
		if (i == which)
			mutate_pieces(&d, p);
		pieces_join(p, &o);
		pieces_free(p);
	}
	if (!o.full && o.len) {
		memcpy(data, o.to, o.len);
		size = o.len;
	}
	free(o.to);
	free(p);
	return size;
}

/* Some pieces of one image find themselves in another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t max, unsigned int seed)
{
	struct pieces *p = calloc(2, sizeof *p), *q = p + 1;
	struct output o = {out, 0, max, false};
	struct dice d = {seed};

	if (a_size && b_size) {
		output_add(&o, a, 1);
		pieces_split(p, a + 1, a_size - 1);
		pieces_split(q, b + 1, b_size - 1);
		for (size_t n = 1 + dice_below(&d, 4); n > 0 && q->count && p->count; n--) {
			const struct piece *from = &q->items[dice_below(&d, q->count)];
			struct piece *to = &p->items[dice_below(&d, p->count)];

			free(to->bytes);
			*to = piece_of(from->type, from->flags, from->bytes, from->len);
		}
		pieces_join(p, &o);
	}
	pieces_free(p);
	pieces_free(q);
	free(p);
	return o.full ? 0 : o.len;
}

#endif
