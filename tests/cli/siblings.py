#!/usr/bin/python3
# LEVELS: none
"""
Children that share a large memory with their parent: it is read once for all of them, and saved once.
(The rest is the interpreter's.)
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
SIZE, CHILDREN = 16 << 20, 6
PROGRAM = f"""
import mmap, os, signal
memory = mmap.mmap(-1, {SIZE}, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, {SIZE}, 65536):
    memory[at:at + 65536] = os.urandom(65536)
for child in range({CHILDREN}):
    if os.fork() == 0:
        memory[child * 8192] ^= 1
        open(f"ready{{child}}", "w").close()
        signal.pause()
signal.pause()
"""


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{argv}: {done.returncode}: {done.stderr[-500:]}")


def bytes_of(pid):
    """How many were read of its memory; strace(1) shows what a descriptor is of."""
    found = re.compile(rf"pread64\(\d+</proc/{pid}/mem>, .* = (\d+)$")
    with open("calls", errors="replace") as calls:
        return sum(int(m[1]) for m in map(found.search, map(str.rstrip, calls)) if m)


if not shutil.which("strace"):
    print("skipped: there is no strace")
    sys.exit(77)
target = subprocess.Popen([sys.executable, "-I", "-c", PROGRAM], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True)
try:
    while not all(os.path.exists(f"ready{child}") for child in range(CHILDREN)):
        time.sleep(0.01)
    run("strace", "-qq", "-f", "-y", "-s", "1", "-e", "trace=pread64", "-o", "calls", STASIS,
        "checkpoint", "--kill", "-o", "image", str(target.pid))
finally:
    if target.poll() is None:
        os.killpg(target.pid, signal.SIGKILL)
    target.wait()
read = bytes_of(target.pid)
if not SIZE <= read <= SIZE * 2:
    sys.exit(f"{read} bytes of the parent's {SIZE} were read")
if os.path.getsize("image") > SIZE * 2:
    sys.exit(f"the image has {os.path.getsize('image')} bytes")
