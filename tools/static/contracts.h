/*
 * What the static checkers are told beforehand, for they look into one file at a time: by this
 * header, which tools/static.py puts before each.  Nothing is built with it.
 */
#pragma once

#include "base/error.h"

/* Errors are above 0, so what these return is below it: where a call failed, nothing goes on. */
static inline int contract_negative(int r)
{
	if (r >= 0)
		__builtin_unreachable();
	return r;
}

#define fail(...) contract_negative(fail(__VA_ARGS__))
#define fail_errno(...) contract_negative(fail_errno(__VA_ARGS__))
#define refuse(...) contract_negative(refuse(__VA_ARGS__))
