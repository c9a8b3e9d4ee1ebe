/*
 * A random tree of processes that checks itself.
 *
 * All that is random comes from a seed: plan.c draws up the tree, own.c what each member has for
 * itself, and streams.c and things.c the objects that members inherit from one another.  What
 * everybody must find again stands on the board, a piece of shared memory.
 *
 * After "go" the members proceed in steps, all together: each checks what it has for itself and
 * looks at every object that it holds; then one holder of each object uses it; then another one
 * must see that.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "../kind/check.h"

#define MEMBERS 30
#define OBJECTS 120
#define WATCHES 8

/* How a member comes about. */
enum {
	SHARE_MEMORY = 1 << 0,
	SHARE_FILES = 1 << 1,
	SHARE_DIRECTORY = 1 << 2,
	SHARE_ACTIONS = 1 << 3,
	SHARE_ANY = SHARE_MEMORY | SHARE_FILES | SHARE_DIRECTORY | SHARE_ACTIONS,
	NEW_SESSION = 1 << 4,
	NEW_GROUP = 1 << 5,
	STOPPED = 1 << 6,
	ORPHAN = 1 << 7,
	ZOMBIE = 1 << 8,
	REAPER = 1 << 9,
};

enum pastime { NAPS, WAITS_FUTEX, READS_PIPE, POLLS_PIPE, PASTIMES };

struct own {
	mode_t umask;
	char cwd[200], name[16];
	int nice, death_signal, threads, ended;
	unsigned long slack;
	rlim_t core;
	unsigned queued;
	bool interrupted;
	struct sigaction action;
	time_t alarm;
};

struct member {
	int number, parent, collector;
	unsigned flags;
	enum pastime pastime;
	uint64_t seed;
	pid_t pid, ppid, pgid, sid;
	struct own own;
	_Atomic bool is_set_up;
};

struct object {
	const struct sort *sort;
	int number, creator, user, seer;
	uint64_t seed, holders;
	int fd[2], id, count;
	unsigned option;
	size_t size;
	void *memory;
	char path[240];
	int watched[WATCHES];
};

/* A sort of object.  What it has no function for needs none. */
struct sort {
	const char *name;
	bool (*make)(struct object *o);       /* false: cannot be had here */
	void (*look)(const struct object *o); /* leaves it as it is */
	void (*use)(struct object *o);
	void (*see)(struct object *o);
	void (*remove)(struct object *o); /* what would outlive the program */
};

enum step { AT_LOOK, AT_USE, AT_SEE, STEPS };

struct board {
	uint64_t seed;
	char home[160];
	int member_count, object_count, gate[2];
	_Atomic bool has_failed;
	_Atomic int go, arrived[STEPS];
	struct member members[MEMBERS];
	struct object objects[OBJECTS];
};

extern struct board *board;

/* plan.c */
uint64_t draw(uint64_t *state);
unsigned below(uint64_t *state, unsigned end);
bool chance(uint64_t *state, unsigned percent);
void make_plan(uint64_t seed, const struct sort *const *sorts, unsigned sort_count);
void print_plan(void);

/* own.c */
void own_set_up(struct member *m);
void own_start_threads(struct member *m);
void own_check(struct member *m);
void own_end_threads(struct member *m);

/* Bytes that only this seed gives. */
void fill(void *to, size_t size, uint64_t seed);
bool is_filled(const void *from, size_t size, uint64_t seed);

extern const struct sort *const streams[], *const things[];
extern const unsigned stream_count, thing_count;

#define TOKEN "token"

__attribute__((noreturn)) void fail(const char *file, int line, const char *what, long long value);

/* As CHECK, but says whose check it is, and ends the wait of all others. */
#define MUST(cond)                                                             \
	do {                                                                   \
		if (!(cond))                                                   \
			fail(__FILE__, __LINE__, #cond, errno);                \
	} while (0)

#define MUST_BE(a, b)                                                          \
	do {                                                                   \
		long long a_ = (long long)(a);                                 \
		if (a_ != (long long)(b))                                      \
			fail(__FILE__, __LINE__, #a " is " #b, a_);            \
	} while (0)
