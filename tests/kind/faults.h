/* Does touching an address raise SIGSEGV?  For programs of one thread. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>

#include "check.h"

static sigjmp_buf faults_back;

static void faults_caught(int sig)
{
	(void)sig;
	siglongjmp(faults_back, 1);
}

static inline bool faults_when(volatile char *address, bool write)
{
	struct sigaction caught = {.sa_handler = faults_caught}, old;
	volatile bool faulted = false;

	CHECK(sigaction(SIGSEGV, &caught, &old) == 0);
	if (sigsetjmp(faults_back, 1))
		faulted = true;
	else if (write)
		*address = *address;
	else
		(void)*address;
	CHECK(sigaction(SIGSEGV, &old, NULL) == 0);
	return faulted;
}

#define faults_on_read(address) faults_when(address, false)

/* Reads first, and leaves the content as it was. */
#define faults_on_write(address) faults_when(address, true)
