/* A checkpoint from beginning to end: stop, look, ask, write, cure. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "engine/descriptors.h"
#include "engine/engine.h"
#include "engine/member.h"
#include "engine/outside.h"
#include "engine/pages.h"
#include "engine/precopy.h"
#include "engine/records.h"
#include "engine/seize.h"
#include "engine/share.h"
#include "engine/tracking.h"
#include "image/writer.h"
#include "kind/kind.h"
#include "proc/spare.h"

#define CLONE_END_MS 500

/* All that is to be undone, whatever happens. */
struct session {
	struct capture capture;
	VEC(struct member) members; /* in the order of the tree */
	struct sharing sharing;
	Rec__Inventory inventory;
	struct utsname uts;
	char hostname[HOST_NAME_MAX + 1], *boot_id;
	struct early_list early;
	struct spool spool;
	struct tracking tracking;
	struct precopy precopy;
	uint64_t copied; /* pages, within the pause */
	struct rlimit files; /* as the caller has it */
	bool limit_raised;
	bool hurry; /* what can be looked at before the tree is stopped is looked at then */
	bool no_clones;
	uint64_t spare; /* pages that there still are for it, of all memory */
	uint64_t stopped_at, went_on_at;
};

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool stopped(const struct session *s)
{
	return s->members.count && s->members.items[s->members.count - 1].stopped;
}

/* Gives the tree back as it was.  signal: sent to all of it before (0: none). */
static void let_go(struct session *s, int signal)
{
	if (!stopped(s))
		return;
	vec_each(m, &s->members)
		member_cure(m);
	/* Parents last: they find their children as they were. */
	for (size_t i = s->members.count; i-- > 0;)
		member_let_go(&s->members.items[i], signal);
	s->went_on_at = now(CLOCK_MONOTONIC);
}

static void end_session(struct session *s)
{
	let_go(s, 0);
	vec_each(m, &s->members)
		member_free(m);
	spool_close(&s->spool);
	tracking_free(&s->tracking);
	precopy_free(&s->precopy);
	free(s->boot_id);
	early_free(&s->early);
	vec_free(&s->members);
	sharing_free(&s->sharing);
	if (s->limit_raised)
		setrlimit(RLIMIT_NOFILE, &s->files);
	capture_free(&s->capture);
}

static struct member *member_of(struct session *s, const struct task *task)
{
	struct member *m = s->members.items;

	while (m->task != task)
		m++;
	return m;
}

/* Who shares what; one injection serves an address space. */
static int compare_members(struct session *s, struct error **err)
{
	int r = find_sharing(&s->sharing, &s->capture.tree, err);

	vec_each(m, &s->members)
		if (m->task->memory_of)
			m->in = &member_of(s, m->task->memory_of)->injection;
	return r;
}

/* Everything that can be seen from outside.  The tree stands still and is untouched. */
static int look(struct session *s, struct error **err)
{
	struct error *found = NULL;
	int r = 0, first = 0;

	vec_each(m, &s->members)
		if (r == 0)
			r = member_read(m, &s->early, err);
	/* What of it is believed, the tasks have. */
	early_free(&s->early);
	if (r == 0)
		r = tracking_meet(&s->tracking, &s->precopy.watched, s->members.items, s->members.count,
				  err);
	if (r == 0)
		r = compare_members(s, err);
	vec_each(m, &s->members)
		if (r == 0)
			r = member_describe(&s->capture, m, err);
	if (r < 0)
		return r;
	/* From here on obstacles are collected: the user shall hear of all of them. */
	vec_each(m, &s->members) {
		r = member_look(&s->capture, m, err);
		if (first == 0)
			first = r;
	}
	refuse_shared_outside(&s->capture.tree, &s->sharing, &found);
	if (first == 0 && found)
		first = -error_errno(found);
	error_merge(err, &found);
	r = capture_files(&s->capture, FILES_AT_HAND, err);
	return first < 0 ? first : r;
}

static int find_root(struct session *s, pid_t pid, struct error **err)
{
	struct task *task;
	int r = task_open(&task, pid, err);

	if (r == 0 && tree_add(&s->capture.tree, task) < 0)
		return fail(err, ENOMEM, "out of memory");
	if (r == 0)
		return survey_task(task, NULL, err);
	error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
	return r;
}

/* A process takes three descriptors, and each of its open files one more. */
static void raise_file_limit(struct session *s)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &s->files) < 0)
		return;
	all = s->files;
	all.rlim_cur = all.rlim_max;
	s->limit_raised = setrlimit(RLIMIT_NOFILE, &all) == 0;
}

static int begin(struct session *s, pid_t pid, bool only, struct error **err)
{
	int r;

	raise_file_limit(s);
	r = find_root(s, pid, err);
	if (r < 0)
		return r;
	if (s->capture.leave_running)
		s->spare = proc_spare_memory(s->capture.tree.tasks.items[0]->proc) / ARCH_PAGE_SIZE;
	if (s->hurry)
		early_look(&s->early, pid, only);
	r = seize_tree(&s->capture.tree, only, &s->stopped_at, err);
	if (r < 0) {
		error_set_outcome(err ? *err : NULL, OUTCOME_REFUSED);
		return r;
	}
	vec_each(task, &s->capture.tree.tasks) {
		struct member *m = vec_push(&s->members);

		/* What has no member yet is let go by the kernel when we end. */
		if (!m)
			return fail(err, ENOMEM, "out of memory");
		m->task = *task;
		m->stopped = true;
		m->snapshot = SNAPSHOT_NONE;
		m->uffd = -1;
	}
	vec_each(m, &s->members)
		m->in = &m->injection;
	return 0;
}

static int write_records(struct session *s, struct image_writer *w, struct error **err)
{
	int r = image_writer_record(w, TAG_INVENTORY, &s->inventory.base, err);

	if (r == 0 && s->tracking.incremental)
		r = image_writer_record(w, TAG_PARENT, &s->tracking.record.base, err);
	vec_each(m, &s->members)
		if (r == 0)
			r = member_write_records(m, w, err);
	vec_each(rec, &s->capture.records)
		if (r == 0)
			r = image_writer_record(w, rec->kind->tag, rec->message, err);
	return r;
}

static void fill_inventory(struct session *s)
{
	uname(&s->uts);
	gethostname(s->hostname, sizeof s->hostname - 1);
	rec__inventory__init(&s->inventory);
	s->inventory.root_pid = (uint32_t)s->members.items[0].task->ns_pid;
	s->inventory.version = (char *)STASIS_VERSION;
	s->inventory.created = now(CLOCK_REALTIME);
	s->inventory.monotonic = now(CLOCK_MONOTONIC);
	s->inventory.boottime = now(CLOCK_BOOTTIME);
	s->inventory.hostname = s->hostname;
	s->inventory.kernel = s->uts.release;
	s->inventory.machine = s->uts.machine;
	s->inventory.uid = getuid();
	s->inventory.xfeatures = arch_xfeatures();
	if (fd_slurp(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &s->boot_id) >= 0) {
		s->boot_id[strcspn(s->boot_id, "\n")] = '\0';
		s->inventory.boot_id = s->boot_id;
	}
}

/*
 * What memory the processes, and the image, have from their parents: the records tell it.  Of
 * those that are not compared yet; frozen clones can be compared later, when the tree goes on.
 */
static int compare_memories(struct session *s, bool clones, struct error **err)
{
	int r = 0;

	vec_each(m, &s->members)
		if (r == 0)
			r = member_bequeath(m, s->members.items, s->members.count, clones, err);
	vec_each(m, &s->members) {
		const struct member *parent = m->task->parent ? member_of(s, m->task->parent) : NULL;

		if (r < 0 || m->compared || !member_is_due(m, parent, clones))
			continue;
		m->compared = true;
		r = tracking_fill_record(&s->tracking, m, err);
	}
	return r;
}

static int write_all_but_memory(struct session *s, const struct checkpoint_options *o,
				struct image_writer *w, struct error **err)
{
	int r = write_records(s, w, err);

	/* Files before memory: a restore executes a deleted file before it fills memory. */
	return r == 0 ? write_contents(w, o, &s->capture, err) : r;
}

static int write_memories(struct session *s, const struct checkpoint_options *o,
			  struct image_writer *w, struct error **err)
{
	int r = 0;

	vec_each(m, &s->members)
		if (r == 0)
			r = member_write_memory(m, o, w, err);
	return r;
}

/* A clone has no parent but whoever gets orphans: a member that does would see it. */
static bool may_clone(const struct session *s)
{
	if (s->no_clones)
		return false;
	vec_each(m, &s->members)
		if (m->task->adopts || !snapshot_may_clone(m->task))
			return false;
	return true;
}

/* Each member is held, copied or cloned, whichever is shorter.  Returns the pages to be copied. */
static uint64_t choose_for_members(struct session *s, const struct checkpoint_options *o,
				   uint64_t room)
{
	bool cloneable = may_clone(s), held = false;
	uint64_t copied = 0, shared = 0;

	vec_each(m, &s->members) {
		struct freeze_facts facts = {
			.goes_on = o->then == THEN_CONTINUE,
			.may_clone = cloneable,
			.room = room - copied,
			.spare = s->spare > shared ? s->spare - shared : 0,
		};

		if (!m->memory)
			continue;
		snapshot_weigh(m->task, m->memory, &m->clean, &facts);
		m->freeze = choose_freeze(&facts);
		copied += freeze_copies(&facts, m->freeze);
		shared += m->freeze == FREEZE_CLONE ? freeze_shares(&facts) : 0;
		held = held || m->freeze == FREEZE_HOLD;
	}
	/* One that stands still until it is written keeps all of them. */
	vec_each(m, &s->members)
		if (held)
			m->freeze = FREEZE_HOLD;
	return held ? 0 : copied;
}

/* True: the tree is held.  More than a little is copied to a file, where there is room for one. */
static bool choose_how_to_freeze(struct session *s, const struct checkpoint_options *o)
{
	uint64_t copied = choose_for_members(s, o, FREEZE_ROOM_FILE);

	if (copied > FREEZE_ROOM_MEMORY && spool_open_beside(&s->spool, o->output) < 0)
		choose_for_members(s, o, FREEZE_ROOM_MEMORY);
	else
		spool_expect(&s->spool, copied * ARCH_PAGE_SIZE);
	vec_each(m, &s->members)
		if (m->memory)
			return m->freeze == FREEZE_HOLD;
	return true;
}

/* Within so many milliseconds. */
static bool has_ended(int pidfd, int patience)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return pidfd >= 0 && poll(&p, 1, patience) == 1;
}

static bool lost_member(const struct session *s)
{
	vec_each(m, &s->members)
		if (!m->task->zombie && has_ended(m->task->pidfd, 0))
			return true;
	return false;
}

/* What cannot be frozen, for whatever reason, is held: that needs nothing. */
static int freeze(struct session *s, bool *held, struct error **err)
{
	struct error *why = NULL;
	int r = 0;

	vec_each(m, &s->members)
		if (r == 0)
			r = member_freeze(m, &s->spool, &s->copied, &why);
	if (r == 0)
		return 0;
	/* Or was it a clone that had ended? */
	if (r == -ESRCH && lost_member(s)) {
		error_merge(err, &why);
		return r;
	}
	error_free(why);
	*held = true;
	s->copied = 0;
	vec_each(m, &s->members) {
		snapshot_end(&m->snapshot);
		m->freeze = FREEZE_HOLD;
		r = member_open(m, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Who changed what was believed of its mappings, before it stood still, is to be looked at anew. */
static int confirm_early(struct session *s, struct error **err)
{
	vec_each(m, &s->members) {
		if (m->memory && !early_was_right(m->task, m->snapshot.twin.pid))
			return fail(err, ESTALE, "process %d changed its mappings as it was stopped",
				    m->task->pid);
	}
	return 0;
}

/*
 * The pause ends as soon as nothing of the tree can change any more what is saved of it.  Contents
 * of files are copied before when they are small; else they are written before, and
 * what comes before them in an image as well.
 */
static int write_image(struct session *s, const struct checkpoint_options *o,
		       struct image_writer *w, struct error **err)
{
	bool held, written;
	int r = 0;

	fill_inventory(s);
	vec_each(m, &s->members)
		if (r == 0)
			r = member_open(m, err);
	vec_each(m, &s->members)
		if (r == 0)
			r = tracking_find_clean(&s->tracking, m, err);
	vec_each(m, &s->members)
		if (r == 0)
			r = precopy_find_clean(&s->precopy, m, err);
	if (r == 0)
		r = tracking_renew(&s->tracking, s->members.items, s->members.count, err);
	if (r < 0)
		return r;
	held = choose_how_to_freeze(s, o);
	written = held || !spool_contents(&s->spool, &s->capture);
	/* Nothing may be written before it is known to be right. */
	if (written)
		r = confirm_early(s, err);
	if (r == 0)
		r = compare_memories(s, written, err);
	if (r == 0 && written)
		r = write_all_but_memory(s, o, w, err);
	if (r == 0)
		r = freeze(s, &held, err);
	vec_each(m, &s->members)
		if (r == 0 && m->freeze == FREEZE_COPY)
			r = precopy_hand_over(&s->precopy, m, err);
	if (r == 0 && !held)
		let_go(s, 0);
	if (r == 0 && !written)
		r = confirm_early(s, err);
	if (r == 0 && !written)
		r = compare_memories(s, true, err);
	if (r == 0 && !written)
		r = write_all_but_memory(s, o, w, err);
	return r == 0 ? write_memories(s, o, w, err) : r;
}

/* The tree is gone before we say so: who waits for us may start it again at once. */
static int kill_tree(struct session *s, struct error **err)
{
	int r = files_may_end(&s->capture, err);

	vec_each(m, &s->members)
		if (r == 0)
			r = member_kill(m, err);
	vec_each(m, &s->members)
		if (r == 0)
			member_wait(m);
	if (r == 0)
		files_ended(&s->capture);
	s->went_on_at = now(CLOCK_MONOTONIC);
	return r;
}

static int finish(struct session *s, const struct checkpoint_options *o, struct image_writer *w,
		  struct error **err)
{
	int r;

	if (o->then == THEN_CONTINUE)
		let_go(s, 0);
	r = image_writer_commit(w, err);
	if (r < 0)
		return r;
	if (o->then == THEN_KILL)
		return kill_tree(s, err);
	if (o->then == THEN_STOP)
		let_go(s, SIGSTOP);
	return 0;
}

/* What only the members themselves can tell. */
static int ask(struct session *s, struct error **err)
{
	int r = 0;

	vec_each(m, &s->members)
		if (r == 0)
			r = member_ask(&s->capture, m, err);
	return r;
}

static int checkpoint_once(struct session *s, pid_t pid, const struct checkpoint_options *o,
			   struct image_writer *w, struct error **err)
{
	int r = tracking_begin(&s->tracking, o, err);

	s->capture.leave_running = o->then == THEN_CONTINUE;
	s->capture.external = o->external;
	/* Who is to stand still anyway has nothing of it. */
	if (r == 0 && o->precopy && o->then == THEN_CONTINUE)
		r = precopy_run(&s->precopy, pid, o, &s->spool, err);
	if (r == 0)
		r = begin(s, pid, o->only, err);
	if (r == 0)
		r = look(s, err);
	if (r == 0)
		r = ask(s, err);
	if (r == 0)
		r = capture_files(&s->capture, FILES_SPILLED, err);
	if (r == 0)
		r = write_image(s, o, w, err);
	if (r == 0)
		r = finish(s, o, w, err);
	if (r == 0) {
		const struct image_identity identity = image_writer_identity(w);

		r = tracking_keep(&s->tracking, s->members.items, s->members.count, &identity, err);
	}
	return r;
}

/* How it is tried, and what of that was not right. */
struct attempt {
	bool hurry, no_clones; /* as of the session */
	bool was_hasty, lost_clone;
};

/*
 * Somebody has ended one of them: the kernel, where memory ran out (twin.h).  Who is ended cannot be
 * asked any more a little before its end is told.
 */
static bool lost_clone(const struct session *s, int why)
{
	int patience = why == -ESRCH ? CLONE_END_MS : 0;

	vec_each(m, &s->members)
		if (!m->snapshot.twin.helper && has_ended(m->snapshot.twin.pidfd, patience))
			return true;
	return false;
}

static int try_checkpoint(pid_t pid, const struct checkpoint_options *o, struct image_writer *w,
			  struct attempt *a, struct checkpoint_result *ret, struct error **err)
{
	struct session s __attribute__((cleanup(end_session))) = {
		.spool = SPOOL_NONE, .tracking = TRACKING_NONE, .precopy = PRECOPY_NONE,
		.hurry = a->hurry, .no_clones = a->no_clones};
	int r = checkpoint_once(&s, pid, o, w, err);

	a->was_hasty = a->hurry && r == -ESTALE;
	a->lost_clone = r < 0 && lost_clone(&s, r);
	if (r < 0)
		return r;
	if (ret) {
		ret->stats = *image_writer_stats(w);
		ret->copied = s.copied;
		ret->pause_ns = s.went_on_at > s.stopped_at ? s.went_on_at - s.stopped_at : 0;
	}
	return 0;
}

static int open_writer(struct image_writer **w, const struct checkpoint_options *o,
		       struct error **err)
{
	const struct image_writer_options wo = {o->zstd_level, o->zstd_adaptive};

	return image_writer_open(w, o->output, &wo, err);
}

/* From the beginning, while the program stands still or is copied. */
static int without_clones(pid_t pid, const struct checkpoint_options *o, struct image_writer **w,
			  struct attempt *a, struct checkpoint_result *ret, struct error **err)
{
	int r;

	error_freep(err);
	if (a->no_clones || o->track || o->parent || !image_writer_is_withheld(*w))
		return fail(err, ENOMEM, "the clone of the program, from which it was being saved, was "
			    "ended (by the kernel, if memory ran out): the program goes on; "
			    "--leave-stopped and --kill do without a clone");
	a->no_clones = true;
	image_writer_freep(w);
	r = open_writer(w, o, err);
	return r < 0 ? r : try_checkpoint(pid, o, *w, a, ret, err);
}

int engine_checkpoint(pid_t pid, const struct checkpoint_options *o, struct checkpoint_result *ret,
		      struct error **err)
{
	cleanup_image_writer struct image_writer *w = NULL;
	struct attempt a = {
		/* Who is tracked cannot be looked at anew: what it has written since is then forgotten. */
		.hurry = o->then == THEN_CONTINUE && !o->track && !o->parent};
	struct error *why = NULL;
	/* What can fail without the target is tried before the target is stopped. */
	int r = open_writer(&w, o, err);

	if (r < 0)
		return r;
	r = try_checkpoint(pid, o, w, &a, ret, &why);
	a.hurry = false;
	if (a.was_hasty) {
		error_freep(&why);
		r = try_checkpoint(pid, o, w, &a, ret, &why);
	}
	if (a.lost_clone)
		r = without_clones(pid, o, &w, &a, ret, &why);
	error_merge(err, &why);
	return r;
}

int engine_survey(pid_t pid, struct error **err)
{
	struct session s __attribute__((cleanup(end_session))) = {
		.spool = SPOOL_NONE, .tracking = TRACKING_NONE, .precopy = PRECOPY_NONE};
	int r = begin(&s, pid, false, err);

	return r < 0 ? r : look(&s, err);
}
