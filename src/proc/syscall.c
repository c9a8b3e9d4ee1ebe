#include "proc/syscall.h"

#include <errno.h>

#include "proc/scan.h"

static uint64_t parse_word(struct scan *s)
{
	scan_expect(s, " 0x");
	return scan_hex(s);
}

int syscall_parse(const char *text, size_t len, struct proc_syscall *ret)
{
	struct scan all = scan_of(text, len), s;
	struct proc_syscall call = {.state = PROC_SYSCALL_RUNNING, .nr = -1};

	if (!scan_line(&all, &s))
		return -EINVAL;
	if (!scan_is(&s, "running")) {
		call.nr = scan_signed(&s);
		call.state = call.nr < 0 ? PROC_SYSCALL_BLOCKED : PROC_SYSCALL_IN_CALL;
		for (size_t i = 0; call.nr >= 0 && i < 6; i++)
			call.args[i] = parse_word(&s);
		call.sp = parse_word(&s);
		call.pc = parse_word(&s);
		if (s.bad || scan_left(&s))
			return -EINVAL;
	}
	*ret = call;
	return 0;
}
