/* How the running kernel was configured, where the system tells. */
#pragma once

#include "base/str.h"

/* The text of the configuration; ret stays empty when there is none, or it cannot be read. */
void kernel_config(const char *release, struct text *ret);

/* "y", "m", "n" (also of an option that is not there), or its value; malloc'ed. */
char *kernel_config_value(const char *config, const char *option);
