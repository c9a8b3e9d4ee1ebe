/* Datagram sockets of the network: bound, connected to each other, and one that is neither. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "check.h"

#define ANY(a) ((struct sockaddr *)&(a))

int main(void)
{
	struct sockaddr_in server_at = {.sin_family = AF_INET}, client_at = server_at, now;
	int server = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
	int idle = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1;
	socklen_t len = sizeof(now);
	char text[8] = "";

	server_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(server, ANY(server_at), len) == 0);
	CHECK(getsockname(server, ANY(server_at), &len) == 0);
	CHECK(connect(client, ANY(server_at), len) == 0);
	CHECK(getsockname(client, ANY(client_at), &len) == 0);
	CHECK(setsockopt(idle, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) == 0);

	test_ready();

	CHECK(getsockname(server, ANY(now), &len) == 0 && !memcmp(&now, &server_at, len));
	CHECK(getsockname(client, ANY(now), &len) == 0 && !memcmp(&now, &client_at, len));
	CHECK(getpeername(client, ANY(now), &len) == 0 && !memcmp(&now, &server_at, len));
	CHECK(getpeername(server, ANY(now), &len) == -1 && errno == ENOTCONN);
	CHECK(write(client, "there", 5) == 5);
	CHECK(recvfrom(server, text, sizeof(text), 0, ANY(now), &len) == 5);
	CHECK(strcmp(text, "there") == 0 && now.sin_port == client_at.sin_port);
	CHECK(sendto(server, "back", 4, 0, ANY(now), len) == 4);
	CHECK(read(client, text, sizeof(text)) == 4 && memcmp(text, "back", 4) == 0);
	CHECK(recv(idle, text, sizeof(text), 0) == -1 && errno == EAGAIN);
	len = sizeof(on);
	on = 0;
	CHECK(getsockopt(idle, SOL_SOCKET, SO_BROADCAST, &on, &len) == 0 && on == 1);
	test_passed();
}
