/*
 * What needs a private IPC namespace, where numbers cannot be chosen, beside a POSIX message queue, which then
 * has to be there as well.
 */
#include <mqueue.h>
#include <sys/shm.h>

#include "ipc.h"

int main(void)
{
	struct mq_attr attr = {.mq_maxmsg = 3, .mq_msgsize = 8}, now;
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	char *memory = id >= 0 ? shmat(id, NULL, 0) : NULL;
	char name[64], text[8];
	mqd_t queue, again;

	snprintf(name, sizeof name, "/%s", test_name());
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK, 0600, &attr);
	again = mq_open(name, O_RDONLY);
	if (id < 0 || queue < 0)
		SKIP("no System V IPC or no message queues here: %s", strerror(errno));
	CHECK(memory != (char *)-1 && again >= 0);
	CHECK_EQ(mq_unlink(name), 0);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	strcpy(memory, "removed");

	test_ready();

	CHECK(strcmp(memory, "removed") == 0);
	CHECK_EQ(mq_getattr(queue, &now), 0);
	CHECK_EQ(now.mq_maxmsg, 3);
	CHECK_EQ(now.mq_flags, O_NONBLOCK);
	CHECK(mq_receive(queue, text, sizeof text, NULL) < 0 && errno == EAGAIN);
	CHECK_EQ(mq_send(queue, "one", 4, 0), 0);
	CHECK_EQ(mq_receive(again, text, sizeof text, NULL), 4);
	CHECK(mq_open(name, O_RDONLY) < 0 && errno == ENOENT);
	test_passed();
}
