/* Data of memory frames by several threads: all of it, in its place, and nothing that is damaged. */
#include "image_try.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "image/pump.h"

#define FRAMES 24U
#define MAX_PAGES 512U /* of a frame */

/* Frames of many sizes, each with a run for the object that has its number, and one for its neighbour's. */
static struct bytes many_frames(int zstd_level, bool noise, struct bytes *ret_data)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_writer_options o = {.zstd_level = zstd_level};
	struct bytes b;
	struct stat st;

	*ret_data = (struct bytes){malloc(FRAMES * MAX_PAGES * PAGE), FRAMES * MAX_PAGES * PAGE};
	memset(ret_data->at, 0, ret_data->len);
	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", &o, NULL), 0);
	write_task(w);
	for (uint64_t i = 0; i < FRAMES; i++) {
		size_t pages = (i * 37 + 1) % MAX_PAGES + 2;
		uint8_t *data = ret_data->at + i * MAX_PAGES * PAGE;
		struct page_run runs[] = {{i, 0, PAGE}, {i, 2 * PAGE, (pages - 1) * PAGE}};

		pages = pages < MAX_PAGES - 1 ? pages : MAX_PAGES - 2;
		runs[1].length = (pages - 1) * PAGE;
		fill_pages(data, pages * PAGE, noise);
		data[i] ^= 0xff;
		assert_int_equal(image_writer_pages(w, runs, 2, data, NULL), 0);
		/* As they lie in the object: the second run begins behind a hole. */
		memmove(data + 2 * PAGE, data + PAGE, (pages - 1) * PAGE);
		memset(data + PAGE, 0, PAGE);
	}
	assert_int_equal(image_writer_commit(w, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	b = (struct bytes){malloc((size_t)st.st_size), (size_t)st.st_size};
	assert_int_equal(fd_pread(fd, b.at, b.len, 0), st.st_size);
	return b;
}

struct place {
	uint8_t *at;
	uint64_t refused; /* an object whose data cannot be taken; 0: none */
};

static int put_in_place(void *arg, const struct page_run *part, const void *data,
			struct error **err)
{
	const struct place *p = arg;

	if (p->refused && part->object == p->refused)
		return refuse(err, ENOSPC, NULL, "no room for %llu",
			      (unsigned long long)part->object);
	memcpy(p->at + part->object * MAX_PAGES * PAGE + part->offset, data, part->length);
	return 0;
}

static int pump_all(int fd, struct place *place, struct error **err)
{
	cleanup_image_reader struct image_reader *r = NULL;
	cleanup_image_pump struct image_pump *p = NULL;
	struct image_sink sink = {put_in_place, place};
	struct image_frame frame;
	struct error *own = NULL;
	int n;

	assert_int_equal(image_reader_open_fd(&r, fd, "x.stasis", NULL), 0);
	assert_int_equal(image_pump_new(&p, NULL), 0);
	while ((n = image_reader_next(r, &frame, &own)) > 0) {
		if (frame.type == IMAGE_TYPE_MEMORY)
			n = image_pump_frame(p, r, &frame, &sink, &own);
		if (n < 0)
			break;
	}
	return image_pump_wait(p, n, &own, err);
}

struct source {
	const struct bytes *image;
	int fd;
};

static void *write_image(void *arg)
{
	struct source *s = arg;

	/* Who reads may give up: then the rest is not wanted. */
	fd_write(s->fd, s->image->at, s->image->len);
	close(s->fd);
	return NULL;
}

/* From a file, or from a pipe that is given little at a time. */
static int pump_image(const struct bytes *image, bool pipe, struct place *place,
		      struct error **err)
{
	struct source s = {image, -1};
	pthread_t writer;
	int fds[2], n;

	if (!pipe) {
		cleanup_close int fd = memfd_of(image->at, image->len);

		return pump_all(fd, place, err);
	}
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	s.fd = fds[1];
	assert_int_equal(pthread_create(&writer, NULL, write_image, &s), 0);
	n = pump_all(fds[0], place, err);
	close(fds[0]);
	pthread_join(writer, NULL);
	return n;
}

static void assert_all_there(int level, bool noise, bool pipe)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(level, noise, &data);
	struct place place = {.at = calloc(1, data.len)};

	assert_int_equal(pump_image(&image, pipe, &place, NULL), 0);
	assert_memory_equal(place.at, data.at, data.len);
	free(place.at);
}

static void test_all_there(void **state)
{
	(void)state;
	for (int pipe = 0; pipe < 2; pipe++) {
		assert_all_there(0, true, pipe);
		assert_all_there(1, false, pipe);
		assert_all_there(1, true, pipe);
	}
}

/* Where the payload of the memory frame with this number stands, and how long it is. */
static size_t payload_at(const struct bytes *image, uint64_t index, size_t *ret_length)
{
	size_t at = IMAGE_HEADER_SIZE;
	struct image_frame_header h;

	for (uint64_t i = 0; i <= index; i++) {
		assert_true(image_frame_header_decode(image->at + at, &h));
		at += IMAGE_FRAME_HEADER_SIZE + (i < index ? h.length : 0);
	}
	*ret_length = h.length;
	return at;
}

/* Any bit of any part; of two damaged frames the first is told. */
static void damage_and_pump(int level, bool pipe, unsigned seed)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(level, level == 0, &data);
	struct place place = {.at = calloc(1, data.len)};

	srandom(seed);
	for (int i = 0; i < 20; i++) {
		cleanup_error struct error *err = NULL;
		uint64_t first = 1 + (uint64_t)random() % FRAMES;
		uint64_t second = first + (uint64_t)random() % (FRAMES + 1 - first);
		char want[64];
		size_t len, a = payload_at(&image, first, &len), b;

		/* Behind what stands in the prologue, whose nonsense has a sentence of its own. */
		a += 40 + (size_t)random() % (len - 40);
		b = payload_at(&image, second, &len) + len - 1;
		image.at[a] ^= (uint8_t)(1 << random() % 8);
		if (b != a)
			image.at[b] ^= 1;
		assert_int_equal(pump_image(&image, pipe, &place, &err), -EBADMSG);
		assert_int_equal(error_count(err), 1);
		snprintf(want, sizeof want, "in frame %llu (memory, at byte", (unsigned long long)first);
		if (!strstr(error_why(err, 0), want))
			fail_msg("'%s' is not in '%s'", want, error_why(err, 0));
		error_freep(&err);
		/* As it was, for the next time. */
		bytes_free(&image);
		bytes_free(&data);
		image = many_frames(level, level == 0, &data);
	}
	free(place.at);
}

static void test_damaged(void **state)
{
	(void)state;
	damage_and_pump(0, false, 1);
	damage_and_pump(0, true, 2);
	damage_and_pump(1, false, 3);
	damage_and_pump(1, true, 4);
}

static void test_truncated(void **state)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(0, true, &data);
	struct place place = {.at = calloc(1, data.len)};

	(void)state;
	for (int pipe = 0; pipe < 2; pipe++)
		for (int i = 1; i < 8; i++) {
			cleanup_error struct error *err = NULL;
			struct bytes cut = {image.at, image.len * (size_t)i / 8};

			assert_int_equal(pump_image(&cut, pipe, &place, &err), -EBADMSG);
			assert_non_null(strstr(error_why(err, 0), "was not written completely"));
			assert_int_equal(error_count(err), 1);
		}
	free(place.at);
}

static void test_sink_fails(void **state)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(0, true, &data);
	struct place place = {.at = calloc(1, data.len), .refused = 11};

	(void)state;
	for (int pipe = 0; pipe < 2; pipe++) {
		cleanup_error struct error *err = NULL;

		assert_int_equal(pump_image(&image, pipe, &place, &err), -ENOSPC);
		assert_int_equal(error_count(err), 1);
		assert_string_equal(error_why(err, 0), "no room for 11");
	}
	free(place.at);
}

/* Calls that read, and bytes that they gave, of this process so far. */
static void count_reads(uint64_t *ret_calls, uint64_t *ret_bytes)
{
	char *text = NULL;

	assert_true(fd_slurp(AT_FDCWD, "/proc/self/io", &text) > 0);
	*ret_bytes = strtoull(strstr(text, "rchar: ") + 7, NULL, 10);
	*ret_calls = strtoull(strstr(text, "syscr: ") + 7, NULL, 10);
	free(text);
}

/* An image that can be read anywhere is read once, and with few calls. */
static void test_reads(void **state)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(0, true, &data);
	struct place place = {.at = calloc(1, data.len)};
	uint64_t calls, bytes, calls_after, bytes_after;

	(void)state;
	count_reads(&calls, &bytes);
	assert_int_equal(pump_image(&image, false, &place, NULL), 0);
	count_reads(&calls_after, &bytes_after);
	/* A frame: its header, its table, and its pieces. */
	assert_true(calls_after - calls <= image.len / IMAGE_PIECE + 3 * FRAMES + 8);
	assert_true(bytes_after - bytes <= image.len + FRAMES * 2 * PAGE + 16 * PAGE);
	free(place.at);
}

/* Who begins which frame while others are at theirs. */
struct turns {
	pthread_mutex_t lock;
	pthread_cond_t change;
	pthread_t caller;
	unsigned given;     /* frames to the threads */
	unsigned begun;     /* frames, in this order: */
	uint64_t frames[3]; /* the first thread's is let go when the pump is full, */
	bool beside;        /* the second's when the third has begun: next to it? */
};

static int put_in_turn(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	struct turns *t = arg;
	uint64_t first, second;

	(void)data, (void)err;
	/* One of two runs, and what the threads do. */
	if (part->offset || pthread_equal(t->caller, pthread_self()))
		return 0;
	pthread_mutex_lock(&t->lock);
	if (t->begun < 3)
		t->frames[t->begun++] = part->object;
	pthread_cond_broadcast(&t->change);
	while (t->given < 4 || t->begun < 2)
		pthread_cond_wait(&t->change, &t->lock);
	first = t->frames[0] < t->frames[1] ? t->frames[0] : t->frames[1];
	second = t->frames[0] + t->frames[1] - first;
	while (part->object == second && t->begun < 3)
		pthread_cond_wait(&t->change, &t->lock);
	t->beside = t->frames[2] == second + 1;
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static int give(struct image_pump *p, struct image_reader *r, const struct image_frame *frame,
		struct turns *t)
{
	struct image_sink sink = {put_in_turn, t};
	int res = image_pump_frame(p, r, frame, &sink, NULL);

	pthread_mutex_lock(&t->lock);
	/* The first ones were small enough for the caller. */
	t->given += frame->runs[0].object >= 5;
	pthread_cond_broadcast(&t->change);
	pthread_mutex_unlock(&t->lock);
	return res;
}

/* Two threads are not at neighbours when there is another frame: both would make what is between them. */
static void test_neighbours(void **state)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(0, true, &data);
	cleanup_close int fd = memfd_of(image.at, image.len);
	cleanup_image_reader struct image_reader *r = NULL;
	cleanup_image_pump struct image_pump *p = NULL;
	struct turns t = {.lock = PTHREAD_MUTEX_INITIALIZER,
			  .change = PTHREAD_COND_INITIALIZER,
			  .caller = pthread_self()};
	struct error *own = NULL;
	struct image_frame frame;
	int n;

	(void)state;
	assert_int_equal(image_reader_open_fd(&r, fd, "x.stasis", NULL), 0);
	assert_int_equal(image_pump_new(&p, NULL), 0);
	while ((n = image_reader_next(r, &frame, NULL)) > 0)
		if (frame.type == IMAGE_TYPE_MEMORY)
			assert_int_equal(give(p, r, &frame, &t), 0);
	assert_int_equal(image_pump_wait(p, n, &own, NULL), 0);
	assert_int_equal(t.begun, 3);
	assert_false(t.beside);
}

/* What was read of a frame is what its data is checked with: not what stands there later. */
static void test_rewritten_meanwhile(void **state)
{
	cleanup_bytes struct bytes data = {0}, image = many_frames(0, true, &data);
	cleanup_close int fd = memfd_of(image.at, image.len);
	cleanup_image_decoder struct image_decoder *d = NULL;
	cleanup_image_reader struct image_reader *r = NULL;
	cleanup_error struct error *err = NULL;
	struct place place = {.at = calloc(1, data.len)};
	struct image_file file;
	struct image_frame frame;
	struct image_data what;
	uint64_t other = 1;

	(void)state;
	assert_int_equal(image_reader_open_fd(&r, fd, "x.stasis", NULL), 0);
	assert_int_equal(image_reader_next(r, &frame, NULL), 1);
	assert_int_equal(image_reader_next(r, &frame, NULL), 1);
	assert_true(image_reader_file(r, &file));
	what = (struct image_data){"x.stasis", frame.stored, frame.runs, frame.run_count,
				   {put_in_place, &place}};
	assert_int_equal(image_decoder_new(&d, NULL), 0);
	assert_int_equal(image_decoder_read(d, &file, &what, NULL), 0);
	/* The object of the first run. */
	assert_int_equal(fd_pwrite(fd, &other, sizeof other,
				   frame.stored.payload_offset + IMAGE_MEMORY_PROLOGUE_SIZE), 0);
	memset(place.at, 0, data.len);
	assert_int_equal(image_decoder_read(d, &file, &what, &err), -EBADMSG);
	/* Not a byte was passed on. */
	for (size_t i = 0; i < 4 * PAGE; i++)
		assert_int_equal(place.at[i], 0);
	free(place.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_there),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_sink_fails),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_rewritten_meanwhile),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
