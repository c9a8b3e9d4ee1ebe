/*
 * Shows: a command line and an environment that the program has moved out of
 * the stack with PR_SET_MM_MAP (systemd does it for its own children).
 */
#include <linux/prctl.h>
#include <sys/prctl.h>

#include "maps.h"

static unsigned long stat_field(const char *stat, int wanted)
{
	const char *at = strrchr(stat, ')');

	CHECK(at);
	for (int field = 2; (at = strchr(at, ' ')); at++, field++)
		if (field + 1 == wanted)
			return strtoul(at, NULL, 10);
	CHECK(!"field of /proc/self/stat");
	return 0;
}

static ssize_t read_file(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buffer, size - 1);

	CHECK(fd >= 0 && n >= 0 && close(fd) == 0);
	buffer[n] = '\0';
	return n;
}

int main(void)
{
	static const char args[] = "moved\0away", envs[] = "HERE=also";
	char *place = map_alone(PAGE, PROT_READ | PROT_WRITE);
	char stat[4096], got[4096];

	memcpy(place, args, sizeof args);
	memcpy(place + 2048, envs, sizeof envs);
	read_file("/proc/self/stat", stat, sizeof stat);
	struct prctl_mm_map map = {
		.start_code = stat_field(stat, 26),
		.end_code = stat_field(stat, 27),
		.start_data = stat_field(stat, 45),
		.end_data = stat_field(stat, 46),
		.start_brk = stat_field(stat, 47),
		.brk = (unsigned long)sbrk(0),
		.start_stack = stat_field(stat, 28),
		.arg_start = (unsigned long)place,
		.arg_end = (unsigned long)place + sizeof args,
		.env_start = (unsigned long)place + 2048,
		.env_end = (unsigned long)place + 2048 + sizeof envs,
		.exe_fd = (unsigned int)-1,
	};

	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) < 0)
		SKIP("this kernel does not permit PR_SET_MM_MAP: %s", strerror(errno));

	test_ready();

	CHECK_EQ(read_file("/proc/self/cmdline", got, sizeof got), sizeof args);
	CHECK(memcmp(got, args, sizeof args) == 0);
	CHECK_EQ(read_file("/proc/self/environ", got, sizeof got), sizeof envs);
	CHECK(memcmp(got, envs, sizeof envs) == 0);
	test_passed();
}
