#include "proc/sched.h"

#include <errno.h>
#include <string.h>

#include "proc/scan.h"

/* Milliseconds with exactly six decimals: whole nanoseconds. */
static uint64_t parse_milliseconds(struct scan *s)
{
	uint64_t whole = scan_number(s, 10, UINT64_MAX / 1000000 - 1);
	const char *point = s->at;
	uint64_t decimals;

	scan_expect(s, ".");
	decimals = scan_number(s, 10, 999999);
	if (s->at - point != 7)
		s->bad = true;
	return whole * 1000000 + decimals;
}

static bool has_key(const struct scan *key, const char *name)
{
	return scan_left(key) >= strlen(name) && memcmp(key->at, name, strlen(name)) == 0 &&
	       (scan_left(key) == strlen(name) || key->at[strlen(name)] == ' ');
}

int sched_parse(const char *text, size_t len, struct proc_sched *ret)
{
	struct proc_sched sched = {0};
	struct scan all = scan_of(text, len), line, key;
	bool found = false, past_name = false;

	/* The task's name is in the first lines as it is, newlines too: nothing there counts. */
	while (scan_line(&all, &line)) {
		if (scan_skip(&line, "----------------")) {
			past_name = true;
			continue;
		}
		if (!past_name || !scan_key(&line, &key))
			continue;
		if (has_key(&key, "se.exec_start")) {
			sched.exec_start = parse_milliseconds(&line);
			found = true;
		} else if (has_key(&key, "se.sum_exec_runtime")) {
			sched.sum_exec_runtime = parse_milliseconds(&line);
		}
		if (line.bad)
			return -EINVAL;
	}
	if (!found)
		return -ENODATA;
	*ret = sched;
	return 0;
}
