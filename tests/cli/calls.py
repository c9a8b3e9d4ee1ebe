#!/usr/bin/python3
# LEVELS: none
# TIMEOUT: 300
"""
What a checkpoint costs for each thread, process, mapping and descriptor, in system calls of its main
thread: the difference between N and 2 N of them.  A call more for each is one too many, and
whoever needs it changes the number here; so is anything that is compared each with each.
"""

import collections
import os
import re
import shutil
import signal
import subprocess
import sys

STASIS, SOURCE = os.environ["STASIS"], os.environ["STASIS_SOURCE"]

# How often these are called depends on how fast the others are, or on the memory that malloc(3) has.
TIMING = {"wait4", "waitid", "sched_yield", "futex", "rt_sigprocmask", "nanosleep", "brk", "mmap",
          "munmap", "mremap", "restart_syscall", "rt_sigreturn", "sysinfo"}

# What there is many of, how many of it, and per piece: calls of ptrace(2), opened files, and all.
BOUNDS = (
    ("threads", 64, 19, 4, 45),
    ("processes", 24, 40, 35, 330),
    ("mappings", 256, 0, 0, 1),
    ("files", 64, 0, 2, 22),
    ("events", 64, 0, 1, 18),
    ("pipes", 64, 0, 1, 18),
)


def start(thing, count):
    target = subprocess.Popen(["./crowd", thing, str(count)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    if target.stdout.readline() != b"ready\n":
        sys.exit(f"no program with {count} {thing}")
    return target


def count_calls(thing, count):
    """Of one checkpoint, by their names."""
    target = start(thing, count)
    try:
        done = subprocess.run(["strace", "-qq", "-o", "calls", STASIS, "checkpoint", "-o", "image",
                               str(target.pid)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
    finally:
        os.killpg(target.pid, signal.SIGKILL)
        target.wait()
        target.stdout.close()
    if done.returncode:
        sys.exit(f"checkpoint of {count} {thing}: {done.stderr}")
    calls = collections.Counter()
    with open("calls") as file:
        for line in file:
            match = re.match(r"(\w+)\(.*?(?:\)\s+=\s+(.*))?$", line)
            # Other processes come and go, and so do System V objects: looking at them is refused.
            if match and match[1] not in TIMING and not match[1].endswith("ctl") and \
                    not re.match(r"-1 E(ACCES|PERM|SRCH)", match[2] or ""):
                calls[match[1]] += 1
            if match and match[1] == "ioctl":
                calls["ioctl"] += 1
    return calls


def examine(thing, count, *bounds):
    small, large = count_calls(thing, count), count_calls(thing, 2 * count)
    each = {name: (large[name] - small[name]) / count for name in large | small}
    opened = sum(value for name, value in each.items() if name.startswith("open"))
    found = (each.get("ptrace", 0), opened, sum(each.values()))
    print(f"{thing}: {found[0]:.2f} ptrace, {found[1]:.2f} opened, {found[2]:.2f} in all")
    # Other processes, buffers that double: less than a half for each.
    return [f"{thing}: {value:.2f} {what} for each, {bound} are allowed: "
            + ", ".join(f"{name} {number:.2f}" for name, number in sorted(each.items())
                        if abs(number) >= 0.05)
            for value, bound, what in zip(found, bounds, ("calls of ptrace(2)", "opened files",
                                                          "system calls"))
            if value > bound + 0.5]


def main():
    if not shutil.which("strace") or not shutil.which("cc"):
        print("skipped: there is no strace, or no compiler")
        sys.exit(77)
    subprocess.run(["cc", "-std=gnu17", "-O1", "-pthread", "-o", "crowd",
                    os.path.join(SOURCE, "tests/cli/crowd.c")], check=True)
    wrong = [line for row in BOUNDS for line in examine(*row)]
    if wrong:
        sys.exit("\n".join(wrong))


main()
