/*
 * The audit: victims and callers are made, every access is tried for real, and what the kernel
 * said is held against the policies.  Between its own files; engine.h's users see
 * engine_audit().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"
#include "priv/policy.h"

enum audit_caller_kind {
	CALLER_NONE,
	CALLER_CAP,
	CALLER_PTRACE,
	CALLER_ADMIN,
	CALLER_USERNS,
	CALLER_OTHER,
	CALLER_ROOT,
	CALLERS,
};

enum audit_victim_kind {
	VICTIM_SAME,
	VICTIM_NODUMP,
	VICTIM_GAINED,
	VICTIM_OTHER,
	VICTIM_DROPPED,
	VICTIMS,
};

/* Who may be made: columns, and groups of rows. */
struct audit_party {
	const char *name;  /* "cap" */
	const char *about; /* "CAP_CHECKPOINT_RESTORE and nothing else" */
	int unmade;        /* 0, or -errno: why there is none */
	char why[120];     /* ... in words */
};

struct audit_caller {
	struct audit_party party;
	struct policy_caller creds;
	struct policy_ns own; /* CALLER_USERNS */
};

/* What a victim tells of itself once it is ready, in memory that it shares with us. */
struct audit_view {
	int ready; /* 1, or -errno */
	int memfd, sealed, read_only; /* descriptors of its */
	uint64_t file_at, word_at, dmabuf_at; /* a mapped page each; dmabuf_at may be 0 */
};

#define AUDIT_PAGE 4096u
#define AUDIT_WORD UINT64_C(0x5f73746173697321) /* what is read from a victim's memory */
#define AUDIT_FILE_SIZE (3 * AUDIT_PAGE) /* of which one page is mapped */

struct audit_victim {
	struct audit_party party;
	struct policy_victim creds;
	struct policy_ns own; /* VICTIM_DROPPED, without root */
	pid_t pid;
	int pidfd;
	int file; /* the descriptor of its file, of the same number in it and in us */
	char path[96];
	const struct audit_view *view;
};

struct audit_ids {
	uid_t uid;
	gid_t gid;
};

/* Who and what is there: the same for every trial. */
struct audit_scene {
	struct audit_ids self, user, other, third; /* user: whom most callers are */
	uint64_t permitted;                        /* what we may give to callers */
	struct policy_ns initial, ours;
	const struct policy_ns *ns; /* the one of these that we are in */
	struct policy_facts facts;
	unsigned int major, minor;
	char release[65], hardening[128];
	enum policy policy; /* that this kernel should follow */
	bool has_map_files;
	int executable; /* ours, open */
	int udmabuf;    /* the device, or -1 */
	int life[2];    /* a pipe; its end means that the audit is over */
	pid_t pid; /* our own */
	pid_t guardian;
	int guardian_fd;
	char folder[64];
	struct audit_shared *shared;
	struct audit_caller callers[CALLERS];
	struct audit_victim victims[VICTIMS];
};

struct audit_shared {
	int result;
	int reason; /* RESULT_BROKEN: an errno */
	struct audit_view views[VICTIMS];
};

/* In a child that is the caller already.  victim: NULL for what is done to oneself. */
typedef int audit_trial(const struct audit_scene *scene, const struct audit_victim *victim);

/* A row of the table of accesses. */
struct audit_access {
	const char *name;
	const char *about; /* what is tried */
	const char *rule;  /* one sentence: what the kernel asks for */
	const char *source;
	audit_trial *try;
};
const struct audit_access *audit_access(enum access access);

#define AUDIT_SELF VICTIMS /* in place of a victim */

struct audit_cell {
	bool tried;
	int kernel;
	struct policy_answer answer[POLICIES];
	enum verdict verdict; /* against the policy of this kernel */
};

struct audit_counts {
	uint32_t tried, by[VERDICTS];
};

struct audit_matrix {
	struct audit_cell cells[ACCESSES][VICTIMS + 1][CALLERS];
	struct audit_counts counts;
};

/* Which of the cells: a name of the command line.  ACCESSES: all. */
struct audit_which {
	enum access access;
	unsigned int victim; /* AUDIT_SELF: on oneself */
	enum audit_caller_kind caller;
};

/* audit.c: tries all cells, or one */
void audit_run(const struct audit_scene *s, struct audit_matrix *m, const struct audit_which *only);

/* audit-scene.c */
int audit_scene_begin(struct audit_scene *s, struct error **err);
void audit_scene_end(struct audit_scene *s);
void audit_facts(struct audit_scene *s);
const char *audit_victim_name(unsigned int kind);
const char *audit_caller_name(unsigned int kind);

/* audit-victims.c */
int audit_victims_begin(struct audit_scene *s, struct error **err);
void audit_victims_end(struct audit_scene *s);

/* audit-callers.c */
void audit_callers_begin(struct audit_scene *s);
/* A child of ours: 0 in it.  tied: it ends with us.  Nobody hears of its end but who has pidfd. */
pid_t audit_fork(const struct audit_scene *s, bool tied, int *pidfd);
/* Waits for its end; ends it when that takes too long.  Its exit status, or -SIGNAL. */
int audit_reap(pid_t pid, int *pidfd);
int audit_try(const struct audit_scene *s, audit_trial *trial, const struct audit_victim *victim,
	      const struct audit_caller *caller);
/* The fact that only a trial tells. */
void audit_probe_list(struct audit_scene *s);

/* In such a child: it ends with us even if it has changed its ids.  False: we are gone already. */
bool audit_tied(const struct audit_scene *s);
/*
 * In a trial: job in a child of its own, with flags of clone3(2) and, when wanted is not 0, that
 * number.  What the job returned, or -errno of the clone.
 */
int audit_nested(uint64_t flags, pid_t wanted, int (*job)(const void *arg), const void *arg);

/* audit-matrix.c: pure */
void audit_judge(struct audit_matrix *m, enum policy policy);
void audit_print(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
		 bool colour);
/* explanation: of the only cell, or NULL */
void audit_print_json(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
		      const char *explanation);
const char *audit_result_name(int result, char buf[24]);
void audit_cell_name(char *buf, size_t size, const struct audit_which *which);

/* audit-explain.c */
int audit_parse_cell(const char *cell, struct audit_which *ret, struct error **err);
void audit_explain(struct text *t, const struct audit_scene *s, const struct audit_matrix *m,
		   const struct audit_which *which);
