#!/usr/bin/python3
"""
Runs the tests on other kernels: Debian's, in a virtual machine without disks.

  tests/kernels/run.py --build build [--kernel 6.1] [--smoke] [-k PATTERN] [--scope 1] ...

For each kernel the newest linux-image-VERSION*-cloud-amd64 is fetched with apt-get, unpacked (not
installed) below BUILD/kernels, and started by qemu-system-x86_64 with an initial RAM file system
that holds the tool, the test programs, the driver of the tests and what these need.  In it the
tests of tests/kind run as an ordinary user at the levels none and cap, with Yama's ptrace_scope 0
and 1, those of tests/unit and tests/cli with 0, and before them `stasis audit` as root.  Reports
and ends as tests/run.py does; what the guest prints, also what passed, stays in
BUILD/kernels/VERSION.log.  KVM is used where it works; emulation does without.
Where there is no qemu or no such kernel to be had, that is skipped, with the reason.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from kernels import guest, package  # noqa: E402

KERNELS = ("6.1", "6.12")
LEVELS, SCOPES = ("none", "cap"), ("0", "1")
# What takes minutes, for CI: what differs between kernels, is new in one of them, or is done by another way
# there, and one program of most sorts.
SMOKE = (r"^(kind/(smoke|mem_anon|mem_thp|mem_userfaultfd|mem_shared_anon|fd_eventfd|fd_io_uring|fd_epoll|"
         r"fd_pipe|sig_pending|timer_posix|thread_names|sys_poll|tree_child|tree_clone|ipc_shm) none|"
         r"cli/(incremental|restore-refused|yama|lazy)\S* none)")
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
TELLING = re.compile(r"(FAILED |skipped |passed |    )")
TCG = ("-accel", "tcg")


def kvm_works(kernel):
    """Whether a machine of KVM runs it: without a root file system it comes to its panic.  Within
    another machine one can often be made that then stands still."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    try:
        told = subprocess.run(qemu(kernel, ("-accel", "kvm"), "panic=-1"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=20, check=False).stdout
    except subprocess.TimeoutExpired:
        return False
    return b"Kernel panic" in told


def qemu(kernel, accelerator, words):
    return ["qemu-system-x86_64", *accelerator, "-cpu", "max", "-smp", "2", "-m", "3072",
            "-kernel", kernel.image, "-nographic", "-no-reboot", "-nodefaults",
            "-serial", "stdio", "-append", "console=ttyS0 " + words]


def start(kernel, archive, log, timeout):
    """Yields what the guest prints, line by line, without the kernel's own."""
    accelerator = ("-accel", "kvm") if kvm_works(kernel) else TCG
    command = [*qemu(kernel, accelerator, "panic=-1 quiet rdinit=/init"), "-initrd", archive]
    with open(log, "wb") as copy, subprocess.Popen(
            # In our process group, so that whoever ends us ends the machine.
            ["timeout", "--foreground", "-k", "5", str(timeout), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as machine:
        for line in machine.stdout:
            copy.write(line)
            copy.flush()
            yield line.decode(errors="replace").rstrip("\r\n")


def follow(lines, options, total):
    """Tells what the guest does; returns how many of its runs came to their end."""
    finished, scope = 0, "?"
    for line in lines:
        # The firmware leaves escape sequences before the first of them.
        if "guest: " in line:
            scope = line.partition("guest: ")[2]
            continue
        counts = COUNTS.match(line)
        if counts:
            finished += 1
            for outcome, number in zip(("passed", "failed", "skipped"), counts.groups()):
                total[outcome] += int(number)
            print(f"  {scope}: {line}", flush=True)
        elif TELLING.match(line) and (options.verbose or not line.startswith("passed ")):
            print(f"  {line}", flush=True)
    return finished


def run_kernel(version, common, options, total):
    """All runs in one start of the machine: the guest says where each begins and ends."""
    folder = os.path.dirname(common)
    kernel = package.fetch(version, folder)
    archive = os.path.join(folder, f"{version}.{os.getpid()}.cpio")
    guest.pack(archive, common, kernel, {
        "pattern": options.k, "scopes": " ".join(options.scope),
        "levels": " ".join("--level " + level for level in options.level)})
    print(f"Linux {kernel.release}:", flush=True)
    log = os.path.join(folder, f"{version}.log")
    started = time.monotonic()
    finished = follow(start(kernel, archive, log, options.timeout), options, total)
    if finished != 2 * len(options.scope):
        total["failed"] += 1
        print(f"FAILED  Linux {kernel.release}: {finished} of {2 * len(options.scope)} runs came "
              f"to their end in {time.monotonic() - started:.0f} s; its console is in {log}")
    os.unlink(archive)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Runs the tests on other kernels.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--kernel", action="append", metavar="VERSION",
                        help="of " + ", ".join(KERNELS) + ", or another that Debian has")
    parser.add_argument("--smoke", action="store_true", help="some of the tests: minutes")
    parser.add_argument("-k", default="", metavar="PATTERN", help="labels that match")
    parser.add_argument("--level", action="append", choices=LEVELS)
    parser.add_argument("--scope", action="append", choices=SCOPES, help="Yama's ptrace_scope")
    parser.add_argument("--timeout", type=int, default=14400, help="seconds for one kernel")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    options.level = options.level or LEVELS
    options.scope = options.scope or SCOPES
    if options.smoke:
        options.k = SMOKE
        print(f"What runs: {options.k}")
    return options


def main():
    options = parse_arguments()
    total = collections.Counter()
    folder = os.path.join(options.build, "kernels")
    os.makedirs(folder, exist_ok=True)
    common = os.path.join(folder, f"common.{os.getpid()}.cpio")
    for version in options.kernel or KERNELS:
        try:
            package.check_tools()
            if not os.path.exists(common):
                guest.pack_common(common, options.build, ROOT)
            run_kernel(version, common, options, total)
        except package.Missing as missing:
            total["skipped"] += 1
            print(f"skipped Linux {version}: {missing}", flush=True)
    if os.path.exists(common):
        os.unlink(common)
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
