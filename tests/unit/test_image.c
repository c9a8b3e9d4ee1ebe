/*
 * What the writer writes, the reader reads; and what stands in the folder
 * before, after and instead.
 */
#include "image_try.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

struct folder {
	char path[64];
};

static int make_folder(void **state)
{
	struct folder *f = calloc(1, sizeof *f);

	strcpy(f->path, "/tmp/stasis-test-image-XXXXXX");
	if (!mkdtemp(f->path) || chdir(f->path) < 0)
		return -1;
	*state = f;
	return 0;
}

/* How many files the folder has. */
static unsigned count_files(bool remove)
{
	DIR *dir = opendir(".");
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n++;
		if (remove)
			unlink(e->d_name);
	}
	closedir(dir);
	return n;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;

	count_files(true);
	if (chdir("/") < 0 || rmdir(f->path) < 0)
		return -1;
	free(f);
	return 0;
}

static void assert_task(const struct image_frame *frame)
{
	ProtobufCMessage *m = NULL;
	Rec__Task *task;

	assert_int_equal(frame->type, 2);
	assert_int_equal(image_unpack(frame, &rec__task__descriptor, &m, NULL), 0);
	task = (Rec__Task *)m;
	assert_int_equal(task->pid, 4242);
	assert_string_equal(task->name, "job");
	assert_int_equal(task->n_tids, 2);
	assert_int_equal(task->tids[1], 4243);
	protobuf_c_message_free_unpacked(m, NULL);
}

/* One record, a full frame of 1024 runs, a record, a frame of one page. */
static void write_big(struct image_writer *w, bool noise)
{
	static struct page_run runs[IMAGE_MAX_RUNS];
	static uint8_t buffer[IMAGE_MAX_RAW];
	struct page_run one = {3, 1ULL << 40, PAGE};
	uint8_t page[PAGE];

	fill_pages(buffer, IMAGE_MAX_RAW, noise);
	for (size_t i = 0; i < IMAGE_MAX_RUNS; i++)
		runs[i] = (struct page_run){i, i * PAGE, 2 * PAGE};
	memset(page, 0x5a, sizeof page);
	write_task(w);
	assert_int_equal(image_writer_pages(w, runs, IMAGE_MAX_RUNS, buffer, NULL), 0);
	write_task(w);
	assert_int_equal(image_writer_pages(w, &one, 1, page, NULL), 0);
	assert_int_equal(image_writer_commit(w, NULL), 0);
}

static void check_big(struct image_reader *r, bool noise, bool raw)
{
	uint8_t *want = malloc(IMAGE_MAX_RAW), *data;
	const struct image_stored *stored;
	struct image_frame frame;

	fill_pages(want, IMAGE_MAX_RAW, noise);
	assert_int_equal(image_reader_next(r, &frame, NULL), 1);
	assert_task(&frame);
	assert_int_equal(frame.index, 0);
	assert_int_equal(frame.file_offset, IMAGE_HEADER_SIZE);
	assert_int_equal(image_reader_next(r, &frame, NULL), 1);
	assert_int_equal(frame.type, IMAGE_TYPE_MEMORY);
	assert_int_equal(frame.run_count, IMAGE_MAX_RUNS);
	assert_int_equal(frame.runs[1023].object, 1023);
	assert_int_equal(frame.runs[1023].offset, 1023 * PAGE);
	assert_int_equal(frame.runs[1023].length, 2 * PAGE);
	stored = &frame.stored;
	assert_int_equal(stored->raw_length, IMAGE_MAX_RAW);
	assert_int_equal(stored->encoding, raw ? IMAGE_MEMORY_RAW : IMAGE_MEMORY_ZSTD);
	if (raw)
		assert_int_equal((stored->payload_offset + stored->data_at) % PAGE, 0);
	data = frame_data(r, &frame);
	assert_memory_equal(data, want, IMAGE_MAX_RAW);
	free(data);
	assert_int_equal(image_reader_next(r, &frame, NULL), 1);
	assert_task(&frame);
	assert_int_equal(image_reader_next(r, &frame, NULL), 1);
	assert_int_equal(frame.runs[0].offset, 1ULL << 40);
	data = frame_data(r, &frame);
	assert_int_equal(data[PAGE - 1], 0x5a);
	free(data);
	assert_int_equal(image_reader_next(r, &frame, NULL), 0);
	assert_int_equal(image_reader_next(r, &frame, NULL), 0);
	free(want);
}

static void round_trip(int level, bool noise, bool raw)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_image_reader struct image_reader *r = NULL;
	struct image_writer_options o = {.zstd_level = level};
	const struct image_stats *ws, *rs;
	struct image_identity wi, ri;
	struct image_stats verified;

	assert_int_equal(image_writer_open(&w, "a.stasis", &o, NULL), 0);
	write_big(w, noise);
	assert_int_equal(image_reader_open(&r, "a.stasis", NULL), 0);
	check_big(r, noise, raw);

	ws = image_writer_stats(w);
	rs = image_reader_stats(r);
	assert_memory_equal(ws, rs, sizeof *ws);
	assert_int_equal(ws->records, 2);
	assert_int_equal(ws->memory_frames, 2);
	assert_int_equal(ws->pages, 2049);
	if (raw)
		assert_true(ws->stored_bytes > IMAGE_MAX_RAW);
	else
		assert_true(ws->stored_bytes < IMAGE_MAX_RAW / 4);
	wi = image_writer_identity(w);
	ri = image_reader_identity(r);
	assert_memory_equal(&wi, &ri, sizeof wi);
	assert_int_equal(image_verify("a.stasis", &verified, &ri, NULL), 0);
	assert_memory_equal(&verified, ws, sizeof verified);
	assert_memory_equal(&wi, &ri, sizeof wi);
}

/* What a page of frame i holds; every third frame is noise. */
static void fill_frame(uint8_t *to, unsigned i)
{
	fill_pages(to, IMAGE_WRITER_FRAME, i % 3 == 0);
	for (size_t at = 0; at < IMAGE_WRITER_FRAME; at += PAGE)
		to[at] = (uint8_t)i;
}

/* Frames that gather in the writer's own buffers while those before are under way. */
static void test_many_frames(void **state)
{
	static const struct image_writer_options kinds[] = {{0, false}, {3, false}, {19, false}, {9, true}};
	enum { FRAMES = 14 };
	static uint8_t want[IMAGE_WRITER_FRAME];

	(void)state;
	for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
		cleanup_image_writer struct image_writer *w = NULL;
		cleanup_image_reader struct image_reader *r = NULL;
		struct image_frame frame;
		uint64_t before = 0;

		assert_int_equal(image_writer_open(&w, "a.stasis", &kinds[kind], NULL), 0);
		write_task(w);
		for (unsigned i = 0; i < FRAMES; i++) {
			struct page_run run = {1, i * IMAGE_WRITER_FRAME, IMAGE_WRITER_FRAME};

			fill_frame(image_writer_buffer(w), i);
			assert_int_equal(image_writer_pages(w, &run, 1, NULL, NULL), 0);
			assert_true(image_writer_progress(w) >= before);
			before = image_writer_progress(w);
		}
		write_task(w);
		assert_int_equal(image_writer_commit(w, NULL), 0);
		assert_int_equal(image_writer_stats(w)->bytes, image_writer_progress(w));

		assert_int_equal(image_reader_open(&r, "a.stasis", NULL), 0);
		assert_int_equal(image_reader_next(r, &frame, NULL), 1);
		for (unsigned i = 0; i < FRAMES; i++) {
			uint8_t *data;

			assert_int_equal(image_reader_next(r, &frame, NULL), 1);
			assert_int_equal(frame.runs[0].offset, i * IMAGE_WRITER_FRAME);
			/* How fast this machine is decides for itself what the last kind does. */
			if (kind < 3 || i % 3 == 0)
				assert_int_equal(frame.stored.encoding, kind == 0 || i % 3 == 0 ?
						 IMAGE_MEMORY_RAW : IMAGE_MEMORY_ZSTD);
			data = frame_data(r, &frame);
			fill_frame(want, i);
			assert_memory_equal(data, want, IMAGE_WRITER_FRAME);
			free(data);
		}
		assert_int_equal(image_reader_next(r, &frame, NULL), 1);
		assert_int_equal(image_reader_next(r, &frame, NULL), 0);
	}
}

static void test_round_trip_raw(void **state)
{
	(void)state;
	round_trip(0, false, true);
}

static void test_round_trip_zstd(void **state)
{
	(void)state;
	round_trip(1, false, false);
}

/* What does not get smaller is stored raw. */
static void test_round_trip_noise(void **state)
{
	(void)state;
	round_trip(1, true, true);
}

static void *write_into_pipe(void *arg)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_close int fd = *(int *)arg;

	assert_int_equal(image_writer_open_fd(&w, fd, "a pipe", NULL, NULL), 0);
	write_big(w, true);
	return NULL;
}

static void test_pipe(void **state)
{
	cleanup_image_reader struct image_reader *r = NULL;
	pthread_t writer;
	int fds[2];

	(void)state;
	for (int skip = 0; skip < 2; skip++) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		assert_int_equal(pthread_create(&writer, NULL, write_into_pipe, &fds[1]), 0);
		if (skip) {
			assert_int_equal(read_all_fd(fds[0], true, NULL), 0);
		} else {
			assert_int_equal(image_reader_open_fd(&r, fds[0], "a pipe", NULL), 0);
			check_big(r, true, true);
		}
		pthread_join(writer, NULL);
		close(fds[0]);
	}
}

static void test_skip_data(void **state)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_image_reader struct image_reader *r = NULL;
	struct image_identity wi, ri;
	struct image_frame frame;
	uint64_t at = 0;
	int n, fd;

	(void)state;
	assert_int_equal(image_writer_open(&w, "a.stasis", NULL, NULL), 0);
	write_big(w, true);
	assert_int_equal(image_reader_open(&r, "a.stasis", NULL), 0);
	image_reader_skip_data(r);
	while ((n = image_reader_next(r, &frame, NULL)) > 0)
		if (frame.type == IMAGE_TYPE_MEMORY)
			at = frame.stored.payload_offset + frame.stored.data_at;
	assert_int_equal(n, 0);
	wi = image_writer_identity(w);
	ri = image_reader_identity(r);
	assert_memory_equal(&wi, &ri, sizeof wi);
	assert_memory_equal(image_writer_stats(w), image_reader_stats(r), sizeof(struct image_stats));

	/* What the frame says is where the data is, and nobody looked at it. */
	fd = open("a.stasis", O_RDWR);
	n = 0;
	assert_int_equal(fd_pread(fd, &n, 1, at), 1);
	assert_int_equal(n, 0x5a);
	assert_int_equal(fd_pwrite(fd, "!", 1, at), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(read_all_fd(fd, true, NULL), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(read_all_fd(fd, false, NULL), -EBADMSG);
	close(fd);
}

/* Equal content makes an equal image, and another content another name. */
static void test_identity(void **state)
{
	cleanup_bytes struct bytes a = small_image(0), b = small_image(0), c = small_image(1);

	(void)state;
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.at, b.at, a.len);
	assert_memory_not_equal(a.at + a.len - IMAGE_END_SIZE, c.at + c.len - IMAGE_END_SIZE, 16);
}

static void test_nothing_before_commit(void **state)
{
	cleanup_image_writer struct image_writer *w = NULL;
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(image_writer_open(&w, "a.stasis", NULL, NULL), 0);
	write_task(w);
	assert_int_equal(access("a.stasis", F_OK), -1);
	assert_int_equal(image_writer_commit(w, NULL), 0);
	assert_int_equal(stat("a.stasis", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_size, image_writer_stats(w)->bytes);
	assert_int_equal(image_writer_commit(w, NULL), -EINVAL);
	assert_int_equal(count_files(false), 1);
}

static void test_abort(void **state)
{
	struct image_writer *w = NULL;

	(void)state;
	assert_int_equal(image_writer_open(&w, "a.stasis", NULL, NULL), 0);
	write_task(w);
	image_writer_free(w);
	assert_int_equal(count_files(false), 0);
}

static void test_replace(void **state)
{
	struct image_writer *w = NULL;
	int fd = open("a.stasis", O_CREAT | O_WRONLY, 0644);
	struct stat st;

	(void)state;
	assert_int_equal(fd_write(fd, "precious", 8), 0);
	close(fd);
	assert_int_equal(symlink("a.stasis", "link"), 0);

	assert_int_equal(image_writer_open(&w, "link", NULL, NULL), 0);
	write_task(w);
	image_writer_free(w);
	assert_int_equal(stat("a.stasis", &st), 0);
	assert_int_equal(st.st_size, 8);

	assert_int_equal(image_writer_open(&w, "link", NULL, NULL), 0);
	write_task(w);
	assert_int_equal(image_writer_commit(w, NULL), 0);
	image_writer_free(w);
	assert_int_equal(image_verify("a.stasis", NULL, NULL, NULL), 0);
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(count_files(false), 2);
}

static void assert_not_opened(const char *path, const char *why)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_error struct error *err = NULL;

	assert_true(image_writer_open(&w, path, NULL, &err) < 0);
	assert_null(w);
	assert_int_equal(error_outcome(err), OUTCOME_REFUSED);
	assert_non_null(strstr(error_why(err, 0), why));
}

static void test_bad_places(void **state)
{
	cleanup_error struct error *err = NULL;
	struct image_writer_options o = {.zstd_level = 1000};
	struct image_writer *w = NULL;
	struct image_reader *r = NULL;

	(void)state;
	assert_not_opened(".", "directory");
	assert_not_opened("no/such/folder", "cannot create no/such/folder: No such file");
	assert_not_opened("", "cannot create");
	assert_not_opened("/proc/x.stasis", "cannot create /proc/x.stasis");
	assert_int_equal(image_writer_open(&w, "a", &o, &err), -EINVAL);
	assert_int_equal(error_outcome(err), OUTCOME_USAGE);
	assert_int_equal(count_files(false), 0);

	assert_int_equal(image_reader_open(&r, "nothing", NULL), -ENOENT);
	assert_int_equal(image_reader_open(&r, ".", NULL), -EISDIR);
}

/* A full disk: a clear sentence, also when only the last bytes do not fit any more. */
static void test_full_disk(void **state)
{
	cleanup_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	for (int by_path = 0; by_path < 2; by_path++) {
		cleanup_image_writer struct image_writer *w = NULL;
		cleanup_error struct error *err = NULL;
		struct page_run run = {1, 0, IMAGE_WRITER_FRAME};

		assert_int_equal(by_path ? image_writer_open(&w, "/dev/full", NULL, NULL) :
				 image_writer_open_fd(&w, full, "/dev/full", NULL, NULL), 0);
		/* Other threads write: one of the calls that follow fails, and not only the last. */
		for (int i = 0; by_path && !err; i++) {
			assert_true(i < 10);
			memset(image_writer_buffer(w), 1, IMAGE_WRITER_FRAME);
			image_writer_pages(w, &run, 1, NULL, &err);
		}
		if (!by_path)
			assert_int_equal(image_writer_commit(w, &err), -ENOSPC);
		assert_string_equal(error_why(err, 0),
				    "the disk is full: /dev/full could not be written");
		assert_int_equal(error_outcome(err), OUTCOME_FAILED);
		assert_int_equal(image_writer_commit(w, NULL), -ENOSPC);
	}
}

/* A file that cannot be finished leaves nothing behind. */
static void test_too_large(void **state)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_error struct error *err = NULL;
	static const uint8_t data[IMAGE_MAX_RAW];
	struct page_run run = {1, 0, IMAGE_MAX_RAW};
	struct rlimit before, small;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){IMAGE_MAX_RAW / 2, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(image_writer_open(&w, "a.stasis", NULL, NULL), 0);
	assert_int_equal(image_writer_pages(w, &run, 1, data, &err), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_non_null(strstr(error_why(err, 0), "a.stasis would be larger"));
	image_writer_freep(&w);
	assert_int_equal(count_files(false), 0);
}

static void test_nobody_reads(void **state)
{
	cleanup_image_writer struct image_writer *w = NULL;
	cleanup_error struct error *err = NULL;
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(image_writer_open_fd(&w, fds[1], "a pipe", NULL, NULL), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(image_writer_commit(w, &err), -EPIPE);
	assert_non_null(strstr(error_why(err, 0), "nobody reads"));
}

/* The writer does not write what a reader would refuse. */
static void test_writer_limits(void **state)
{
	static const struct page_run bad[] = {
		{1, 0, 0}, {1, 0, PAGE / 2}, {1, 7, PAGE}, {1, -(uint64_t)PAGE, 2 * PAGE},
		{1, 0, IMAGE_MAX_RAW + PAGE}, {1, 0, UINT64_MAX},
	};
	static struct page_run many[IMAGE_MAX_RUNS + 1];
	uint8_t page[PAGE] = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad + 2; i++) {
		cleanup_image_writer struct image_writer *w = NULL;
		cleanup_error struct error *err = NULL;
		bool in_table = i < sizeof bad / sizeof *bad;

		assert_int_equal(image_writer_open(&w, "a.stasis", NULL, NULL), 0);
		assert_int_equal(image_writer_pages(w, in_table ? &bad[i] : many,
						    in_table ? 1 : i % 2 ? 0 : IMAGE_MAX_RUNS + 1,
						    page, &err), -EINVAL);
		assert_int_equal(image_writer_commit(w, &err), -EINVAL);
	}
	assert_int_equal(count_files(false), 0);
}

static void test_writer_bad_tags(void **state)
{
	Rec__Task task = REC__TASK__INIT;
	uint32_t tags[] = {0, IMAGE_TYPE_MEMORY, IMAGE_TYPE_END};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		cleanup_image_writer struct image_writer *w = NULL;

		assert_int_equal(image_writer_open(&w, "a.stasis", NULL, NULL), 0);
		assert_int_equal(image_writer_record(w, tags[i], &task.base, NULL), -EINVAL);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip_raw),
		TEST(test_round_trip_zstd),
		TEST(test_round_trip_noise),
		TEST(test_many_frames),
		TEST(test_pipe),
		TEST(test_skip_data),
		TEST(test_identity),
		TEST(test_nothing_before_commit),
		TEST(test_abort),
		TEST(test_replace),
		TEST(test_bad_places),
		TEST(test_full_disk),
		TEST(test_too_large),
		TEST(test_nobody_reads),
		TEST(test_writer_limits),
		TEST(test_writer_bad_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
