/* The probes of the table.  Each returns 0 or what the kernel said, and leaves nothing behind. */
#pragma once

/* probe.c */
int probe_exact_pid(void);
int probe_user_namespace(void);
int probe_private_proc(void);
int probe_set_mm_map(void);
/* PR_SET_MM_MAP of the caller with made-up numbers: only for a child that ends at once. */
int probe_call_set_mm_map(int exe_fd);
int probe_exe_link(void);
int probe_map_files_open(void);
int probe_kcmp(void);
int probe_timer_ids(void);

/* probe-others.c */
int probe_trace(void);
int probe_descriptors(void);
int probe_not_dumpable(void);
int probe_other_users(void);
int probe_filters_read(void);
int probe_filters_suspend(void);

/* probe-objects.c */
int probe_last_pid(void);
int probe_ipc_ids(void);
int probe_tcp_repair(void);
int probe_handles(void);
int probe_kernel_faults(void);
int probe_terminal_locks(void);

/* probe-rights.c */
int probe_change_user(void);
int probe_change_group(void);
int probe_secure_bits(void);
int probe_change_root(void);
int probe_raise_limits(void);
int probe_lower_oom_score(void);
int probe_lower_nice(void);
int probe_real_time(void);
int probe_deadline(void);
int probe_io_real_time(void);
