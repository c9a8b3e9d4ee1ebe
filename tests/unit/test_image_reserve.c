/*
 * Memory frames whose data somebody else writes: the image is, byte for byte, the one that
 * the writer would have written itself, and what was not filled becomes no image.
 */
#include "image_try.h"

#include <errno.h>
#include <pthread.h>

#define FRAMES 5

/* Frame i: (i + 1) * 70 pages in i + 1 runs; its data begins so many bytes into data(). */
static size_t frame_size(size_t i)
{
	return (i + 1) * 70 * PAGE;
}

static size_t frame_runs(size_t i, struct page_run runs[FRAMES])
{
	for (size_t k = 0; k <= i; k++)
		runs[k] = (struct page_run){i + 1, (2 * k + 1) * 70 * PAGE, 70 * PAGE};
	return i + 1;
}

static const uint8_t *data(void)
{
	static uint8_t bytes[FRAMES * 70 * PAGE];

	if (!bytes[8])
		fill_pages(bytes, sizeof bytes, true);
	return bytes;
}

static struct bytes content_of(int fd, size_t from)
{
	struct stat st;
	struct bytes b;

	assert_int_equal(fstat(fd, &st), 0);
	b = (struct bytes){malloc((size_t)st.st_size), (size_t)st.st_size - from};
	assert_int_equal(fd_pread(fd, b.at, b.len, from), b.len);
	return b;
}

static int memfd(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* The same frames, written by the writer. */
static struct bytes expected(void)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = memfd();
	struct page_run runs[FRAMES];

	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
	write_task(w);
	for (size_t i = 0; i < FRAMES; i++)
		assert_int_equal(image_writer_pages(w, runs, frame_runs(i, runs), data(), NULL), 0);
	write_task(w);
	assert_int_equal(image_writer_commit(w, NULL), 0);
	return content_of(fd, 0);
}

/* What fills one frame. */
struct part {
	uint64_t at;
	uint8_t front[4 * PAGE];
	size_t front_len;
};

static int reserve(struct image_writer *w, const struct page_run *runs, size_t count,
		   struct part *ret)
{
	struct image_room room;
	int r = image_writer_reserve(w, runs, count, &room, NULL);

	if (r < 0)
		return r;
	assert_in_range(room.front_len, 1, sizeof ret->front);
	memcpy(ret->front, room.front, room.front_len);
	ret->at = room.offset;
	ret->front_len = room.front_len;
	return 0;
}

static void fill_part(int fd, const struct part *p, size_t size)
{
	assert_int_equal(fd_pwrite(fd, p->front, p->front_len, p->at), 0);
	assert_int_equal(fd_pwrite(fd, data(), size, p->at + p->front_len), 0);
}

struct filler {
	int fd;
	struct part parts[FRAMES];
};

static void *fill_frames(void *arg)
{
	struct filler *f = arg;

	/* Not in the order in which they are sealed. */
	for (size_t i = FRAMES; i-- > 0;)
		fill_part(f->fd, &f->parts[i], frame_size(i));
	return NULL;
}

/* Reserves all frames, has another thread fill them, and ends the image. */
static void write_reserved(struct image_writer *w, struct image_stats *ret)
{
	struct filler f = {.fd = image_writer_fd(w)};
	struct page_run runs[FRAMES];
	pthread_t thread;

	write_task(w);
	for (size_t i = 0; i < FRAMES; i++) {
		uint64_t data_at;

		assert_int_equal(reserve(w, runs, frame_runs(i, runs), &f.parts[i]), 0);
		data_at = f.parts[i].at + f.parts[i].front_len;
		assert_int_equal(data_at % PAGE,
				 (f.parts[0].at + f.parts[0].front_len) % PAGE);
	}
	assert_int_equal(pthread_create(&thread, NULL, fill_frames, &f), 0);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < FRAMES; i++)
		assert_int_equal(image_writer_filled(w, NULL), 0);
	write_task(w);
	assert_int_equal(image_writer_commit(w, NULL), 0);
	*ret = *image_writer_stats(w);
}

static void test_same_bytes(void **state)
{
	static const size_t begins[] = {0, 3 * PAGE, 1234};
	cleanup_bytes struct bytes want = expected();

	(void)state;
	for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
		cleanup_image_writer struct image_writer *w = NULL;
		cleanup_close int fd = memfd();
		cleanup_bytes struct bytes b = {0};
		struct image_stats stats;

		assert_int_equal(lseek(fd, (off_t)begins[i], SEEK_SET), begins[i]);
		assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
		assert_true(image_writer_takes_reserve(w));
		write_reserved(w, &stats);
		/* Who writes on after us writes behind the image. */
		assert_int_equal(lseek(fd, 0, SEEK_CUR), begins[i] + want.len);
		b = content_of(fd, begins[i]);
		assert_int_equal(b.len, want.len);
		assert_memory_equal(b.at, want.at, want.len);
		assert_int_equal(stats.bytes, want.len);
		assert_int_equal(stats.memory_frames, FRAMES);
		assert_int_equal(stats.raw_bytes, 15 * 70 * PAGE);
		assert_int_equal(stats.stored_bytes, stats.raw_bytes);
	}
}

/* One frame filled before the next is reserved, and pages of the writer's own in between. */
static void test_in_turn(void **state)
{
	cleanup_bytes struct bytes want = expected();
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = memfd();
	cleanup_bytes struct bytes b = {0};
	struct page_run runs[FRAMES];

	(void)state;
	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
	write_task(w);
	for (size_t i = 0; i < FRAMES; i++) {
		size_t count = frame_runs(i, runs);
		struct part part;

		if (i % 2) {
			assert_int_equal(image_writer_pages(w, runs, count, data(), NULL), 0);
			continue;
		}
		assert_int_equal(reserve(w, runs, count, &part), 0);
		fill_part(fd, &part, frame_size(i));
		assert_int_equal(image_writer_filled(w, NULL), 0);
	}
	write_task(w);
	assert_int_equal(image_writer_commit(w, NULL), 0);
	b = content_of(fd, 0);
	assert_int_equal(b.len, want.len);
	assert_memory_equal(b.at, want.at, want.len);
}

static struct image_writer *with_one_reserved(int fd, struct part *ret)
{
	struct image_writer *w;
	struct page_run runs[FRAMES];

	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
	assert_int_equal(reserve(w, runs, frame_runs(1, runs), ret), 0);
	return w;
}

static void test_not_filled(void **state)
{
	Rec__Task task = REC__TASK__INIT;
	struct page_run run = {1, 0, PAGE};
	struct part part;

	(void)state;
	for (int what = 0; what < 4; what++) {
		cleanup_error struct error *err = NULL;
		cleanup_close int fd = memfd();
		cleanup_image_writer struct image_writer *w = with_one_reserved(fd, &part);
		int r = 0;

		if (what == 0)
			r = image_writer_commit(w, &err);
		else if (what == 1)
			r = image_writer_pages(w, &run, 1, data(), &err);
		else if (what == 2)
			r = image_writer_record(w, 2, &task.base, &err);
		assert_int_equal(r, what == 3 ? 0 : -EINVAL);
		if (what == 3)
			continue;
		assert_string_equal(error_why(err, 0), "a reserved frame of x.stasis was not filled");
		assert_int_equal(image_writer_filled(w, NULL), -EINVAL);
	}
}

static void test_short_file(void **state)
{
	for (int missing = 1; missing < 3; missing++) {
		cleanup_error struct error *err = NULL, *again = NULL;
		cleanup_close int fd = memfd();
		struct part part;
		cleanup_image_writer struct image_writer *w = with_one_reserved(fd, &part);

		(void)state;
		fill_part(fd, &part, frame_size(1) - (size_t)missing * PAGE + 1);
		assert_int_equal(image_writer_filled(w, NULL), 0);
		assert_int_equal(image_writer_commit(w, &err), -EIO);
		assert_string_equal(error_why(err, 0),
				    "x.stasis could not be written: the file ends before its data");
		assert_int_equal(image_writer_commit(w, &again), -EIO);
		assert_non_null(strstr(error_why(again, 0), "given up"));
	}
}

static void test_could_not_fill(void **state)
{
	cleanup_error struct error *err = NULL;
	cleanup_close int fd = memfd();
	struct part part;
	cleanup_image_writer struct image_writer *w = with_one_reserved(fd, &part);

	(void)state;
	assert_int_equal(image_writer_unfilled(w, ENOSPC, &err), -ENOSPC);
	assert_string_equal(error_why(err, 0), "the disk is full: x.stasis could not be written");
	assert_int_equal(image_writer_filled(w, NULL), -ENOSPC);
	assert_int_equal(image_writer_commit(w, NULL), -ENOSPC);
}

static void test_nothing_reserved(void **state)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = memfd();

	(void)state;
	assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
	assert_int_equal(image_writer_filled(w, NULL), -EINVAL);
}

/* Where nothing can be left out, nothing can be reserved. */
static void test_takes_none(void **state)
{
	struct image_writer_options packed = {.zstd_level = 1};
	struct page_run run = {1, 0, PAGE};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	for (int what = 0; what < 3; what++) {
		cleanup_image_writer struct image_writer *w = NULL;
		cleanup_close int fd = what ? memfd() : dup(fds[1]);
		struct part part;

		if (what == 1)
			assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
		assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", what == 2 ? &packed : NULL,
						      NULL), 0);
		assert_false(image_writer_takes_reserve(w));
		assert_int_equal(reserve(w, &run, 1, &part), -EOPNOTSUPP);
	}
	close(fds[0]);
	close(fds[1]);
}

static void test_bad_runs(void **state)
{
	struct page_run bad[] = {{1, 0, 0}, {1, 7, PAGE}, {1, 0, IMAGE_MAX_RAW + PAGE}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cleanup_image_writer struct image_writer *w = NULL;
		cleanup_close int fd = memfd();
		struct part part;

		assert_int_equal(image_writer_open_fd(&w, fd, "x.stasis", NULL, NULL), 0);
		assert_int_equal(reserve(w, &bad[i], 1, &part), -EINVAL);
		assert_int_equal(image_writer_commit(w, NULL), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes),
		cmocka_unit_test(test_in_turn),
		cmocka_unit_test(test_not_filled),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_could_not_fill),
		cmocka_unit_test(test_nothing_reserved),
		cmocka_unit_test(test_takes_none),
		cmocka_unit_test(test_bad_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
