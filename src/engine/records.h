/* The records that are the engine's own: tags 1 to 63. */
#pragma once

#include "base/error.h"
#include "records.pb-c.h"
#include "task/capture.h"

enum {
	TAG_INVENTORY = 1,
	TAG_TASK = 2,
	TAG_THREAD = 3,
	TAG_MEMORY = 4,
	TAG_PARENT = 5,
};

/* The message of a tag, the engine's or a kind's; NULL: unknown. */
const ProtobufCMessageDescriptor *record_schema(uint32_t tag);
/* "thread", "eventfd": as shown to users; NULL: unknown. */
const char *record_name(uint32_t tag);

/* The Task record of a stopped task, whose descriptors were read. */
int make_task_record(struct capture *c, struct task *task, Rec__Task **ret, struct error **err);
