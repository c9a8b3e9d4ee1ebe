#include "engine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/sandbox.h"

/* What a child may send that has gone wrong. */
#define REASONS_MAX 4096u
#define SENTENCE_MAX ((uint64_t)1 << 20)

struct answer {
	int32_t result;
	uint32_t outcome, errnum, reasons;
	uint64_t length; /* of the text, which follows; then the sentences */
};

struct sentence {
	uint64_t why, mend; /* lengths; UINT64_MAX: nothing would mend it */
};

static int send_error(int out, const struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < error_count(err) && i < REASONS_MAX && r == 0; i++) {
		const char *why = error_why(err, i), *mend = error_mend(err, i);
		struct sentence s = {strlen(why), mend ? strlen(mend) : UINT64_MAX};

		r = fd_write(out, &s, sizeof s);
		if (r == 0)
			r = fd_write(out, why, s.why);
		if (r == 0 && mend)
			r = fd_write(out, mend, s.mend);
	}
	return r;
}

__attribute__((noreturn)) static void child(int out, pid_t parent,
					    int (*work)(void *arg, struct text *t,
							struct error **err), void *arg)
{
	struct error *err = NULL;
	struct answer a = {0};
	struct text t = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	/* Where no filter may be set there is none. */
	priv_sandbox_enter(out);
	a.result = work(arg, &t, &err);
	a.outcome = error_outcome(err);
	a.errnum = (uint32_t)error_errno(err);
	a.reasons = error_count(err) < REASONS_MAX ? (uint32_t)error_count(err) : REASONS_MAX;
	a.length = t.len;
	if (fd_write(out, &a, sizeof a) == 0 && fd_write(out, t.bytes, t.len) == 0)
		send_error(out, err);
	_exit(0);
}

static bool receive(int in, void *to, size_t size)
{
	return fd_read(in, to, size) == (ssize_t)size;
}

/* As much as really comes, whatever was announced. */
static bool receive_text(int in, uint64_t length, struct text *ret)
{
	char buf[16384];

	while (length && !ret->failed) {
		size_t part = length < sizeof buf ? (size_t)length : sizeof buf;

		if (!receive(in, buf, part))
			return false;
		text_add_bytes(ret, buf, part);
		length -= part;
	}
	return !ret->failed;
}

static bool receive_reason(int in, const struct answer *a, struct error **err)
{
	cleanup_text struct text why = {0}, mend = {0};
	struct sentence s;

	if (!receive(in, &s, sizeof s) || s.why > SENTENCE_MAX ||
	    (s.mend > SENTENCE_MAX && s.mend != UINT64_MAX) || !receive_text(in, s.why, &why) ||
	    (s.mend != UINT64_MAX && !receive_text(in, s.mend, &mend)))
		return false;
	refuse(err, (int)a->errnum, mend.bytes, "%s", why.bytes ? why.bytes : "");
	return true;
}

static bool receive_answer(int in, struct answer *a, struct text *ret, struct error **err)
{
	if (!receive(in, a, sizeof *a) || a->reasons > REASONS_MAX || a->errnum > 4095 ||
	    a->result < -4095 || (a->result < 0) != (a->reasons > 0) ||
	    !receive_text(in, a->length, ret))
		return false;
	for (uint32_t i = 0; i < a->reasons; i++)
		if (!receive_reason(in, a, err))
			return false;
	if (a->outcome >= OUTCOME_FAILED && a->outcome <= OUTCOME_REFUSED && err)
		error_set_outcome(*err, (enum outcome)a->outcome);
	return true;
}

static int parent_part(pid_t pid, int in, struct text *ret, struct error **err)
{
	struct error *own = NULL;
	struct answer a;
	int status = 0;
	bool whole = receive_answer(in, &a, ret, &own);

	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (whole) {
		error_merge(err, &own);
		return a.result;
	}
	error_free(own);
	if (WIFSIGNALED(status))
		return refuse(err, EBADMSG, NULL, "reading the image was ended by signal %d (%s)",
			      WTERMSIG(status), strsignal(WTERMSIG(status)));
	return fail(err, ECHILD, "the process that was to read the image has ended");
}

int confined(int (*work)(void *arg, struct text *t, struct error **err), void *arg,
	     struct text *ret, struct error **err)
{
	cleanup_close int in = -1;
	pid_t pid, self = getpid();
	int ends[2];

	if (!priv_sandbox_built() || pipe2(ends, O_CLOEXEC) < 0)
		return work(arg, ret, err);
	in = ends[0];
	pid = fork();
	if (pid == 0) {
		close(in);
		child(ends[1], self, work, arg);
	}
	close(ends[1]);
	/* A limit on processes is no reason not to read an image. */
	return pid < 0 ? work(arg, ret, err) : parent_part(pid, in, ret, err);
}
