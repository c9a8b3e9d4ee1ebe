/* Being the parent of a restored program: like the shell's, or the program itself. */
#pragma once

#include "stasis.h"

/* Passes signals on until the program ends; frees process; returns its exit status. */
int stay_in_foreground(stasis_process *process);
