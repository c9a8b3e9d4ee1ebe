/* Pipes with one end left: the reader gets what is in it and the end, the writer EPIPE. */
#include <signal.h>

#include "check.h"

int main(void)
{
	int reader[2], empty[2], writer[2];
	char text[16] = "";

	signal(SIGPIPE, SIG_IGN);
	CHECK(pipe(reader) == 0 && pipe(empty) == 0 && pipe(writer) == 0);
	CHECK_EQ(write(reader[1], "the rest", 8), 8);
	CHECK_EQ(write(writer[1], "lost", 4), 4);
	CHECK(close(reader[1]) == 0 && close(empty[1]) == 0 && close(writer[0]) == 0);

	test_ready();

	CHECK(read(reader[0], text, sizeof(text)) == 8 && strcmp(text, "the rest") == 0);
	CHECK_EQ(read(reader[0], text, 1), 0);
	CHECK_EQ(read(empty[0], text, 1), 0);
	CHECK(write(writer[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(fcntl(reader[1], F_GETFD) == -1 && fcntl(writer[0], F_GETFD) == -1);
	test_passed();
}
