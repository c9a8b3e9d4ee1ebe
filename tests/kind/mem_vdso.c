/*
 * Shows: the kernel's own pages ([vdso], [vvar] and whatever else this kernel
 * has of them) are where they were, and tell the time.
 */
#include <dlfcn.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "maps.h"

#define MAX 8

typedef int (*gettime_function)(clockid_t, struct timespec *);

static double seconds(struct timespec ts)
{
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int find_gates(struct map_info *ret_gates)
{
	struct map_walk walk;
	struct map_info map;
	int count = 0;

	map_walk_begin(&walk, "/proc/self/smaps");
	while (map_walk_next(&walk, &map))
		if (!strncmp(map.path, "[vvar", 5) || !strcmp(map.path, "[vdso]")) {
			CHECK(count < MAX);
			ret_gates[count++] = map;
		}
	return count;
}

int main(void)
{
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOLOAD | RTLD_LAZY);
	struct map_info gates[MAX], now[MAX], code;
	struct timespec before, by_vdso, by_kernel;
	int count = find_gates(gates);

	CHECK(vdso && count >= 1);
	CHECK(map_find_name("[vdso]", &code));
	gettime_function gettime = (gettime_function)dlsym(vdso, "__vdso_clock_gettime");
	char *copy = malloc(code.end - code.start);

	CHECK(gettime && copy);
	memcpy(copy, (void *)code.start, code.end - code.start);
	CHECK(gettime(CLOCK_MONOTONIC, &before) == 0);

	test_ready();

	CHECK_EQ(find_gates(now), count);
	for (int i = 0; i < count; i++)
		CHECK_MAP_SAME(gates[i]);
	CHECK(memcmp(copy, (void *)code.start, code.end - code.start) == 0);
	CHECK_EQ(getauxval(AT_SYSINFO_EHDR), code.start);
	for (int i = 0; i < 1000; i++) {
		CHECK(gettime(CLOCK_MONOTONIC, &by_vdso) == 0);
		CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &by_kernel) == 0);
		CHECK(seconds(by_vdso) >= seconds(before));
		CHECK(seconds(by_kernel) >= seconds(by_vdso));
		CHECK(seconds(by_kernel) - seconds(by_vdso) < 60);
		before = by_vdso;
	}
	test_passed();
}
