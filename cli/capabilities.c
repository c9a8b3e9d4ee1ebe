/* What a file capability gives us stays unused but where the library raises it. */
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli.h"

static void change(bool keep_permitted)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	/* Who is root keeps root's way with files and processes. */
	if (geteuid() == 0 || syscall(SYS_capget, &header, sets) < 0)
		return;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].effective = 0;
		if (!keep_permitted)
			sets[i].permitted = sets[i].inheritable = 0;
	}
	syscall(SYS_capset, &header, sets);
}

void lower_capabilities(void)
{
	change(true);
}

void drop_capabilities(void)
{
	change(false);
}
