/*
 * Multicast groups of datagram sockets.  The kernel lists the groups of each interface, but not those of
 * a socket: it is asked for each of them whether it is a member, and which senders it hears.
 */
#include "kind/socket.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "task/append.h"

/* More than the kernel's own limit of senders in a filter. */
#define SOURCES_MAX 512u
#define MEMBERS_MAX 4096u

static int level_of(const struct sockaddr_storage *group)
{
	return group->ss_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
}

/* ---- Capture ---- */

static int keep(Rec__Socket *m, const char *device, const struct group_filter *filter)
{
	Rec__Membership **all = realloc(m->memberships, (m->n_memberships + 1) * sizeof *all);
	Rec__Membership *at = malloc(sizeof *at);
	size_t size = filter->gf_numsrc * sizeof filter->gf_slist[0];

	if (all)
		m->memberships = all;
	if (!all || !at) {
		free(at);
		return -ENOMEM;
	}
	rec__membership__init(at);
	all[m->n_memberships++] = at;
	at->device = strdup(device);
	at->only = filter->gf_fmode == MCAST_INCLUDE;
	if (!at->device || bytes_set(&at->group, &filter->gf_group, sizeof filter->gf_group) < 0 ||
	    (size && bytes_set(&at->sources, filter->gf_slist, size) < 0))
		return -ENOMEM;
	return 0;
}

static int ask(int fd, Rec__Socket *m, const char *device, unsigned int index,
	       const struct sockaddr_storage *group)
{
	socklen_t len = GROUP_FILTER_SIZE(SOURCES_MAX);
	cleanup_free char *room = calloc(1, len);
	struct group_filter *filter = (struct group_filter *)room;

	if (!filter)
		return -ENOMEM;
	filter->gf_interface = index;
	filter->gf_group = *group;
	filter->gf_numsrc = SOURCES_MAX;
	if (getsockopt(fd, level_of(group), MCAST_MSFILTER, filter, &len) < 0)
		return 0;
	if (filter->gf_numsrc > SOURCES_MAX || m->n_memberships >= MEMBERS_MAX)
		return -E2BIG;
	return keep(m, device, filter);
}

/* "1 lo : ..." and below it "  010000E0 ...", the address as it lies in memory. */
static int capture_four(const struct file *f, Rec__Socket *m)
{
	struct sockaddr_storage group = {.ss_family = AF_INET};
	cleanup_free char *text = NULL;
	char device[IFNAMSIZ] = "";
	unsigned int index = 0;
	int r = 0;

	if (fd_slurp(f->task->proc, "net/igmp", &text) < 0)
		return 0;
	for (const char *line = text; (line = strchr(line, '\n')) && *++line && r == 0;) {
		uint32_t address;

		if (*line != '\t') {
			if (sscanf(line, "%u %15s", &index, device) != 2)
				index = 0;
		} else if (index && sscanf(line, "%x", &address) == 1) {
			((struct sockaddr_in *)&group)->sin_addr.s_addr = address;
			r = ask(f->own, m, device, index, &group);
		}
	}
	return r;
}

static int capture_six(const struct file *f, Rec__Socket *m)
{
	struct sockaddr_storage group = {.ss_family = AF_INET6};
	uint8_t *address = ((struct sockaddr_in6 *)&group)->sin6_addr.s6_addr;
	cleanup_free char *text = NULL;
	char device[IFNAMSIZ], hex[33];
	unsigned int index;
	int r = 0;

	if (m->family != AF_INET6 || fd_slurp(f->task->proc, "net/igmp6", &text) < 0)
		return 0;
	for (const char *line = text; line && *line && r == 0;) {
		if (sscanf(line, "%u %15s %32s", &index, device, hex) == 3) {
			for (int i = 0; i < 16; i++)
				sscanf(hex + (size_t)i * 2, "%2hhx", &address[i]);
			r = ask(f->own, m, device, index, &group);
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return r;
}

int multicast_capture(const struct file *f, Rec__Socket *m, struct error **err)
{
	int r = capture_four(f, m);

	if (r == 0)
		r = capture_six(f, m);
	if (r == -E2BIG)
		return refuse(err, ENOTSUP, NULL, "descriptor %d is a socket of too many multicast groups",
			      f->fd);
	return r < 0 ? fail(err, -r, "out of memory") : 0;
}

/* ---- The record ---- */

bool multicast_is_consistent(const Rec__Socket *m)
{
	const size_t size = sizeof(struct sockaddr_storage);

	if (m->n_memberships > MEMBERS_MAX || (m->n_memberships && m->type != SOCK_DGRAM))
		return false;
	for (size_t i = 0; i < m->n_memberships; i++) {
		const Rec__Membership *at = m->memberships[i];
		struct sockaddr_storage group;

		if (at->group.len != size || at->sources.len % size ||
		    at->sources.len / size > SOURCES_MAX)
			return false;
		memcpy(&group, at->group.data, size);
		if (group.ss_family != AF_INET && group.ss_family != m->family)
			return false;
	}
	return true;
}

/* ---- Check and restore ---- */

static int join(int fd, const Rec__Membership *at, unsigned int index)
{
	size_t count = at->sources.len / sizeof(struct sockaddr_storage);
	socklen_t len = GROUP_FILTER_SIZE(count);
	cleanup_free char *room = calloc(1, sizeof(struct group_filter) + len);
	struct group_filter *filter = (struct group_filter *)room;
	struct group_req group = {.gr_interface = index};

	if (!filter)
		return -ENOMEM;
	memcpy(&group.gr_group, at->group.data, sizeof group.gr_group);
	if (setsockopt(fd, level_of(&group.gr_group), MCAST_JOIN_GROUP, &group, sizeof group) < 0)
		return -errno;
	filter->gf_interface = index;
	filter->gf_group = group.gr_group;
	filter->gf_fmode = at->only ? MCAST_INCLUDE : MCAST_EXCLUDE;
	filter->gf_numsrc = (uint32_t)count;
	if (count)
		memcpy(filter->gf_slist, at->sources.data, at->sources.len);
	if ((count || at->only) &&
	    setsockopt(fd, level_of(&group.gr_group), MCAST_MSFILTER, filter, len) < 0)
		return -errno;
	return 0;
}

int multicast_join(int fd, const Rec__Socket *m, struct error **err)
{
	for (size_t i = 0; i < m->n_memberships; i++) {
		const Rec__Membership *at = m->memberships[i];
		unsigned int index = if_nametoindex(at->device);
		int r = index ? join(fd, at, index) : -ENODEV;

		if (r < 0)
			return refuse(err, -r, NULL, "a multicast group of the network interface %s "
				      "cannot be joined: %s", at->device, strerror(-r));
	}
	return 0;
}
