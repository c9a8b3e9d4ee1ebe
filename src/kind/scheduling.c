/*
 * How a thread gets its processors and memory: policy, priorities, affinity, I/O
 * priority, timer slack, memory policy; and the switches that are a thread's own.
 *
 * A thread that might run on every processor of its machine may do so on that
 * of the restore, however many there are.  One that was confined is
 * confined to those of its processors that exist.
 */
#include "kind/kind.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "priv/priv.h"

#define NODES_MAX 1024u    /* memory nodes that a kernel can know */
#define SPECULATIONS 3u    /* PR_SPEC_STORE_BYPASS, _INDIRECT_BRANCH, _L1D_FLUSH */
#define PERSONALITY_QUERY 0xffffffffu
#define AFFINITY_MAX 1024u /* bytes: the kernel knows 8192 processors at most */

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#define SCHED_EXT 7 /* Linux 6.12 */

#define SCHED_FLAGS_KNOWN UINT64_C(7) /* RESET_ON_FORK, RECLAIM, DL_OVERRUN */

/* struct sched_attr of <linux/sched/types.h>, which does not go with <sched.h>. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

_Static_assert(sizeof(struct attributes) == 48, "SCHED_ATTR_SIZE_VER0");

extern const struct kind kind_scheduling;

static int get_attributes(pid_t tid, struct attributes *ret)
{
	return syscall(SYS_sched_getattr, tid, ret, sizeof *ret, 0) < 0 ? -errno : 0;
}

/* Returns the length. */
static long get_affinity(pid_t tid, unsigned char mask[AFFINITY_MAX])
{
	long n = syscall(SYS_sched_getaffinity, tid, AFFINITY_MAX, mask);

	return n < 0 ? -errno : n;
}

static unsigned int count_bits(const unsigned char *mask, size_t len)
{
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++)
		n += (unsigned int)__builtin_popcount(mask[i]);
	return n;
}

static bool is_everywhere(const unsigned char *mask, size_t len, long processors)
{
	return (long)count_bits(mask, len) >= processors;
}

/* In this order, from a[0] on; a[1]: where the answers are that are no results. */
enum question {
	ASK_TIMERSLACK,
	ASK_MACHINE_CHECK,
	ASK_TSC,
	ASK_MEMORY_POLICY,
	ASK_PERSONALITY,
	ASK_SPECULATION, /* and those behind it */
};

struct answers {
	int tsc, memory_policy;
	unsigned char nodes[NODES_MAX / 8];
};

static int scheduling_ask(const struct capture *c, const struct thread *t, struct batch *b,
			  struct asked *asked)
{
	uint64_t at = batch_space(b, sizeof(struct answers));

	(void)c, (void)t;
	asked->a[0] = batch_call(b, 0, SYS_prctl, PR_GET_TIMERSLACK);
	asked->a[1] = at;
	batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_MCE_KILL_GET);
	batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_GET_TSC, at + offsetof(struct answers, tsc));
	batch_call(b, BATCH_MAY_FAIL, SYS_get_mempolicy,
		   at + offsetof(struct answers, memory_policy), at + offsetof(struct answers, nodes),
		   NODES_MAX);
	batch_call(b, 0, SYS_personality, PERSONALITY_QUERY);
	for (unsigned int i = 0; i < SPECULATIONS; i++)
		batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_GET_SPECULATION_CTRL, i);
	return 0;
}

static int capture_switches(const struct batch *b, const struct asked *asked, Rec__Scheduling *m)
{
	const struct answers *answers = batch_at(b, asked->a[1]);
	uint32_t first = (uint32_t)asked->a[0];
	int64_t result = batch_result(b, first + ASK_MACHINE_CHECK);

	m->timer_slack = (uint64_t)batch_result(b, first + ASK_TIMERSLACK);
	m->machine_check = result >= 0 ? (uint32_t)result : PR_MCE_KILL_DEFAULT;
	m->tsc = (uint32_t)answers->tsc;
	m->personality = (uint32_t)batch_result(b, first + ASK_PERSONALITY);
	m->speculation = calloc(SPECULATIONS, sizeof *m->speculation);
	if (!m->speculation)
		return -ENOMEM;
	m->n_speculation = SPECULATIONS;
	for (uint32_t i = 0; i < SPECULATIONS; i++) {
		result = batch_result(b, first + ASK_SPECULATION + i);
		m->speculation[i] = result > 0 ? (uint32_t)result : 0;
	}
	if (!answers->memory_policy)
		return 0;
	m->memory_policy = (uint32_t)answers->memory_policy;
	m->memory_nodes.data = malloc(sizeof answers->nodes);
	if (!m->memory_nodes.data)
		return -ENOMEM;
	memcpy(m->memory_nodes.data, answers->nodes, sizeof answers->nodes);
	m->memory_nodes.len = sizeof answers->nodes;
	return 0;
}

static int capture_affinity(struct capture *c, const struct thread *t, Rec__Scheduling *m,
			    struct error **err)
{
	unsigned char mask[AFFINITY_MAX];
	long n = get_affinity(t->tid, mask);

	/* The C library reads a file each time. */
	if (!c->processors)
		c->processors = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 0)
		return fail_errno(err, (int)-n, "cannot see the affinity of thread %d", t->tid);
	if (is_everywhere(mask, (size_t)n, c->processors))
		return 0;
	m->affinity.data = malloc((size_t)n);
	if (!m->affinity.data)
		return fail(err, ENOMEM, "out of memory");
	memcpy(m->affinity.data, mask, (size_t)n);
	m->affinity.len = (size_t)n;
	return 0;
}

static bool is_real_time(uint32_t policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE;
}

static int scheduling_capture(struct capture *c, const struct thread *t, const struct batch *b,
			      const struct asked *asked, ProtobufCMessage **ret,
			      struct error **err)
{
	Rec__Scheduling *m = kind_message(&kind_scheduling);
	struct attributes a = {0};
	long io;
	int r;

	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->tid = (uint32_t)t->ns_tid;
	r = get_attributes(t->tid, &a);
	if (r < 0)
		fail_errno(err, -r, "cannot see how thread %d is scheduled", t->tid);
	else
		r = capture_affinity(c, t, m, err);
	m->policy = a.policy;
	m->sched_flags = a.flags & SCHED_FLAGS_KNOWN;
	/* The attributes of real-time threads do not tell. */
	m->nice = is_real_time(a.policy) ? getpriority(PRIO_PROCESS, (id_t)t->tid) : a.nice;
	m->priority = a.priority;
	m->runtime = a.runtime;
	m->deadline = a.deadline;
	m->period = a.period;
	io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, t->tid);
	m->io_priority = io > 0 ? (uint32_t)io : 0;
	if (r == 0 && capture_switches(b, asked, m) < 0)
		r = fail(err, ENOMEM, "out of memory");
	if (r < 0)
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int scheduling_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Scheduling *m = (const Rec__Scheduling *)message;

	if (m->policy > SCHED_EXT || m->nice < -20 || m->nice > 19 || m->priority > 99 ||
	    m->sched_flags & ~SCHED_FLAGS_KNOWN)
		return fail(err, EINVAL, "an impossible way of scheduling");
	if (m->affinity.len > AFFINITY_MAX ||
	    (m->affinity.len && !count_bits(m->affinity.data, m->affinity.len)))
		return fail(err, EINVAL, "a thread that may run on no processor");
	if (m->memory_nodes.len != (m->memory_policy ? NODES_MAX / 8 : 0))
		return fail(err, EINVAL, "a memory policy with an odd number of nodes");
	if (m->n_speculation > SPECULATIONS || m->tsc > PR_TSC_SIGSEGV ||
	    m->machine_check > PR_MCE_KILL_DEFAULT)
		return fail(err, EINVAL, "an impossible switch of a thread");
	return 0;
}

/* Within the limits that a process has, and that the program had. */
static bool within(int resource, uint64_t value, enum priv_op beyond)
{
	struct rlimit limit;

	return (getrlimit(resource, &limit) == 0 && value <= limit.rlim_cur) || priv_can(beyond);
}

static int check_nice(const Rec__Scheduling *m, struct error **err)
{
	int own = getpriority(PRIO_PROCESS, 0);

	if (m->nice < own && !within(RLIMIT_NICE, (uint64_t)(20 - m->nice), PRIV_LOWER_NICE))
		return refuse(err, EPERM, "raise RLIMIT_NICE, or restore it as root",
			      "thread %u has the nice value %d, yours is %d and may not be lowered",
			      m->tid, m->nice, own);
	return 0;
}

static int check_policy(const Rec__Scheduling *m, struct error **err)
{
	switch (m->policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		if (!within(RLIMIT_RTPRIO, m->priority, PRIV_REAL_TIME))
			return refuse(err, EPERM, "raise RLIMIT_RTPRIO, or restore it as root",
				      "thread %u runs with real-time priority %u, which is not "
				      "permitted here", m->tid, m->priority);
		return 0;
	case SCHED_DEADLINE:
		if (!priv_can(PRIV_DEADLINE))
			return refuse(err, EPERM, "restore it as root",
				      "thread %u runs with a deadline (SCHED_DEADLINE), which is "
				      "not permitted here", m->tid);
		return 0;
	default:
		return 0;
	}
}

static int scheduling_check(const struct rebuild *r, const ProtobufCMessage *message,
			    struct error **err)
{
	const Rec__Scheduling *m = (const Rec__Scheduling *)message;
	/* The C library reads a file each time. */
	unsigned int online = m->affinity.len ? (unsigned int)sysconf(_SC_NPROCESSORS_CONF) : 0, io;
	int result = check_policy(m, err);
	bool exists = !m->affinity.len;

	(void)r;
	if (check_nice(m, err) < 0)
		result = -EPERM;
	for (size_t i = 0; i < m->affinity.len * 8 && i < online; i++)
		exists = exists || m->affinity.data[i / 8] >> i % 8 & 1;
	if (!exists)
		result = refuse(err, ENODEV, NULL,
				"none of the processors that thread %u may run on is here", m->tid);
	io = IOPRIO_PRIO_CLASS(m->io_priority);
	if (io == IOPRIO_CLASS_RT && !priv_can(PRIV_IO_REAL_TIME))
		result = refuse(err, EPERM, "restore it as root",
				"thread %u has real-time I/O priority, which is not permitted here",
				m->tid);
	return result;
}

static void rebuild_attributes(const Rec__Scheduling *m, pid_t tid, struct batch *b)
{
	struct attributes now = {0}, want = {
		.size = sizeof want,
		.policy = m->policy,
		.flags = m->sched_flags,
		.nice = m->nice,
		.priority = m->priority,
		.runtime = m->runtime,
		.deadline = m->deadline,
		.period = m->period,
	};

	/* sched_setattr(2) ignores it for all but these two. */
	if (m->policy != SCHED_OTHER && m->policy != SCHED_BATCH &&
	    m->nice != getpriority(PRIO_PROCESS, (id_t)tid))
		batch_call(b, 0, SYS_setpriority, PRIO_PROCESS, 0, (uint64_t)m->nice);
	if (get_attributes(tid, &now) == 0) {
		now.flags &= SCHED_FLAGS_KNOWN;
		now.size = want.size;
		if (!memcmp(&now, &want, sizeof now))
			return;
		/* For ordinary threads a slice of time (6.12): said, it would be a wish of its own. */
		if (want.policy != SCHED_DEADLINE && want.runtime == now.runtime)
			want.runtime = 0;
	}
	batch_call(b, 0, SYS_sched_setattr, 0, batch_put(b, &want, sizeof want), 0);
}

/* Of a thread that might run everywhere nothing was written down: it runs where the tool runs. */
static void rebuild_affinity(const Rec__Scheduling *m, pid_t tid, struct batch *b)
{
	unsigned char now[AFFINITY_MAX], want[AFFINITY_MAX];
	long n = get_affinity(tid, now);
	size_t size = n > 0 ? (size_t)n : sizeof want;

	memset(want, 0xff, sizeof want);
	if (m && m->affinity.len) {
		memset(want, 0, sizeof want);
		memcpy(want, m->affinity.data, m->affinity.len);
	}
	if (n > 0 && !memcmp(now, want, size))
		return;
	/* The kernel leaves out the processors that are not there. */
	batch_call(b, 0, SYS_sched_setaffinity, 0, size, batch_put(b, want, size));
}

/* The tool has them, too, and the thread has them from the tool: few differ. */
static void rebuild_switches(const Rec__Scheduling *m, struct batch *b)
{
	const uint32_t modes = PR_SPEC_ENABLE | PR_SPEC_DISABLE | PR_SPEC_FORCE_DISABLE |
			       PR_SPEC_DISABLE_NOEXEC;
	int tsc = 0;

	/* Of real-time threads it is 0, which to prctl(2) means the default. */
	if (m->timer_slack)
		batch_call(b, 0, SYS_prctl, PR_SET_TIMERSLACK, m->timer_slack);
	/* Memory is in place: READ_IMPLIES_EXEC, which execve(2) has cleared, harms none of it. */
	batch_call(b, 0, SYS_personality, m->personality);
	if ((int)m->machine_check != prctl(PR_MCE_KILL_GET, 0, 0, 0, 0))
		batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET,
			   m->machine_check);
	if (m->tsc && prctl(PR_GET_TSC, &tsc) == 0 && (int)m->tsc != tsc)
		batch_call(b, 0, SYS_prctl, PR_SET_TSC, m->tsc);
	for (uint32_t i = 0; i < m->n_speculation; i++) {
		int now = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
		uint32_t want = m->speculation[i] & modes;

		/* A processor that needs no mitigation, or a kernel that always does it, has no switch. */
		if (now >= 0 && now & PR_SPEC_PRCTL && want && want != ((uint32_t)now & modes))
			batch_call(b, 0, SYS_prctl, PR_SET_SPECULATION_CTRL, i,
				   want & PR_SPEC_FORCE_DISABLE ? PR_SPEC_FORCE_DISABLE : want);
	}
	/* A preference: on a machine without these nodes memory comes from where it is. */
	if (m->memory_policy)
		batch_call(b, BATCH_MAY_FAIL, SYS_set_mempolicy, m->memory_policy,
			   batch_put(b, m->memory_nodes.data, m->memory_nodes.len), NODES_MAX);
}

static int scheduling_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			      const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Scheduling *m = (const Rec__Scheduling *)message;
	long io;

	(void)r, (void)err;
	/* Before its policy: SCHED_DEADLINE is for those that may run everywhere. */
	rebuild_affinity(m, t->tid, b);
	if (!m)
		return 0;
	rebuild_attributes(m, t->tid, b);
	io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, t->tid);
	if (io != (long)m->io_priority)
		batch_call(b, 0, SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, m->io_priority);
	rebuild_switches(m, b);
	return 0;
}

const struct kind kind_scheduling = {
	.name = "scheduling",
	.tag = 71,
	.schema = &rec__scheduling__descriptor,
	.state = &(const struct state_ops){
		.per_thread = true,
		.phase = PHASE_NORMAL, /* before limits and credentials may forbid it */
		.ask = scheduling_ask,
		.capture = scheduling_capture,
		.validate = scheduling_validate,
		.check = scheduling_check,
		.rebuild = scheduling_rebuild,
	},
};
