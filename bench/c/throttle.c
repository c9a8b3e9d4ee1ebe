/*
 * A disk of so many bytes a second: takes what comes on standard input, no faster than that,
 * and prints how many bytes it was.
 *
 *	throttle BYTES-A-SECOND
 */
#include <inttypes.h>
#include <unistd.h>

#include "common.h"

static void sleep_until(uint64_t t)
{
	struct timespec ts = {(time_t)(t / 1000000000u), (long)(t % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

int main(int argc, char **argv)
{
	const double rate = argc == 2 ? strtod(argv[1], NULL) : 0;
	char *buf = map_private(MIB, SMALL_PAGES);
	uint64_t total = 0, free_at = now();

	if (rate <= 0)
		return 2;
	/*
	 * free_at: when the disk is done with what it was given.  Time that nobody used is lost, but
	 * for a tenth of a second, so that the scheduler's delays do not make the disk a slower one.
	 */
	for (ssize_t n; (n = read(STDIN_FILENO, buf, MIB)) != 0; total += (uint64_t)n) {
		uint64_t t = now(), least = t - 100000000;

		if (n < 0)
			die("read");
		free_at = (free_at > least ? free_at : least) + (uint64_t)((double)n * 1e9 / rate);
		if (free_at > t)
			sleep_until(free_at);
	}
	printf("%" PRIu64 "\n", total);
	return 0;
}
