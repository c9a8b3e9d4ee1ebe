/* EXPECT-REFUSAL: its messages \(1\) cannot be saved */
/* EXPECT-REFUSAL: is to be notified of its messages */
/* POSIX message queues: messages without a name to find them by again; and a notification. */
#include <mqueue.h>
#include <signal.h>

#include "check.h"

int main(void)
{
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 16};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
	char name[64], text[16] = "";
	mqd_t queue, other;

	snprintf(name, sizeof(name), "/%s", test_name());
	queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	if (queue < 0)
		SKIP("no message queues here: %s", strerror(errno));
	CHECK_EQ(mq_unlink(name), 0);
	CHECK_EQ(mq_send(queue, "message", 7, 0), 0);
	other = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attr);
	CHECK(other >= 0);
	CHECK_EQ(mq_unlink(name), 0);
	CHECK_EQ(mq_notify(other, &event), 0);

	test_ready();

	CHECK_EQ(mq_receive(queue, text, sizeof(text), NULL), 7);
	CHECK(strcmp(text, "message") == 0);
	test_passed();
}
