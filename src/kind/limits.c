/*
 * Resource limits, and what a process thinks of the out-of-memory killer.
 *
 * They come back exactly or the image is refused, with two exceptions.  The
 * kernel and systemd derive RLIMIT_NPROC and RLIMIT_SIGPENDING from the size of the
 * machine's memory, and both count what the user has in all: they belong to the
 * user on a machine more than to the program.  Where they cannot be as high as
 * they were, they are as high as may be.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"
#include "task/append.h"

#define LIMITS 16
#define OOM_SCORE_ADJ_MAX 1000

_Static_assert(RLIM_NLIMITS == LIMITS, "one name for each");

struct limit {
	uint64_t soft, hard; /* as struct rlimit64 */
};

extern const struct kind kind_limits;

/* What the user would call it, and the option of ulimit(1). */
static const struct {
	const char *what;
	const char *option;
} names[LIMITS] = {
	[RLIMIT_CPU] = {"CPU time", "t"},
	[RLIMIT_FSIZE] = {"file size", "f"},
	[RLIMIT_DATA] = {"data size", "d"},
	[RLIMIT_STACK] = {"stack size", "s"},
	[RLIMIT_CORE] = {"core file size", "c"},
	[RLIMIT_RSS] = {"resident memory", "m"},
	[RLIMIT_NPROC] = {"processes", "u"},
	[RLIMIT_NOFILE] = {"descriptor", "n"},
	[RLIMIT_MEMLOCK] = {"locked memory", "l"},
	[RLIMIT_AS] = {"address space", "v"},
	[RLIMIT_LOCKS] = {"file locks", "x"},
	[RLIMIT_SIGPENDING] = {"pending signals", "i"},
	[RLIMIT_MSGQUEUE] = {"message queues", "q"},
	[RLIMIT_NICE] = {"nice", "e"},
	[RLIMIT_RTPRIO] = {"real-time priority", "r"},
	[RLIMIT_RTTIME] = {"real-time CPU time", "R"},
};

static bool belongs_to_machine(uint32_t resource)
{
	return resource == RLIMIT_NPROC || resource == RLIMIT_SIGPENDING;
}

/* a[0]: where they are.  From inside: prlimit(2) does not look into another user's process. */
static int limits_ask(const struct capture *c, const struct thread *t, struct batch *b,
		      struct asked *asked)
{
	(void)c, (void)t;
	asked->a[0] = batch_space(b, LIMITS * sizeof(struct limit));
	for (unsigned int i = 0; i < LIMITS; i++)
		batch_call(b, 0, SYS_prlimit64, 0, i, 0, asked->a[0] + i * sizeof(struct limit));
	return 0;
}

static int read_oom_score_adj(int proc, const char *name, int *ret, struct error **err)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(proc, name, &text);

	if (n < 0)
		return fail_errno(err, (int)-n, "cannot read %s", name);
	*ret = atoi(text);
	return 0;
}

static int limits_capture(struct capture *c, const struct thread *t, const struct batch *b,
			  const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	const struct limit *limits = batch_at(b, asked->a[0]);
	Rec__Limits *m = kind_message(&kind_limits);
	int r;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	for (unsigned int i = 0; i < LIMITS; i++) {
		Rec__Limit *l = message_append(&m->limits, &m->n_limits, &rec__limit__descriptor);

		if (!l) {
			message_free(&m->base);
			return fail(err, ENOMEM, "out of memory");
		}
		l->resource = i;
		l->soft = limits[i].soft;
		l->hard = limits[i].hard;
	}
	r = read_oom_score_adj(t->task->proc, "oom_score_adj", &m->oom_score_adj, err);
	if (r < 0)
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int limits_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Limits *m = (const Rec__Limits *)message;

	for (size_t i = 0; i < m->n_limits; i++) {
		const Rec__Limit *l = m->limits[i];

		if (l->resource >= LIMITS || l->soft > l->hard ||
		    (i && l->resource <= m->limits[i - 1]->resource))
			return fail(err, EINVAL, "an impossible limit (resource %u)", l->resource);
	}
	/* Not abs(3), which knows no INT_MIN. */
	if (m->oom_score_adj < -OOM_SCORE_ADJ_MAX || m->oom_score_adj > OOM_SCORE_ADJ_MAX)
		return fail(err, EINVAL, "an impossible oom_score_adj: %d", m->oom_score_adj);
	return 0;
}

/* "1024", "unlimited" */
static const char *limit_text(uint64_t value, char buf[24])
{
	if (value == RLIM_INFINITY)
		return "unlimited";
	snprintf(buf, 24, "%llu", (unsigned long long)value);
	return buf;
}

static int check_limit(const Rec__Limit *l, struct error **err)
{
	cleanup_free char *mend = NULL;
	char want[24], have[24];
	struct rlimit own;

	if (belongs_to_machine(l->resource) || getrlimit(l->resource, &own) < 0 ||
	    l->hard <= own.rlim_max || priv_can(PRIV_RAISE_LIMITS))
		return 0;
	mend = str_format("raise the hard limit (ulimit -H%s, /etc/security/limits.conf), "
			  "or restore it where it is higher", names[l->resource].option);
	return refuse(err, EPERM, mend, "the %s limit is too low: the program may have %s, you %s",
		      names[l->resource].what, limit_text(l->hard, want),
		      limit_text(own.rlim_max, have));
}

static int limits_check(const struct rebuild *r, const ProtobufCMessage *message,
			struct error **err)
{
	const Rec__Limits *m = (const Rec__Limits *)message;
	int own, result = 0;

	(void)r;
	for (size_t i = 0; i < m->n_limits; i++)
		if (check_limit(m->limits[i], err) < 0)
			result = -EPERM;
	if (read_oom_score_adj(AT_FDCWD, "/proc/self/oom_score_adj", &own, err) < 0)
		return -EIO;
	if (m->oom_score_adj < own && !priv_can(PRIV_LOWER_OOM_SCORE))
		result = refuse(err, EPERM, "restore it from a session whose oom_score_adj is lower",
				"the program's oom_score_adj is %d, and yours is %d: only root may lower it",
				m->oom_score_adj, own);
	return result;
}

static int limits_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			  const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Limits *m = (const Rec__Limits *)message;

	(void)r, (void)err;
	for (size_t i = 0; m && i < m->n_limits; i++) {
		const Rec__Limit *l = m->limits[i];
		struct limit want = {l->soft, l->hard}, now;

		if (syscall(SYS_prlimit64, t->tid, l->resource, NULL, &now) == 0) {
			if (belongs_to_machine(l->resource) && want.hard > now.hard &&
			    !priv_can(PRIV_RAISE_LIMITS))
				want.hard = now.hard;
			if (want.soft > want.hard)
				want.soft = want.hard;
			if (want.soft == now.soft && want.hard == now.hard)
				continue;
		}
		batch_call(b, 0, SYS_prlimit64, 0, l->resource, batch_put(b, &want, sizeof want), 0);
	}
	return 0;
}

static int limits_rebuild_outside(const struct rebuild *r, const struct rebuilt_thread *t,
				  const ProtobufCMessage *message, struct error **err)
{
	const Rec__Limits *m = (const Rec__Limits *)message;
	cleanup_close int fd = -1;
	char text[16];
	int now, len, result;

	(void)r;
	if (!m)
		return 0;
	result = read_oom_score_adj(t->task->proc, "oom_score_adj", &now, err);
	if (result < 0 || now == m->oom_score_adj)
		return result;
	len = snprintf(text, sizeof text, "%d", m->oom_score_adj);
	fd = openat(t->task->proc, "oom_score_adj", O_WRONLY | O_CLOEXEC);
	result = fd < 0 ? -errno : fd_write(fd, text, (size_t)len);
	return result < 0 ? fail_errno(err, -result, "cannot set oom_score_adj") : 0;
}

const struct kind kind_limits = {
	.name = "limits",
	.tag = 65,
	.schema = &rec__limits__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_LATE, /* they are lower than what the restore itself may need */
		.ask = limits_ask,
		.capture = limits_capture,
		.validate = limits_validate,
		.check = limits_check,
		.rebuild = limits_rebuild,
		.rebuild_outside = limits_rebuild_outside,
	},
};
