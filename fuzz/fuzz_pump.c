/*
 * Memory frames, raw and compressed, through the threads.
 * First byte: 1 checksums are put right; 2 it comes through a pipe; 4 the sink fails in the middle;
 * 8 as stasis verify does it.
 */
#include <fcntl.h>
#include <stdatomic.h>

#include "image/pump.h"
#include "mutator.h"
#include "pieces.h"

#define PIPE_SIZE (1 << 20)

struct sum {
	atomic_ullong bytes;
	bool fails;
};

/* From several threads at once. */
static int add_part(void *arg, const struct page_run *part, const void *data, struct error **err)
{
	const volatile uint8_t *bytes = data;
	struct sum *sum = arg;

	if (part->length == 0 || part->length % 4096)
		abort();
	(void)bytes[0];
	(void)bytes[part->length - 1];
	if (sum->fails && atomic_load(&sum->bytes) > 1 << 20)
		return fail(err, 28, "no room");
	atomic_fetch_add(&sum->bytes, part->length);
	return 0;
}

static int pump_frames(struct image_reader *r, struct image_pump *p, struct sum *sum,
		       uint64_t *ret_expected, struct error **err)
{
	const struct image_sink sink = {add_part, sum};
	struct image_frame frame;
	int n;

	while ((n = image_reader_next(r, &frame, err)) > 0) {
		if (frame.type != IMAGE_TYPE_MEMORY)
			continue;
		*ret_expected += frame.stored.raw_length;
		n = image_pump_frame(p, r, &frame, &sink, err);
		if (n < 0)
			break;
	}
	return n;
}

static void pump_image(int fd, bool fails, bool verify)
{
	cleanup_image_reader struct image_reader *r = NULL;
	cleanup_image_pump struct image_pump *p = NULL;
	cleanup_error struct error *err = NULL;
	struct error *own = NULL;
	struct sum sum = {.fails = fails};
	uint64_t expected = 0;
	int n;

	if (image_reader_open_fd(&r, fd, "fuzz", &err) < 0)
		return;
	if (verify) {
		n = image_verify_rest(r, NULL, NULL, &err);
	} else {
		if (image_pump_new(&p, &err) < 0)
			abort();
		n = pump_frames(r, p, &sum, &expected, &own);
		n = image_pump_wait(p, n, &own, &err);
		if (n == 0 && atomic_load(&sum.bytes) != expected)
			abort();
	}
	if (n < 0 ? error_count(err) != 1 : error_count(err) != 0)
		abort();
}

/* All of it fits into the pipe: nobody needs to write meanwhile. */
static int piped(int file)
{
	static uint8_t bytes[PIPE_SIZE];
	ssize_t n = fd_pread(file, bytes, sizeof bytes, 0);
	int ends[2];

	if (n < 0 || n == PIPE_SIZE || pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) < n || fd_write(ends[1], bytes, (size_t)n) < 0)
		close_fdp(&ends[0]);
	close(ends[1]);
	return ends[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_close int fd = size ? image_memfd(data + 1, size - 1, data[0] & 1) : -1;
	cleanup_close int pipe = fd >= 0 && (data[0] & 2) ? piped(fd) : -1;

	if (fd >= 0)
		pump_image(pipe >= 0 ? pipe : fd, data[0] & 4, data[0] & 8);
	return 0;
}
