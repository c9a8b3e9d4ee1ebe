#include "priv/caps.h"

#include <errno.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct cap_sets {
	uint64_t effective, permitted, inheritable;
};

static int sets_get(struct cap_sets *ret)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, half) < 0)
		return -errno;
	ret->effective = half[0].effective | (uint64_t)half[1].effective << 32;
	ret->permitted = half[0].permitted | (uint64_t)half[1].permitted << 32;
	ret->inheritable = half[0].inheritable | (uint64_t)half[1].inheritable << 32;
	return 0;
}

static int sets_put(const struct cap_sets *sets)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		half[i].effective = (uint32_t)(sets->effective >> 32 * i);
		half[i].permitted = (uint32_t)(sets->permitted >> 32 * i);
		half[i].inheritable = (uint32_t)(sets->inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &header, half) < 0 ? -errno : 0;
}

static uint64_t bit(int cap)
{
	return UINT64_C(1) << cap;
}

struct raised priv_raise(int cap)
{
	struct raised raised = {-1, 0};
	struct cap_sets sets = {0};

	raised.result = sets_get(&sets);
	if (raised.result < 0 || sets.effective & bit(cap))
		return raised;
	if (!(sets.permitted & bit(cap))) {
		raised.result = -EPERM;
		return raised;
	}
	sets.effective |= bit(cap);
	raised.result = sets_put(&sets);
	if (raised.result == 0)
		raised.cap = cap;
	return raised;
}

struct raised priv_raise_cr(void)
{
	struct raised raised = priv_raise(CAP_CHECKPOINT_RESTORE);

	return raised.result < 0 ? priv_raise(CAP_SYS_ADMIN) : raised;
}

void priv_lower(struct raised *raised)
{
	int errnum = errno;
	struct cap_sets sets = {0};

	/* Lowering an own effective bit cannot fail, or there would be no safe way on from here. */
	if (raised->cap >= 0 && sets_get(&sets) == 0) {
		sets.effective &= ~bit(raised->cap);
		sets_put(&sets);
	}
	raised->cap = -1;
	errno = errnum;
}

bool priv_has_permitted(int cap)
{
	struct cap_sets sets = {0};

	return sets_get(&sets) == 0 && sets.permitted & bit(cap);
}

int priv_lower_all(struct error **err)
{
	struct cap_sets sets = {0};
	int r = sets_get(&sets);

	if (r == 0 && geteuid() != 0 && sets.effective) {
		sets.effective = 0;
		r = sets_put(&sets);
	}
	return r < 0 ? fail_errno(err, -r, "cannot lower capabilities") : 0;
}

int priv_set_aside(struct lowered *ret, struct error **err)
{
	struct cap_sets sets = {0};
	int r = sets_get(&sets);

	ret->effective = 0;
	if (r < 0)
		return fail_errno(err, -r, "cannot tell which capabilities there are");
	r = priv_lower_all(err);
	if (r == 0)
		ret->effective = sets.effective;
	return r;
}

void priv_take_back(struct lowered *lowered)
{
	int errnum = errno;
	struct cap_sets sets = {0};

	if (lowered->effective && sets_get(&sets) == 0 && sets.effective != lowered->effective) {
		sets.effective = lowered->effective & sets.permitted;
		sets_put(&sets);
	}
	errno = errnum;
}

int priv_drop_ambient(struct error **err)
{
	struct cap_sets sets = {0};
	int r;

	/* EINVAL: a kernel before 4.3, where there is nothing to drop. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return fail_errno(err, errno, "cannot drop ambient capabilities");
	r = sets_get(&sets);
	if (r == 0 && sets.inheritable) {
		sets.inheritable = 0;
		r = sets_put(&sets);
	}
	return r < 0 ? fail_errno(err, -r, "cannot drop inheritable capabilities") : 0;
}

int priv_drop_all(struct error **err)
{
	const struct cap_sets none = {0};
	struct cap_sets left = {0};
	int r = priv_drop_ambient(err);

	if (r < 0)
		return r;
	r = sets_put(&none);
	if (r == 0)
		r = sets_get(&left);
	if (r < 0)
		return fail_errno(err, -r, "cannot drop capabilities");
	/* Whoever relies on this runs a stranger's code next. */
	if (left.permitted | left.effective | left.inheritable)
		return fail(err, EPERM, "the kernel did not drop all capabilities");
	return 0;
}

int priv_keep_over_exec(int cap, struct error **err)
{
	struct cap_sets sets = {0};
	int r = sets_get(&sets);

	if (r == 0 && !(sets.inheritable & bit(cap))) {
		sets.inheritable |= bit(cap);
		r = sets_put(&sets);
	}
	/* Refused by SECBIT_NO_CAP_AMBIENT_RAISE, and when cap is not permitted. */
	if (r == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
		r = -errno;
	return r < 0 ? fail_errno(err, -r, "cannot pass capability %d on to a program", cap) : 0;
}
