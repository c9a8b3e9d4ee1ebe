/*
 * What is known of the mappings of large processes before they are stopped.
 *
 * /proc/PID/smaps alone tells the flags of a mapping, and it counts all of its pages to do so: for a
 * large process that takes as long as cloning it.  So it is read while the program still runs.
 * Stopped, its mappings are read from /proc/PID/maps, which counts nothing; and when the program goes on
 * its frozen clone shows whether flags were changed in between.  Of what no clone has, as shared
 * mappings, the program's own tell it, which then runs already: of a mapping that it has
 * ended since, what was seen before is believed.
 */
#pragma once

#include <sys/types.h>

#include "proc/maps.h"
#include "task/task.h"

struct early_maps {
	pid_t pid;
	struct vm_areas areas;
};

struct early_list {
	VEC(struct early_maps) list;
};

/* Looks at the process, and at its descendants unless only, as far as they are large. */
void early_look(struct early_list *l, pid_t root, bool only);
void early_free(struct early_list *l);

/* Its mappings were read. */
bool early_has(const struct early_list *l, pid_t pid);

/*
 * areas are of /proc/PID/maps: they get what was known of the same ones before.  False: there is
 * one of which nothing was known.
 */
bool early_apply(const struct early_list *l, pid_t pid, struct vm_areas *areas);

/* Mappings of a frozen clone have the flags that are believed of its original's. */
bool early_confirm(const struct vm_areas *believed, const struct vm_areas *clone);

/* The same of mappings of the program itself, as it goes on; cloned: but those that a clone has. */
bool early_confirm_running(const struct vm_areas *believed, const struct vm_areas *now,
			   bool cloned);

/* The same for processes, where the task was not looked at stopped.  clone: 0: there is none. */
bool early_was_right(const struct task *task, pid_t clone);
