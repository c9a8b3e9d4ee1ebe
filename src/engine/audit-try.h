/* The trials, for the table of accesses. */
#pragma once

#include "engine/audit.h"

#define AUDIT_TRIALS(x)                                                                          \
	x(try_ptrace) x(try_maps) x(try_map_readdir) x(try_map_readlink) x(try_map_lstat)        \
	x(try_map_stat) x(try_map_read) x(try_map_write) x(try_map_truncate) x(try_map_dmabuf)   \
	x(try_fd_readdir) x(try_fd_readlink) x(try_fd_open) x(try_file_by_path)                  \
	x(try_reopen_file) x(try_reopen_memfd) x(try_reopen_sealed) x(try_reopen_readonly)       \
	x(try_getfd) x(try_vm_readv) x(try_mem) x(try_pagemap) x(try_pagemap_pfn) x(try_kcmp)    \
	x(try_set_tid) x(try_set_tid_own) x(try_last_pid) x(try_last_pid_own) x(try_mm_map)      \
	x(try_mm_exe) x(try_uffd_user) x(try_uffd_full) x(try_uffd_device)                       \
	x(try_shared_truncate) x(try_shared_read) x(try_shrink_truncate) x(try_shrink_read)      \
	x(try_future_write) x(try_future_map) x(try_future_reopen) x(try_future_old_map)         \
	x(try_exec_chmod) x(try_exec_write)

#define AUDIT_TRIAL(name) int name(const struct audit_scene *s, const struct audit_victim *v);
AUDIT_TRIALS(AUDIT_TRIAL)
AUDIT_TRIAL(try_map_first_entries) /* no row: a fact, see audit_probe_list() */
