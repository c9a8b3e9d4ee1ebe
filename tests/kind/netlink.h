/* A question that a netlink socket of NETLINK_ROUTE answers: which interfaces there are. */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "check.h"

static inline void netlink_ask(int fd, unsigned int sequence)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg info;
	} question = {
		.head = {
			.nlmsg_len = sizeof(question),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			.nlmsg_seq = sequence,
		},
	};

	CHECK(send(fd, &question, sizeof(question), 0) == sizeof(question));
}
