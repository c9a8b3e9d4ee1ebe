#!/usr/bin/python3
# LEVELS: none
# TIMEOUT: 200
"""
What a restore costs for each thread, process, mapping and descriptor: system calls of its main
thread, those of ptrace(2), and turns of the new processes (each ends with a stop that is waited for):
the difference between N and 2 N of them.  Whatever is compared each with each is found here, and a
call more for each is one too many.
"""

import collections
import os
import re
import shutil
import signal
import subprocess
import sys

STASIS = os.environ["STASIS"]

# How often these are called depends on how fast the others are, or on the memory that malloc(3) has.
TIMING = {"wait4", "waitid", "sched_yield", "futex", "rt_sigprocmask", "nanosleep", "clock_nanosleep",
          "brk", "mmap", "munmap", "mremap", "restart_syscall", "rt_sigreturn", "sched_setaffinity"}
TURN = re.compile(r"ptrace\(PTRACE_(CONT|SYSCALL)")

# How many, and what each may cost: turns, calls of ptrace(2), opened files, all calls.  All threads
# are let go at one moment, which takes one call more of each.
BOUNDS = (
    ("threads", 160, 1, 10, 2, 32),
    ("processes", 24, 14, 47, 10, 151),
    ("mappings", 256, 0, 0, 0, 0),
    ("files", 160, 0, 0, 2, 8),
    ("events", 160, 0, 0, 0, 3),
)
WORDS = ("turns", "calls of ptrace(2)", "opened files", "system calls")

TARGET = r"""
import mmap, os, resource, signal, sys, threading
thing, count = sys.argv[1], int(sys.argv[2])
limit = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
kept = []
for i in range(count):
    if thing == "threads":
        threading.stack_size(65536)
        threading.Thread(target=signal.pause, daemon=True).start()
    elif thing == "processes":
        if os.fork() == 0:
            while True:
                signal.pause()
    elif thing == "mappings":
        # Neighbours differ, or the kernel would make one mapping of them.
        access = mmap.PROT_READ | (mmap.PROT_WRITE if i % 2 else 0)
        kept.append(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE, prot=access))
    elif thing == "files":
        os.open(sys.executable, os.O_RDONLY)
    elif thing == "events":
        os.eventfd(0)
open("ready", "w").close()
while True:
    signal.pause()
"""


def make_image(thing, count):
    if os.path.exists("ready"):
        os.unlink("ready")
    target = subprocess.Popen([sys.executable, "-c", TARGET, thing, str(count)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not os.path.exists("ready"):
            if target.poll() is not None:
                sys.exit(f"no program with {count} {thing}")
        # The file is there before its maker sleeps.
        done = subprocess.run([STASIS, "checkpoint", "-o", "image", str(target.pid)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"checkpoint of {count} {thing}: {done.stderr}")
    finally:
        os.killpg(target.pid, signal.SIGKILL)
        target.wait()


def end(pid):
    """The program, and with it the private namespace that it is in."""
    with open(f"/proc/{pid}/status") as file:
        parent = int(re.search(r"^PPid:\s+(\d+)", file.read(), re.M)[1])
    os.killpg(pid, signal.SIGKILL)
    if parent > 1:
        os.kill(parent, signal.SIGKILL)


def count_calls(thing, count):
    """Of one restore, by their names; the turns are one of them."""
    make_image(thing, count)
    done = subprocess.run(["strace", "-qq", "-o", "calls", STASIS, "restore", "--detach", "image"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"restore of {count} {thing}: {done.stderr}")
    end(int(done.stdout))
    calls = collections.Counter()
    with open("calls") as file:
        for line in file:
            match = re.match(r"(\w+)\(", line)
            if match and match[1] not in TIMING:
                calls[match[1]] += 1
            if TURN.match(line):
                calls["turns"] += 1
    return calls


def examine(thing, count, *bounds):
    small, large = count_calls(thing, count), count_calls(thing, 2 * count)
    each = {name: (large[name] - small[name]) / count for name in large | small}
    turns = each.pop("turns", 0)
    opened = sum(value for name, value in each.items() if name.startswith("open"))
    found = (turns, each.get("ptrace", 0), opened, sum(each.values()))
    print(f"{thing}:", ", ".join(f"{value:.2f} {what}" for value, what in zip(found, WORDS)))
    # Buffers that double, full batches, waits for a main thread: less than one for each.
    return [f"{thing}: {value:.2f} {what} for each, {bound} are allowed: "
            + ", ".join(f"{name} {number:.2f}" for name, number in sorted(each.items())
                        if abs(number) >= 0.05)
            for value, bound, what in zip(found, bounds, WORDS) if value > bound + 0.75]


def main():
    if not shutil.which("strace"):
        print("skipped: there is no strace")
        sys.exit(77)
    wrong = [line for row in BOUNDS for line in examine(*row)]
    if wrong:
        sys.exit("\n".join(wrong))


main()
