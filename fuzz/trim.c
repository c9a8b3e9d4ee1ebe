/*
 * Makes small inputs of images: what is particular to a machine or a moment is replaced, and of
 * memory little is kept.
 *
 *	fuzz-trim FIRST-BYTE MEMORY-BYTES IMAGE... > INPUT      one input of all of them
 *	fuzz-trim --records FOLDER IMAGE                        some inputs for each sort of record
 *	fuzz-trim --large FIRST-BYTE > INPUT                    large memory, compressed to nearly nothing
 */
#include <fcntl.h>
#include <stdio.h>
#include <zstd.h>

#include "base/str.h"
#include "engine/records.h"
#include "kind/kind.h"
#include "pieces.h"
#include "records.pb-c.h"

static void repack(struct piece *it, ProtobufCMessage *m)
{
	free(it->bytes);
	it->len = protobuf_c_message_get_packed_size(m);
	it->bytes = malloc(it->len + 1);
	protobuf_c_message_pack(m, it->bytes);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void set_string(char **s, const char *to)
{
	if (*s != protobuf_c_empty_string)
		free(*s);
	*s = strdup(to);
}

static void neutral_inventory(struct piece *it)
{
	Rec__Inventory *m = rec__inventory__unpack(NULL, it->len, it->bytes);

	set_string(&m->hostname, "example");
	set_string(&m->kernel, "6.12.0");
	set_string(&m->boot_id, "00000000-0000-4000-8000-000000000000");
	m->created = 1700000000000000000;
	repack(it, &m->base);
}

/* The vdso is the kernel's, and large. */
static void neutral_memory(struct piece *it)
{
	Rec__Memory *m = rec__memory__unpack(NULL, it->len, it->bytes);

	if (m->vdso.len > 64)
		m->vdso.len = 64;
	repack(it, &m->base);
}

/* Of memory the frames that fit into so many bytes. */
static void trim(struct pieces *p, size_t memory)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		struct piece it = p->items[i];

		if (it.type == TAG_INVENTORY)
			neutral_inventory(&it);
		else if (it.type == TAG_MEMORY)
			neutral_memory(&it);
		if (it.type == IMAGE_TYPE_MEMORY && it.len > memory) {
			free(it.bytes);
			continue;
		}
		memory -= it.type == IMAGE_TYPE_MEMORY ? it.len : 0;
		p->items[kept++] = it;
	}
	p->count = kept;
}

static void read_image(struct pieces *p, const char *path)
{
	cleanup_free char *bytes = NULL;
	ssize_t n = fd_slurp(AT_FDCWD, path, &bytes);

	if (n < 0) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	pieces_split(p, (const uint8_t *)bytes, (size_t)n);
}

static int make_input(int argc, char **argv, struct pieces *p)
{
	struct output o = output_room((size_t)64 << 20);
	uint8_t first = (uint8_t)atoi(argv[1]);

	output_add(&o, &first, 1);
	for (int i = 3; i < argc; i++) {
		read_image(p, argv[i]);
		trim(p, strtoul(argv[2], NULL, 10));
		pieces_join(p, &o);
		pieces_free(p);
	}
	return fd_write(STDOUT_FILENO, o.to, o.len) < 0;
}

/* As fuzz_records.c numbers them. */
static int number_of(uint32_t tag)
{
	for (size_t i = 0; i < kinds_count; i++)
		if (kinds[i]->tag == tag)
			return (int)i + 5;
	return tag >= 1 && tag <= 5 ? (int)tag - 1 : -1;
}

static int make_records(char **argv, struct pieces *p)
{
	read_image(p, argv[3]);
	trim(p, 0);
	for (size_t i = 0; i < p->count; i++) {
		const struct piece *it = &p->items[i];
		int which = number_of(it->type);
		uint8_t head[2] = {(uint8_t)which, (uint8_t)(which >> 8)};
		cleanup_free char *path = str_format("%s/%u-%zu", argv[2], it->type, i % 3);
		cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (which < 0 || fd < 0 || fd_write(fd, head, 2) < 0 ||
		    fd_write(fd, it->bytes, it->len) < 0)
			return 1;
	}
	return 0;
}

/* Zeros, in frames that several threads share among them. */
static int make_large(uint8_t first, struct pieces *p)
{
	static uint8_t zeros[IMAGE_MAX_RAW], payload[65536];
	struct output o = output_room((size_t)1 << 20);

	output_add(&o, &first, 1);
	for (uint64_t i = 0; i < 3; i++) {
		struct image_memory m = {1, IMAGE_MEMORY_ZSTD, sizeof zeros};
		struct page_run run = {1, i * sizeof zeros, sizeof zeros};
		size_t at = IMAGE_MEMORY_PROLOGUE_SIZE + IMAGE_RUN_SIZE;

		image_memory_encode(&m, payload);
		image_runs_encode(&run, 1, payload + IMAGE_MEMORY_PROLOGUE_SIZE);
		at += ZSTD_compress(payload + at, sizeof payload - at, zeros, sizeof zeros, 1);
		p->items[p->count++] = piece_of(IMAGE_TYPE_MEMORY, 0, payload, at);
	}
	pieces_join(p, &o);
	pieces_free(p);
	return fd_write(STDOUT_FILENO, o.to, o.len) < 0;
}

int main(int argc, char **argv)
{
	static struct pieces p;

	if (argc == 4 && strcmp(argv[1], "--records") == 0)
		return make_records(argv, &p);
	if (argc == 3 && strcmp(argv[1], "--large") == 0)
		return make_large((uint8_t)atoi(argv[2]), &p);
	if (argc >= 4)
		return make_input(argc, argv, &p);
	fprintf(stderr, "usage: fuzz-trim FIRST-BYTE MEMORY-BYTES IMAGE...\n");
	return 2;
}
