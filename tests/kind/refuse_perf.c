/* EXPECT-REFUSAL: perf */
/* A counter of perf_event_open. */
#include <linux/perf_event.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1, .exclude_hv = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	uint64_t count;

	if (fd < 0)
		SKIP("perf_event_open is not permitted here: %s", strerror(errno));

	test_ready();

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count) && count > 0);
	test_passed();
}
