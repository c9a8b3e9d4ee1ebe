#include "proc/status.h"

#include <errno.h>
#include <string.h>

#include "proc/scan.h"

enum form {
	FORM_PID,
	FORM_U32,
	FORM_SMALL,      /* an int that is not negative */
	FORM_BOOL,
	FORM_FOUR_IDS,
	FORM_PIDS,
	FORM_GIDS,
	FORM_MASK,       /* 64 bits in hexadecimal */
	FORM_KILOBYTES,
	FORM_WORDS,
	FORM_PRESENT,    /* that the line is there is all we want */
};

struct field {
	const char *key;
	enum form form;
	size_t offset;
};

#define FIELD(key, form, member) {key, FORM_##form, offsetof(struct proc_status, member)}

static const struct field fields[] = {
	FIELD("Tgid", PID, tgid),
	FIELD("Pid", PID, pid),
	FIELD("PPid", PID, ppid),
	FIELD("TracerPid", PID, tracer_pid),
	FIELD("Uid", FOUR_IDS, uid),
	FIELD("Gid", FOUR_IDS, gid),
	FIELD("Groups", GIDS, groups),
	FIELD("NStgid", PIDS, ns_tgid),
	FIELD("NSpid", PIDS, ns_pid),
	FIELD("NSpgid", PIDS, ns_pgid),
	FIELD("NSsid", PIDS, ns_sid),
	FIELD("Kthread", SMALL, kthread),
	FIELD("VmLck", KILOBYTES, vm_locked),
	FIELD("VmSize", PRESENT, has_memory),
	FIELD("CoreDumping", BOOL, core_dumping),
	FIELD("THP_enabled", BOOL, thp_enabled),
	FIELD("x86_Thread_features", WORDS, thread_features),
	FIELD("x86_Thread_features_locked", WORDS, thread_features_locked),
	FIELD("Threads", U32, threads),
	FIELD("SigPnd", MASK, sig_pending),
	FIELD("ShdPnd", MASK, shared_pending),
	FIELD("SigBlk", MASK, sig_blocked),
	FIELD("SigIgn", MASK, sig_ignored),
	FIELD("SigCgt", MASK, sig_caught),
	FIELD("CapInh", MASK, cap_inheritable),
	FIELD("CapPrm", MASK, cap_permitted),
	FIELD("CapEff", MASK, cap_effective),
	FIELD("CapBnd", MASK, cap_bounding),
	FIELD("CapAmb", MASK, cap_ambient),
	FIELD("NoNewPrivs", BOOL, no_new_privs),
	FIELD("Seccomp", SMALL, seccomp),
	FIELD("Seccomp_filters", U32, seccomp_filters),
};

_Static_assert(sizeof(((struct proc_status *)0)->thread_features) ==
	       sizeof(((struct proc_status *)0)->thread_features_locked), "FORM_WORDS has one size");

static int parse_pids(struct scan *s, proc_pids *list)
{
	while (scan_blanks(s), scan_left(s)) {
		int pid = scan_int(s);
		pid_t *slot;

		if (s->bad)
			return -EINVAL;
		slot = vec_push(list);
		if (!slot)
			return -ENOMEM;
		*slot = pid;
	}
	return 0;
}

static int parse_gids(struct scan *s, proc_gids *list)
{
	while (scan_blanks(s), scan_left(s)) {
		gid_t gid = scan_u32(s);
		gid_t *slot;

		if (s->bad)
			return -EINVAL;
		slot = vec_push(list);
		if (!slot)
			return -ENOMEM;
		*slot = gid;
	}
	return 0;
}

static void parse_words(struct scan *s, char *ret, size_t size)
{
	size_t len;

	scan_blanks(s);
	while (scan_left(s) && s->end[-1] == ' ')
		s->end--;
	len = scan_left(s);
	if (len >= size) {
		s->bad = true;
		return;
	}
	memcpy(ret, s->at, len);
	ret[len] = '\0';
}

static int parse_field(const struct field *field, struct scan *s, struct proc_status *status)
{
	void *at = (char *)status + field->offset;

	switch (field->form) {
	case FORM_PID:
	case FORM_SMALL:
		*(int *)at = scan_int(s);
		break;
	case FORM_U32:
		*(uint32_t *)at = scan_u32(s);
		break;
	case FORM_BOOL:
		*(bool *)at = scan_u32(s) != 0;
		break;
	case FORM_FOUR_IDS:
		for (size_t i = 0; i < 4; i++)
			((uint32_t *)at)[i] = scan_u32(s);
		break;
	case FORM_PIDS:
		return parse_pids(s, at);
	case FORM_GIDS:
		return parse_gids(s, at);
	case FORM_MASK:
		*(uint64_t *)at = scan_hex(s);
		break;
	case FORM_KILOBYTES:
		*(uint64_t *)at = scan_kilobytes(s);
		break;
	case FORM_WORDS:
		parse_words(s, at, sizeof status->thread_features);
		break;
	case FORM_PRESENT:
		*(bool *)at = true;
		break;
	}
	return s->bad ? -EINVAL : 0;
}

static int parse_line(const struct scan *key, struct scan *s, struct proc_status *status)
{
	if (scan_is(key, "Name")) {
		scan_expect(s, "\t"); /* the blanks behind it are the name's own */
		scan_task_name(s, status->name, sizeof status->name);
	} else if (scan_is(key, "State")) {
		scan_blanks(s);
		status->state = scan_char(s);
	} else if (scan_is(key, "Umask")) {
		status->umask = scan_oct32(s);
	} else if (scan_is(key, "SigQ")) {
		status->signals_queued = scan_dec(s);
		scan_expect(s, "/");
		status->signals_limit = scan_dec(s);
	} else {
		for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
			if (scan_is(key, fields[i].key))
				return parse_field(&fields[i], s, status);
	}
	return s->bad ? -EINVAL : 0;
}

int status_parse(const char *text, size_t len, struct proc_status *ret)
{
	cleanup_status struct proc_status status = {.kthread = -1, .thp_enabled = true};
	struct scan all = scan_of(text, len), line, key;

	while (scan_line(&all, &line)) {
		int r;

		if (!scan_key(&line, &key))
			return -EINVAL;
		r = parse_line(&key, &line, &status);
		if (r < 0)
			return r;
	}
	if (!status.pid || !status.state)
		return -EINVAL;
	*ret = status;
	status = (struct proc_status){0};
	return 0;
}

void status_free(struct proc_status *status)
{
	vec_free(&status->groups);
	vec_free(&status->ns_tgid);
	vec_free(&status->ns_pid);
	vec_free(&status->ns_pgid);
	vec_free(&status->ns_sid);
}
