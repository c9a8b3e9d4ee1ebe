/* What each signal does to a process, and the signals that wait for the process as a whole. */
#include "kind/kind.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "task/append.h"
#include "task/pending.h"

#define SIGNALS 64

/* The kernel's struct sigaction, which is not that of the C library. */
struct kernel_action {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

extern const struct kind kind_signals;

static bool has_action(unsigned int sig)
{
	return sig >= 1 && sig <= SIGNALS && sig != SIGKILL && sig != SIGSTOP;
}

/* a[0]: index of signal 1's call; a[1]: where the actions are. */
static int signals_ask(const struct capture *c, const struct thread *t, struct batch *b,
		       struct asked *asked)
{
	(void)c, (void)t;
	asked->a[0] = b->count;
	asked->a[1] = batch_space(b, SIGNALS * sizeof(struct kernel_action));
	for (unsigned int sig = 1; sig <= SIGNALS; sig++)
		batch_call(b, has_action(sig) ? 0 : BATCH_MAY_FAIL, SYS_rt_sigaction, sig, 0,
			   asked->a[1] + (sig - 1) * sizeof(struct kernel_action),
			   sizeof(uint64_t));
	return 0;
}

static int add_actions(Rec__Signals *m, const struct kernel_action *actions)
{
	static const struct kernel_action untouched;

	for (unsigned int sig = 1; sig <= SIGNALS; sig++) {
		const struct kernel_action *k = &actions[sig - 1];
		Rec__SignalAction *a;

		if (!has_action(sig) || !memcmp(k, &untouched, sizeof *k))
			continue;
		a = message_append(&m->actions, &m->n_actions, &rec__signal_action__descriptor);
		if (!a)
			return -ENOMEM;
		a->signal = sig;
		a->handler = k->handler;
		a->flags = k->flags;
		a->restorer = k->restorer;
		a->mask = k->mask;
	}
	return 0;
}

static int signals_capture(struct capture *c, const struct thread *t, const struct batch *b,
			   const struct asked *asked, ProtobufCMessage **ret, struct error **err)
{
	Rec__Signals *m = kind_message(&kind_signals);
	int r;

	(void)c;
	if (!m)
		return fail(err, ENOMEM, "out of memory");
	m->pid = (uint32_t)t->task->ns_pid;
	/* Shared actions stand in the record of who has them. */
	r = t->task->signals_of ? 0 : add_actions(m, batch_at(b, asked->a[1]));
	if (r < 0)
		fail(err, ENOMEM, "out of memory");
	else
		r = pending_record(t, true, &m->pending, &m->n_pending, err);
	if (r < 0)
		message_free(&m->base);
	else
		*ret = &m->base;
	return r;
}

static int signals_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Signals *m = (const Rec__Signals *)message;

	for (size_t i = 0; i < m->n_actions; i++)
		if (!has_action(m->actions[i]->signal) ||
		    (i && m->actions[i]->signal <= m->actions[i - 1]->signal))
			return fail(err, EINVAL, "signal %u cannot have an action there",
				    m->actions[i]->signal);
	return pending_validate(m->pending, m->n_pending, err);
}

static int signals_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			   const ProtobufCMessage *message, struct batch *b, struct error **err)
{
	const Rec__Signals *m = (const Rec__Signals *)message;
	struct kernel_action actions[SIGNALS] = {0};
	uint64_t at;

	for (size_t i = 0; m && i < m->n_actions; i++) {
		const Rec__SignalAction *a = m->actions[i];

		actions[a->signal - 1] =
			(struct kernel_action){a->handler, a->flags, a->restorer, a->mask};
	}
	/* Also those with the default: what the tool was started with may be ignored. */
	at = batch_put(b, actions, sizeof actions);
	for (unsigned int sig = 1; sig <= SIGNALS && !t->task->signals_of; sig++)
		if (has_action(sig))
			batch_call(b, 0, SYS_rt_sigaction, sig,
				   at + (sig - 1) * sizeof actions[0], 0, sizeof(uint64_t));
	for (size_t i = 0; m && i < m->n_pending; i++) {
		const siginfo_t info = pending_rebuilt(r, &m->pending[i]);

		if (!batch_has_room(b, 1, sizeof info))
			return fail(err, E2BIG, "%zu signals wait for the process, too many",
				    m->n_pending);
		/* To itself a process may send what only others could have sent. */
		batch_call(b, 0, SYS_rt_sigqueueinfo, (uint64_t)t->task->ns_pid,
			   (uint64_t)info.si_signo, batch_put(b, &info, sizeof info));
	}
	return 0;
}

const struct kind kind_signals = {
	.name = "signals",
	.tag = 66,
	.schema = &rec__signals__descriptor,
	.state = &(const struct state_ops){
		.phase = PHASE_NORMAL,
		.ask = signals_ask,
		.capture = signals_capture,
		.validate = signals_validate,
		.rebuild = signals_rebuild,
	},
};
