/*
 * What terminal.c (slaves, consoles), terminal-master.c and terminal-queue.c share.
 */
#pragma once

#include <asm/termbits.h>
#include <stdbool.h>
#include <stdint.h>

#include "kind/kind.h"

extern const struct kind kind_terminal, kind_terminal_master;

/* ---- terminal-master.c ---- */

/* A description of the slave: the pair is made when the first side of it is opened.  Or -errno and *err. */
int terminal_open_slave(struct rebuild *r, uint32_t master, int flags, struct error **err);
/* The slave of a pair whose master is gone. */
int terminal_open_hung_up(int flags, struct error **err);

/* ---- terminal-queue.c ---- */

/* More than the kernel keeps for a direction: 4095 bytes to be read, and 20 KiB on their way there. */
#define QUEUE_MAX 32768

/*
 * What waits in a pseudo-terminal.  Nothing points out of it: it is filled by another process.
 */
struct terminal_queues {
	bool stopped_by_character, stopped_by_call, exclusive;
	int discipline;
	uint32_t n_input, input_length, output_length;
	struct queue_line {
		uint32_t length;
		Rec__TerminalInput__End end;
	} lines[QUEUE_MAX];
	uint8_t input[QUEUE_MAX];
	uint8_t output[QUEUE_MAX];
};

/*
 * What waits between a master and its slave, which stays as it is: there is no peeking, so a
 * helper, whom nobody ends with us, takes it out and puts it back.  slave: a descriptor of ours of the
 * slave, or -1.  To be freed with terminal_queues_free(); or NULL and *err.
 */
struct terminal_queues *terminal_queues_read(int master, int slave, struct error **err);
struct terminal_queues *terminal_queues_new(void);
void terminal_queues_free(struct terminal_queues **q);
#define cleanup_queues __attribute__((cleanup(terminal_queues_free)))

/*
 * Puts it into empty queues, and sets the slave's modes.  slave must be O_NONBLOCK; the master's
 * flags are changed for the time.  0 or -errno: -ENOSPC, it does not fit.
 */
int terminal_queues_put(int master, int slave, const struct termios2 *modes,
			const struct terminal_queues *q);
