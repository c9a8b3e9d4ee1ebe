/*
 * Privilege: which operations are permitted here and now, why, and what is
 * done without.  No other folder asks who we are: it asks whether it may.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* The ladder.  Each level includes those before it. */
enum level {
	LEVEL_NONE,
	LEVEL_USERNS, /* own namespaces */
	LEVEL_CAP,    /* CAP_CHECKPOINT_RESTORE, as file capability or ambient */
	LEVEL_ROOT,
};

enum priv_op {
	/* Numbers and namespaces. */
	PRIV_EXACT_PID,       /* clone3() with set_tid in our own pid namespace */
	PRIV_LAST_PID,        /* the way before set_tid */
	PRIV_USER_NAMESPACE,  /* set_tid in an own one */
	PRIV_PRIVATE_PROC,
	PRIV_IPC_IDS,
	PRIV_TIMER_IDS,

	/* Other processes. */
	PRIV_TRACE,           /* one of our own user, that is not our descendant */
	PRIV_DESCRIPTORS,     /* duplicates of its descriptors */
	PRIV_KCMP,
	PRIV_OTHER_USERS,
	PRIV_NOT_DUMPABLE,
	PRIV_MAP_FILES_OPEN,
	PRIV_FILTERS_READ,    /* its seccomp filters */
	PRIV_FILTERS_SUSPEND,

	/* What a restored process is made of. */
	PRIV_SET_MM_MAP,
	PRIV_EXE_LINK,
	PRIV_TCP_REPAIR,
	PRIV_HANDLES,
	PRIV_KERNEL_FAULTS,
	PRIV_TERMINAL_LOCKS,

	/* What it may do and be. */
	PRIV_CHANGE_USER,
	PRIV_CHANGE_GROUP,
	PRIV_SECURE_BITS,     /* and the bounding set */
	PRIV_CHANGE_ROOT,
	PRIV_RAISE_LIMITS,
	PRIV_LOWER_OOM_SCORE,
	PRIV_LOWER_NICE,
	PRIV_REAL_TIME,
	PRIV_DEADLINE,
	PRIV_IO_REAL_TIME,
	PRIV_OPS,
};

#define NO_CAPABILITY (-1)

/* A row of the table. */
struct priv_rule {
	const char *name;
	const char *purpose;
	const char *rule;     /* of the kernel */
	const char *since;    /* the version of that rule, and those of the ones before it */
	const char *source;   /* where in the kernel it stands */
	enum level needs;     /* the lowest level that a stock kernel grants it to */
	int capability;       /* that gives it, or NO_CAPABILITY */
	int (*probe)(void);   /* tries it on nobody but ourselves: 0 or -errno */
	const char *without;  /* what is done when it is not permitted */
	bool spare;           /* nothing is lost: the other way is as good */
};

const struct priv_rule *priv_rule(enum priv_op op);
const char *level_name(enum level level);

/*
 * What has been found out so far.  Starts as {0}; each operation is tried
 * when somebody asks for it first, and not again.  The capabilities
 * of the calling thread count, permitted ones included.
 */
struct priv {
	struct {
		bool known;
		int result;
	} answers[PRIV_OPS];
};

/* 0: permitted.  -errno: what the kernel said. */
int priv_ask(struct priv *priv, enum priv_op op);

static inline bool priv_may(struct priv *priv, enum priv_op op)
{
	return priv_ask(priv, op) == 0;
}

/* The same for who asks once: nothing is remembered. */
bool priv_can(enum priv_op op);

/* Measured by what works, not by names: root of a container is seldom LEVEL_ROOT. */
enum level priv_level(struct priv *priv);

/* The file is ours: we may change its mode, whatever that is now. */
bool priv_owns(uid_t owner);
