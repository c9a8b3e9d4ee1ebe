/* Switches of a whole process: those of prctl(2) that belong to its memory or to all threads. */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/str.h"

/* Numbers that older headers lack, and since when. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#define PR_GET_MDWE 66
#endif
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* Linux 6.4 */
#define PR_GET_MEMORY_MERGE 68
#endif

#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9) /* Linux 6.3 */

#define MDWE_KNOWN 3u            /* PR_MDWE_REFUSE_EXEC_GAIN, PR_MDWE_NO_INHERIT */
#define THP_DISABLE_KNOWN 2u     /* PR_THP_DISABLE_EXCEPT_ADVISED, Linux 6.18 */

extern const struct kind kind_switches;

/* a[0]: the first of the calls; a[1]: where the answer of PR_GET_CHILD_SUBREAPER is. */
enum question {
	ASK_DUMPABLE,
	ASK_THP_DISABLE,
	ASK_SUBREAPER,
	ASK_MDWE,
	ASK_MEMORY_MERGE,
	ASK_MEMBARRIER,
	ASK_BARRIERS, /* and those behind it */
};

/*
 * membarrier(2): a process says in advance which barriers it will use.
 * Without having said so it may not use them, and one that harms nobody tells.
 */
static const struct {
	uint64_t barrier, registration;
} barriers[] = {
	{MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
	{MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE,
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
	{MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ},
};
#define BARRIERS (sizeof barriers / sizeof barriers[0])
#define REGISTRATIONS                                                                           	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | 	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |                                  	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

static int switches_ask(const struct capture *c, const struct thread *t, struct batch *b,
			struct asked *asked)
{
	(void)c, (void)t;
	asked->a[1] = batch_space(b, sizeof(int));
	asked->a[0] = batch_call(b, 0, SYS_prctl, PR_GET_DUMPABLE);
	batch_call(b, 0, SYS_prctl, PR_GET_THP_DISABLE);
	batch_call(b, 0, SYS_prctl, PR_GET_CHILD_SUBREAPER, asked->a[1]);
	batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_GET_MDWE);
	batch_call(b, BATCH_MAY_FAIL, SYS_prctl, PR_GET_MEMORY_MERGE);
	batch_call(b, BATCH_MAY_FAIL, SYS_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS);
	for (size_t i = 0; i < BARRIERS; i++)
		batch_call(b, BATCH_MAY_FAIL, SYS_membarrier, barriers[i].barrier);
	return 0;
}

/* A kernel that lacks a switch has it off. */
static uint32_t answer(const struct batch *b, const struct asked *asked, enum question q)
{
	int64_t result = batch_result(b, (uint32_t)asked->a[0] + q);

	return result > 0 ? (uint32_t)result : 0;
}

static uint32_t registrations(const struct batch *b, const struct asked *asked)
{
	uint32_t found = 0;

	if (batch_result(b, (uint32_t)asked->a[0] + ASK_MEMBARRIER) >= 0)
		return answer(b, asked, ASK_MEMBARRIER) & REGISTRATIONS;
	for (uint32_t i = 0; i < BARRIERS; i++)
		if (batch_result(b, (uint32_t)asked->a[0] + ASK_BARRIERS + i) == 0)
			found |= (uint32_t)barriers[i].registration;
	return found;
}

static int read_coredump_filter(int proc, uint32_t *ret, struct error **err)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(proc, "coredump_filter", &text);

	if (n < 0)
		return fail_errno(err, (int)-n, "cannot read coredump_filter");
	*ret = (uint32_t)strtoul(text, NULL, 16);
	return 0;
}

static int switches_capture(struct capture *c, const struct thread *t, const struct batch *b,
			    const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	Rec__Switches *m = kind_message(&kind_switches);
	int r;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	m->dumpable = answer(b, asked, ASK_DUMPABLE);
	m->thp_disable = answer(b, asked, ASK_THP_DISABLE) & 1;
	m->thp_disable_flags = answer(b, asked, ASK_THP_DISABLE) & ~1u;
	m->child_subreaper = *(const int *)batch_at(b, asked->a[1]) != 0;
	m->mdwe = answer(b, asked, ASK_MDWE);
	m->memory_merge = answer(b, asked, ASK_MEMORY_MERGE) != 0;
	m->membarrier = registrations(b, asked);
	r = read_coredump_filter(t->task->proc, &m->coredump_filter, err);
	if (r < 0)
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int switches_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Switches *m = (const Rec__Switches *)message;

	if (m->dumpable > 2 || m->mdwe & ~MDWE_KNOWN || m->thp_disable_flags & ~THP_DISABLE_KNOWN ||
	    m->membarrier & ~(uint32_t)REGISTRATIONS ||
	    (m->thp_disable_flags && !m->thp_disable))
		return fail(err, EINVAL, "an impossible switch");
	return 0;
}

static int switches_check(const struct rebuild *r, const ProtobufCMessage *message,
			  struct error **err)
{
	const Rec__Switches *m = (const Rec__Switches *)message;
	int result = 0;

	(void)r;
	if (m->mdwe && prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0)
		result = refuse(err, ENOTSUP, "use Linux 6.3 or later",
				"the program gave up memory both writable and executable "
				"(PR_SET_MDWE), which this kernel cannot enforce");
	if (m->memory_merge && prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) < 0)
		result = refuse(err, ENOTSUP, "use Linux 6.4 or later, with CONFIG_KSM",
				"the program has its equal pages merged (PR_SET_MEMORY_MERGE), "
				"which this kernel cannot do");
	return result;
}

static int switches_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			    const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Switches *m = (const Rec__Switches *)message;

	(void)r, (void)t, (void)err;
	if (!m)
		return 0;
	/* Passed on by fork(2) and execve(2): whoever runs the tool may have it on. */
	batch_call(b, 0, SYS_prctl, PR_SET_THP_DISABLE, m->thp_disable, m->thp_disable_flags);
	for (uint32_t bit = 1; bit <= m->membarrier; bit <<= 1)
		if (m->membarrier & bit)
			batch_call(b, 0, SYS_membarrier, bit);
	if (m->child_subreaper)
		batch_call(b, 0, SYS_prctl, PR_SET_CHILD_SUBREAPER, 1);
	if (m->memory_merge)
		batch_call(b, 0, SYS_prctl, PR_SET_MEMORY_MERGE, 1);
	if (m->mdwe)
		batch_call(b, 0, SYS_prctl, PR_SET_MDWE, m->mdwe);
	/* 2, "for root only", is the kernel's to set: 0 is as closed to everybody but root. */
	if (m->dumpable != 1)
		batch_call(b, 0, SYS_prctl, PR_SET_DUMPABLE, 0);
	return 0;
}

static int switches_rebuild_outside(const struct rebuild *r, const struct rebuilt_thread *t,
				    const ProtobufCMessage *message, struct error **err)
{
	const Rec__Switches *m = (const Rec__Switches *)message;
	cleanup_close int fd = -1;
	uint32_t now;
	char text[16];
	int len, result;

	(void)r;
	if (!m)
		return 0;
	result = read_coredump_filter(t->task->proc, &now, err);
	if (result < 0 || now == m->coredump_filter)
		return result;
	len = snprintf(text, sizeof text, "0x%x", m->coredump_filter);
	fd = openat(t->task->proc, "coredump_filter", O_WRONLY | O_CLOEXEC);
	result = fd < 0 ? -errno : fd_write(fd, text, (size_t)len);
	return result < 0 ? fail_errno(err, -result, "cannot set coredump_filter") : 0;
}

const struct kind kind_switches = {
	.name = "switches",
	.tag = 70,
	.schema = &rec__switches__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_LATE, /* no code can be injected after PR_SET_MDWE */
		.ask = switches_ask,
		.capture = switches_capture,
		.validate = switches_validate,
		.check = switches_check,
		.rebuild = switches_rebuild,
		.rebuild_outside = switches_rebuild_outside,
	},
};
