/* Being the parent of a restored program: like the shell's, or the program itself. */
#pragma once

#include <stdbool.h>
#include <termios.h>

#include "stasis.h"

/* The modes that the user's terminal had before a program set its own. */
struct terminal_modes {
	int fd;
	bool known;
	struct termios modes;
};

void remember_terminal(struct terminal_modes *ret);
/* Puts them back, if the terminal is ours, and forgets them. */
void mend_terminal(struct terminal_modes *m);

/*
 * Passes signals on until the program ends, or all its copies; frees the processes; returns the exit
 * status, of copies that of the first one that did not end well.
 */
int stay_in_foreground(stasis_process **processes, size_t count, struct terminal_modes *modes);
