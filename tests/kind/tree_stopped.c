/* Shows: a stopped member stays stopped until it is told to continue. */
#include "tree.h"

static char state_of(pid_t pid)
{
	char path[32], state = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
	fclose(f);
	return state;
}

int main(void)
{
	siginfo_t info;
	pid_t child;
	int status;

	tree_begin();
	child = fork();
	if (child == 0) {
		tree_set_up();
		_exit(0);
	}
	tree_wait(1);
	CHECK(kill(child, SIGSTOP) == 0);
	CHECK(waitid(P_PID, (id_t)child, &info, WSTOPPED | WNOWAIT) == 0);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status));

	test_ready();

	test_nap(50);
	CHECK_EQ(state_of(child), 'T');
	CHECK_EQ(waitpid(child, &status, WNOHANG), 0);
	CHECK(kill(child, SIGCONT) == 0);
	tree_collect(child);
	test_passed();
}
