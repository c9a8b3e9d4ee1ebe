/* Images are looked at by a child that can do nothing but read. */
#include "image_try.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "engine/confine.h"
#include "priv/sandbox.h"

static void need_sandbox(void)
{
	if (!priv_sandbox_built())
		skip();
}

static int say_words(void *arg, struct text *t, struct error **err)
{
	(void)err;
	text_add(t, "%s", (const char *)arg);
	return 0;
}

static void test_text(void **state)
{
	cleanup_text struct text t = {0};

	(void)state;
	assert_int_equal(confined(say_words, (void *)"words", &t, NULL), 0);
	assert_string_equal(t.bytes, "words");
}

static int refuse_twice(void *arg, struct text *t, struct error **err)
{
	(void)arg;
	(void)t;
	refuse(err, EBADMSG, "mend it", "the first");
	return refuse(err, EBADMSG, NULL, "the second");
}

static void test_reasons(void **state)
{
	cleanup_error struct error *err = NULL;
	cleanup_text struct text t = {0};

	(void)state;
	assert_int_equal(confined(refuse_twice, NULL, &t, &err), -EBADMSG);
	assert_int_equal(error_count(err), 2);
	assert_string_equal(error_why(err, 0), "the first");
	assert_string_equal(error_mend(err, 0), "mend it");
	assert_string_equal(error_why(err, 1), "the second");
	assert_null(error_mend(err, 1));
	assert_int_equal(error_outcome(err), OUTCOME_REFUSED);
	assert_int_equal(error_errno(err), EBADMSG);
}

/* What a reader does. */
static void *nothing(void *arg)
{
	return arg;
}

static int read_like_a_reader(void *arg, struct text *t, struct error **err)
{
	pthread_t thread;
	char *memory = malloc(40 << 20);
	char byte;
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	(void)arg;
	(void)err;
	memset(memory, 1, 40 << 20);
	if (fd < 0 || fd_pread(fd, &byte, 1, 0) != 1 || pthread_create(&thread, NULL, nothing, NULL))
		return -EIO;
	pthread_join(thread, NULL);
	free(memory);
	close(fd);
	text_add(t, "read");
	return 0;
}

static void test_reading(void **state)
{
	cleanup_error struct error *err = NULL;
	cleanup_text struct text t = {0};

	(void)state;
	if (confined(read_like_a_reader, NULL, &t, &err) < 0)
		fail_msg("%s", error_why(err, 0));
	assert_string_equal(t.bytes, "read");
}

enum deed { SOCKET, EXECUTE, WRITE_FILE, WRITE_ELSEWHERE, EXECUTABLE, FORK, KILL, DEEDS };

static int do_it(void *arg, struct text *t, struct error **err)
{
	(void)t;
	(void)err;
	switch (*(enum deed *)arg) {
	case SOCKET:
		return socket(AF_UNIX, SOCK_STREAM, 0);
	case EXECUTE:
		return execl("/bin/true", "true", NULL);
	case WRITE_FILE:
		return open("/tmp/confine", O_WRONLY | O_CREAT, 0600);
	case WRITE_ELSEWHERE:
		return (int)write(STDERR_FILENO, "", 1);
	case EXECUTABLE:
		return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		       MAP_FAILED;
	case FORK:
		return fork();
	default:
		return kill(getppid(), 0);
	}
}

static void test_forbidden(void **state)
{
	(void)state;
	need_sandbox();
	for (enum deed deed = 0; deed < DEEDS; deed++) {
		cleanup_error struct error *err = NULL;
		cleanup_text struct text t = {0};

		assert_int_equal(confined(do_it, &deed, &t, &err), -EBADMSG);
		assert_non_null(strstr(error_why(err, 0), "ended by signal 31"));
	}
	/* No child is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	  cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_reading),	  cmocka_unit_test(test_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
