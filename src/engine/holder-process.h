/* What runs in the process of engine/holder.h, and what it says to those who ask. */
#pragma once

#include "engine/holder.h"

#define HOLDER_VERSION 1u
#define HOLDER_PART 64u /* processes in a message: not more than SCM_RIGHTS takes */
#define HOLDER_ASK 'a'
#define HOLDER_END 'e'

struct holder_head {
	uint32_t version, how, count, reserved;
	struct image_identity image;
	int64_t since;
};

struct holder_part {
	uint32_t count, reserved;
	struct {
		int32_t pid;
		uint32_t reserved;
		uint64_t starttime;
	} who[HOLDER_PART];
};

/* All that the process has: in a mapping of its own. */
struct holder {
	size_t size; /* of the mapping */
	int socket;
	struct holder_head head;
	size_t count, keep_count;
	struct held *entries;
	int *keep; /* sorted: the descriptors that it has */
};

struct holder *holder_new(size_t processes);
void holder_free(struct holder *h);

/* In a newborn process; what it shares with its parent is let go of first. */
__attribute__((noreturn)) void holder_run(struct holder *h);

/* A message, and the descriptors that come with it (at most HOLDER_PART). */
ssize_t holder_receive(int socket, void *buf, size_t size, int *ret_fds, int *ret_count);
