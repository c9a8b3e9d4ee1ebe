/*
 * Who a thread is: ids, groups, capabilities, secure bits, no_new_privs, and the signal
 * that it gets when its parent ends, which the kernel forgets when ids change.
 *
 * What is already as it should be is left alone: then an ordinary user's restore
 * makes no call here that could fail.  Two sets are limits of the place more than
 * of the program, and what cannot be had of them is let be.  Both only
 * ever matter to an execve(2) of a file that has privileges, which is
 * what any program of the user's may do:
 * - the bounding set, when CAP_SETPCAP is lacking (in a private user namespace
 *   such a file gives nothing anyway),
 * - the inheritable set, where it was larger.
 * Permitted, effective and ambient capabilities come back exactly or the image is refused.
 */
#include "kind/kind.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "priv/priv.h"

#define CAPS 64 /* as many as the kernel's sets can hold */
#define GROUPS_MAX 65536
#define SIGNALS 64
#define CAP(n) (UINT64_C(1) << (n))

extern const struct kind kind_credentials;

/* a[0]: index of PR_GET_SECUREBITS; a[1]: where the answer of PR_GET_PDEATHSIG is. */
static int credentials_ask(const struct capture *c, const struct thread *t, struct batch *b,
			   struct asked *asked)
{
	(void)c, (void)t;
	asked->a[1] = batch_space(b, sizeof(int));
	asked->a[0] = batch_call(b, 0, SYS_prctl, PR_GET_SECUREBITS);
	batch_call(b, 0, SYS_prctl, PR_GET_PDEATHSIG, asked->a[1]);
	return 0;
}

static void fill_ids(Rec__Credentials *m, const struct proc_status *st)
{
	m->ruid = st->uid[0];
	m->euid = st->uid[1];
	m->suid = st->uid[2];
	m->fsuid = st->uid[3];
	m->rgid = st->gid[0];
	m->egid = st->gid[1];
	m->sgid = st->gid[2];
	m->fsgid = st->gid[3];
	m->cap_inheritable = st->cap_inheritable;
	m->cap_permitted = st->cap_permitted;
	m->cap_effective = st->cap_effective;
	m->cap_bounding = st->cap_bounding;
	m->cap_ambient = st->cap_ambient;
	m->no_new_privs = st->no_new_privs;
}

static int credentials_capture(struct capture *c, const struct thread *t, const struct batch *b,
			       const struct asked *asked, ProtobufCMessage **ret,
			       struct error **err)
{
	const proc_gids *groups = &t->status.groups;
	Rec__Credentials *m = kind_message(&kind_credentials);

	(void)c;
	if (m && groups->count)
		m->groups = calloc(groups->count, sizeof *m->groups);
	if (!m || (groups->count && !m->groups)) {
		message_free(m ? &m->base : NULL);
		return fail(err, ENOMEM, "out of memory");
	}
	m->tid = (uint32_t)t->ns_tid;
	fill_ids(m, &t->status);
	m->n_groups = groups->count;
	for (size_t i = 0; i < groups->count; i++)
		m->groups[i] = groups->items[i];
	m->securebits = (uint32_t)batch_result(b, (uint32_t)asked->a[0]);
	m->parent_death_signal = *(const uint32_t *)batch_at(b, asked->a[1]);
	*ret = &m->base;
	return 0;
}

static int credentials_validate(const ProtobufCMessage *message, struct error **err)
{
	const Rec__Credentials *m = (const Rec__Credentials *)message;

	if (m->n_groups > GROUPS_MAX)
		return fail(err, EINVAL, "a thread in %zu groups", m->n_groups);
	if (m->parent_death_signal > SIGNALS)
		return fail(err, EINVAL, "there is no signal %u", m->parent_death_signal);
	if (m->cap_effective & ~m->cap_permitted ||
	    m->cap_ambient & ~(m->cap_permitted & m->cap_inheritable))
		return fail(err, EINVAL, "an impossible set of capabilities");
	return 0;
}

/* ---- Who we are, and whether that is enough ------------------------------------ */

static int read_status(int dir, const char *name, struct proc_status *ret, struct error **err)
{
	cleanup_free char *text = NULL;
	ssize_t n = fd_slurp(dir, name, &text);
	int r = n < 0 ? (int)n : status_parse(text, (size_t)n, ret);

	return r < 0 ? fail_errno(err, -r, "cannot read %s", name) : 0;
}

static bool same_uids(const Rec__Credentials *m, const struct proc_status *st)
{
	return m->ruid == st->uid[0] && m->euid == st->uid[1] && m->suid == st->uid[2] &&
	       m->fsuid == st->uid[3];
}

static bool same_gids(const Rec__Credentials *m, const struct proc_status *st)
{
	return m->rgid == st->gid[0] && m->egid == st->gid[1] && m->sgid == st->gid[2] &&
	       m->fsgid == st->gid[3];
}

/* The kernel keeps and shows them in order. */
static bool same_groups(const Rec__Credentials *m, const struct proc_status *st)
{
	if (m->n_groups != st->groups.count)
		return false;
	for (size_t i = 0; i < m->n_groups; i++)
		if (m->groups[i] != st->groups.items[i])
			return false;
	return true;
}

/* "42", or "1001/1002/1003/1001": real, effective, saved, file system. */
static const char *ids_text(const uint32_t id[4], char buf[48])
{
	if (id[0] == id[1] && id[0] == id[2] && id[0] == id[3])
		snprintf(buf, 48, "%u", id[0]);
	else
		snprintf(buf, 48, "%u/%u/%u/%u", id[0], id[1], id[2], id[3]);
	return buf;
}

static int check_ids(const struct rebuild *r, const Rec__Credentials *m,
		     const struct proc_status *own, struct error **err)
{
		char was[48], are[48];
	int result = 0;

	/* A private user namespace knows one user and one group: ours. */
	if (!same_uids(m, own) && (r->private_pids || !priv_can(PRIV_CHANGE_USER)))
		result = refuse(err, EPERM, "restore it as that user",
				"the program ran as user %s, and you are user %s",
				ids_text((uint32_t[]){m->ruid, m->euid, m->suid, m->fsuid}, was),
				ids_text(own->uid, are));
	if (!same_gids(m, own) && (r->private_pids || !priv_can(PRIV_CHANGE_GROUP)))
		result = refuse(err, EPERM, "restore it with that group (see newgrp(1))",
				"the program ran with group %s, and you have group %s",
				ids_text((uint32_t[]){m->rgid, m->egid, m->sgid, m->fsgid}, was),
				ids_text(own->gid, are));
	if (!same_groups(m, own) && (r->private_pids || !priv_can(PRIV_CHANGE_GROUP)))
		result = refuse(err, EPERM, "restore it from a session with the same groups (see id(1))",
				"the program's supplementary groups are not yours");
	return result;
}

static int cap_refuse(uint64_t missing, struct error **err)
{
	cleanup_text struct text list = {0};

	for (int cap = 0; cap < CAPS; cap++)
		if (missing & CAP(cap)) {
			char *name = cap_to_name(cap);

			text_add(&list, "%s%s", list.len ? ", " : "", name ? name : "?");
			cap_free(name);
		}
	return refuse(err, EPERM, "restore it as root, or with them as ambient capabilities",
		      "the program had capabilities that it would not get from you: %s",
		      list.bytes ? list.bytes : "?");
}

static int credentials_check(const struct rebuild *r, const ProtobufCMessage *message,
			     struct error **err)
{
	const Rec__Credentials *m = (const Rec__Credentials *)message;
	struct proc_status own cleanup_status = {0};
	uint64_t granted;
	int result = read_status(AT_FDCWD, "/proc/self/status", &own, err);
	long securebits = prctl(PR_GET_SECUREBITS);

	if (result < 0)
		return result;
	result = check_ids(r, m, &own, err);
	/* What the program gets of ours by execve(2). */
	granted = own.uid[1] == 0 ? own.cap_bounding : own.cap_ambient;
	if (m->cap_permitted & ~granted)
		result = cap_refuse(m->cap_permitted & ~granted, err);
	if (r->private_pids)
		securebits = 0;
	if ((m->securebits ^ (uint32_t)securebits) & ~(uint32_t)SECBIT_KEEP_CAPS &&
	    !priv_can(PRIV_SECURE_BITS))
		result = refuse(err, EPERM, "restore it as root",
				"the program's secure bits are 0x%x, and yours are 0x%lx",
				m->securebits, securebits);
	return result;
}

/* ---- Becoming it --------------------------------------------------------------- */

static void add_capset(struct batch *b, uint64_t effective, uint64_t permitted,
		       uint64_t inheritable)
{
	const struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		half[i].effective = (uint32_t)(effective >> 32 * i);
		half[i].permitted = (uint32_t)(permitted >> 32 * i);
		half[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	batch_call(b, 0, SYS_capset, batch_put(b, &header, sizeof header),
		   batch_put(b, half, sizeof half));
}

/* The system calls themselves, unlike those of the C library, change one thread. */
static void add_ids(const Rec__Credentials *m, const struct proc_status *now, struct batch *b)
{
	if (!same_groups(m, now))
		batch_call(b, 0, SYS_setgroups, m->n_groups,
			   batch_put(b, m->groups, m->n_groups * sizeof *m->groups));
	if (!same_gids(m, now)) {
		batch_call(b, 0, SYS_setresgid, m->rgid, m->egid, m->sgid);
		batch_call(b, 0, SYS_setfsgid, m->fsgid);
	}
	if (!same_uids(m, now)) {
		/* Capabilities would go with uid 0: they have their own turn. */
		batch_call(b, 0, SYS_prctl, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP);
		batch_call(b, 0, SYS_setresuid, m->ruid, m->euid, m->suid);
		batch_call(b, 0, SYS_setfsuid, m->fsuid);
	}
}

/*
 * Adding to the inheritable set comes first, while the bounding set still has
 * all; ambient ones are raised before the secure bits may forbid it; and
 * what is permitted shrinks last.
 */
static int add_caps(const Rec__Credentials *m, const struct proc_status *now, uint32_t securebits,
		    struct batch *b, struct error **err)
{
	bool set_pcap = now->cap_effective & CAP(CAP_SETPCAP);
	uint64_t inheritable = m->cap_inheritable;
	uint64_t drop = set_pcap ? now->cap_bounding & ~m->cap_bounding : 0;
	uint64_t raise = m->cap_ambient & ~now->cap_ambient;

	if (m->cap_permitted & ~now->cap_permitted)
		return cap_refuse(m->cap_permitted & ~now->cap_permitted, err);
	inheritable &= now->cap_inheritable |
		       (set_pcap ? now->cap_bounding : now->cap_permitted & now->cap_bounding);
	if (raise)
		add_capset(b, now->cap_effective, now->cap_permitted, inheritable);
	for (int cap = 0; cap < CAPS; cap++)
		if (drop & CAP(cap))
			batch_call(b, 0, SYS_prctl, PR_CAPBSET_DROP, (uint64_t)cap);
	for (int cap = 0; cap < CAPS; cap++) {
		if (raise & CAP(cap))
			batch_call(b, 0, SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE,
				   (uint64_t)cap);
		else if (now->cap_ambient & ~m->cap_ambient & CAP(cap))
			batch_call(b, 0, SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER,
				   (uint64_t)cap);
	}
	if (m->securebits != securebits)
		batch_call(b, 0, SYS_prctl, PR_SET_SECUREBITS, m->securebits);
	if (m->cap_effective != now->cap_effective || m->cap_permitted != now->cap_permitted ||
	    inheritable != now->cap_inheritable)
		add_capset(b, m->cap_effective, m->cap_permitted, inheritable);
	return 0;
}

/* Those of the thread as it is.  execve(2) has cleared SECBIT_KEEP_CAPS. */
static uint32_t expected_securebits(const struct rebuild *r)
{
	int own = r->private_pids ? 0 : prctl(PR_GET_SECUREBITS);

	return own < 0 ? 0 : (uint32_t)own & ~(uint32_t)SECBIT_KEEP_CAPS;
}

static int credentials_rebuild(const struct rebuild *r, const struct rebuilt_thread *t,
			       const ProtobufCMessage *message, struct batch *b,
			       struct error **err)
{
	const Rec__Credentials *m = (const Rec__Credentials *)message;
	struct proc_status now cleanup_status = {0};
	uint32_t securebits = expected_securebits(r), dumpable, back;
	bool change_ids;
	char name[48];
	int result;

	if (!m)
		return 0;
	snprintf(name, sizeof name, "task/%d/status", t->tid);
	result = read_status(t->task->proc, name, &now, err);
	if (result < 0)
		return result;
	change_ids = !same_uids(m, &now) || !same_gids(m, &now);
	/* Other ids make a process non-dumpable: it becomes again what it is, whatever that is. */
	dumpable = change_ids ? batch_call(b, 0, SYS_prctl, PR_GET_DUMPABLE) : 0;
	add_ids(m, &now, b);
	if (!same_uids(m, &now))
		securebits = SECBIT_NO_SETUID_FIXUP;
	if (m->securebits == (securebits | SECBIT_KEEP_CAPS)) {
		/* The one bit that everybody may set. */
		batch_call(b, 0, SYS_prctl, PR_SET_KEEPCAPS, 1);
		securebits = m->securebits;
	}
	result = add_caps(m, &now, securebits, b, err);
	if (result < 0)
		return result;
	if (m->no_new_privs && !now.no_new_privs)
		batch_call(b, 0, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
	if (change_ids) {
		back = batch_call(b, 0, SYS_prctl, PR_SET_DUMPABLE);
		batch_refer(b, back, 1, dumpable);
	}
	batch_call(b, 0, SYS_prctl, PR_SET_PDEATHSIG, m->parent_death_signal);
	return 0;
}

const struct kind kind_credentials = {
	.name = "credentials",
	.tag = 64,
	.schema = &rec__credentials__descriptor,
	.state = &(const struct state_ops){
		.per_thread = true,
		.phase = PHASE_LATE,
		.ask = credentials_ask,
		.capture = credentials_capture,
		.validate = credentials_validate,
		.check = credentials_check,
		.rebuild = credentials_rebuild,
	},
};
