/* The table of accesses: what is tried, and the rule and its source in one sentence each. */
#include "engine/audit-try.h"

#define READ "ptrace read access (same ids, dumpable, no capability more; or CAP_SYS_PTRACE)"
#define OBSERVE READ "; from Linux 6.15 on CAP_PERFMON or CAP_SYS_ADMIN in the initial user "      \
		"namespace will do"
#define ATTACH "ptrace attach access (as for reading, and Yama)"
#define FOLLOW "Following a link of map_files asks for CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN "   \
	       "in the initial user namespace and for ptrace read access, as the link passes "     \
	       "by all folders on the way to the file"
#define LINK_SOURCE "fs/proc/base.c: proc_map_files_get_link(), Linux 4.3 and 5.9; capabilities(7)"
#define MAP_SOURCE "fs/proc/base.c: proc_map_files_lookup(), Linux 4.3; proc_pid_map_files(5)"
#define PTRACE_SOURCE "kernel/ptrace.c: __ptrace_may_access(); ptrace(2), access mode checking"
#define REOPEN "A link of /proc/PID/fd opens the file anew: the mode of the file counts, and "     \
	       "neither the folders on its path nor the mode of the descriptor"
#define REOPEN_SOURCE "fs/proc/base.c: proc_pid_get_link(); proc_pid_fd(5)"
#define SEAL_SOURCE "mm/memfd.c: memfd_add_seals(); fcntl(2), file sealing"

static const struct audit_access table[ACCESSES] = {
	[ACCESS_PTRACE] = {"ptrace.seize", "PTRACE_SEIZE of the process",
		"Attaching asks for " ATTACH, PTRACE_SOURCE, try_ptrace},
	[ACCESS_MAPS] = {"maps", "reads /proc/PID/maps",
		"The list of mappings asks for " OBSERVE,
		"kernel/fork.c: mm_access(), Linux 6.15; proc_pid_maps(5)", try_maps},
	[ACCESS_MAP_READDIR] = {"map_files.readdir", "lists /proc/PID/map_files",
		"The list of links belongs to the owner of the process and asks for " READ "; in kernels "
		"with a correction of 2026 CAP_PERFMON or CAP_SYS_ADMIN will do",
		"fs/proc/base.c: proc_map_files_readdir(), Linux 4.3; proc_pid_map_files(5)",
		try_map_readdir},
	[ACCESS_MAP_READLINK] = {"map_files.readlink", "reads where a link leads",
		"The path of a mapped file asks for " READ,
		MAP_SOURCE, try_map_readlink},
	[ACCESS_MAP_LSTAT] = {"map_files.lstat", "looks at the link itself",
		"The link itself, once anybody has looked it up, asks for " OBSERVE,
		"fs/proc/base.c: map_files_d_revalidate(); kernel/fork.c: mm_access(), Linux 6.15",
		try_map_lstat},
	[ACCESS_MAP_STAT] = {"map_files.stat", "looks at the file behind the link",
		FOLLOW, LINK_SOURCE, try_map_stat},
	[ACCESS_MAP_READ] = {"map_files.open-read", "opens the file behind the link for reading",
		FOLLOW, LINK_SOURCE, try_map_read},
	[ACCESS_MAP_WRITE] = {"map_files.open-write",
		"opens the file behind a read-only mapping for writing, and writes",
		FOLLOW, LINK_SOURCE, try_map_write},
	[ACCESS_MAP_TRUNCATE] = {"map_files.truncate",
		"shortens the file behind a read-only mapping",
		FOLLOW, LINK_SOURCE, try_map_truncate},
	[ACCESS_MAP_DMABUF] = {"map_files.dma-buf", "opens a mapped dma-buf (udmabuf)",
		"After that the file itself has a say, and the inode of a dma-buf has no open "
		"function",
		"drivers/dma-buf/dma-buf.c: dma_buf_getfile(); fs/inode.c: no_open()",
		try_map_dmabuf},
	[ACCESS_FD_READDIR] = {"fd.readdir", "lists /proc/PID/fd",
		"The list of descriptors asks only for the mode of the folder, which belongs to the "
		"owner of the process, or to root when that is not dumpable",
		"fs/proc/fd.c: proc_fd_permission(); proc_pid_fd(5)", try_fd_readdir},
	[ACCESS_FD_READLINK] = {"fd.readlink", "reads where a descriptor leads",
		"The path of an open file asks for " READ,
		"fs/proc/base.c: proc_pid_readlink(); proc_pid_fd(5)", try_fd_readlink},
	[ACCESS_FD_OPEN] = {"fd.open", "opens the file of a descriptor again, read-only",
		REOPEN, REOPEN_SOURCE, try_fd_open},
	[ACCESS_FILE_BY_PATH] = {"file.by-path",
		"for comparison: opens that file by its path, through a closed folder",
		"A path asks for search permission on every folder of it, and for the file's own mode",
		"fs/namei.c: generic_permission(); path_resolution(7)", try_file_by_path},
	[ACCESS_REOPEN_FILE] = {"reopen.file",
		"opens a file again for writing whose descriptor is read-only and whose path is "
		"closed, and writes",
		REOPEN, REOPEN_SOURCE, try_reopen_file},
	[ACCESS_REOPEN_MEMFD] = {"reopen.memfd", "opens an unsealed memfd again, and writes",
		REOPEN, REOPEN_SOURCE, try_reopen_memfd},
	[ACCESS_REOPEN_SEALED] = {"reopen.memfd-sealed",
		"opens a memfd with F_SEAL_WRITE again, and writes",
		"A seal holds for every descriptor of the memory, whoever has opened it how",
		SEAL_SOURCE, try_reopen_sealed},
	[ACCESS_REOPEN_READONLY] = {"reopen.memfd-readonly",
		"opens an unsealed memfd again for writing of which there is only a read-only "
		"descriptor, and writes",
		REOPEN, REOPEN_SOURCE, try_reopen_readonly},
	[ACCESS_GETFD] = {"pidfd_getfd", "takes a copy of a descriptor",
		"A copy, which keeps the mode it was opened with, asks for " ATTACH,
		"kernel/pid.c: pidfd_getfd(), Linux 5.6; pidfd_getfd(2)", try_getfd},
	[ACCESS_VM_READV] = {"process_vm_readv", "reads memory by the system call",
		"Reading memory asks for " ATTACH,
		"mm/process_vm_access.c: process_vm_rw_core(); process_vm_readv(2)", try_vm_readv},
	[ACCESS_MEM] = {"mem", "reads memory through /proc/PID/mem",
		"The file asks for " ATTACH " and belongs to the owner of the process",
		"fs/proc/base.c: mem_open(); proc_pid_mem(5)", try_mem},
	[ACCESS_PAGEMAP] = {"pagemap.open", "opens /proc/PID/pagemap",
		"The file belongs to the owner of the process and asks for " OBSERVE,
		"fs/proc/task_mmu.c: pagemap_open(); proc_pid_pagemap(5)", try_pagemap},
	[ACCESS_PAGEMAP_PFN] = {"pagemap.pfn", "reads physical page numbers there",
		"They are zeros but for who opened the file with CAP_SYS_ADMIN in the initial user "
		"namespace",
		"fs/proc/task_mmu.c: pagemap_read(), Linux 4.2; proc_pid_pagemap(5)",
		try_pagemap_pfn},
	[ACCESS_KCMP] = {"kcmp", "compares its address space with one's own",
		"Comparing kernel objects asks for " READ " to both processes",
		"kernel/kcmp.c; kcmp(2)", try_kcmp},
	[ACCESS_SET_TID] = {"clone3.set_tid", "makes a process with a chosen number",
		"A number is chosen by who has CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the user "
		"namespace that owns the pid namespace",
		"kernel/pid.c: alloc_pid(), Linux 5.5 and 5.9; clone(2)", try_set_tid},
	[ACCESS_SET_TID_OWN] = {"clone3.set_tid-own",
		"the same in an own user and pid namespace",
		"Who makes a user namespace has every capability in it, and so over a pid namespace "
		"that belongs to it",
		"kernel/pid.c: alloc_pid(); user_namespaces(7)", try_set_tid_own},
	[ACCESS_LAST_PID] = {"ns_last_pid", "writes /proc/sys/kernel/ns_last_pid (what stood there)",
		"The next number is chosen by who has CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the "
		"user namespace that owns the pid namespace",
		"kernel/pid_namespace.c: pid_ns_ctl_handler(), Linux 3.3 and 5.9; capabilities(7)",
		try_last_pid},
	[ACCESS_LAST_PID_OWN] = {"ns_last_pid-own", "the same in an own user and pid namespace",
		"Who makes a user namespace has every capability in it, and so over a pid namespace "
		"that belongs to it",
		"kernel/pid_namespace.c: pid_ns_ctl_handler(); user_namespaces(7)", try_last_pid_own},
	[ACCESS_MM_MAP] = {"mm_map", "PR_SET_MM_MAP, but for the executable",
		"A process may describe its own memory as it likes, without any capability",
		"kernel/sys.c: prctl_set_mm_map(), Linux 3.18; PR_SET_MM(2const)", try_mm_map},
	[ACCESS_MM_EXE] = {"mm_map.exe_fd", "PR_SET_MM_MAP with an executable (EBUSY counts as yes)",
		"The link /proc/PID/exe asks for CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN in the "
		"process's own user namespace, and the old executable must not be mapped any more",
		"kernel/sys.c: prctl_set_mm_map(), Linux 5.9; PR_SET_MM(2const)", try_mm_exe},
	[ACCESS_UFFD_USER] = {"userfaultfd.user", "userfaultfd for faults of user mode only",
		"Faults of one's own user mode may be handled without any capability",
		"fs/userfaultfd.c: userfaultfd_syscall_allowed(), Linux 5.11; userfaultfd(2)",
		try_uffd_user},
	[ACCESS_UFFD_FULL] = {"userfaultfd.full", "userfaultfd for all faults",
		"To hold up the kernel asks for CAP_SYS_PTRACE in the initial user namespace, or "
		"vm.unprivileged_userfaultfd=1",
		"fs/userfaultfd.c: userfaultfd_syscall_allowed(), Linux 5.2; userfaultfd(2)",
		try_uffd_full},
	[ACCESS_UFFD_DEVICE] = {"userfaultfd.device", "the same by way of /dev/userfaultfd",
		"Who may open the device for reading and writing needs no capability",
		"fs/userfaultfd.c: userfaultfd_dev_ioctl(), Linux 6.1; userfaultfd(2)",
		try_uffd_device},
	[ACCESS_SHARED_TRUNCATE] = {"shared.truncate", "a peer shortens memory that one has mapped",
		"Who has a descriptor for writing may shorten the memory, whoever has it mapped",
		"mm/shmem.c: shmem_setattr(); memfd_create(2)", try_shared_truncate},
	[ACCESS_SHARED_READ] = {"shared.read", "... and one reads what was there",
		"A page of a mapping that lies behind the end of its file is not there",
		"mm/filemap.c: filemap_fault(); mmap(2), errors", try_shared_read},
	[ACCESS_SHRINK_TRUNCATE] = {"shrink-sealed.truncate", "the same with F_SEAL_SHRINK",
		"F_SEAL_SHRINK forbids to shorten the memory", SEAL_SOURCE, try_shrink_truncate},
	[ACCESS_SHRINK_READ] = {"shrink-sealed.read", "... and one reads",
		"What cannot be shortened stays where it is mapped", SEAL_SOURCE, try_shrink_read},
	[ACCESS_FUTURE_WRITE] = {"future-sealed.write", "writes to memory with F_SEAL_FUTURE_WRITE",
		"F_SEAL_FUTURE_WRITE forbids to write by any descriptor",
		"mm/shmem.c: shmem_write_begin(), Linux 5.1; fcntl(2), file sealing",
		try_future_write},
	[ACCESS_FUTURE_MAP] = {"future-sealed.map", "... maps it writable and shared",
		"F_SEAL_FUTURE_WRITE forbids new writable mappings that are shared",
		"mm/shmem.c: shmem_mmap(), Linux 5.1; fcntl(2), file sealing", try_future_map},
	[ACCESS_FUTURE_REOPEN] = {"future-sealed.reopen",
		"... the same by a descriptor that was opened anew",
		"A seal holds for every descriptor of the memory, also for those opened later",
		"mm/shmem.c: shmem_mmap(), Linux 5.1; fcntl(2), file sealing", try_future_reopen},
	[ACCESS_FUTURE_OLD_MAP] = {"future-sealed.old-map",
		"... writes through a mapping from before the seal",
		"Mappings from before F_SEAL_FUTURE_WRITE stay writable, which is what it is for",
		SEAL_SOURCE, try_future_old_map},
	[ACCESS_EXEC_CHMOD] = {"exec-sealed.chmod", "makes a memfd with F_SEAL_EXEC executable",
		"F_SEAL_EXEC keeps the executable bits as they are",
		"mm/shmem.c: shmem_setattr(), Linux 6.3; fcntl(2), file sealing", try_exec_chmod},
	[ACCESS_EXEC_WRITE] = {"exec-sealed.write",
		"writes to an executable memfd with F_SEAL_EXEC",
		"F_SEAL_EXEC on executable memory brings the seals against writing with it",
		"mm/memfd.c: memfd_add_seals(), Linux 6.3; fcntl(2), file sealing", try_exec_write},
};

const struct audit_access *audit_access(enum access access)
{
	return &table[access];
}
