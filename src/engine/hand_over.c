#include "engine/hand_over.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "engine/space.h"

#define AT_ONCE 128u /* the kernel takes 253 (SCM_MAX_FD) */

static const char doing[] = "handing descriptors over";

/* SCM_RIGHTS: the same on both sides, but for the addresses in it. */
struct parcel {
	struct msghdr header;
	struct iovec part;
	union {
		char buf[CMSG_SPACE(AT_ONCE * sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
};

/* As it looks where it stands at address. */
static void address_parcel(struct parcel *p, uint64_t address, size_t count)
{
	memset(p, 0, sizeof *p);
	p->part = (struct iovec){(void *)(uintptr_t)(address + offsetof(struct parcel, byte)), 1};
	p->header = (struct msghdr){
		.msg_iov = (void *)(uintptr_t)(address + offsetof(struct parcel, part)),
		.msg_iovlen = 1,
		.msg_control = (void *)(uintptr_t)(address + offsetof(struct parcel, control)),
		.msg_controllen = CMSG_SPACE(count * sizeof(int))};
}

static int post(int to, const int *fds, size_t count, struct error **err)
{
	struct parcel p;
	struct cmsghdr *c = &p.control.align;

	address_parcel(&p, (uint64_t)(uintptr_t)&p, count);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof *fds);
	memcpy(CMSG_DATA(c), fds, count * sizeof *fds);
	return sendmsg(to, &p.header, MSG_NOSIGNAL) == 1
		       ? 0
		       : fail_errno(err, errno, "cannot pass descriptors on");
}

static int fetch(struct injection *in, int from, struct batch *b, int *ret, size_t count,
		 struct error **err)
{
	uint64_t at = batch_space(b, sizeof(struct parcel));
	struct parcel *p = batch_at(b, at);
	int res;

	address_parcel(p, at, count);
	batch_call(b, 0, SYS_recvmsg, (uint64_t)from, at, MSG_DONTWAIT);
	res = inject_run(in, b, NULL, err);
	if (res < 0)
		return err && *err ? res : fail_errno(err, -res, "cannot take descriptors");
	p = batch_at(b, at);
	if (p->control.align.cmsg_len != CMSG_LEN(count * sizeof *ret))
		return fail(err, EMFILE, "the new process cannot have %zu descriptors more", count);
	memcpy(ret, CMSG_DATA(&p->control.align), count * sizeof *ret);
	batch_clear(b);
	return 0;
}

/* Numbers that none of both has: from there each goes to its place. */
static int arrange(struct injection *in, struct batch *b, const int *got, const int *wanted,
		   size_t count, struct error **err)
{
	int above = 0, res = 0;

	for (size_t i = 0; i < count; i++) {
		above = got[i] >= above ? got[i] + 1 : above;
		above = wanted[i] >= above ? wanted[i] + 1 : above;
	}
	for (size_t i = 0; i < count && res == 0; i++) {
		res = make_room(in, b, 1, doing, err);
		batch_call(b, 0, SYS_dup3, (uint64_t)got[i], (uint64_t)above + i, O_CLOEXEC);
	}
	if (res == 0)
		res = make_room(in, b, 1, doing, err);
	if (above)
		batch_call(b, 0, SYS_close_range, 0, (uint64_t)above - 1);
	for (size_t i = 0; i < count && res == 0; i++) {
		res = make_room(in, b, 1, doing, err);
		batch_call(b, 0, SYS_dup3, (uint64_t)above + i, (uint64_t)wanted[i], 0);
	}
	if (res == 0)
		res = make_room(in, b, 1, doing, err);
	batch_call(b, 0, SYS_close_range, (uint64_t)above, ~0u);
	return res < 0 ? res : run_batch(in, b, doing, err);
}

int hand_over(struct injection *in, int to, int from, const int *fds, size_t count,
	      struct error **err)
{
	int *got = calloc(count + 1, sizeof *got), res = 0;
	struct batch b cleanup_batch = {0};

	if (!got || batch_init(&b, in->region) < 0)
		res = fail(err, ENOMEM, "out of memory");
	for (size_t i = 0, n; i < count && res == 0; i += n) {
		n = count - i < AT_ONCE ? count - i : AT_ONCE;
		res = post(to, fds + i, n, err);
		if (res == 0)
			res = fetch(in, from, &b, got + i, n, err);
	}
	if (res == 0)
		res = arrange(in, &b, got, fds, count, err);
	free(got);
	return res;
}
