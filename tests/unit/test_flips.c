/*
 * Any flipped bit of an image is found: that of memory, too, when all of it is read.
 *
 *	unit-test_flips [all]    each bit of each byte; else two bits of each byte
 */
#include "image_try.h"

static unsigned int step = 4;

static void flip_all(int zstd_level)
{
	cleanup_bytes struct bytes image = small_image(zstd_level);
	size_t flips = 0;

	for (size_t bit = 0; bit < image.len * 8; bit += step, flips++) {
		/* Another bit of each byte, so that none is always left out. */
		size_t at = bit / 8, which = (bit + at) % 8;
		cleanup_error struct error *err = NULL;

		image.at[at] ^= (uint8_t)(1U << which);
		if (read_all(image.at, image.len, &err) == 0)
			fail_msg("bit %zu of byte %zu can be flipped", which, at);
		assert_int_equal(error_count(err), 1);
		image.at[at] ^= (uint8_t)(1U << which);
	}
	assert_int_equal(read_all(image.at, image.len, NULL), 0);
	print_message("%zu bits flipped\n", flips);
}

static void test_raw(void **state)
{
	(void)state;
	flip_all(0);
}

static void test_compressed(void **state)
{
	(void)state;
	flip_all(1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_compressed),
	};

	if (argc > 1 && strcmp(argv[1], "all") == 0)
		step = 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
