/*
 * libstasis: checkpoint and restore of processes, for users without privileges.
 *
 * Every function returns 0 (or what it says) on success, a negative errno on failure, and
 * then, if err is not NULL, sets *err to an error that the caller frees with
 * stasis_error_free().  *err must be NULL before the call.  Outputs are
 * untouched on failure.  The library prints nothing and keeps no state between calls.
 *
 * A call must not be made by two threads for the same process at the same time.  Tracing belongs
 * to a thread: each call does all of its work in the calling thread.
 *
 * No function needs a capability.  CAP_CHECKPOINT_RESTORE in the permitted set is raised where
 * it helps: for exact process numbers (capabilities(7)).  What is effective when a function is
 * called is lowered until it returns.
 */
#ifndef STASIS_H
#define STASIS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STASIS_PUBLIC __attribute__((visibility("default")))

/* The version of the library that is running, as "1.2.3"; static storage. */
STASIS_PUBLIC const char *stasis_version(void);

/* ---- Errors ---------------------------------------------------------------------------- */

typedef struct stasis_error stasis_error;

enum stasis_outcome {
	STASIS_FAILED = 1,  /* something was tried and did not work */
	STASIS_USAGE = 2,   /* the arguments make no sense */
	STASIS_REFUSED = 3, /* it cannot be done, and nothing was touched */
};

STASIS_PUBLIC enum stasis_outcome stasis_error_outcome(const stasis_error *err);
/* An error may have several reasons: all that is wrong, at once. */
STASIS_PUBLIC size_t stasis_error_count(const stasis_error *err);
/* Reason i as a sentence; valid until the error is freed. */
STASIS_PUBLIC const char *stasis_error_why(const stasis_error *err, size_t i);
/* What would mend reason i, or NULL. */
STASIS_PUBLIC const char *stasis_error_mend(const stasis_error *err, size_t i);
STASIS_PUBLIC void stasis_error_free(stasis_error *err);

/* ---- Checkpoint ------------------------------------------------------------------------ */

enum stasis_then {
	STASIS_CONTINUE,   /* the program goes on */
	STASIS_KILL,       /* it is ended (SIGKILL) once the image is durable */
	STASIS_LEAVE_STOPPED, /* it stays stopped, as by SIGSTOP */
};

/* What becomes of a pipe or a Unix socket, other than 0 to 2, whose other end is outside the tree. */
enum stasis_external {
	STASIS_EXTERNAL_REFUSE,    /* it is an obstacle */
	STASIS_EXTERNAL_CLOSE,     /* it comes back with its other end closed */
	STASIS_EXTERNAL_RECONNECT, /* sockets: connected again to the address of the other end */
	STASIS_EXTERNAL_INHERIT,   /* the restore has to be given something in its place */
};

/*
 * The level follows the speed of the output, from storing as it is to level 9: a slow one gets
 * smaller data, and no output has to wait longer than for uncompressed data at 300 MB/s.
 */
#define STASIS_COMPRESS_AUTO (-1)

struct stasis_checkpoint_options {
	size_t size;        /* sizeof(struct stasis_checkpoint_options): which fields the caller knows */
	enum stasis_then then;
	int compress;       /* zstd level, 1 to 19; 0: not compressed; STASIS_COMPRESS_AUTO */
	/* Told of the bytes written so far, now and then, while the program stands still. */
	void (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
	int only;           /* not 0: without its descendants */
	enum stasis_external external_unix;
	enum stasis_external external_pipe; /* not STASIS_EXTERNAL_RECONNECT */
	/*
	 * Not 0: what the program writes from now on is known to the next checkpoint, which can then
	 * have this image as its parent.  A small process of the library's keeps that knowledge; it
	 * ends with the program, or with the next checkpoint that has a parent.
	 */
	int track;
	/*
	 * The image that was made by the last checkpoint with track: the new one holds only what was
	 * written since, and can be restored only as long as that one is there.  NULL: a whole image.
	 * -ENODATA, -ESTALE: it is not the image that the writes are known since.
	 */
	const char *parent;
	/*
	 * Not 0: memory is copied while the program runs, again and again what it has written
	 * meanwhile, and only the rest while it stands still: the shortest pause for a program that
	 * writes less than can be copied.  Takes room for a second copy where the image will be.  Not
	 * with parent.  Where the kernel does not tell what is written it changes nothing.
	 */
	int precopy;
};

struct stasis_checkpoint_result {
	size_t size;        /* set by the caller, as above */
	uint64_t bytes;     /* of the image */
	uint64_t memory;    /* bytes of memory in it, before compression */
	uint64_t pause;     /* nanoseconds for which the program stood still */
	uint64_t copied;    /* pages of its memory that were copied in that time */
};

/*
 * Saves process pid with all of its descendants in the file image ("-": standard output), which
 * appears whole or not at all, with mode 0600.  The caller must be allowed to ptrace(2) them.
 *
 * -ESRCH  there is no such process, or it ended meanwhile
 * -EPERM  another user's process, or one that is not dumpable
 * -EBUSY  it is being traced; or a thread of it waits in the kernel where nothing wakes it (that
 *         one is let go only when the calling thread ends)
 * -ENOTSUP  it uses something that cannot be saved (each reason names it)
 * -ENOSPC and others of open(2), write(2), fsync(2): the image could not be written
 * In every case of failure the program goes on as before.
 *
 * A child of the caller may be saved like any other process; the end of one that is saved with
 * STASIS_KILL is waited for as usual.
 *
 * options and result may be NULL.
 */
STASIS_PUBLIC int stasis_checkpoint(pid_t pid, const char *image,
				    const struct stasis_checkpoint_options *options,
				    struct stasis_checkpoint_result *result, stasis_error **err);

/* ---- Restore --------------------------------------------------------------------------- */

enum stasis_pid {
	STASIS_PID_AUTO,    /* the same numbers; else the same in a private namespace; else refused */
	STASIS_PID_SAME,    /* needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN over the pid namespace */
	STASIS_PID_PRIVATE, /* a private user, pid and mount namespace; needs user namespaces */
	STASIS_PID_NEW,     /* new numbers; what the C library caches of them is mended */
};

/*
 * A descriptor of the caller for one of the program: all of its descriptors that are the same
 * open file become that one.  An O_PATH descriptor stands for the file that it names, which
 * is opened as the program had its own open: for reading, for writing or for both.
 */
struct stasis_inherit {
	pid_t pid; /* whose: its number in the image; 0: the first process */
	int fd;    /* its number there */
	int given; /* the caller's: it stays the caller's */
};

struct stasis_restore_options {
	size_t size;        /* sizeof(struct stasis_restore_options) */
	enum stasis_pid pid;
	/* Descriptors of the caller for the program's standard input, output and error; -1: as it was,
	 * or, where that belonged to somebody else, the caller's own.  They stay the caller's. */
	int standard[3];
	int tcp_close;      /* not 0: TCP connections with others come back closed by the peer */
	/* Not 0: the caller stays as the parent.  A program of a terminal is then the foreground job
	 * on the caller's, with the modes (echo, raw, ...) that it had set. */
	int foreground;
	/* Told of the bytes of memory that were put in place, now and then, and of UINT64_MAX when all
	 * is there and the program is about to run; may be NULL. */
	void (*progress)(void *arg, uint64_t bytes);
	void *progress_arg;
	const struct stasis_inherit *inherit;
	size_t inherit_count;
	int unix_close; /* not 0: Unix sockets of STASIS_EXTERNAL_RECONNECT come back closed as well */
	/*
	 * Not 0: the program runs before its memory is there, which comes when it is asked for, and all
	 * of it in the background, from processes that the function leaves behind until that is done.
	 * Needs CAP_SYS_PTRACE, and an image that is a regular file and whole (-EPERM, -ESPIPE, -ENOTSUP).
	 * Should the image turn out to be damaged, or one of these processes be killed, then the program is
	 * ended by SIGKILL, and stasis_process_wait() says why.
	 */
	int lazy;
};
#define STASIS_RESTORE_OPTIONS_INIT                                                            \
	{                                                                                      \
		sizeof(struct stasis_restore_options), STASIS_PID_AUTO, {-1, -1, -1}, 0, 0,    \
		NULL, NULL, NULL, 0, 0, 0                                              \
	}

typedef struct stasis_process stasis_process;

/*
 * Brings back the program of an image ("-": standard input).  It runs when the
 * function returns, as a child of the caller or, in a private namespace, a grandchild.
 *
 * -EBADMSG, -ENOTSUP  the image is damaged, not an image, or of another kind of machine
 * -ENOENT, -ESTALE    files that the program uses are missing or have changed
 * -EEXIST, -EPERM     its numbers cannot be had
 * If it fails, nothing is left behind: no process, no file, no mount.
 */
STASIS_PUBLIC int stasis_restore(const char *image, const struct stasis_restore_options *options,
				 stasis_process **process, stasis_error **err);

#define STASIS_COPIES_MAX 10000

/*
 * As many independent copies of one program, all or none: processes is an array of count.  They have
 * the memory of the image in common and copy a page when they write to it; each opens
 * the program's files itself, and has the program's numbers in a private namespace of its own
 * (STASIS_PID_AUTO) or new ones (STASIS_PID_NEW).  What only one can have, as a port that is
 * listened on, is refused.  image is a file.
 */
STASIS_PUBLIC int stasis_restore_copies(const char *image,
					const struct stasis_restore_options *options, size_t count,
					stasis_process **processes, stasis_error **err);

/* The number of the program's first process in the caller's pid namespace. */
STASIS_PUBLIC pid_t stasis_process_pid(const stasis_process *process);
/* Waits for its end.  status is as of waitpid(2). */
STASIS_PUBLIC int stasis_process_wait(stasis_process *process, int *status, stasis_error **err);
/* Returns also when it is stopped (WIFSTOPPED(*status)): for job control. */
STASIS_PUBLIC int stasis_process_wait_change(stasis_process *process, int *status,
					     stasis_error **err);
/* Forgets it; a program that runs goes on running. */
STASIS_PUBLIC void stasis_process_free(stasis_process *process);

/* ---- Looking --------------------------------------------------------------------------- */

enum stasis_format {
	STASIS_SUMMARY, /* some lines for people */
	STASIS_RECORDS, /* every record, for people */
	STASIS_JSON,    /* every record, one JSON document */
};

/* What is in an image, as a text that the caller frees with free(3).  Memory is not read. */
STASIS_PUBLIC int stasis_show(const char *image, enum stasis_format format, char **text,
			      stasis_error **err);

/*
 * What would be in the way of a checkpoint of pid: 0 when nothing, else as
 * stasis_checkpoint().  The program is stopped for a moment and not changed.
 */
STASIS_PUBLIC int stasis_survey(pid_t pid, stasis_error **err);

enum stasis_diagnosis {
	STASIS_WELL,       /* processes can be saved and brought back; so can pid, if one was given */
	STASIS_UNUSABLE,   /* not here, and not by this user */
	STASIS_OBSTACLES,  /* pid cannot be saved */
};

/*
 * What works here and now, for the caller: each operation is tried, on nobody but children of the
 * library's own.  With a pid (0: none) also what is in the way of saving it, as
 * stasis_survey().  Returns an enum stasis_diagnosis or, as always, a negative errno; text is
 * freed with free(3).  format is STASIS_SUMMARY or STASIS_JSON.
 */
STASIS_PUBLIC int stasis_doctor(pid_t pid, enum stasis_format format, char **text,
				stasis_error **err);

struct stasis_image_info {
	size_t size;
	uint64_t bytes, records, memory_frames, memory;
	char identity[33]; /* hexadecimal: the hash of all of it */
};

/* Reads all of an image and checks every hash.  info may be NULL. */
STASIS_PUBLIC int stasis_verify(const char *image, struct stasis_image_info *info,
				stasis_error **err);

/* ---- Audit ----------------------------------------------------------------------------- */

struct stasis_audit_options {
	size_t size;               /* sizeof(struct stasis_audit_options) */
	enum stasis_format format; /* STASIS_JSON, or for people */
	int colour;                /* not 0: for people at a terminal */
	const char *cell;          /* only this one, and why it is so; NULL: all of them */
};

struct stasis_audit_result {
	size_t size;     /* set by the caller */
	uint32_t tried;  /* cells */
	uint32_t agree;  /* the kernel does what the policy of its version says */
	uint32_t stricter, looser, different; /* it does not */
	uint32_t absent; /* this kernel or machine has no such thing */
};

/*
 * Finds out by experiment what this kernel permits to whom, as far as the caller can play them:
 * makes processes, tries every access on them and ends them.  What was found is a text that the
 * caller frees with free(3).  A kernel that differs from its policy is no error: see result.
 *
 * options and result may be NULL.  -EINVAL: there is no such cell.
 */
STASIS_PUBLIC int stasis_audit(const struct stasis_audit_options *options, char **text,
			       struct stasis_audit_result *result, stasis_error **err);

#ifdef __cplusplus
}
#endif

#endif
