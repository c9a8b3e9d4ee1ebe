/*
 * A stranger's image is read by a child that can do nothing but read (priv/sandbox.h); what comes
 * back are bytes and sentences.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"

/*
 * In a child: work(arg, &t, err).  Returns its result, with the text that it made and its words.
 * Where a child or the filter cannot be had, it is done here, or without.
 */
int confined(int (*work)(void *arg, struct text *t, struct error **err), void *arg,
	     struct text *ret, struct error **err);
