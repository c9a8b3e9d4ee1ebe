/* The signals that wait for one thread alone, and its alternate stack. (Its mask is in Thread.) */
#include "kind/kind.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "task/pending.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

extern const struct kind kind_thread_signals;

/* a[0]: where the stack_t is. */
static int thread_signals_ask(const struct capture *c, const struct thread *t, struct batch *b,
			      struct asked *asked)
{
	(void)c, (void)t;
	asked->a[0] = batch_space(b, sizeof(stack_t));
	batch_call(b, 0, SYS_sigaltstack, 0, asked->a[0]);
	return 0;
}

static int thread_signals_capture(struct capture *c, const struct thread *t, const struct batch *b,
				  const struct asked *asked, ProtobufCMessage **ret,
				  struct error **err)
{
	const stack_t *stack = batch_at(b, asked->a[0]);
	Rec__ThreadSignals *m = kind_message(&kind_thread_signals);
	int r;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->tid = (uint32_t)t->ns_tid;
	if (!(stack->ss_flags & SS_DISABLE)) {
		m->altstack = (uint64_t)(uintptr_t)stack->ss_sp;
		m->altstack_size = stack->ss_size;
		/* Whether the thread stands on it follows from its stack pointer. */
		m->altstack_flags = (unsigned int)stack->ss_flags & ~(unsigned int)SS_ONSTACK;
	}
	r = pending_record(t, false, &m->pending, &m->n_pending, err);
	if (r < 0 || (!m->altstack_size && !m->n_pending))
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int thread_signals_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__ThreadSignals *m = (const Rec__ThreadSignals *)message;

	if (m->altstack_flags & ~SS_AUTODISARM)
		return fail(err, EINVAL, "an alternate stack with flags 0x%x", m->altstack_flags);
	return pending_validate(m->pending, m->n_pending, err);
}

static int thread_signals_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
				  const ProtobufCMessage *message, struct batch *b,
				  struct error **err)
{
	const Rec__ThreadSignals *m = (const Rec__ThreadSignals *)message;

	if (!m)
		return 0;
	if (m->altstack_size) {
		stack_t stack = {
			.ss_sp = (void *)(uintptr_t)m->altstack,
			.ss_size = m->altstack_size,
			.ss_flags = (int)m->altstack_flags,
		};

		/* Permitted even where the program stands on it: the batch has another stack pointer. */
		batch_call(b, 0, SYS_sigaltstack, batch_put(b, &stack, sizeof stack), 0);
	}
	for (size_t i = 0; i < m->n_pending; i++) {
		const siginfo_t info = pending_rebuilt(r, &m->pending[i]);

		if (!batch_has_room(b, 1, sizeof info))
			return fail(err, E2BIG, "%zu signals wait for thread %u, too many",
				    m->n_pending, m->tid);
		batch_call(b, 0, SYS_rt_tgsigqueueinfo, (uint64_t)t->task->ns_pid,
			   (uint64_t)t->ns_tid, (uint64_t)info.si_signo,
			   batch_put(b, &info, sizeof info));
	}
	return 0;
}

const struct kind kind_thread_signals = {
	.name = "thread-signals",
	.tag = 67,
	.schema = &rec__thread_signals__descriptor,
	.state = &(const struct state_ops){
		.per_thread = true,
		.phase = PHASE_NORMAL,
		.ask = thread_signals_ask,
		.capture = thread_signals_capture,
		.validate = thread_signals_validate,
		.rebuild = thread_signals_rebuild,
	},
};
