/* LEVELS: root */
/* Modes of a terminal that the superuser has locked against change (TIOCSLCKTRMIOS). */
#include "pty.h"

int main(void)
{
	struct pty p = pty_new(0);
	struct termios fixed = {.c_lflag = ECHO, .c_cc = {[VINTR] = 1}}, now = {0};

	if (ioctl(p.slave, TIOCSLCKTRMIOS, &fixed) < 0)
		SKIP("modes cannot be locked here");

	test_ready();

	CHECK(ioctl(p.slave, TIOCGLCKTRMIOS, &now) == 0);
	CHECK_EQ(now.c_lflag, ECHO);
	CHECK_EQ(now.c_cc[VINTR], 1);
	CHECK_EQ(now.c_cc[VQUIT], 0);
	CHECK(tcgetattr(p.slave, &now) == 0 && now.c_lflag & ECHO);
	pty_raw(&p);
	CHECK(tcgetattr(p.slave, &now) == 0 && now.c_lflag & ECHO && !(now.c_lflag & ICANON));
	test_passed();
}
