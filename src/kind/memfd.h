/* What memfd.c (capture) and memfd-open.c (restore) share. */
#pragma once

#include "kind/kind.h"

extern const struct kind kind_memfd;

/* Seals of memfd_create(2) that older headers lack. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define MEMFD_SEALS                                                                              \
	((uint32_t)(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |                    \
		    F_SEAL_FUTURE_WRITE | F_SEAL_EXEC))

int memfd_check(const struct rebuild *r, const ProtobufCMessage *base, struct error **err);
int memfd_open(struct rebuild *r, struct rebuilt_file *f, struct error **err);
int memfd_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err);
int memfd_settle(struct rebuild *r, struct rebuilt_task *t, const ProtobufCMessage *base, int fd,
		 struct batch *b, struct error **err);
