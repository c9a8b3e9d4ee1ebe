#include "engine/show.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "engine/chain.h"
#include "engine/confine.h"
#include "engine/records.h"
#include "engine/show_tree.h"
#include "image/json.h"
#include "image/reader.h"
#include "kind/kind.h"
#include "records.pb-c.h"

/* What the summary says of records, counted as they come. */
struct tally {
	uint32_t threads, files, areas, slots;
	uint64_t reserved; /* bytes of address space */
	struct shown_tree tree;
	Rec__Parent *parent; /* of an incremental image */
};

static void tally_free(struct tally *tally)
{
	shown_tree_free(&tally->tree);
	if (tally->parent)
		rec__parent__free_unpacked(tally->parent, NULL);
}

static void print_inventory(struct text *t, const Rec__Inventory *m)
{
	time_t seconds = (time_t)(m->created / 1000000000u);
	struct tm tm;
	char when[64] = "?";

	if (gmtime_r(&seconds, &tm))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
	text_add(t, "made      %s by Stasis %s, user %u\n", when, m->version, m->uid);
	text_add(t, "on        %s, Linux %s, %s\n", m->hostname, m->kernel, m->machine);
}

static void tally_record(struct tally *tally, struct text *t, uint32_t type,
			 const ProtobufCMessage *m)
{
	const struct kind *k = kind_by_tag(type);

	if (type == TAG_INVENTORY)
		print_inventory(t, (const Rec__Inventory *)m);
	if (type == TAG_TASK) {
		const Rec__Task *task = (const Rec__Task *)m;

		if (shown_tree_add(&tally->tree, task) < 0)
			t->failed = true;
		tally->slots += (uint32_t)task->n_slots;
	}
	if (type == TAG_THREAD)
		tally->threads++;
	if (type == TAG_MEMORY) {
		const Rec__Memory *mem = (const Rec__Memory *)m;

		tally->areas += (uint32_t)mem->n_areas;
		for (size_t i = 0; i < mem->n_areas; i++)
			tally->reserved += mem->areas[i]->end - mem->areas[i]->start;
	}
	if (k && k->file)
		tally->files++;
}

static void print_record(struct text *t, enum show_format format, const struct image_frame *frame,
			 const ProtobufCMessage *m, bool first)
{
	const char *name = record_name(frame->type);

	if (format == SHOW_JSON) {
		text_add(t, "%s\n    {\"type\": %u, \"name\": ", first ? "" : ",", frame->type);
		json_string(t, name, __builtin_strlen(name));
		text_add(t, ", \"record\": ");
		json_message(t, m);
		text_add(t, "}");
		return;
	}
	text_add(t, "%s\n", name);
	json_message_human(t, m, 1);
}

static void print_identity(struct text *t, enum show_format format,
			   const struct image_reader *reader, struct tally *tally)
{
	const struct image_stats *s = image_reader_stats(reader);
	struct image_identity id = image_reader_identity(reader);

	if (format == SHOW_JSON) {
		text_add(t,
			 "\n  ],\n  \"bytes\": %" PRIu64 ",\n  \"memory\": %" PRIu64
			 ",\n  \"memory_frames\": %" PRIu64 ",\n  \"identity\": \"%016" PRIx64
			 "%016" PRIx64 "\"\n}\n",
			 s->bytes, s->raw_bytes, s->memory_frames, id.high, id.low);
		return;
	}
	if (format == SHOW_RECORDS)
		return;
	shown_tree_print(&tally->tree, t);
	text_add(t, "threads   %u\n", tally->threads);
	text_add(t, "mappings  %u, %" PRIu64 " KiB of address space\n", tally->areas,
		 tally->reserved / 1024);
	text_add(t, "files     %u descriptors, %u files\n", tally->slots, tally->files);
	text_add(t, "memory    %" PRIu64 " KiB saved\n", s->raw_bytes / 1024);
	text_add(t, "image     %" PRIu64 " bytes, %016" PRIx64 "%016" PRIx64 "\n", s->bytes, id.high,
		 id.low);
}

/* What it builds on, and whether that can be had. */
static void print_parent(struct text *t, const char *image, const Rec__Parent *p)
{
	struct chain chain = {0};
	struct error *why = NULL;
	int r = chain_open(&chain, image, p, &why);

	text_add(t, "parent    %s, %016" PRIx64 "%016" PRIx64 "\n", p->path, p->identity_high,
		 p->identity_low);
	if (r < 0)
		text_add(t, "          cannot be restored: %s\n", error_why(why, 0));
	else
		text_add(t, "          %zu image%s below, all there\n", chain.links.count,
			 chain.links.count == 1 ? "" : "s");
	error_free(why);
	chain_free(&chain);
}

static int show_frame(struct text *t, enum show_format format, const struct image_frame *frame,
		      struct tally *tally, bool first, struct error **err)
{
	const ProtobufCMessageDescriptor *schema = record_schema(frame->type);
	ProtobufCMessage *m;
	int r;

	if (!schema)
		return 0;
	r = image_unpack(frame, schema, &m, err);
	if (r < 0)
		return r;
	if (format == SHOW_SUMMARY)
		tally_record(tally, t, frame->type, m);
	else
		print_record(t, format, frame, m, first);
	if (format == SHOW_SUMMARY && frame->type == TAG_PARENT && !tally->parent)
		tally->parent = (Rec__Parent *)m;
	else
		message_free(m);
	return 1;
}

struct showing {
	const char *image;
	enum show_format format;
};

static int show_image(void *arg, struct text *t, struct error **err)
{
	cleanup_image_reader struct image_reader *reader = NULL;
	struct tally tally __attribute__((cleanup(tally_free))) = {0};
	const struct showing *s = arg;
	struct image_frame frame;
	bool first = true;
	int r = image_reader_open(&reader, s->image, err);

	if (r < 0)
		return r;
	image_reader_skip_data(reader);
	if (s->format == SHOW_JSON)
		text_add(t, "{\n  \"records\": [");
	while ((r = image_reader_next(reader, &frame, err)) > 0) {
		if (frame.type == IMAGE_TYPE_MEMORY)
			continue;
		r = show_frame(t, s->format, &frame, &tally, first, err);
		if (r < 0)
			return r;
		first = first && r == 0;
	}
	if (r < 0)
		return r;
	print_identity(t, s->format, reader, &tally);
	if (tally.parent)
		print_parent(t, s->image, tally.parent);
	return t->failed ? fail(err, ENOMEM, "out of memory") : 0;
}

int engine_show(const char *image, enum show_format format, char **ret, struct error **err)
{
	struct showing showing = {image, format};
	struct text t cleanup_text = {0};
	int r = confined(show_image, &showing, &t, err);

	if (r < 0)
		return r;
	*ret = t.bytes;
	t.bytes = NULL;
	return 0;
}

static int verify_below(const char *image, const Rec__Parent *parent, struct error **err)
{
	struct chain chain = {0};
	int r = parent_valid(parent, err);

	if (r == 0)
		r = chain_open(&chain, image, parent, err);
	if (r == 0)
		r = chain_verify(&chain, err);
	chain_free(&chain);
	return r;
}

static int find_parent(void *arg, const struct image_frame *frame, struct error **err)
{
	ProtobufCMessage **parent = arg;

	if (frame->type != TAG_PARENT || *parent)
		return 0;
	return image_unpack(frame, record_schema(TAG_PARENT), parent, err);
}

/* What a verification has found, as it comes out of the child. */
struct verified {
	struct image_stats stats;
	struct image_identity identity;
};

static int verify_image(void *arg, struct text *t, struct error **err)
{
	cleanup_image_reader struct image_reader *reader = NULL;
	const char *image = arg;
	ProtobufCMessage *parent = NULL;
	struct verified v;
	int r = image_reader_open(&reader, image, err);

	if (r == 0)
		r = image_verify_rest(reader, find_parent, &parent, err);
	if (r == 0) {
		v = (struct verified){*image_reader_stats(reader), image_reader_identity(reader)};
		text_add_bytes(t, &v, sizeof v);
	}
	if (r == 0 && parent)
		r = verify_below(image, (Rec__Parent *)parent, err);
	if (parent)
		message_free(parent);
	return r;
}

int engine_verify(const char *image, struct image_stats *ret_stats,
		  struct image_identity *ret_identity, struct error **err)
{
	struct text t cleanup_text = {0};
	struct verified v;
	int r = confined(verify_image, (void *)image, &t, err);

	if (r < 0)
		return r;
	if (t.len != sizeof v)
		return fail(err, EPROTO, "the process that was to read the image said nothing");
	memcpy(&v, t.bytes, sizeof v);
	*ret_stats = v.stats;
	*ret_identity = v.identity;
	return 0;
}
