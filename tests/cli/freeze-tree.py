#!/usr/bin/python3
# LEVELS: none
"""
Of a tree that goes on each process is copied or cloned, whichever is shorter: many small ones are
copied, however many they are, and beside a large one, of which a clone is made.
"""

import json
import os
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
PAGE = 4096
LARGE = 16384       # pages: it takes longer to copy them than to clone them
SMALL, EACH = 60, 350   # together more than is copied to memory
PROGRAM = f"""
import mmap, os, subprocess, time
memory = mmap.mmap(-1, {LARGE * PAGE}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
noise = os.urandom({PAGE})
for i in range({LARGE}):
    memory[i * {PAGE}:(i + 1) * {PAGE}] = noise[i % 256:] + noise[:i % 256]
# Each has filled its memory, and waits for somebody to read the pipe.
small = [subprocess.Popen(["dd", "if=/dev/zero", "bs={EACH * PAGE}"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) for _ in range({SMALL})]
for dd in small:
    dd.stdout.read(1)
open("ready", "w").close()
while not os.path.exists("check"):
    time.sleep(0.01)
good = all(memory[i * {PAGE}:(i + 1) * {PAGE}] == noise[i % 256:] + noise[:i % 256]
           for i in range({LARGE}))
good = good and all(dd.stdout.read({EACH * PAGE}).count(0) == {EACH * PAGE} for dd in small)
with open("said", "w") as said:
    said.write("good" if good else "bad")
for dd in small:
    dd.kill()
"""


def until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.01)


def said():
    return os.path.exists("said") and open("said").read()


def check_copied(pid):
    out = subprocess.run([STASIS, "checkpoint", "--json", "-o", "image", str(pid)],
                         stdout=subprocess.PIPE, check=True)
    copied = json.loads(out.stdout)["copied"]
    if not SMALL * EACH <= copied < SMALL * (EACH + 100):
        sys.exit(f"{copied} pages were copied, not some {SMALL * EACH}")


def check_memory():
    open("check", "w").close()
    until(said, "the program's own look at its memory")
    if said() != "good":
        sys.exit("its memory is not what it was")
    os.unlink("said")
    os.unlink("check")


def main():
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: os.path.exists("ready"), "the program")
    try:
        check_copied(program.pid)
        check_memory()
        program.wait()
        subprocess.run([STASIS, "restore", "--detach", "--pid=new", "image"],
                       stdout=subprocess.DEVNULL, check=True)
        check_memory()
    finally:
        if program.poll() is None:
            program.send_signal(signal.SIGKILL)


main()
