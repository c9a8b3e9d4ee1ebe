/* EXPECT-REFUSAL: message queue|mqueue */
/* An open POSIX message queue. */
#include <mqueue.h>

#include "check.h"

int main(void)
{
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 16};
	char name[64], text[16] = "";
	mqd_t queue;

	snprintf(name, sizeof(name), "/%s", test_name());
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	if (queue < 0)
		SKIP("no message queues here: %s", strerror(errno));
	CHECK(mq_unlink(name) == 0);
	CHECK(mq_send(queue, "message", 7, 0) == 0);

	test_ready();

	CHECK_EQ(mq_receive(queue, text, sizeof(text), NULL), 7);
	CHECK(strcmp(text, "message") == 0);
	test_passed();
}
