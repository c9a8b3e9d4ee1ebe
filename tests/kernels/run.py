#!/usr/bin/python3
"""
Runs the tests of tests/kind on other kernels: Debian's, in a virtual machine without disks.

  tests/kernels/run.py --build build [--kernel 6.1] [--smoke] [-k PATTERN] [--timeout 3600]

For each kernel the newest linux-image-VERSION*-cloud-amd64 is fetched with apt-get, unpacked (not
installed) below BUILD/kernels, and started by qemu-system-x86_64 with an initial RAM file system
that holds the tool, the test programs, the driver of the tests and what these need.  In it
the tests run as an ordinary user at the levels none and cap, and `stasis audit` as root, with
Yama's ptrace_scope 0 and 1.  Reports and ends as tests/run.py does; what the kernels print stays in
BUILD/kernels/VERSION.log.  KVM is used where it works; emulation does without.
"""

import argparse
import collections
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from kernels import guest, package  # noqa: E402

KERNELS = ("6.1", "6.12")
# A part for every run of CI: one program of each sort.
SMOKE = (r"kind/(smoke|mem_anon|mem_shared_anon|fd_pipe|fd_epoll|sig_pending|timer_posix|"
         r"thread_names|sys_poll|tree_child) ")
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")


def accelerator():
    """KVM, if a machine of it can really be made: within another machine some processors fail."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    probe = subprocess.run(["qemu-system-x86_64", "-accel", "kvm", "-cpu", "max", "-S",
                            "-nodefaults", "-display", "none", "-monitor", "stdio"],
                           input=b"quit\n",
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return "kvm" if probe.returncode == 0 else "tcg"


def start(kernel, archive, log, timeout):
    """Yields what the guest prints, line by line, without the kernel's own."""
    command = ["qemu-system-x86_64", "-accel", accelerator(), "-cpu", "max", "-smp", "2",
               "-m", "2048", "-kernel", kernel, "-initrd", archive, "-nographic", "-no-reboot",
               "-nodefaults", "-serial", "stdio",
               "-append", "console=ttyS0 panic=-1 quiet rdinit=/init"]
    with open(log, "wb") as copy, subprocess.Popen(
            # In our process group, so that whoever ends us ends the machine.
            ["timeout", "--foreground", "-k", "5", str(timeout), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as machine:
        for line in machine.stdout:
            copy.write(line)
            yield line.decode(errors="replace").rstrip("\r\n")


def run_kernel(version, options, total):
    """All runs in one start of the machine: the guest says where each begins and ends."""
    folder = os.path.join(options.build, "kernels")
    os.makedirs(folder, exist_ok=True)
    kernel = package.fetch(version, folder)
    archive = os.path.join(folder, f"{version}.cpio")
    guest.pack(archive, kernel, options.build, ROOT, options.k)
    print(f"Linux {kernel.release}:", flush=True)
    finished = 0
    scope = "?"
    for line in start(kernel.image, archive, os.path.join(folder, f"{version}.log"),
                      options.timeout):
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
        elif re.match(r"(FAILED |skipped |passed |    )", line):
            print(f"  {line}", flush=True)
    if finished != guest.RUNS:
        total["failed"] += 1
        print(f"FAILED  Linux {kernel.release}: {finished} of {guest.RUNS} runs came to their "
              f"end; its console is in {options.build}/kernels/{version}.log")
    os.unlink(archive)


def main():
    parser = argparse.ArgumentParser(description="Runs the kind tests on other kernels.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--kernel", action="append", metavar="VERSION",
                        help="of " + ", ".join(KERNELS) + ", or another that Debian has")
    parser.add_argument("--smoke", action="store_true", help="some of the tests, for CI")
    parser.add_argument("-k", default="kind/", metavar="PATTERN", help="labels that match")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds for one kernel")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    if options.smoke:
        options.k = SMOKE
    if shutil.which("qemu-system-x86_64") is None:
        print("FAILED  there is no qemu-system-x86_64")
        return 1
    total = collections.Counter()
    for version in options.kernel or KERNELS:
        run_kernel(version, options, total)
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
