/* Objects with two ends, and what waits between them. */
#include "soak.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

#define BIG 30000
#define ROOM 512

static int readable(int fd)
{
	int n = -1;

	MUST(ioctl(fd, FIONREAD, &n) == 0);
	return n;
}

/* A pipe, one of packets, or one with a name. */
static bool pipe_make(struct object *o)
{
	static const int flags[] = {0, O_NONBLOCK, O_DIRECT};
	char data[BIG];

	o->size = o->option / 4 % BIG;
	if (o->option % 4 == 3) {
		snprintf(o->path, sizeof o->path, "%s/fifo%d", board->home, o->number);
		MUST(mkfifo(o->path, 0600) == 0 && chmod(o->path, 0600) == 0);
		o->fd[0] = open(o->path, O_RDONLY | O_NONBLOCK);
		o->fd[1] = open(o->path, O_WRONLY);
		MUST(o->fd[0] >= 0 && o->fd[1] >= 0);
	} else {
		MUST(pipe2(o->fd, flags[o->option % 4]) == 0);
	}
	fill(data, o->size, o->seed);
	for (size_t done = 0; done < o->size;) {
		ssize_t n = write(o->fd[1], data + done, o->size - done);

		MUST(n > 0);
		done += (size_t)n;
	}
	return true;
}

static void pipe_look(const struct object *o)
{
	MUST_BE(readable(o->fd[0]), o->size);
}

static void token_use(struct object *o)
{
	MUST_BE(write(o->fd[1], TOKEN, sizeof TOKEN), sizeof TOKEN);
}

static void pipe_see(struct object *o)
{
	char data[BIG + ROOM];
	size_t have = 0;

	while (have < o->size + sizeof TOKEN) {
		ssize_t n = read(o->fd[0], data + have, sizeof data - have);

		MUST(n > 0);
		have += (size_t)n;
	}
	MUST_BE(have, o->size + sizeof TOKEN);
	MUST(is_filled(data, o->size, o->seed));
	MUST(memcmp(data + o->size, TOKEN, sizeof TOKEN) == 0);
	MUST_BE(readable(o->fd[0]), 0);
}

static const struct sort sort_pipe = {"pipe", pipe_make, pipe_look, token_use, pipe_see, NULL};

/* A pair of Unix sockets with messages both ways; at times with a descriptor on its way. */
static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

static size_t message(const struct object *o, int i, int way, char *to)
{
	uint64_t seed = o->seed + (uint64_t)(i * 2 + way);
	size_t size = 1 + below(&seed, ROOM - 1);

	fill(to, size, seed);
	return size;
}

static void send_eventfd(int through, unsigned count)
{
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {"d", 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
			   .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = eventfd(count, 0);

	MUST(fd >= 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	MUST_BE(sendmsg(through, &m, 0), 1);
	close(fd);
}

static void receive_eventfd(int from, unsigned count)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
	struct iovec part = {&byte, 1};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
			   .msg_controllen = sizeof control};
	uint64_t found;
	int fd;

	MUST_BE(recvmsg(from, &m, 0), 1);
	MUST(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	MUST_BE(read(fd, &found, sizeof found), sizeof found);
	MUST_BE(found, count);
	close(fd);
}

/* Some datagram queues hold no more than ten. */
static bool pair_make(struct object *o)
{
	char text[ROOM];

	MUST(socketpair(AF_UNIX, types[o->option % 3], 0, o->fd) == 0);
	o->count = (int)(o->option >> 8 & 7);
	if (o->option >> 16 & 1)
		send_eventfd(o->fd[1], 7);
	for (int i = 0; i < o->count; i++)
		for (int way = 0; way < 2; way++) {
			size_t size = message(o, i, way, text);

			MUST_BE(send(o->fd[!way], text, size, 0), size);
		}
	return true;
}

static void pair_look(const struct object *o)
{
	char text[ROOM];
	int type = 0, expected = 0;
	socklen_t len = sizeof type;

	MUST(getsockopt(o->fd[0], SOL_SOCKET, SO_TYPE, &type, &len) == 0);
	MUST_BE(type, types[o->option % 3]);
	for (int i = 0; i < o->count && (i == 0 || type != SOCK_DGRAM); i++)
		expected += (int)message(o, i, 1, text);
	MUST_BE(readable(o->fd[1]), expected);
}

static void expect(int fd, const char *text, size_t size)
{
	char found[ROOM];

	MUST_BE(recv(fd, found, size, MSG_WAITALL | MSG_DONTWAIT), size);
	MUST(memcmp(found, text, size) == 0);
}

static void pair_see(struct object *o)
{
	char text[ROOM];

	if (o->option >> 16 & 1)
		receive_eventfd(o->fd[0], 7);
	for (int i = 0; i < o->count; i++) {
		size_t size = message(o, i, 0, text);

		expect(o->fd[0], text, size);
		size = message(o, i, 1, text);
		expect(o->fd[1], text, size);
	}
	expect(o->fd[0], TOKEN, sizeof TOKEN);
	MUST(recv(o->fd[0], text, 1, MSG_DONTWAIT) == -1);
}

static const struct sort sort_pair = {"pair", pair_make, pair_look, token_use, pair_see, NULL};

/* A pseudo-terminal of the tree's own: [0] the master, [1] the slave. */
static bool pty_make(struct object *o)
{
	struct winsize size = {.ws_row = (unsigned short)(o->option % 90 + 1), .ws_col = 33};
	struct termios modes;

	o->fd[0] = posix_openpt(O_RDWR | O_NOCTTY);
	if (o->fd[0] < 0)
		return false;
	MUST(grantpt(o->fd[0]) == 0 && unlockpt(o->fd[0]) == 0);
	o->fd[1] = ioctl(o->fd[0], TIOCGPTPEER, O_RDWR | O_NOCTTY);
	MUST(o->fd[1] >= 0 && tcgetattr(o->fd[1], &modes) == 0);
	cfmakeraw(&modes);
	modes.c_cc[VEOL2] = 7;
	MUST(tcsetattr(o->fd[1], TCSANOW, &modes) == 0);
	MUST(ioctl(o->fd[0], TIOCSWINSZ, &size) == 0);
	o->size = o->option >> 8 & 255;
	for (size_t i = 0; i < o->size; i++)
		MUST_BE(write(o->fd[0], "y", 1), 1);
	for (int i = 0; readable(o->fd[1]) != (int)o->size; i++) {
		MUST(i < 5000);
		test_nap(1);
	}
	return true;
}

static void pty_look(const struct object *o)
{
	struct winsize size;
	struct termios modes;

	MUST(ioctl(o->fd[1], TIOCGWINSZ, &size) == 0);
	MUST_BE(size.ws_row, o->option % 90 + 1);
	MUST_BE(size.ws_col, 33);
	MUST(tcgetattr(o->fd[1], &modes) == 0);
	MUST(!(modes.c_lflag & (ECHO | ICANON)) && modes.c_cc[VEOL2] == 7);
	MUST_BE(readable(o->fd[1]), o->size);
}

static void pty_use(struct object *o)
{
	MUST_BE(write(o->fd[0], TOKEN, sizeof TOKEN), sizeof TOKEN);
}

static void pty_see(struct object *o)
{
	char text[256 + sizeof TOKEN];
	size_t have = 0;

	while (have < o->size + sizeof TOKEN) {
		ssize_t n = read(o->fd[1], text + have, o->size + sizeof TOKEN - have);

		MUST(n > 0);
		have += (size_t)n;
	}
	for (size_t i = 0; i < o->size; i++)
		MUST_BE(text[i], 'y');
	MUST(memcmp(text + o->size, TOKEN, sizeof TOKEN) == 0);
}

static const struct sort sort_pty = {"pty", pty_make, pty_look, pty_use, pty_see, NULL};

/* A Unix socket that listens, with connections that nobody has accepted yet; [1] is the last. */
static bool listener_make(struct object *o)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t len = sizeof name;
	int type = o->option & 1 ? SOCK_STREAM : SOCK_SEQPACKET;

	if (o->option & 2) {
		snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s.%d", test_name(),
			 o->number);
		len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
				  strlen(name.sun_path + 1));
	} else {
		MUST(snprintf(name.sun_path, sizeof name.sun_path, "%s/s%d", board->home,
			      o->number) < (int)sizeof name.sun_path);
	}
	o->fd[0] = socket(AF_UNIX, type, 0);
	o->fd[1] = socket(AF_UNIX, type, 0);
	MUST(o->fd[0] >= 0 && o->fd[1] >= 0);
	MUST(bind(o->fd[0], (struct sockaddr *)&name, len) == 0 && listen(o->fd[0], 5) == 0);
	MUST(connect(o->fd[1], (struct sockaddr *)&name, len) == 0);
	return true;
}

static void listener_see(struct object *o)
{
	int fd = accept(o->fd[0], NULL, NULL);

	MUST(fd >= 0);
	expect(fd, TOKEN, sizeof TOKEN);
	MUST_BE(send(fd, "back", 4, 0), 4);
	expect(o->fd[1], "back", 4);
	close(fd);
}

static const struct sort sort_listener = {"listener", listener_make, NULL, token_use,
					  listener_see, NULL};

static socklen_t local_name(int fd, struct sockaddr_in *name)
{
	socklen_t len = sizeof *name;

	memset(name, 0, sizeof *name);
	MUST(getsockname(fd, (struct sockaddr *)name, &len) == 0);
	return len;
}

/* Of many addresses, so that nobody gets this one's port while the tree is not there. */
static bool bind_local(struct object *o, int type)
{
	struct sockaddr_in any = {.sin_family = AF_INET};

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + (uint32_t)(o->seed & 0x7fffff));
	o->fd[0] = socket(AF_INET, type, 0);
	MUST(o->fd[0] >= 0);
	return bind(o->fd[0], (struct sockaddr *)&any, sizeof any) == 0;
}

static bool tcp_make(struct object *o)
{
	return bind_local(o, SOCK_STREAM) && listen(o->fd[0], 5) == 0;
}

static void tcp_use(struct object *o)
{
	struct sockaddr_in name;
	socklen_t len = local_name(o->fd[0], &name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(connect(fd, (struct sockaddr *)&name, len) == 0);
	MUST_BE(send(fd, TOKEN, sizeof TOKEN, 0), sizeof TOKEN);
	close(fd);
}

static void tcp_see(struct object *o)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof peer;
	int fd = accept(o->fd[0], (struct sockaddr *)&peer, &len);
	char text[sizeof TOKEN];

	MUST(fd >= 0 && recv(fd, text, sizeof text, MSG_WAITALL) == sizeof text);
	close(fd);
}

static const struct sort sort_tcp = {"tcp", tcp_make, NULL, tcp_use, tcp_see, NULL};

/* [1] is connected to [0]. */
static bool udp_make(struct object *o)
{
	struct sockaddr_in name;
	socklen_t len;

	if (!bind_local(o, SOCK_DGRAM))
		return false;
	len = local_name(o->fd[0], &name);
	o->fd[1] = socket(AF_INET, SOCK_DGRAM, 0);
	return connect(o->fd[1], (struct sockaddr *)&name, len) == 0;
}

static void udp_see(struct object *o)
{
	struct pollfd p = {o->fd[0], POLLIN, 0};

	MUST_BE(poll(&p, 1, 5000), 1);
	expect(o->fd[0], TOKEN, sizeof TOKEN);
}

static const struct sort sort_udp = {"udp", udp_make, NULL, token_use, udp_see, NULL};

const struct sort *const streams[] = {&sort_pipe,     &sort_pipe, &sort_pair, &sort_pair,
				      &sort_listener, &sort_tcp,  &sort_udp,  &sort_pty};
const unsigned stream_count = sizeof streams / sizeof *streams;
