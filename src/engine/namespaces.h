/* A program in namespaces of its own would come back in ours: that is refused. */
#pragma once

#include "base/error.h"
#include "task/task.h"

/* Adds an obstacle for each namespace that matters and is not ours. */
void refuse_namespaces(const struct task *task, const struct namespaces *ours,
		       struct error **err);

/* Adds an obstacle for each namespace in which the member is not with the root of its tree. */
void refuse_apart(const struct task *task, const struct task *root, struct error **err);
