#include "engine/member.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tracee.h"
#include "engine/ask.h"
#include "engine/cow.h"
#include "engine/descriptors.h"
#include "engine/mappings.h"
#include "engine/namespaces.h"
#include "engine/pages.h"
#include "engine/ranges.h"
#include "engine/records.h"
#include "engine/seize.h"
#include "task/terminal.h"

void member_free(struct member *m)
{
	snapshot_end(&m->snapshot);
	close_fdp(&m->uffd);
	ranges_free(&m->clean);
	if (m->record)
		rec__task__free_unpacked(m->record, NULL);
	if (m->memory)
		rec__memory__free_unpacked(m->memory, NULL);
	for (size_t i = 0; m->threads && m->threads[i]; i++)
		rec__thread__free_unpacked(m->threads[i], NULL);
	free(m->threads);
}

void member_cure(struct member *m)
{
	if (m->stopped && !m->task->zombie && m->in == &m->injection)
		cure_task(m->task, m->in, NULL);
	if (m->in->deferred && m->in == &m->injection)
		m->deferred = m->in->deferred;
}

void member_let_go(struct member *m, int signal)
{
	if (!m->stopped)
		return;
	release_task(m->task, signal ? signal : m->deferred);
	m->stopped = false;
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

int member_read(struct member *m, const struct early_list *early, struct error **err)
{
	int r;

	if (m->task->zombie)
		return read_zombie(m->task, err);
	r = read_task(m->task, early, err);
	if (r < 0)
		return r;
	mark_leftovers(m->task);
	return mend_task(m->task, err);
}

int member_describe(struct capture *c, struct member *m, struct error **err)
{
	bool has_table = !m->task->zombie && !m->task->files_of;
	int r = has_table ? read_descriptors(c, m->task, err) : 0;

	return r < 0 ? r : make_task_record(c, m->task, &m->record, err);
}

int member_look(struct capture *c, struct member *m, struct error **err)
{
	struct error *found = NULL;
	int r;

	if (m->task->zombie)
		return 0;
	survey_stopped(m->task, capture_namespaces(c), &found);
	refuse_apart(m->task, c->tree.tasks.items[0], &found);
	m->record->terminal = terminal_to_lead(c, m->task);
	r = m->task->memory_of ? 0 : capture_mappings(c, m->task, &m->memory, &found);
	if (r == 0 && m->memory)
		r = capture_page_kinds(m->task, m->memory, &found);
	if (found) {
		r = -error_errno(found);
		error_wrap(&found, 0, "process %d (%s)", m->task->pid, m->record->name);
		error_merge(err, &found);
	}
	return r;
}

int member_ask(struct capture *c, struct member *m, struct error **err)
{
	int r;

	if (m->task->zombie)
		return 0;
	r = ask_task(c, m->task, m->in, m->memory, &m->threads, err);
	m->deferred = m->in->deferred;
	m->in->deferred = 0;
	return r;
}

int member_open(struct member *m, struct error **err)
{
	return m->memory ? snapshot_open(&m->snapshot, m->task, err) : 0;
}

int member_freeze(struct member *m, struct spool *spool, uint64_t *copied, struct error **err)
{
	return m->memory ? snapshot_take(&m->snapshot, m->freeze, m->task, m->in, m->memory,
					 &m->clean, spool, copied, err)
			 : 0;
}

static struct kin kin_of(const struct member *m)
{
	return (struct kin){m->task, m->memory, snapshot_whole(&m->snapshot)};
}

bool member_is_due(const struct member *m, const struct member *parent, bool clones)
{
	return clones || !parent || m->freeze != FREEZE_CLONE || parent->freeze != FREEZE_CLONE;
}

/* Another executable has to be executed: nothing of the parent's memory outlives that. */
static bool may_inherit(const struct member *m, const struct member *parent, bool clones)
{
	return m->task->parent == parent->task && m->memory && parent->memory && !m->compared &&
	       m->record->executable == parent->record->executable &&
	       member_is_due(m, parent, clones);
}

static void take_inherited(struct member *m, const struct member *parent,
			   const struct inheritance *found)
{
	m->memory->inherited = found->ranges;
	m->memory->n_inherited = found->count;
	if (found->count)
		m->record->copy_of = parent->record->pid;
}

int member_bequeath(const struct member *parent, struct member *members, size_t count, bool clones,
		    struct error **err)
{
	struct inheritance *children = calloc(count, sizeof *children);
	struct kin kin = kin_of(parent);
	size_t heirs = 0, done = 0;
	int r;

	if (!children)
		return fail(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (may_inherit(&members[i], parent, clones))
			children[heirs++].child = kin_of(&members[i]);
	r = find_inherited(children, heirs, &kin, err);
	/* What was found before a failure is freed with the record. */
	for (size_t i = 0; i < count; i++)
		if (may_inherit(&members[i], parent, clones))
			take_inherited(&members[i], parent, &children[done++]);
	free(children);
	return r;
}

int member_write_records(const struct member *m, struct image_writer *w, struct error **err)
{
	int r = image_writer_record(w, TAG_TASK, &m->record->base, err);

	if (r == 0 && m->memory)
		r = image_writer_record(w, TAG_MEMORY, &m->memory->base, err);
	for (size_t i = 0; m->threads && m->threads[i] && r == 0; i++)
		r = image_writer_record(w, TAG_THREAD, &m->threads[i]->base, err);
	return r;
}

/* Below this a process that writes it takes longer to make than to read the memory. */
#define ASSIST_PAGES 2048

int member_write_memory(struct member *m, const struct checkpoint_options *o,
			struct image_writer *w, struct error **err)
{
	struct freeze_facts facts = {0};
	int r;

	if (!m->memory)
		return 0;
	snapshot_weigh(m->task, m->memory, &m->clean, &facts);
	if (image_writer_takes_reserve(w) &&
	    facts.pages + facts.huge_pages * FREEZE_PER_HUGE_PAGE >= ASSIST_PAGES + facts.clean)
		snapshot_assist(&m->snapshot, m->task, m->in);
	r = write_memory(w, o, m->task, m->memory, &m->snapshot, err);
	snapshot_dismiss(&m->snapshot, m->in);
	return r;
}

int member_kill(const struct member *m, struct error **err)
{
	/* A zombie is gone with who should wait for it. */
	if (m->task->zombie ||
	    syscall(SYS_pidfd_send_signal, m->task->pidfd, SIGKILL, NULL, 0) == 0 ||
	    errno == ESRCH)
		return 0;
	return fail_errno(err, errno, "the image is complete, but process %d cannot be ended",
			  m->task->pid);
}

static int wait_for_end(const struct thread *t)
{
	bool ours = t == task_leader(t->task) && t->status.ppid == getpid();

	/* The end of a child of the caller is the caller's to wait for. */
	return tracee_wait_end(t->tid, __WALL | (ours ? WNOWAIT : 0));
}

void member_wait(struct member *m)
{
	/* Threads first: the main one is reported last, once all others are gone. */
	for (size_t i = m->task->threads.count; i-- > 0;) {
		/* Without one of them the main one's end would never be heard of. */
		if (wait_for_end(m->task->threads.items[i]) < 0)
			break;
		m->task->threads.items[i]->attached = false;
	}
	m->stopped = false;
}
