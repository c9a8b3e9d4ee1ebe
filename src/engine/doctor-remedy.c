/* What would make work what does not.  One command or one setting, the smallest that does it. */
#include "engine/doctor.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "priv/caps.h"

#define COST_ROOT "everything: root may do anything, and so may what it restores"
#define COST_NOTHING "nothing"
#define COST_CONTAINER "what the capability gives, to all programs in the container"

static struct remedy remedy(char *mend, const char *cost)
{
	return (struct remedy){mend, cost};
}

static struct remedy fixed(const char *mend, const char *cost)
{
	return remedy(strdup(mend), cost);
}

static bool in_bounding_set(const struct facts *f, int cap)
{
	return f->self.cap_bounding >> cap & 1;
}

static bool is_root(const struct facts *f)
{
	return f->self.uid[1] == 0;
}

/* "CAP_SYS_PTRACE" */
static char *capability_name(int cap)
{
	char *name = cap_to_name(cap), *upper = name ? strdup(name) : NULL;

	for (char *c = upper; c && *c; c++)
		if (*c >= 'a' && *c <= 'z')
			*c -= 'a' - 'A';
	cap_free(name);
	return upper;
}

/* Nobody can have what is not in the bounding set. */
static struct remedy widen_bounds(const struct facts *f, int cap)
{
	cleanup_free char *name = capability_name(cap);

	return f->container
		       ? remedy(str_format("start the container with --cap-add=%s",
					   name ? name + strlen("CAP_") : "?"),
				COST_CONTAINER)
		       : remedy(str_format("start the session with %s in its bounding set "
					   "(systemd: CapabilityBoundingSet=)",
					   name ? name : "?"),
				"what the capability gives, to all programs of the session");
}

/* CAP_CHECKPOINT_RESTORE, which is made to be given to the program's file. */
static struct remedy grant_checkpoint_restore(const struct facts *f)
{
	if (!f->initial_user_namespace)
		return fixed("run it outside of the user namespace (the container) that it is in",
			     "nothing, but the program is restored there, too");
	if (!in_bounding_set(f, CAP_CHECKPOINT_RESTORE))
		return widen_bounds(f, CAP_CHECKPOINT_RESTORE);
	if (f->self.no_new_privs)
		return fixed("start it from a session without no_new_privs: under it the capability "
			     "of a file gives nothing",
			     "setuid programs work in that session");
	if (f->has_file_capability)
		return fixed("mount the program's file system without nosuid: its capability is "
			     "not taken up",
			     "setuid programs work there");
	return remedy(str_format("sudo setcap cap_checkpoint_restore+ep %s",
				 f->program ? f->program : "$(command -v stasis)"),
		      "whoever may execute the file chooses numbers of new processes, and reads files "
		      "behind mappings of his own processes (docs/SECURITY.md)");
}

static struct remedy become_root(const struct facts *f, int cap)
{
	if (f->self.seccomp && cap == CAP_SYS_ADMIN)
		return fixed("run it as root, outside of the seccomp filter that it is under", COST_ROOT);
	if (!f->initial_user_namespace)
		return fixed("run it as root outside of the user namespace (the container) that it is in",
			     COST_ROOT);
	if (is_root(f) || !in_bounding_set(f, cap))
		return widen_bounds(f, cap);
	return fixed("run it as root (sudo)", COST_ROOT);
}

/* A container's filter says EPERM or ENOSYS, and permits this to who has CAP_SYS_PTRACE. */
static struct remedy by_seccomp_profile(void)
{
	return fixed("permit the call in the container's seccomp profile (Docker and Podman: "
		     "--cap-add=SYS_PTRACE)",
		     "programs in the container may look into others there, as outside of one");
}

static struct remedy allow_tracing(const struct facts *f)
{
	const char *cost = "each program of a user can read and change his other ones, as before Yama";

	if (facts_is(f, SETTING_YAMA, 3))
		return fixed("boot with kernel.yama.ptrace_scope below 3: it cannot be lowered", cost);
	if (facts_is(f, SETTING_YAMA, 1) || facts_is(f, SETTING_YAMA, 2))
		return fixed("sudo sysctl kernel.yama.ptrace_scope=0", cost);
	if (f->self.seccomp)
		return by_seccomp_profile();
	return fixed("a security module forbids ptrace(2): its policy has to allow it", cost);
}

static struct remedy allow_namespaces(const struct facts *f)
{
	const char *cost = "every user reaches code of the kernel that else only root does (mounts, "
			   "networks), and that has had holes";

	if (facts_is_off(f, SETTING_CONFIG_USER_NS))
		return fixed("a kernel with CONFIG_USER_NS=y", cost);
	if (facts_is(f, SETTING_USER_NAMESPACES, 0))
		return fixed("sudo sysctl user.max_user_namespaces=10000", cost);
	if (facts_is(f, SETTING_PID_NAMESPACES, 0))
		return fixed("sudo sysctl user.max_pid_namespaces=10000", cost);
	if (facts_is(f, SETTING_USERNS_CLONE, 0))
		return fixed("sudo sysctl kernel.unprivileged_userns_clone=1", cost);
	if (facts_is(f, SETTING_USERNS_APPARMOR, 1))
		return remedy(str_format("an AppArmor profile for %s with \"userns,\"; or sudo sysctl "
					 "kernel.apparmor_restrict_unprivileged_userns=0",
					 f->program ? f->program : "stasis"),
			      cost);
	if (f->self.seccomp)
		return fixed("permit clone(2) with CLONE_NEWUSER in the seccomp profile", cost);
	if (f->results[PRIV_USER_NAMESPACE] == -ENOSPC)
		return fixed("raise user.max_user_namespaces, or end programs that use them", cost);
	return fixed("run it outside of a chroot(2)", COST_NOTHING);
}

static struct remedy uncover_proc(const struct facts *f)
{
	if (f->results[PRIV_USER_NAMESPACE] < 0)
		return allow_namespaces(f);
	return fixed("start the container with an uncovered /proc (Podman: --security-opt "
		     "unmask=ALL; Docker: --security-opt systempaths=unconfined)",
		     "the container reaches the files of /proc that its engine hides");
}

static struct remedy configure(const struct facts *f, enum setting_id option)
{
	if (facts_is_off(f, option) || !f->self.seccomp)
		return remedy(str_format("a kernel with %s=y", f->settings[option].name),
			      COST_NOTHING);
	return by_seccomp_profile();
}

/* Rows for which there is something smaller than a capability. */
static struct remedy particular(const struct facts *f, enum priv_op op)
{
	switch (op) {
	case PRIV_USER_NAMESPACE:
		return allow_namespaces(f);
	case PRIV_PRIVATE_PROC:
		return uncover_proc(f);
	case PRIV_TIMER_IDS:
		return fixed("Linux 6.15 or later", COST_NOTHING);
	case PRIV_TRACE:
		return allow_tracing(f);
	case PRIV_DESCRIPTORS:
		return f->results[op] == -ENOSYS && !f->self.seccomp
			       ? fixed("Linux 5.6 or later", COST_NOTHING)
			       : by_seccomp_profile();
	case PRIV_KCMP:
		return configure(f, SETTING_CONFIG_KCMP);
	case PRIV_SET_MM_MAP:
		return configure(f, SETTING_CONFIG_CHECKPOINT_RESTORE);
	case PRIV_KERNEL_FAULTS:
		return fixed("restore as root: sudo stasis restore --lazy",
			     "the restored program has root's rights, unless it had given them up");
	case PRIV_LOWER_NICE:
		return fixed("\"USER - nice -20\" in /etc/security/limits.conf",
			     "the user's programs can come before everybody else's");
	case PRIV_REAL_TIME:
		return fixed("\"USER - rtprio 99\" in /etc/security/limits.conf",
			     "a program of the user's that spins can keep all others from running");
	case PRIV_RAISE_LIMITS:
		return fixed("higher hard limits for the user in /etc/security/limits.conf",
			     "as much of the machine as the limits then allow");
	default:
		return (struct remedy){0};
	}
}

struct remedy remedy_for(const struct facts *f, enum priv_op op)
{
	const struct priv_rule *rule = priv_rule(op);
	struct remedy r;

	if (f->results[op] == 0)
		return (struct remedy){0};
	r = particular(f, op);
	if (r.mend || r.cost || rule->capability == NO_CAPABILITY)
		return r;
	return rule->capability == CAP_CHECKPOINT_RESTORE ? grant_checkpoint_restore(f)
							   : become_root(f, rule->capability);
}

void remedy_free(struct remedy *r)
{
	free(r->mend);
	r->mend = NULL;
}
