/* The files behind mappings: found without following /proc/PID/map_files, which takes a capability. */
#pragma once

#include "base/error.h"
#include "proc/maps.h"
#include "task/capture.h"

/* The file behind a mapping as an entry of c->files: its id. */
int find_backing(struct capture *c, struct task *task, const struct vm_area *area, uint32_t *ret_id,
		 struct error **err);

/* What /proc/PID/exe names, likewise. */
int find_executable(struct capture *c, struct task *task, uint32_t *ret_id, struct error **err);
