/* A queue whose index is far above the number of queues: there were many, and others are gone. */
#include <sys/msg.h>

#include "ipc.h"

#define MANY 1000

struct message {
	long type;
	char text[8];
};

int main(void)
{
	struct message m = {.type = 5, .text = "sparse"};
	int ids[MANY], kept;

	for (int i = 0; i < MANY; i++) {
		ids[i] = msgget(IPC_PRIVATE, 0600);
		if (ids[i] < 0 && i == 0)
			SKIP("no SysV message queues here: %s", strerror(errno));
		CHECK(ids[i] >= 0);
	}
	kept = ids[MANY - 1];
	for (int i = 0; i < MANY - 1; i++)
		CHECK_EQ(msgctl(ids[i], IPC_RMID, NULL), 0);
	CHECK_EQ(msgsnd(kept, &m, sizeof m.text, 0), 0);

	test_ready();

	memset(&m, 0, sizeof m);
	CHECK_EQ(msgrcv(kept, &m, sizeof m.text, 0, IPC_NOWAIT), sizeof m.text);
	CHECK_EQ(m.type, 5);
	CHECK(!strcmp(m.text, "sparse"));
	CHECK_EQ(msgctl(kept, IPC_RMID, NULL), 0);
	test_passed();
}
