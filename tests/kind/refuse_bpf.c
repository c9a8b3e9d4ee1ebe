/* EXPECT-REFUSAL: a BPF object */
/* A map of bpf(2). */
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "check.h"

int main(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8,
			       .max_entries = 1};
	int fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	unsigned int key = 0;
	unsigned long value = 7;

	if (fd < 0)
		SKIP("bpf is not permitted here: %s", strerror(errno));
	attr = (union bpf_attr){.map_fd = (unsigned int)fd, .key = (unsigned long)&key,
				.value = (unsigned long)&value};
	CHECK(syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) == 0);
	value = 0;

	test_ready();

	CHECK(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) == 0);
	CHECK_EQ(value, 7);
	test_passed();
}
