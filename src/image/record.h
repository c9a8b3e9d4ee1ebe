/* Records as protobuf-c holds them in memory: for code that walks any message by its descriptor. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* What one value of this type takes in a message's struct, or one item of a repeated field. */
size_t record_value_size(ProtobufCType type);
