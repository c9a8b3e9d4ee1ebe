/* A deleted file whose name another file has taken since: neither becomes the other. */
#include "check.h"

int main(void)
{
	int ghost = open("name", O_CREAT | O_RDWR, 0600), heir;
	char text[8] = "";

	CHECK(ghost >= 0 && write(ghost, "ghost", 5) == 5 && unlink("name") == 0);
	heir = open("name", O_CREAT | O_RDWR | O_EXCL, 0600);
	CHECK(heir >= 0 && write(heir, "heir!", 5) == 5);

	test_ready();

	CHECK(pread(ghost, text, 5, 0) == 5 && strcmp(text, "ghost") == 0);
	CHECK(pread(heir, text, 5, 0) == 5 && strcmp(text, "heir!") == 0);
	CHECK(pwrite(ghost, "GHOST", 5, 0) == 5);
	CHECK(close(heir) == 0);
	heir = open("name", O_RDONLY);
	CHECK(heir >= 0 && read(heir, text, 5) == 5 && strcmp(text, "heir!") == 0);
	test_passed();
}
