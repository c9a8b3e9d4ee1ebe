/*
 * Privilege: which operations are permitted here and now, why, and what is
 * done without.  No other folder asks who we are: it asks whether it may.
 */
#pragma once

#include <stdbool.h>

/* The ladder.  Each level includes those before it. */
enum level {
	LEVEL_NONE,
	LEVEL_USERNS, /* own namespaces */
	LEVEL_CAP,    /* CAP_CHECKPOINT_RESTORE, as file capability or ambient */
	LEVEL_ROOT,
};

enum priv_op {
	PRIV_EXACT_PID,       /* clone3() with set_tid in our own pid namespace */
	PRIV_USER_NAMESPACE,  /* ... and in an own one */
	PRIV_PRIVATE_PROC,
	PRIV_SET_MM_MAP,
	PRIV_EXE_LINK,
	PRIV_MAP_FILES_OPEN,
	PRIV_KCMP,
	PRIV_TIMER_IDS,
	PRIV_OPS,
};

/* A row of the table. */
struct priv_rule {
	const char *name;
	const char *purpose;
	const char *rule;     /* of the kernel */
	const char *since;    /* the version of that rule, and those of the ones before it */
	const char *source;   /* where in the kernel it stands */
	enum level needs;     /* the lowest level that a stock kernel grants it to */
	int (*probe)(void);   /* tries it on nobody but ourselves: 0 or -errno */
	const char *without;  /* what is done when it is not permitted */
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

/* Measured by what works, not by names: root of a container is seldom LEVEL_ROOT. */
enum level priv_level(struct priv *priv);
