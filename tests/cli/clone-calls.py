#!/usr/bin/python3
# LEVELS: none
# TIMEOUT: 120
"""
The template of many copies has its huge pages before its memory is read: each is touched once, while
it is empty, and nothing is copied into it page by page first.
"""

import os
import re
import shutil
import signal
import subprocess
import sys

STASIS = os.environ["STASIS"]
MIB = 1 << 20
HUGE = 2 * MIB

# With a page of zeros, which no image has: where it is, no huge page is whole.
TARGET = r"""
import mmap, os, signal, sys
size = int(sys.argv[1])
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory[:] = os.urandom(size)
memory[size // 2:size // 2 + 4096] = bytes(4096)
open("ready", "w").close()
while True:
    signal.pause()
"""


def make_image(size):
    if os.path.exists("ready"):
        os.unlink("ready")
    target = subprocess.Popen([sys.executable, "-c", TARGET, str(size)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    try:
        while not os.path.exists("ready"):
            if target.poll() is not None:
                sys.exit("no program")
        done = subprocess.run([STASIS, "checkpoint", "--kill", "-o", "image", str(target.pid)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"checkpoint: {done.stderr}")
    finally:
        if target.poll() is None:
            os.killpg(target.pid, signal.SIGKILL)
        target.wait()


def touches(size):
    """How many single bytes the tool's main thread writes into the template."""
    make_image(size)
    done = subprocess.run(["strace", "-qq", "-e", "trace=process_vm_writev", "-o", "calls",
                           STASIS, "restore", "--detach", "--clone", "2", "image"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"restore: {done.stderr}")
    for pid in done.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    with open("calls") as file:
        return sum(re.search(r"iov_len=1\}\]?, 1, 0\) = 1$", line) is not None for line in file)


def main():
    if not shutil.which("strace"):
        print("skipped: there is no strace")
        sys.exit(77)
    with open("/sys/kernel/mm/transparent_hugepage/enabled") as file:
        if "[always]" in file.read():
            print("skipped: whoever touches memory here is given huge pages")
            sys.exit(77)
    small, large = touches(16 * MIB), touches(64 * MIB)
    if large - small != 48 * MIB // HUGE:
        sys.exit(f"for {48 * MIB // HUGE} huge pages more {large - small} were touched: {small}, {large}")
    # The first and the last may stand out of the memory, and one has the page of zeros.
    if not 16 * MIB // HUGE - 3 <= small <= 16 * MIB // HUGE:
        sys.exit(f"{small} huge pages were touched in {16 * MIB // HUGE}")


main()
