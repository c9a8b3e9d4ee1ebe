/* The probes of the table.  Each returns 0 or what the kernel said, and leaves nothing behind. */
#pragma once

int probe_exact_pid(void);
int probe_user_namespace(void);
int probe_private_proc(void);
int probe_set_mm_map(void);
int probe_exe_link(void);
int probe_map_files_open(void);
int probe_kcmp(void);
int probe_timer_ids(void);
