/*
 * Unix sockets whose other end is outside the tree.  As standard descriptors they become the
 * user's own; of others the user says what to do (--external), else they are refused.
 */
#include "kind/socket.h"

#include <errno.h>

#include "base/str.h"
#include "task/description.h"

static int refuse_outside(struct capture *c, const struct file *f, uint32_t peer,
			  const Rec__Socket *m, struct error **err)
{
	static const char mend[] = "close that connection, or say what becomes of it: --external "
				   "unix=close, reconnect or inherit";
	cleanup_free char *name = file_describe(f);
	cleanup_free char *address = socket_address_text(&m->peer);
	struct holder holder = {0};
	struct ucred who = {0};
	socklen_t len = sizeof who;

	if (peer && holder_of_socket(c, peer, &holder))
		return refuse(err, ENOTSUP, mend, "%s is a Unix socket connected to process %d (%s)",
			      name, holder.pid, holder.name);
	/* Another user's: who connected, or listened, may not have it any more. */
	if (getsockopt(f->own, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 || !who.pid)
		return refuse(err, ENOTSUP, mend,
			      "%s is a Unix socket connected to another process (%s)", name, address);
	holder_name(who.pid, holder.name);
	return refuse(err, ENOTSUP, mend, "%s is a Unix socket connected to process %d (%s)", name,
		      who.pid, holder.name);
}

static int reconnect(const struct file *f, Rec__Socket *m, struct error **err)
{
	cleanup_free char *name = file_describe(f);

	if (!m->peer.len)
		return refuse(err, ENOTSUP, "--external unix=close or inherit",
			      "%s is a Unix socket whose other end has no address to connect to again",
			      name);
	m->state = REC__SOCKET__STATE__RECONNECT;
	return 0;
}

int outside_capture(struct capture *c, struct file *f, uint32_t peer, Rec__Socket *m,
		    struct error **err)
{
	int standard = standard_of(c, f);

	if (standard >= 0) {
		m->standard = (uint32_t)standard + 1;
		return 0;
	}
	switch (c->external.unix_sockets) {
	case EXTERNAL_CLOSE:
		m->state = REC__SOCKET__STATE__PAIR;
		m->pair = f->id;
		m->alone = true;
		m->shutdown = m->type == SOCK_DGRAM ? 0 : 3;
		return queue_capture(c, f, m, err);
	case EXTERNAL_RECONNECT:
		return reconnect(f, m, err);
	case EXTERNAL_INHERIT:
		m->hole = true;
		return 0;
	default:
		return refuse_outside(c, f, peer, m, err);
	}
}
