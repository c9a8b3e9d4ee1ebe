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
import time

STASIS, SOURCE = os.environ["STASIS"], os.environ["STASIS_SOURCE"]

# How often these are called depends on how fast the others are, or on the memory that malloc(3) has.
TIMING = {"wait4", "waitid", "sched_yield", "futex", "rt_sigprocmask", "nanosleep", "brk", "mmap",
          "munmap", "mremap", "restart_syscall", "rt_sigreturn", "sysinfo"}

# What there is many of, how many of it, and what is allowed for each piece: calls of ptrace(2), opened
# files, comparisons by kcmp(2) (which grow with the logarithm, and with luck), all other calls.
BOUNDS = (
    ("threads", 640, 16, 4, 4, 39),
    ("processes", 24, 36, 31, 60, 249),
    ("mappings", 1024, 0, 0, 0, 1),
    ("files", 160, 0, 2, 16, 14),
    ("events", 160, 0, 1, 1, 9),
    ("pipes", 160, 0, 1, 2, 10.5),
)
WORDS = ("calls of ptrace(2)", "opened files", "comparisons", "system calls")


def start(thing, count):
    # No pipe: who else holds its other end is looked for in all processes of the machine.
    with open("out", "w+") as out:
        target = subprocess.Popen(["./crowd", thing, str(count)], stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=subprocess.DEVNULL, start_new_session=True)
    while os.path.getsize("out") == 0:
        if target.poll() is not None:
            sys.exit(f"no program with {count} {thing}")
        time.sleep(0.01)
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
    compared = each.pop("kcmp", 0)
    found = (each.get("ptrace", 0), opened, compared, sum(each.values()))
    print(f"{thing}:", ", ".join(f"{value:.2f} {what}" for value, what in zip(found, WORDS)))
    # Other processes, buffers that double: less than a half for each.
    return [f"{thing}: {value:.2f} {what} for each, {bound} are allowed: "
            + ", ".join(f"{name} {number:.2f}" for name, number in sorted(each.items())
                        if abs(number) >= 0.05)
            for value, bound, what in zip(found, bounds, WORDS) if value > bound + 0.5]


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
