/* POSIX message queues: with messages and a name, without; who waits for one; flags and modes. */
#include <mqueue.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ipc.h"

int main(void)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 16}, now;
	mqd_t named, reading, nameless, writing;
	char name[64], other[64], text[16];
	unsigned int priority;
	struct stat st;
	int status;
	pid_t pid;

	snprintf(name, sizeof name, "/%s", test_name());
	snprintf(other, sizeof other, "/%s-other", test_name());
	named = mq_open(name, O_CREAT | O_EXCL | O_WRONLY, 0600, &attr);
	if (named < 0)
		SKIP("no message queues here: %s", strerror(errno));
	reading = mq_open(name, O_RDONLY | O_NONBLOCK);
	nameless = mq_open(other, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	writing = mq_open(other, O_WRONLY);
	CHECK_EQ(fchmod(nameless, 0620), 0);
	CHECK(reading >= 0 && nameless >= 0 && writing >= 0);
	CHECK_EQ(mq_unlink(other), 0);
	CHECK_EQ(mq_send(named, "low", 4, 1), 0);
	CHECK_EQ(mq_send(named, "high", 5, 9), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK_EQ(mq_receive(nameless, text, sizeof text, NULL), 6);
		CHECK(strcmp(text, "hello") == 0);
		_exit(3);
	}
	test_nap(20);

	test_ready();

	CHECK_EQ(mq_getattr(named, &now), 0);
	CHECK_EQ(now.mq_curmsgs, 2);
	CHECK_EQ(now.mq_maxmsg, 4);
	CHECK_EQ(now.mq_flags, 0);
	CHECK_EQ(mq_getattr(reading, &now), 0);
	CHECK_EQ(now.mq_flags, O_NONBLOCK);
	CHECK(mq_send(reading, "x", 1, 0) < 0 && errno == EBADF);
	CHECK_EQ(mq_receive(reading, text, sizeof text, &priority), 5);
	CHECK(strcmp(text, "high") == 0 && priority == 9);
	CHECK_EQ(mq_send(named, "third", 6, 0), 0);
	CHECK_EQ(mq_receive(reading, text, sizeof text, &priority), 4);
	CHECK_EQ(mq_receive(reading, text, sizeof text, &priority), 6);
	CHECK(mq_receive(reading, text, sizeof text, &priority) < 0 && errno == EAGAIN);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	CHECK_EQ(mq_send(writing, "hello", 6, 0), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 3);
	CHECK_EQ(fstat(nameless, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0620);
	CHECK(mq_open(other, O_RDWR) < 0 && errno == ENOENT);
	CHECK_EQ(mq_unlink(name), 0);
	test_passed();
}
