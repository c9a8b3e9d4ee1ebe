#include "image/frame.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/*
 * As in PNG: the first byte is not ASCII, and a transfer that touches line
 * ends, strips the eighth bit or stops at a Control-Z breaks what follows.
 */
static const uint8_t magic[8] = {0x93, 'S', 'T', 'S', '\r', '\n', 0x1a, '\n'};

#if defined(__x86_64__)
#define ARCH_HERE EM_X86_64
#elif defined(__aarch64__)
#define ARCH_HERE EM_AARCH64
#elif defined(__riscv)
#define ARCH_HERE EM_RISCV
#else
#error "this architecture has no number in images yet"
#endif

static void put16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, sizeof v);
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof v);
}

static void put64(uint8_t *at, uint64_t v)
{
	v = htole64(v);
	memcpy(at, &v, sizeof v);
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof v);
	return le16toh(v);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return le32toh(v);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return le64toh(v);
}

struct image_header image_header_here(void)
{
	return (struct image_header){
		.major = IMAGE_MAJOR,
		.minor = IMAGE_MINOR,
		.arch = ARCH_HERE,
		.page_shift = (uint16_t)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE)),
	};
}

const char *image_arch_name(uint16_t arch)
{
	switch (arch) {
	case EM_X86_64:
		return "x86-64";
	case EM_AARCH64:
		return "aarch64";
	case EM_RISCV:
		return "riscv64";
	case EM_386:
		return "i386";
	case EM_ARM:
		return "arm";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390x";
	default:
		return "an unknown machine";
	}
}

void image_header_encode(const struct image_header *h, uint8_t ret[IMAGE_HEADER_SIZE])
{
	memcpy(ret, magic, sizeof magic);
	put16(ret + 8, h->major);
	put16(ret + 10, h->minor);
	put16(ret + 12, h->arch);
	put16(ret + 14, h->page_shift);
	put32(ret + 16, h->flags);
	put32(ret + 20, 0);
	put64(ret + 24, XXH3_64bits(ret, 24));
}

static int check_magic(const uint8_t *bytes, size_t len, const char *name, struct error **err)
{
	size_t n = len < sizeof magic ? len : sizeof magic;

	if (len == 0)
		return refuse(err, EINVAL, NULL, "%s is empty", name);
	if (memcmp(bytes, magic, n) == 0)
		return 0;
	/* The name is there, with or without the eighth bit of the byte before it. */
	if (len >= 4 && (bytes[0] & 0x7f) == (magic[0] & 0x7f) &&
	    memcmp(bytes + 1, magic + 1, 3) == 0)
		return refuse(err, EBADMSG, "copy the image again, in binary mode",
			      "%s was damaged by a transfer that took it for text", name);
	return refuse(err, EINVAL, NULL, "%s is not a Stasis image", name);
}

static int check_readable(const struct image_header *h, const char *name, struct error **err)
{
	struct image_header here = image_header_here();

	if (h->major != here.major)
		return refuse(err, EPROTONOSUPPORT, NULL,
			      "%s was made by %s version of Stasis: its format is %u.%u, and this "
			      "program reads %u.x", name,
			      h->major > here.major ? "a newer" : "an older",
			      h->major, h->minor, here.major);
	if (h->flags)
		return refuse(err, EPROTONOSUPPORT, "use a newer version of Stasis",
			      "%s needs a feature that this program does not know (flags %#x)",
			      name, h->flags);
	if (h->arch != here.arch)
		return refuse(err, ENOEXEC, NULL,
			      "%s was made on %s (ELF machine %u), and this machine is %s", name,
			      image_arch_name(h->arch), h->arch, image_arch_name(here.arch));
	if (h->page_shift != here.page_shift)
		return refuse(err, ENOEXEC, NULL,
			      "%s was made with pages of 2^%u bytes, and this machine has pages of "
			      "2^%u bytes", name, h->page_shift, here.page_shift);
	return 0;
}

int image_header_decode(const uint8_t *bytes, size_t len, const char *name,
			struct image_header *ret, struct error **err)
{
	struct image_header h;
	int r = check_magic(bytes, len, name, err);

	if (r < 0)
		return r;
	if (len < IMAGE_HEADER_SIZE)
		return refuse(err, EBADMSG, NULL,
			      "%s ends in the middle of its header: it was not written completely",
			      name);
	if (get64(bytes + 24) != XXH3_64bits(bytes, 24))
		return refuse(err, EBADMSG, NULL,
			      "%s is damaged: the checksum of its header does not match", name);
	h = (struct image_header){
		.major = get16(bytes + 8),
		.minor = get16(bytes + 10),
		.arch = get16(bytes + 12),
		.page_shift = get16(bytes + 14),
		.flags = get32(bytes + 16),
	};
	r = check_readable(&h, name, err);
	if (r < 0)
		return r;
	*ret = h;
	return 0;
}

void image_frame_header_encode(const struct image_frame_header *h,
			       uint8_t ret[IMAGE_FRAME_HEADER_SIZE])
{
	put32(ret, h->type);
	put32(ret + 4, h->flags);
	put64(ret + 8, h->length);
	put64(ret + 16, h->hash);
	put64(ret + 24, XXH3_64bits(ret, 24));
}

bool image_frame_header_decode(const uint8_t bytes[IMAGE_FRAME_HEADER_SIZE],
			       struct image_frame_header *ret)
{
	if (get64(bytes + 24) != XXH3_64bits(bytes, 24))
		return false;
	*ret = (struct image_frame_header){
		.type = get32(bytes),
		.flags = get32(bytes + 4),
		.length = get64(bytes + 8),
		.hash = get64(bytes + 16),
	};
	return true;
}

void image_end_encode(const struct image_end *e, uint8_t ret[IMAGE_END_SIZE])
{
	put64(ret, e->identity.low);
	put64(ret + 8, e->identity.high);
	put64(ret + 16, e->frames);
}

void image_end_decode(const uint8_t bytes[IMAGE_END_SIZE], struct image_end *ret)
{
	ret->identity.low = get64(bytes);
	ret->identity.high = get64(bytes + 8);
	ret->frames = get64(bytes + 16);
}

size_t image_memory_data_at(const struct image_memory *m, uint64_t payload_offset,
			    unsigned page_shift)
{
	size_t tables = IMAGE_MEMORY_PROLOGUE_SIZE + (size_t)m->run_count * IMAGE_RUN_SIZE;
	size_t mask = ((size_t)1 << page_shift) - 1;

	if (m->encoding != IMAGE_MEMORY_RAW)
		return tables;
	return tables + (-(size_t)(payload_offset + tables) & mask);
}

void image_memory_encode(const struct image_memory *m, uint8_t ret[IMAGE_MEMORY_PROLOGUE_SIZE])
{
	put32(ret, m->run_count);
	put32(ret + 4, m->encoding);
	put64(ret + 8, m->raw_length);
}

const char *image_memory_decode(const uint8_t bytes[IMAGE_MEMORY_PROLOGUE_SIZE],
				unsigned page_shift, struct image_memory *ret)
{
	struct image_memory m = {get32(bytes), get32(bytes + 4), get64(bytes + 8)};

	if (m.run_count == 0 || m.run_count > IMAGE_MAX_RUNS)
		return "its number of runs is out of bounds";
	if (m.raw_length == 0 || m.raw_length > IMAGE_MAX_RAW)
		return "its amount of data is out of bounds";
	if (m.raw_length & ((1U << page_shift) - 1))
		return "its data is not a whole number of pages";
	if (m.encoding != IMAGE_MEMORY_RAW && m.encoding != IMAGE_MEMORY_ZSTD)
		return "its encoding is unknown";
	*ret = m;
	return NULL;
}

void image_runs_encode(const struct page_run *runs, size_t count, uint8_t *ret)
{
	for (size_t i = 0; i < count; i++, ret += IMAGE_RUN_SIZE) {
		put64(ret, runs[i].object);
		put64(ret + 8, runs[i].offset);
		put64(ret + 16, runs[i].length);
	}
}

void image_runs_decode(const uint8_t *bytes, size_t count, struct page_run *ret)
{
	for (size_t i = 0; i < count; i++, bytes += IMAGE_RUN_SIZE)
		ret[i] = (struct page_run){
			.object = get64(bytes),
			.offset = get64(bytes + 8),
			.length = get64(bytes + 16),
		};
}

const char *image_runs_check(const struct page_run *runs, size_t count, uint64_t raw_length,
			     unsigned page_shift)
{
	uint64_t mask = ((uint64_t)1 << page_shift) - 1, sum = 0, end;

	for (size_t i = 0; i < count; i++) {
		if (runs[i].length == 0 || (runs[i].offset | runs[i].length) & mask)
			return "a run is not a whole number of pages";
		if (__builtin_add_overflow(runs[i].offset, runs[i].length, &end))
			return "a run reaches beyond the end of addresses";
		/* Neither side can wrap: sum <= raw_length at every step. */
		if (runs[i].length > raw_length - sum)
			return "its runs are longer than its data";
		sum += runs[i].length;
	}
	return sum == raw_length ? NULL : "its runs are shorter than its data";
}
