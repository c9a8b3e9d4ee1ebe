/*
 * Shows: what /proc says of the program: auxv, command line (rewritten in
 * place, as servers do for ps), environment, executable, and the borders that
 * the kernel keeps of its memory.
 */
#include <limits.h>

#include "maps.h"

struct bytes {
	char data[16384];
	ssize_t size;
};

static struct bytes read_all(const char *path)
{
	struct bytes bytes = {.size = 0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	bytes.size = read(fd, bytes.data, sizeof bytes.data);
	CHECK(bytes.size >= 0 && close(fd) == 0);
	return bytes;
}

/* start_code end_code start_stack (26 to 28), start_data .. env_end (45 to 51). */
static void borders(unsigned long ret_borders[10])
{
	struct bytes stat = read_all("/proc/self/stat");
	char *at = strrchr(stat.data, ')');
	int found = 0;

	CHECK(at);
	for (int field = 2; (at = strchr(at, ' ')); at++, field++)
		if ((field >= 25 && field <= 27) || (field >= 44 && field <= 50))
			ret_borders[found++] = strtoul(at, NULL, 10);
	CHECK_EQ(found, 10);
}

int main(int argc, char **argv)
{
	static const char *const files[] = {"/proc/self/auxv", "/proc/self/cmdline",
					    "/proc/self/environ", "/proc/self/comm"};
	static struct bytes before[4];
	unsigned long old_borders[10], new_borders[10];
	char exe[PATH_MAX] = "", now[PATH_MAX] = "";

	CHECK(argc >= 1);
	memset(argv[0], 'T', strlen(argv[0]));
	for (int i = 0; i < 4; i++)
		before[i] = read_all(files[i]);
	CHECK(before[1].data[0] == 'T');
	CHECK(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
	borders(old_borders);
	/* Nothing to compare is no comparison. */
	for (int i = 0; i < 10; i++)
		CHECK(old_borders[i] > 1);

	test_ready();

	for (int i = 0; i < 4; i++) {
		struct bytes after = read_all(files[i]);

		CHECK_EQ(after.size, before[i].size);
		CHECK(memcmp(after.data, before[i].data, (size_t)after.size) == 0);
	}
	CHECK(readlink("/proc/self/exe", now, sizeof now - 1) > 0);
	CHECK(strcmp(exe, now) == 0);
	borders(new_borders);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(new_borders[i], old_borders[i]);
	/* Still the place that ps reads. */
	argv[0][0] = 'U';
	CHECK(read_all("/proc/self/cmdline").data[0] == 'U');
	test_passed();
}
