/* An image below is read twice: what is used must be what was verified. */
#include "image_try.h"

#include "engine/chain.h"
#include "engine/pages.h"
#include "engine/records.h"

#define START UINT64_C(0x10000)
#define PAGES 4

static Rec__Area area = REC__AREA__INIT;
static Rec__Area *areas[] = {&area};

/* One process, whose pages all hold this byte; checksums are right. */
static void write_image(const char *path, char fill)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct page_run run = {MEMORY_OBJECT(7), START, PAGES * PAGE};
	Rec__Memory m = REC__MEMORY__INIT;
	char pages[PAGES * PAGE];

	area.start = START;
	area.end = START + PAGES * PAGE;
	area.flags = MAP_PRIVATE | MAP_ANONYMOUS;
	m.pid = 7;
	m.areas = areas;
	m.n_areas = 1;
	memset(pages, fill, sizeof pages);
	assert_true(fd >= 0);
	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
	assert_int_equal(image_writer_record(w, TAG_MEMORY, &m.base, NULL), 0);
	assert_int_equal(image_writer_pages(w, &run, 1, pages, NULL), 0);
	assert_int_equal(image_writer_commit(w, NULL), 0);
}

static int take(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	uint64_t *bytes = arg;

	(void)data;
	(void)err;
	*bytes += part->length;
	return 0;
}

/* Its pages, with something done to the file between the two readings. */
static int read_pages(void (*meanwhile)(const char *path), uint64_t *ret_bytes, struct error **err)
{
	cleanup_image_pump struct image_pump *pump = NULL;
	char path[] = "/tmp/chain-XXXXXX";
	struct chain chain = {0};
	Rec__Memory m = REC__MEMORY__INIT;
	Rec__Range range = REC__RANGE__INIT, *ranges[] = {&range};
	int fd = mkstemp(path), res;

	close(fd);
	write_image(path, 1);
	assert_int_equal(chain_read(path, vec_push(&chain.links), NULL), 0);
	if (meanwhile)
		meanwhile(path);
	range.start = START;
	range.end = START + PAGES * PAGE;
	m.pid = 7;
	m.unchanged = ranges;
	m.n_unchanged = 1;
	assert_int_equal(image_pump_new(&pump, NULL), 0);
	*ret_bytes = 0;
	res = chain_pages(&chain, &m, pump, &(struct image_sink){take, ret_bytes}, err);
	chain_free(&chain);
	unlink(path);
	return res;
}

static void test_unchanged(void **state)
{
	cleanup_error struct error *err = NULL;
	uint64_t bytes;

	(void)state;
	assert_int_equal(read_pages(NULL, &bytes, &err), 0);
	assert_null(err);
	assert_int_equal(bytes, PAGES * PAGE);
}

static void rewrite(const char *path)
{
	write_image(path, 2);
}

static void test_rewritten(void **state)
{
	cleanup_error struct error *err = NULL;
	uint64_t bytes;

	(void)state;
	assert_int_equal(read_pages(rewrite, &bytes, &err), -ESTALE);
	assert_non_null(strstr(error_why(err, 0), "has changed while it was read"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unchanged),
		cmocka_unit_test(test_rewritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
