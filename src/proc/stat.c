#include "proc/stat.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "proc/scan.h"

/* The numbers of the fields as proc_pid_stat(5) counts them. */
enum stat_field {
	STAT_PPID = 4,
	STAT_PGRP = 5,
	STAT_SESSION = 6,
	STAT_TTY_NR = 7,
	STAT_TPGID = 8,
	STAT_FLAGS = 9,
	STAT_PRIORITY = 18,
	STAT_NICE = 19,
	STAT_NUM_THREADS = 20,
	STAT_STARTTIME = 22,
	STAT_START_CODE = 26,
	STAT_END_CODE = 27,
	STAT_START_STACK = 28,
	STAT_EXIT_SIGNAL = 38,
	STAT_RT_PRIORITY = 40,
	STAT_POLICY = 41,
	STAT_START_DATA = 45,
	STAT_END_DATA = 46,
	STAT_START_BRK = 47,
	STAT_ARG_START = 48,
	STAT_ARG_END = 49,
	STAT_ENV_START = 50,
	STAT_ENV_END = 51,
	STAT_EXIT_CODE = 52,
	STAT_FIELDS = 53,
};

static int to_int(struct scan *s, uint64_t value)
{
	int64_t number = (int64_t)value;

	if (number < INT_MIN || number > INT_MAX)
		s->bad = true;
	return (int)number;
}

static uint32_t to_u32(struct scan *s, uint64_t value)
{
	if (value > UINT32_MAX)
		s->bad = true;
	return (uint32_t)value;
}

/* Signed ones as two's complement: some are unsigned up to 2^64 - 1. */
static uint64_t parse_number(struct scan *s)
{
	scan_blanks(s);
	if (s->at != s->end && *s->at == '-')
		return (uint64_t)scan_signed(s);
	return scan_dec(s);
}

/*
 * The name may hold spaces, parentheses and newlines: it ends at the last
 * parenthesis of the text.
 */
static int parse_comm(struct scan *s, struct proc_stat *stat)
{
	const char *close = memrchr(s->at, ')', scan_left(s));
	size_t len;

	scan_expect(s, " (");
	if (s->bad || !close || close < s->at)
		return -EINVAL;
	len = (size_t)(close - s->at);
	if (len >= sizeof stat->comm)
		len = sizeof stat->comm - 1;
	memcpy(stat->comm, s->at, len);
	s->at = close + 1;
	scan_expect(s, " ");
	return s->bad ? -EINVAL : 0;
}

static void fill(struct scan *s, const uint64_t *field, struct proc_stat *stat)
{
	stat->ppid = to_int(s, field[STAT_PPID]);
	stat->pgrp = to_int(s, field[STAT_PGRP]);
	stat->session = to_int(s, field[STAT_SESSION]);
	stat->tty_nr = to_int(s, field[STAT_TTY_NR]);
	stat->tpgid = to_int(s, field[STAT_TPGID]);
	stat->flags = to_u32(s, field[STAT_FLAGS]);
	stat->priority = (int64_t)field[STAT_PRIORITY];
	stat->nice = (int64_t)field[STAT_NICE];
	stat->num_threads = (int64_t)field[STAT_NUM_THREADS];
	stat->starttime = field[STAT_STARTTIME];
	stat->start_code = field[STAT_START_CODE];
	stat->end_code = field[STAT_END_CODE];
	stat->start_stack = field[STAT_START_STACK];
	stat->exit_signal = to_int(s, field[STAT_EXIT_SIGNAL]);
	stat->rt_priority = to_u32(s, field[STAT_RT_PRIORITY]);
	stat->policy = to_u32(s, field[STAT_POLICY]);
	stat->start_data = field[STAT_START_DATA];
	stat->end_data = field[STAT_END_DATA];
	stat->start_brk = field[STAT_START_BRK];
	stat->arg_start = field[STAT_ARG_START];
	stat->arg_end = field[STAT_ARG_END];
	stat->env_start = field[STAT_ENV_START];
	stat->env_end = field[STAT_ENV_END];
	stat->exit_code = to_int(s, field[STAT_EXIT_CODE]);
}

int stat_parse(const char *text, size_t len, struct proc_stat *ret)
{
	struct proc_stat stat = {0};
	struct scan s = scan_of(text, len);
	uint64_t field[STAT_FIELDS] = {0};
	int r;

	stat.pid = scan_int(&s);
	if (s.bad)
		return -EINVAL;
	r = parse_comm(&s, &stat);
	if (r < 0)
		return r;
	stat.state = scan_char(&s);
	for (size_t i = STAT_PPID; i < STAT_FIELDS; i++)
		field[i] = parse_number(&s);
	fill(&s, field, &stat);
	if (s.bad)
		return -EINVAL;
	*ret = stat;
	return 0;
}

/* new_encode_dev(): minor bits 0-7 and 20-31, major bits 8-19. */
uint32_t stat_tty_major(int tty_nr)
{
	return ((uint32_t)tty_nr >> 8) & 0xfff;
}

uint32_t stat_tty_minor(int tty_nr)
{
	uint32_t dev = (uint32_t)tty_nr;

	return (dev & 0xff) | ((dev >> 12) & 0xfff00);
}
