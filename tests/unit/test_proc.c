/*
 * The parsers of /proc: texts of several kernels, and every way to cut and
 * damage them.  test_proc_live.c reads what this machine has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/str.h"
#include "proc/spare.h"
#include "proc_try.h"

/* 6.1: a shared library, heap, a deleted file with a newline, vsyscall. */
static const char smaps_6_1[] =
	"7f0a1c000000-7f0a1c021000 rw-p 00002000 fe:01 2752813                    "
	"/opt/a b\\012c/lib\\040x.so (deleted)\n"
	"Size:                132 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
	"Rss:                  12 kB\nPss:                  12 kB\nPss_Dirty:            12 kB\n"
	"Shared_Clean:          0 kB\nPrivate_Dirty:        12 kB\nReferenced:           12 kB\n"
	"Anonymous:             8 kB\nLazyFree:              0 kB\nAnonHugePages:         0 kB\n"
	"ShmemPmdMapped:        0 kB\nSwap:                  4 kB\nSwapPss:               4 kB\n"
	"Locked:               12 kB\nTHPeligible:    0\nProtectionKey:         3\n"
	"VmFlags: rd wr mr mw me lo ac dd sd \n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
	"Size:                  4 kB\nKernelPageSize:        4 kB\nVmFlags: ex \n";

/* 6.12: huge pages, a shadow stack, a name for anonymous memory, a guard page. */
static const char smaps_6_12[] =
	"55e4c1a00000-55e4c2a00000 rw-p 00000000 00:00 0                          [heap]\n"
	"KernelPageSize:        4 kB\nRss:               16384 kB\nAnonymous:         16384 kB\n"
	"KSM:                   0 kB\nAnonHugePages:     14336 kB\nTHPeligible:           1\n"
	"VmFlags: rd wr mr mw me ac hg mg \n"
	"7f1200000000-7f1200001000 ---p 00000000 00:00 0 \n"
	"KernelPageSize:        4 kB\nVmFlags: mr mw me \n"
	"7f1300000000-7f1300200000 rw-s 00000000 00:0f 1049                       "
	"/anon_hugepage (deleted)\n"
	"KernelPageSize:     2048 kB\nVmFlags: rd wr sh mr mw me ms de ht \n"
	"7f1400000000-7f1400800000 rw-p 00000000 00:00 0                          "
	"[anon:my name]\nVmFlags: rd wr mr mw me ss \n"
	"7ffc204b7000-7ffc204d8000 rw-p 00000000 00:00 0                          [stack]\n"
	"VmFlags: rd wr mr mw me gd ac \n";

/* 6.18: sealed, droppable, guarded, and letters that nobody here has heard of. */
static const char smaps_6_18[] =
	"7f2000000000-7f2000001000 r--p 00000000 00:00 0                          [vvar]\n"
	"VmFlags: rd mr pf io de dd sl \n"
	"7f2100000000-7f2100001000 rw-p 00000000 00:00 0 \nVmFlags: rd wr mr mw me dp wf \n"
	"7f2200000000-7f2200001000 rw-p 00000000 00:00 0 \nVmFlags: rd wr mr mw me gu qq \n"
	"7f2300000000-7f2300001000 r--s 00000000 103:00002 18446744073709551615   /x (deleted) y\n"
	"NewField: whatever that is\nVmFlags: rd mr me ms \n";

static const char status_6_1[] =
	"Name:\ta) b\\nc\\\\ d\nUmask:\t0027\nState:\tT (stopped)\nTgid:\t4242\nNgid:\t0\n"
	"Pid:\t4243\nPPid:\t1\nTracerPid:\t77\nUid:\t1000\t1001\t1002\t1003\n"
	"Gid:\t100\t101\t102\t4294967295\nFDSize:\t64\nGroups:\t24 25 1000 \nNStgid:\t4242\t5\n"
	"NSpid:\t4243\t6\nNSpgid:\t4000\t0\nNSsid:\t3000\t0\nVmPeak:\t    3060 kB\n"
	"VmSize:\t    3060 kB\nVmLck:\t      12 kB\nCoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t3\n"
	"SigQ:\t2/96365\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000002\n"
	"SigBlk:\t7be3c0fe28014a03\nSigIgn:\t0000000000001000\nSigCgt:\t00000001800004ec\n"
	"CapInh:\t0000000000000000\nCapPrm:\t0000010000000000\nCapEff:\t0000010000000000\n"
	"CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	"Seccomp_filters:\t3\nSpeculation_Store_Bypass:\tthread vulnerable\nCpus_allowed:\t3\n";

static const char status_6_12[] =
	"Name:\tkworker/u8:2-ev_unbound_with_a_long_name_indeed_and_longer_than_all_buffers\n"
	"Umask:\t0000\nState:\tI (idle)\nTgid:\t9\nPid:\t9\nPPid:\t2\nTracerPid:\t0\n"
	"Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nKthread:\t1\nThreads:\t1\n"
	"SigQ:\t0/15432\nSeccomp:\t0\n";

static const char status_6_18[] =
	"Name:\t  shstk user\nState:\tS (sleeping)\nPid:\t12\nKthread:\t0\n"
	"untag_mask:\t0xffffffffffffffff\nx86_Thread_features:\tshstk wrss \n"
	"x86_Thread_features_locked:\tshstk \n";

static const char stat_6_18[] =
	"9478 () R (\\a\nb) S) R 9460 9461 2545 34820 -1 4194304 103 0 0 0 0 0 0 0 20 -5 2 0 172293 "
	"2535424 331 18446744073709551615 94090888974336 94090888977225 140735300562512 0 0 0 0 0 "
	"0 0 0 0 17 1 7 2 0 0 0 94090888986064 94090888986936 94091402158080 140735300565632 "
	"140735300565648 140735300565649 140735300567016 256\n";

static const char fdinfo_locks[] =
	"pos:\t-1\nflags:\t02120000\nmnt_id:\t27\nino:\t10953387\n"
	"lock:\t1: FLOCK  ADVISORY  READ 9478 fe:00:10953387 0 EOF\n"
	"lock:\t2: POSIX  ADVISORY  WRITE 9478 fe:00:10953387 10 14\n"
	"lock:\t3: OFDLCK ADVISORY  READ -1 fe:00:10953387 100 EOF\n"
	"lock:\t4: LEASE  BREAKING  READ 9478 fe:00:10953390 0 EOF\n"
	"lock:\t5: LEASE  BREAKER   UNLCK 9478 <none>:0 0 EOF\n"
	"lock:\t6: DELEG  ACTIVE    READ 1 00:15:3 0 EOF\n"
	"lock:\t7: POSIX  *NOINODE* WRITE 2 <none>:0 0 0\n";

static const char fdinfo_events[] =
	"pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1039\neventfd-count: ffffffff1234abc\n"
	"eventfd-id: 1\neventfd-semaphore: 1\nsigmask:\t0000008000000200\n"
	"clockid: 7\nticks: 3\nsettime flags: 03\nit_value: (999, 999979466)\n"
	"it_interval: (1, 5)\n"
	"tfd:        8 events: 80000019 data:     deadbeefcafe  pos:-7 ino:40f sdev:fe00003\n"
	"tfd:       11 events:        0 data: ffffffffffffffff  pos:0 ino:40f sdev:10\n"
	"Pid:\t-1\nNSpid:\t-1\t5\ntty-index:\t12\n";

static const char fdinfo_inotify[] =
	"pos:\t0\nflags:\t00\nmnt_id:\t15\n"
	"inotify wd:1a ino:1 sdev:1b mask:100 ignored_mask:0 fhandle-bytes:c fhandle-type:81 "
	"f_handle:d469eb0d01000000000000fF\n"
	"inotify wd:2 ino:ffff sdev:fe00000 mask:fff ignored_mask:0 \n";

static const char mountinfo_text[] =
	"22 27 0:21 / /proc rw,relatime - proc proc rw\n"
	"36 22 98:1048575 /a\\040b\\134 /mnt\\011x\\012 rw,noatime shared:12 master:1 "
	"propagate_from:3 - ext4 /dev/root\\043 rw,errors=continue\n"
	"37 22 0:9 /gone//deleted /m ro unbindable - fuse.sshfs  rw\n";

static const char timers_text[] =
	"ID: 2147483647\nsignal: 34/ffffffff12345678\nnotify: none/pid.9478\nClockID: -6\n"
	"ID: 1\nsignal: 64/0000000000000000\nnotify: signal/tid.9479\nClockID: 1\n"
	"ID: 0\nsignal: 0/0000000000000001\nnotify: thread/pid.0\nClockID: 0\n";

static const char sched_text[] =
	"\nse.exec_start (12, #threads: 1)\n"
	"-------------------------------------------------------------------\n"
	"se.exec_start                                :       1338196.000683\n"
	"se.sum_exec_runtime                          :             0.256651\n"
	"nr_switches                                  :                    0\n"
	"current_node=0, numa_group_id=0\n";

static const char syscall_text[] =
	"230 0x1 0x2 0x7f30e57a6000 0xffffffffffffffff 0x22 0x0 0x7ffc7c8b5ae8 0x7f30e59202ad\n";

struct sample {
	int (*parse)(const char *text, size_t len);
	const char *text;
};

static const struct sample samples[] = {
	{try_maps, smaps_6_1},         {try_maps, smaps_6_12},
	{try_maps, smaps_6_18},        {try_status, status_6_1},
	{try_status, status_6_12},     {try_status, status_6_18},
	{try_stat, stat_6_18},         {try_fdinfo, fdinfo_locks},
	{try_fdinfo, fdinfo_events},   {try_fdinfo, fdinfo_inotify},
	{try_mountinfo, mountinfo_text}, {try_timers, timers_text},
	{try_sched, sched_text},       {try_syscall, syscall_text},
	{try_syscall, "running\n"},    {try_syscall, "-1 0x7ffc7c8b5ae8 0x7f30e59202ad\n"},
};

#define each_sample(it) \
	for (const struct sample *it = samples; it < samples + sizeof samples / sizeof *samples; it++)

/* In a block of exactly its size, so that reading past the end is seen by a sanitizer. */
static int try_exact(const struct sample *sample, const char *text, size_t len)
{
	char *block = malloc(len ? len : 1);
	int r;

	assert_non_null(block);
	memcpy(block, text, len);
	r = sample->parse(block, len);
	free(block);
	return r;
}

static void test_all_samples_parse(void **state)
{
	(void)state;
	each_sample(sample)
		assert_int_equal(try_exact(sample, sample->text, strlen(sample->text)), 0);
}

static void test_truncation_is_safe(void **state)
{
	(void)state;
	each_sample(sample) {
		for (size_t len = 0; len < strlen(sample->text); len++) {
			int r = try_exact(sample, sample->text, len);

			assert_true(r == 0 || r == -EINVAL);
		}
	}
}

static void test_damage_is_safe(void **state)
{
	static const char bytes[] = "\0\n\t :-/9af)(\\\xff" "18446744073709551616";
	uint32_t seed = 1;

	(void)state;
	each_sample(sample) {
		size_t len = strlen(sample->text);
		char *damaged = malloc(len);

		assert_non_null(damaged);
		for (int round = 0; round < 3000; round++) {
			int r;

			memcpy(damaged, sample->text, len);
			for (int i = 0; i < 1 + round % 4; i++) {
				seed = seed * 1664525 + 1013904223;
				damaged[(seed >> 8) % len] = bytes[(seed >> 3) % (sizeof bytes - 1)];
			}
			r = sample->parse(damaged, len);
			assert_true(r == 0 || r == -EINVAL);
		}
		free(damaged);
	}
}

static void parse_smaps(const char *text, struct vm_areas *ret)
{
	assert_int_equal(maps_parse(text, strlen(text), ret), 0);
}

static void test_smaps_6_1(void **state)
{
	cleanup_maps struct vm_areas areas = {0};
	const struct vm_area *area;

	(void)state;
	parse_smaps(smaps_6_1, &areas);
	assert_int_equal(areas.list.count, 2);
	area = &areas.list.items[0];
	assert_true(area->start == 0x7f0a1c000000 && area->end == 0x7f0a1c021000);
	assert_int_equal(area->prot, PROT_READ | PROT_WRITE);
	assert_false(area->shared || area->gate);
	assert_int_equal(area->offset, 0x2000);
	assert_int_equal(area->dev_major, 0xfe);
	assert_int_equal(area->dev_minor, 1);
	assert_int_equal(area->inode, 2752813);
	assert_string_equal(area->path, "/opt/a b\nc/lib\\040x.so");
	assert_true(area->deleted && area->detailed);
	assert_int_equal(area->page_size, 4096);
	assert_int_equal(area->rss, 12 * 1024);
	assert_int_equal(area->anonymous, 8 * 1024);
	assert_int_equal(area->swap, 4 * 1024);
	assert_int_equal(area->locked, 12 * 1024);
	assert_int_equal(area->pkey, 3);
	assert_true(area->flags == (VM_FLAG(READ) | VM_FLAG(WRITE) | VM_FLAG(MAYREAD) |
				    VM_FLAG(MAYWRITE) | VM_FLAG(MAYEXEC) | VM_FLAG(LOCKED) |
				    VM_FLAG(ACCOUNT) | VM_FLAG(DONTDUMP) | VM_FLAG(SOFTDIRTY)));
	area = &areas.list.items[1];
	assert_true(area->gate);
	assert_string_equal(area->path, "[vsyscall]");
	assert_ptr_equal(maps_find(&areas, 0xffffffffff600fff), area);
	assert_null(maps_find(&areas, 0x7f0a1c021000));
	assert_ptr_equal(maps_find(&areas, 0x7f0a1c000000), &areas.list.items[0]);
}

static void test_smaps_newer(void **state)
{
	cleanup_maps struct vm_areas areas = {0}, newest = {0};
	const struct vm_area *area;

	(void)state;
	parse_smaps(smaps_6_12, &areas);
	area = areas.list.items;
	assert_int_equal(areas.list.count, 5);
	assert_true(area[0].flags & VM_FLAG(HUGEPAGE) && area[0].flags & VM_FLAG(MERGEABLE));
	assert_int_equal(area[0].anon_huge, 14336 * 1024);
	assert_null(area[1].path);
	assert_int_equal(area[1].prot, PROT_NONE);
	assert_true(area[2].shared && area[2].flags & VM_FLAG(HUGETLB) && area[2].deleted);
	assert_int_equal(area[2].page_size, 2 << 20);
	assert_string_equal(area[3].path, "[anon:my name]");
	assert_true(area[3].flags & VM_FLAG(SHADOW_STACK));
	assert_true(area[4].flags & VM_FLAG(GROWSDOWN));

	parse_smaps(smaps_6_18, &newest);
	area = newest.list.items;
	assert_true(area[0].flags & VM_FLAG(SEALED));
	assert_true(area[1].flags & VM_FLAG(DROPPABLE) && area[1].flags & VM_FLAG(WIPEONFORK));
	assert_false(area[1].flags & VM_FLAG(UNKNOWN));
	assert_true(area[2].flags & VM_FLAG(GUARD) && area[2].flags & VM_FLAG(UNKNOWN));
	assert_string_equal(area[3].path, "/x (deleted) y");
	assert_false(area[3].deleted);
	assert_true(area[3].inode == UINT64_MAX && area[3].dev_major == 0x103);
	assert_string_equal(vm_flag_name(VM_FLAG_SEALED), "sl");
}

/* Linux 6.1 writes "??" for MLOCK_ONFAULT, which is never without "lo". */
static void test_nameless_flag(void **state)
{
	static const char one[] = "1000-2000 rw-p 00000000 00:00 0 \n"
				  "VmFlags: rd wr mr mw me lo ?? ac \n"
				  "2000-3000 rw-p 00000000 00:00 0 \n"
				  "VmFlags: rd wr mr mw me ?? ac \n"
				  "3000-4000 rw-p 00000000 00:00 0 \n"
				  "VmFlags: rd wr mr mw me lo ?? zz ac \n";
	struct vm_areas areas cleanup_maps = {0};

	(void)state;
	parse_smaps(one, &areas);
	assert_int_equal(areas.list.count, 3);
	assert_true(areas.list.items[0].flags & VM_FLAG(LOCKONFAULT));
	assert_false(areas.list.items[0].flags & VM_FLAG(UNKNOWN));
	for (int i = 1; i < 3; i++) {
		assert_false(areas.list.items[i].flags & VM_FLAG(LOCKONFAULT));
		assert_true(areas.list.items[i].flags & VM_FLAG(UNKNOWN));
	}
}

static void test_maps_refuses(void **state)
{
	static const char *const bad[] = {
		"Size: 4 kB\n",
		"2000-1000 rw-p 00000000 00:00 0\n",
		"1000-1000 rw-p 00000000 00:00 0\n",
		"1000-2000 rwzp 00000000 00:00 0\n",
		"1000-2000 rw-q 00000000 00:00 0\n",
		"1000-2000 rw-p 00000000 00:00 0x\n",
		"1000-20000000000000000 rw-p 00000000 00:00 0\n",
		"1000-2000 rw-p 00000000 00:00 0\nRss: 99999999999999999 kB\n",
		"1000-2000 rw-p 00000000 00:00 0\nRss: 4 MB\n",
		"1000-2000 rw-p 00000000 00:00 0\n\n",
	};
	cleanup_maps struct vm_areas areas = {0};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(maps_parse(bad[i], strlen(bad[i]), &areas), -EINVAL);
	assert_null(areas.list.items);
	assert_int_equal(maps_parse(NULL, 0, &areas), 0);
	assert_int_equal(areas.list.count, 0);
}

static void test_status(void **state)
{
	cleanup_status struct proc_status s = {0}, kernel = {0}, shstk = {0};

	(void)state;
	assert_int_equal(status_parse(status_6_1, strlen(status_6_1), &s), 0);
	assert_string_equal(s.name, "a) b\nc\\ d");
	assert_int_equal(s.state, 'T');
	assert_true(s.tgid == 4242 && s.pid == 4243 && s.ppid == 1 && s.tracer_pid == 77);
	assert_true(s.uid[0] == 1000 && s.uid[3] == 1003 && s.gid[3] == (gid_t)-1);
	assert_true(s.groups.count == 3 && s.groups.items[2] == 1000);
	assert_true(s.ns_pid.count == 2 && s.ns_pid.items[1] == 6);
	assert_true(s.ns_tgid.items[1] == 5 && s.ns_pgid.items[0] == 4000);
	assert_true(s.ns_sid.items[0] == 3000 && s.umask == 027 && s.vm_locked == 12 * 1024);
	assert_true(s.threads == 3 && s.signals_queued == 2 && s.signals_limit == 96365);
	assert_true(s.sig_pending == 1 && s.shared_pending == 2 && s.sig_ignored == 0x1000);
	assert_true(s.sig_blocked == 0x7be3c0fe28014a03 && s.sig_caught == 0x1800004ec);
	assert_true(s.cap_effective == UINT64_C(1) << 40 && s.cap_permitted == s.cap_effective);
	assert_true(s.cap_bounding == 0x1ffffffffff && !s.cap_inheritable && !s.cap_ambient);
	assert_true(s.no_new_privs && s.seccomp == 2 && s.seccomp_filters == 3);
	assert_true(!s.thp_enabled && !s.core_dumping && s.has_memory && s.kthread == -1);

	assert_int_equal(status_parse(status_6_12, strlen(status_6_12), &kernel), 0);
	assert_int_equal(strlen(kernel.name), PROC_NAME_MAX - 1);
	assert_true(kernel.kthread == 1 && !kernel.has_memory && kernel.thp_enabled);
	assert_int_equal(kernel.groups.count, 0);

	assert_int_equal(status_parse(status_6_18, strlen(status_6_18), &shstk), 0);
	assert_string_equal(shstk.name, "  shstk user");
	assert_string_equal(shstk.thread_features, "shstk wrss");
	assert_string_equal(shstk.thread_features_locked, "shstk");
	assert_int_equal(shstk.kthread, 0);
}

static void test_stat(void **state)
{
	struct proc_stat s;

	(void)state;
	assert_int_equal(stat_parse(stat_6_18, strlen(stat_6_18), &s), 0);
	assert_int_equal(s.pid, 9478);
	assert_string_equal(s.comm, ") R (\\a\nb) S");
	assert_true(s.state == 'R' && s.ppid == 9460 && s.pgrp == 9461 && s.session == 2545);
	assert_int_equal(stat_tty_major(s.tty_nr), 136);
	assert_int_equal(stat_tty_minor(s.tty_nr), 4);
	assert_true(s.tpgid == -1 && s.flags == 4194304 && s.priority == 20 && s.nice == -5);
	assert_true(s.num_threads == 2 && s.starttime == 172293);
	assert_true(s.start_code == 94090888974336 && s.end_code == 94090888977225);
	assert_true(s.start_stack == 140735300562512 && s.rt_priority == 7 && s.policy == 2);
	assert_true(s.start_data == 94090888986064 && s.end_data == 94090888986936);
	assert_true(s.start_brk == 94091402158080 && s.arg_start == 140735300565632);
	assert_true(s.arg_end == 140735300565648 && s.env_start == 140735300565649);
	assert_true(s.env_end == 140735300567016 && s.exit_code == 256);
	assert_int_equal(stat_tty_minor((int)0xfff88aff), 0xfffff);
}

static void test_fdinfo_locks(void **state)
{
	cleanup_fdinfo struct fdinfo info = {0};
	const struct fd_lock *lock;

	(void)state;
	assert_int_equal(fdinfo_parse(fdinfo_locks, strlen(fdinfo_locks), &info), 0);
	assert_true(info.pos == -1 && info.flags == 02120000 && info.mnt_id == 27);
	assert_true(info.lines == FDINFO_INO && info.ino == 10953387);
	assert_int_equal(info.locks.count, 7);
	lock = info.locks.items;
	assert_true(lock[0].type == FD_LOCK_FLOCK && lock[0].access == F_RDLCK);
	assert_true(lock[0].pid == 9478 && lock[0].dev_major == 0xfe && lock[0].dev_minor == 0);
	assert_true(lock[0].inode == 10953387 && lock[0].end == UINT64_MAX);
	assert_true(lock[1].type == FD_LOCK_POSIX && lock[1].start == 10 && lock[1].end == 14);
	assert_int_equal(lock[1].access, F_WRLCK);
	assert_true(lock[2].type == FD_LOCK_OFD && lock[2].pid == -1 && lock[2].start == 100);
	assert_true(lock[3].type == FD_LOCK_LEASE && lock[3].lease == FD_LEASE_BREAKING);
	assert_true(lock[4].lease == FD_LEASE_BREAKER && lock[4].access == F_UNLCK);
	assert_true(lock[5].type == FD_LOCK_DELEG && lock[5].lease == FD_LEASE_ACTIVE);
	assert_true(lock[6].type == FD_LOCK_POSIX && lock[6].inode == 0);
}

static void test_fdinfo_kinds(void **state)
{
	cleanup_fdinfo struct fdinfo info = {0}, watches = {0};
	const struct fd_inotify_watch *watch;

	(void)state;
	assert_int_equal(fdinfo_parse(fdinfo_events, strlen(fdinfo_events), &info), 0);
	assert_true(info.lines == (FDINFO_INO | FDINFO_EVENTFD | FDINFO_EVENTFD_SEMAPHORE |
				   FDINFO_SIGNALFD | FDINFO_TIMERFD | FDINFO_EPOLL | FDINFO_PIDFD |
				   FDINFO_TTY));
	assert_true(info.eventfd_count == 0xffffffff1234abc && info.eventfd_semaphore);
	assert_true(info.sigmask == (UINT64_C(1) << 39 | 1 << 9));
	assert_true(info.timer_clockid == CLOCK_BOOTTIME && info.timer_ticks == 3);
	assert_true(info.timer_settime_flags == 3 && info.timer_value.tv_nsec == 999979466);
	assert_true(info.timer_value.tv_sec == 999 && info.timer_interval.tv_nsec == 5);
	assert_int_equal(info.epoll.count, 2);
	assert_true(info.epoll.items[0].fd == 8 && info.epoll.items[0].events == 0x80000019);
	assert_true(info.epoll.items[0].data == 0xdeadbeefcafe && info.epoll.items[0].pos == -7);
	assert_true(info.epoll.items[0].inode == 0x40f && info.epoll.items[0].dev_major == 0xfe);
	assert_true(info.epoll.items[0].dev_minor == 3 && info.epoll.items[1].events == 0);
	assert_true(info.pidfd_pid == -1 && info.pidfd_ns_pid.items[1] == 5);
	assert_int_equal(info.tty_index, 12);

	assert_int_equal(fdinfo_parse(fdinfo_inotify, strlen(fdinfo_inotify), &watches), 0);
	assert_true(watches.lines == FDINFO_INOTIFY && watches.inotify.count == 2);
	watch = watches.inotify.items;
	assert_true(watch[0].wd == 0x1a && watch[0].inode == 1 && watch[0].mask == 0x100);
	assert_true(watch[0].dev_major == 0 && watch[0].dev_minor == 0x1b);
	assert_true(watch[0].handle_bytes == 12 && watch[0].handle_type == 0x81);
	assert_true(watch[0].handle[0] == 0xd4 && watch[0].handle[11] == 0xff);
	assert_true(watch[1].handle_bytes == 0 && watch[1].mask == 0xfff);
}

static void test_fdinfo_refuses(void **state)
{
	static const char *const bad[] = {
		"inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:81 fhandle-type:1 "
		"f_handle:00\n",
		"inotify wd:1 ino:1 sdev:1 mask:1 ignored_mask:0 fhandle-bytes:2 fhandle-type:1 "
		"f_handle:0 11\n",
		"inotify wd:ffffffff ino:1 sdev:1 mask:1 ignored_mask:0\n",
		"it_value: (1, 1000000000)\n",
		"flags:\t8\n",
		"lock:\t1: FLOCK  ADVISORY  ODD 1 fe:00:1 0 EOF\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(try_fdinfo(bad[i], strlen(bad[i])), -EINVAL);
}

static void test_mountinfo(void **state)
{
	cleanup_mountinfo struct mount_table table = {0};
	const struct mount_entry *mount;

	(void)state;
	assert_int_equal(mountinfo_parse(mountinfo_text, strlen(mountinfo_text), &table), 0);
	assert_int_equal(table.list.count, 3);
	mount = mountinfo_find(&table, 36);
	assert_true(mount->parent == 22 && mount->dev_major == 98 && mount->dev_minor == 1048575);
	assert_string_equal(mount->root, "/a b\\");
	assert_string_equal(mount->point, "/mnt\tx\n");
	assert_string_equal(mount->options, "rw,noatime");
	assert_string_equal(mount->fs_type, "ext4");
	assert_string_equal(mount->source, "/dev/root#");
	assert_string_equal(mount->super_options, "rw,errors=continue");
	assert_true(mount->shared == 12 && mount->master == 1);
	mount = mountinfo_find(&table, 37);
	assert_string_equal(mount->source, "");
	assert_string_equal(mount->super_options, "rw");
	assert_null(mountinfo_find(&table, 1));
}

static void test_timers(void **state)
{
	cleanup_timers struct posix_timers timers = {0};
	const struct posix_timer *timer;

	(void)state;
	assert_int_equal(timers_parse(timers_text, strlen(timers_text), &timers), 0);
	assert_int_equal(timers.list.count, 3);
	timer = timers.list.items;
	assert_true(timer[0].id == INT_MAX && timer[0].signo == 34 && timer[0].clockid == -6);
	assert_true(timer[0].sigval == 0xffffffff12345678 && timer[0].target == 9478);
	assert_int_equal(timer[0].notify, SIGEV_NONE);
	assert_true(timer[1].notify == SIGEV_THREAD_ID && timer[1].target == 9479);
	assert_true(timer[2].notify == SIGEV_THREAD && timer[2].sigval == 1);
	assert_int_equal(try_timers("", 0), 0);
	assert_int_equal(try_timers("ID: 1\nClockID: 1\n", 17), -EINVAL);
}

static void test_sched_and_syscall(void **state)
{
	struct proc_sched sched;
	struct proc_syscall call;

	(void)state;
	assert_int_equal(sched_parse(sched_text, strlen(sched_text), &sched), 0);
	assert_true(sched.exec_start == UINT64_C(1338196000683) && sched.sum_exec_runtime == 256651);
	assert_int_equal(sched_parse("x\n---\n", 6, &sched), -ENODATA);

	assert_int_equal(syscall_parse(syscall_text, strlen(syscall_text), &call), 0);
	assert_true(call.state == PROC_SYSCALL_IN_CALL && call.nr == 230 && call.args[1] == 2);
	assert_true(call.args[3] == UINT64_MAX && call.args[5] == 0);
	assert_true(call.sp == 0x7ffc7c8b5ae8 && call.pc == 0x7f30e59202ad);
	assert_int_equal(syscall_parse("running\n", 8, &call), 0);
	assert_int_equal(call.state, PROC_SYSCALL_RUNNING);
	assert_int_equal(syscall_parse("-1 0x1 0x2\n", 11, &call), 0);
	assert_true(call.state == PROC_SYSCALL_BLOCKED && call.sp == 1 && call.pc == 2);
}

static void test_auxv(void **state)
{
	const uint64_t words[] = {AT_PAGESZ, 4096, AT_SYSINFO_EHDR, 0x7fff0000, AT_NULL, 0, 1, 2};
	cleanup_auxv struct auxv auxv = {0};
	uint64_t value = 7;

	(void)state;
	assert_int_equal(auxv_parse(words, sizeof words, &auxv), 0);
	assert_int_equal(auxv.list.count, 2);
	assert_true(auxv_find(&auxv, AT_PAGESZ, &value) && value == 4096);
	assert_false(auxv_find(&auxv, AT_ENTRY, &value));
	assert_int_equal(try_auxv((const char *)words, 4 * sizeof *words), -EINVAL);
	assert_int_equal(try_auxv((const char *)words, 7), -EINVAL);
}

/* The line of the memory controller, or that of version 2. */
static void test_control_groups(void **state)
{
	static const struct {
		const char *text, *path;
		int version;
	} cases[] = {
		{"0::/user.slice/a b\n", "/user.slice/a b", 2},
		{"0::/\n", "/", 2},
		{"4:cpu,memory:/x:y\n0::/z\n", "/x:y", 1},
		{"0::/z\n9:memory:/x\n", "/x", 1},
		{"9:memory_not:/x\n0::/z\n", "/z", 2},
		{"9:pids:/x\n1:name=memory:/y\n", NULL, 0},
		{"no line", NULL, 0},
		{"", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int version = 0;
		cleanup_free char *path = cgroup_memory_path(cases[i].text, &version);

		if (!cases[i].path) {
			assert_null(path);
			continue;
		}
		assert_non_null(path);
		assert_string_equal(path, cases[i].path);
		assert_int_equal(version, cases[i].version);
	}
	assert_int_equal(proc_number_of("a 1\nab 2\nb: 3 kB\n", "b"), 3);
	assert_int_equal(proc_number_of("ab 2\n", "a"), -1);
}

static void test_ten_thousand_mappings(void **state)
{
	cleanup_text struct text text = {0};
	cleanup_maps struct vm_areas areas = {0};

	(void)state;
	for (uint64_t i = 1; i <= 20000; i++)
		text_add(&text, "%lx-%lx rw-p 00000000 00:00 0 \n%s", i << 13, (i << 13) + 4096,
			 strchr(smaps_6_1, '\n') + 1);
	/* Each carries a [vsyscall] of the sample with it. */
	assert_int_equal(maps_parse(text.bytes, text.len, &areas), 0);
	assert_int_equal(areas.list.count, 40000);
}

static void assert_same_areas(const struct vm_areas *a, const struct vm_areas *b)
{
	assert_int_equal(a->list.count, b->list.count);
	for (size_t i = 0; i < a->list.count; i++) {
		struct vm_area one = a->list.items[i], other = b->list.items[i];

		assert_true(one.path == other.path || strcmp(one.path, other.path) == 0);
		one.path = other.path = NULL;
		assert_memory_equal(&one, &other, sizeof one);
	}
}

/* Wherever the text is cut: what is no whole line yet comes again, with more behind it. */
static void test_smaps_in_pieces(void **state)
{
	const size_t len = strlen(smaps_6_1);
	cleanup_maps struct vm_areas whole = {0};

	(void)state;
	parse_smaps(smaps_6_1, &whole);
	for (size_t piece = 1; piece <= len; piece++) {
		cleanup_maps struct vm_areas areas = {0};
		size_t at = 0;

		for (size_t end = piece; at < len; end += piece) {
			ssize_t used = maps_parse_piece(smaps_6_1 + at,
							(end < len ? end : len) - at, &areas);

			assert_true(used >= 0);
			at += (size_t)used;
		}
		assert_same_areas(&areas, &whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smaps_in_pieces),
		cmocka_unit_test(test_all_samples_parse),
		cmocka_unit_test(test_truncation_is_safe),
		cmocka_unit_test(test_damage_is_safe),
		cmocka_unit_test(test_smaps_6_1),
		cmocka_unit_test(test_smaps_newer),
		cmocka_unit_test(test_nameless_flag),
		cmocka_unit_test(test_maps_refuses),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_fdinfo_locks),
		cmocka_unit_test(test_fdinfo_kinds),
		cmocka_unit_test(test_fdinfo_refuses),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_sched_and_syscall),
		cmocka_unit_test(test_auxv),
		cmocka_unit_test(test_control_groups),
		cmocka_unit_test(test_ten_thousand_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
