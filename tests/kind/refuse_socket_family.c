/* EXPECT-REFUSAL: descriptor [0-9]+ is a virtual machine \(AF_VSOCK\) socket, which is not supported */
/* EXPECT-REFUSAL: descriptor [0-9]+ is a multipath TCP socket \(protocol 262\), which is not supported */
/* EXPECT-REFUSAL: descriptor [0-9]+ is a socket with a filter program, which is not supported */
/* Sockets of other families and protocols, and those with a filter, are refused by name. */
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

int main(void)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, 0xffff);
	struct sock_fprog program = {1, &all};
	int machines = socket(AF_VSOCK, SOCK_STREAM, 0);
	int paths = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	int filtered = socket(AF_INET, SOCK_DGRAM, 0);

	if (machines < 0 || paths < 0)
		SKIP("the kernel has no such sockets: %s", strerror(errno));
	CHECK(setsockopt(filtered, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);

	test_ready();

	CHECK(fcntl(machines, F_GETFD) >= 0 && fcntl(paths, F_GETFD) >= 0);
	test_passed();
}
