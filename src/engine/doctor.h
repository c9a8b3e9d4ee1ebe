/*
 * What works here and now, for whoever asks; and what of a process can be saved.  All of it is
 * found out by trying (priv/): settings are only read to say what would make the rest work.
 *
 * doctor-facts.c gathers, doctor-remedy.c knows what would help, doctor-process.c looks at a
 * process, doctor.c says it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "priv/priv.h"
#include "proc/status.h"

enum setting_id {
	SETTING_YAMA,
	SETTING_USERFAULTFD,
	SETTING_USER_NAMESPACES,
	SETTING_PID_NAMESPACES,
	SETTING_USERNS_CLONE,
	SETTING_USERNS_APPARMOR,
	SETTING_LSM,
	SETTING_CONFIG_CHECKPOINT_RESTORE,
	SETTING_CONFIG_KCMP,
	SETTING_CONFIG_USER_NS,
	SETTING_CONFIG_USERFAULTFD,
	SETTING_NO_NEW_PRIVS,
	SETTING_SECCOMP,
	SETTING_FILE_CAPABILITIES,
	SETTING_CONTAINER,
	SETTINGS,
};

/* Something that the administrator, or whoever started us, has chosen. */
struct setting {
	const char *name;
	char *value;         /* NULL: this system has no such thing, or does not tell */
	const char *remark;  /* a sentence, where the value is in the way of something; or NULL */
};

struct facts {
	struct utsname uts;
	struct proc_status self;
	char *program;       /* the executable that we are, or NULL */
	bool initial_user_namespace;
	bool container;
	bool has_file_capability;
	enum level level;
	int results[PRIV_OPS]; /* 0, or what the kernel said */
	struct setting settings[SETTINGS];
};

int facts_gather(struct facts *f, struct error **err);
void facts_free(struct facts *f);
#define cleanup_facts __attribute__((cleanup(facts_free)))

/* The value of a setting is this number. */
bool facts_is(const struct facts *f, enum setting_id id, long number);
/* It is an option of the kernel that is known to be off. */
bool facts_is_off(const struct facts *f, enum setting_id id);

/* What would make an operation work that does not, and what that would give away. */
struct remedy {
	char *mend; /* a command or a setting; NULL: nothing is lacking, or nothing would */
	const char *cost;
};
struct remedy remedy_for(const struct facts *f, enum priv_op op);
void remedy_free(struct remedy *r);
#define cleanup_remedy __attribute__((cleanup(remedy_free)))

/* A process of the tree that was asked about, as anybody sees it without touching it. */
struct patient {
	pid_t pid, parent;
	struct proc_status status;
	long descriptors, mappings; /* -1: not ours to see */
	uint64_t memory;            /* bytes in use; 0 for who has none */
	bool needs[PRIV_OPS];       /* what its restore takes that not everybody may */
};

struct ward {
	VEC(struct patient) patients; /* parents before children */
};

/* The process and all that come from it, compared with who we are.  -ESRCH: there is none. */
int ward_gather(struct ward *w, pid_t pid, const struct proc_status *self, struct error **err);
void ward_free(struct ward *w);
#define cleanup_ward __attribute__((cleanup(ward_free)))

enum verdict {
	VERDICT_WELL,
	VERDICT_UNUSABLE,  /* nothing could be saved and brought back here */
	VERDICT_OBSTACLES, /* the process cannot be saved */
};

/* pid 0: nobody's.  Returns the verdict; *ret is freed by the caller. */
int engine_doctor(pid_t pid, bool json, char **ret, struct error **err);
