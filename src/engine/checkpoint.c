/* A checkpoint from beginning to end: stop, look, ask, write, cure. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/ask.h"
#include "engine/backing.h"
#include "engine/descriptors.h"
#include "engine/engine.h"
#include "engine/mappings.h"
#include "engine/pages.h"
#include "engine/records.h"
#include "engine/seize.h"
#include "image/writer.h"
#include "kind/kind.h"

/* All that is to be undone, whatever happens. */
struct session {
	struct capture capture;
	struct task *task; /* in capture.tree */
	struct injection injection;
	Rec__Inventory inventory;
	Rec__Task *record;
	Rec__Memory *memory;
	Rec__Thread **threads;
	uint64_t stopped_at, went_on_at;
	bool stopped;
};

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Gives the target back as it was.  What fails here fails because it is gone. */
static void let_go(struct session *s)
{
	if (!s->stopped)
		return;
	cure_task(s->task, &s->injection, NULL);
	release_task(s->task, s->injection.deferred);
	s->stopped = false;
	s->went_on_at = now(CLOCK_MONOTONIC);
}

static void end_session(struct session *s)
{
	let_go(s);
	if (s->record)
		rec__task__free_unpacked(s->record, NULL);
	if (s->memory)
		rec__memory__free_unpacked(s->memory, NULL);
	for (size_t i = 0; s->threads && s->threads[i]; i++)
		rec__thread__free_unpacked(s->threads[i], NULL);
	free(s->threads);
	capture_free(&s->capture);
}

/* The regions that a killed checkpoint left are not the program's. */
static void mark_leftovers(struct task *task)
{
	for (size_t i = 0; i < task->areas.list.count; i++) {
		struct vm_area *a = &task->areas.list.items[i], *next = a + 1;

		if (!inject_is_leftover(&task->leftovers, task->mem, a))
			continue;
		a->gate = true;
		if (i + 1 < task->areas.list.count && next->start == a->end &&
		    next->end - next->start == BATCH_DATA_SIZE)
			next->gate = true;
	}
}

/* Everything that can be seen from outside.  The target stands still and is untouched. */
static int look(struct session *s, struct error **err)
{
	struct task *task = s->task;
	struct error *found = NULL;
	int r = read_task(task, err);

	if (r < 0)
		return r;
	mark_leftovers(task);
	r = mend_task(task, err);
	if (r == 0)
		r = read_descriptors(&s->capture, task, err);
	if (r == 0)
		r = make_task_record(&s->capture, task, &s->record, err);
	if (r < 0)
		return r;
	/* From here on obstacles are collected: the user shall hear of all of them. */
	survey_stopped(task, &found);
	r = capture_mappings(&s->capture, task, &s->memory, &found);
	if (r == 0)
		r = capture_page_kinds(task, s->memory, &found);
	if (r == 0)
		r = capture_files(&s->capture, FILES_AT_HAND, &found);
	if (found) {
		r = -error_errno(found);
		error_wrap(&found, 0, "process %d (%s)", task->pid, s->record->name);
		error_merge(err, &found);
	}
	return r;
}

static int begin(struct session *s, pid_t pid, struct error **err)
{
	struct task **slot = vec_push(&s->capture.tree.tasks);
	int r;

	if (!slot)
		return fail(err, ENOMEM, "out of memory");
	r = task_open(slot, pid, err);
	if (r < 0) {
		s->capture.tree.tasks.count = 0;
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return r;
	}
	s->task = *slot;
	r = survey_task(s->task, err);
	if (r < 0)
		return r;
	s->stopped_at = now(CLOCK_MONOTONIC);
	r = seize_task(s->task, err);
	if (r < 0) {
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return r;
	}
	s->stopped = true;
	return 0;
}

static int write_records(struct session *s, struct image_writer *w, struct error **err)
{
	int r = image_writer_record(w, TAG_INVENTORY, &s->inventory.base, err);

	if (r == 0)
		r = image_writer_record(w, TAG_TASK, &s->record->base, err);
	if (r == 0)
		r = image_writer_record(w, TAG_MEMORY, &s->memory->base, err);
	for (size_t i = 0; s->threads[i] && r == 0; i++)
		r = image_writer_record(w, TAG_THREAD, &s->threads[i]->base, err);
	vec_each(rec, &s->capture.records)
		if (r == 0)
			r = image_writer_record(w, rec->kind->tag, rec->message, err);
	return r;
}

static void fill_inventory(struct session *s, struct utsname *uts, char *hostname)
{
	rec__inventory__init(&s->inventory);
	s->inventory.root_pid = (uint32_t)s->task->ns_pid;
	s->inventory.version = (char *)STASIS_VERSION;
	s->inventory.created = now(CLOCK_REALTIME);
	s->inventory.monotonic = now(CLOCK_MONOTONIC);
	s->inventory.boottime = now(CLOCK_BOOTTIME);
	s->inventory.hostname = hostname;
	s->inventory.kernel = uts->release;
	s->inventory.machine = uts->machine;
	s->inventory.uid = getuid();
	s->inventory.xfeatures = arch_xfeatures();
}

static int write_image(struct session *s, const struct checkpoint_options *o,
		       struct image_writer *w, struct error **err)
{
	struct utsname uts;
	cleanup_free char *boot_id = NULL;
	char hostname[HOST_NAME_MAX + 1] = "";
	int r;

	uname(&uts);
	gethostname(hostname, sizeof hostname - 1);
	fill_inventory(s, &uts, hostname);
	if (fd_slurp(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot_id) >= 0) {
		boot_id[strcspn(boot_id, "\n")] = '\0';
		s->inventory.boot_id = boot_id;
	}
	r = write_records(s, w, err);
	/* Files before memory: a restore executes a deleted file before it fills memory. */
	if (r == 0)
		r = write_contents(w, o, &s->capture, err);
	if (r == 0)
		r = write_memory(w, o, s->task, s->memory, err);
	return r;
}

static void wait_for_end(const struct thread *t)
{
	bool ours = t == task_leader(t->task) && t->status.ppid == getpid();
	siginfo_t info;

	/* The end of a child of the caller is the caller's to wait for. */
	while (waitid(P_PID, (id_t)t->tid, &info, WEXITED | __WALL | (ours ? WNOWAIT : 0)) < 0 &&
	       errno == EINTR)
		;
}

/* The target is gone before we say so: who waits for us may start it again at once. */
static int kill_target(struct session *s, struct error **err)
{
	struct task *task = s->task;

	if (syscall(SYS_pidfd_send_signal, task->pidfd, SIGKILL, NULL, 0) < 0)
		return fail_errno(err, errno, "the image is complete, but process %d cannot be ended",
				  task->pid);
	/* Threads first: the main one is reported last, once all others are gone. */
	for (size_t i = task->threads.count; i-- > 0;) {
		wait_for_end(task->threads.items[i]);
		task->threads.items[i]->attached = false;
	}
	s->stopped = false;
	s->went_on_at = now(CLOCK_MONOTONIC);
	return 0;
}

static int finish(struct session *s, const struct checkpoint_options *o, struct image_writer *w,
		  struct error **err)
{
	int r;

	if (o->then == THEN_CONTINUE)
		let_go(s);
	r = image_writer_commit(w, err);
	if (r < 0)
		return r;
	if (o->then == THEN_KILL)
		return kill_target(s, err);
	if (o->then == THEN_STOP) {
		s->injection.deferred = SIGSTOP;
		let_go(s);
	}
	return 0;
}

int engine_checkpoint(pid_t pid, const struct checkpoint_options *o, struct checkpoint_result *ret,
		      struct error **err)
{
	struct session s __attribute__((cleanup(end_session))) = {0};
	cleanup_image_writer struct image_writer *w = NULL;
	const struct image_writer_options wo = {.zstd_level = o->zstd_level};
	int r;

	s.capture.leave_running = o->then == THEN_CONTINUE;
	/* What can fail without the target is tried before the target is stopped. */
	r = image_writer_open(&w, o->output, &wo, err);
	if (r < 0)
		return r;
	r = begin(&s, pid, err);
	if (r == 0)
		r = look(&s, err);
	if (r == 0)
		r = ask_task(&s.capture, s.task, &s.injection, s.memory, &s.threads, err);
	if (r == 0)
		r = capture_files(&s.capture, FILES_SPILLED, err);
	if (r == 0)
		r = write_image(&s, o, w, err);
	if (r == 0)
		r = finish(&s, o, w, err);
	if (r < 0)
		return r;
	if (ret) {
		ret->stats = *image_writer_stats(w);
		ret->pause_ns = s.went_on_at > s.stopped_at ? s.went_on_at - s.stopped_at : 0;
	}
	return 0;
}

int engine_survey(pid_t pid, struct error **err)
{
	struct session s __attribute__((cleanup(end_session))) = {0};
	int r = begin(&s, pid, err);

	return r < 0 ? r : look(&s, err);
}
