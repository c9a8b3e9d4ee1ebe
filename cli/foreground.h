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

/* Passes signals on until the program ends; frees process; returns its exit status. */
int stay_in_foreground(stasis_process *process, struct terminal_modes *modes);
