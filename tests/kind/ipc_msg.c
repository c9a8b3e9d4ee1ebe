/* System V message queues: messages of several types and sizes in their order; and one who waits. */
#include <sys/msg.h>
#include <sys/wait.h>

#include "ipc.h"

struct message {
	long type;
	char text[2000];
};

static void put(int id, long type, size_t size)
{
	struct message m = {.type = type};

	memset(m.text, (int)('a' + type), size);
	CHECK_EQ(msgsnd(id, &m, size, 0), 0);
}

static void take(int id, long want, long type, size_t size)
{
	struct message m;

	CHECK_EQ(msgrcv(id, &m, sizeof m.text, want, IPC_NOWAIT), size);
	CHECK_EQ(m.type, type);
	for (size_t i = 0; i < size; i++)
		CHECK_EQ(m.text[i], 'a' + type);
}

int main(void)
{
	int id = msgget(test_key(), IPC_CREAT | IPC_EXCL | 0600), other, status;
	struct msqid_ds d;
	pid_t pid;

	if (id < 0)
		SKIP("no SysV message queues here: %s", strerror(errno));
	put(id, 3, 1);
	put(id, 1, 2000);
	put(id, 2, 0);
	put(id, 1, 77);
	other = msgget(IPC_PRIVATE, 0600);
	CHECK_EQ(msgctl(other, IPC_STAT, &d), 0);
	d.msg_qbytes = 4321;
	CHECK_EQ(msgctl(other, IPC_SET, &d), 0);
	put(other, 1, 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		struct message m;

		take(other, 1, 1, 0);
		CHECK_EQ(msgrcv(other, &m, sizeof m.text, 9, 0), 5);
		_exit(5);
	}
	do
		CHECK_EQ(msgctl(other, IPC_STAT, &d), 0);
	while (d.msg_qnum);
	test_nap(20);

	test_ready();

	CHECK_EQ(msgget(test_key(), 0), id);
	CHECK_EQ(msgctl(id, IPC_STAT, &d), 0);
	CHECK_EQ(d.msg_qnum, 4);
	CHECK_EQ(d.msg_cbytes, 2078);
	CHECK_EQ(msgctl(other, IPC_STAT, &d), 0);
	CHECK_EQ(d.msg_qbytes, 4321);
	take(id, 1, 1, 2000);
	take(id, 0, 3, 1);
	take(id, -2, 1, 77);
	take(id, 0, 2, 0);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	put(other, 9, 5);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 5);
	CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
	CHECK_EQ(msgctl(other, IPC_RMID, NULL), 0);
	test_passed();
}
