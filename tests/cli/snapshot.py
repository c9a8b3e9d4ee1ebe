#!/usr/bin/python3
# LEVELS: none cap root
"""
The frozen clone from which a program that goes on is saved: the image has its memory as it was at one
moment, also what no clone has; nobody sees the clone or who makes it; and when the tool is killed,
whenever that is, nothing is left and the program goes on.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
PAGES = 8192
PROGRAM = f"""
import ctypes, mmap, os, signal, sys, threading, time
PAGES, PAGE = {PAGES}, 4096
libc = ctypes.CDLL(None, use_errno=True)
private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
memory = mmap.mmap(-1, PAGES * PAGE, flags=private)
holes = mmap.mmap(-1, 64 * PAGE, flags=private)
holes[:] = bytes(64 * PAGE)
apart = mmap.mmap(-1, PAGE, flags=private)
apart.madvise(mmap.MADV_DONTFORK)
wiped = mmap.mmap(-1, PAGE, flags=private)
wiped.madvise(18)
closed = mmap.mmap(-1, 4 * PAGE, flags=private)
closed[:] = bytes([7]) * (4 * PAGE)
where = ctypes.addressof(ctypes.c_char.from_buffer(closed))
assert libc.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(4 * PAGE), 0) == 0
for i in range(PAGES):
    memory[i * PAGE + 8:(i + 1) * PAGE] = os.urandom(PAGE - 8)
generation, at = 1, 0

def say(text):
    with open("said", "a") as said:
        said.write(text + "\\n")

# The memory is of one moment: pages before a place have this generation, others the one before.
def check(number, frame):
    words = [int.from_bytes(memory[i * PAGE:i * PAGE + 8], "little") for i in range(PAGES)]
    turns = sum(a != b for a, b in zip(words, words[1:]))
    place = words.count(generation)
    good = turns <= 1 and place in (at, at + 1) and set(words) <= {{generation, generation - 1}}
    step = generation * PAGES + at
    near = all(int.from_bytes(m[:8], "little") in (step, step - 1, step + 1) for m in (apart, wiped))
    assert libc.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(4 * PAGE), 1) == 0
    whole = ctypes.string_at(where, 4 * PAGE) == bytes([7]) * (4 * PAGE)
    assert libc.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(4 * PAGE), 0) == 0
    say("good" if good and near and whole and not any(holes[:]) else
        f"bad: {{turns}} {{place}} {{at}} {{near}} {{whole}} {{words[:3]}} {{generation}}")

children = 0
def child(number, frame):
    global children
    children += 1
signal.signal(signal.SIGUSR1, check)
signal.signal(signal.SIGCHLD, child)

def watch():
    wall, seen = 0x40000000, 0
    while True:
        for flags in (wall, wall | os.WNOHANG, 0x80000000 - (1 << 32) | os.WNOHANG):
            ctypes.set_errno(0)
            got = libc.waitpid(-1, None, flags)
            if got != -1 or ctypes.get_errno() != 10:
                say(f"bad: waitpid(-1, {{flags:#x}}) gave {{got}}, {{ctypes.get_errno()}}")
        if children:
            say("bad: SIGCHLD")
        time.sleep(0.0001)
threading.Thread(target=watch, daemon=True).start()
with open("ready", "w"):
    pass
while True:
    for at in range(PAGES):
        step = (generation * PAGES + at).to_bytes(8, "little")
        memory[at * PAGE:at * PAGE + 8] = generation.to_bytes(8, "little")
        apart[:8] = step
        wiped[:8] = step
    generation, at = generation + 1, 0
"""


def fail(text):
    sys.exit(text)


def until(condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            fail(f"waited in vain for {what}")
        time.sleep(0.01)


def said():
    try:
        with open("said") as file:
            return file.read().split("\n")[:-1]
    except FileNotFoundError:
        return []


def ask(pid, tolerated="good"):
    """The program tells whether its memory is whole."""
    before = said().count("good")

    def wrong():
        return [line for line in said() if line != "good" and not line.startswith(tolerated)]

    os.kill(pid, signal.SIGUSR1)
    until(lambda: said().count("good") > before or wrong(), "an answer")
    if wrong():
        fail(f"process {pid}: {wrong()[0]}")


def state(pid):
    """What a leftover would change: descriptors, children, mappings without a name."""
    with open(f"/proc/{pid}/maps") as maps:
        code = len(re.findall(r"r-xp 00000000 00:00 0 *\n", maps.read()))
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read()
    return sorted(os.listdir(f"/proc/{pid}/fd")), children, code


def relatives(pid):
    """Processes of this one's name, here and not elsewhere, that are not it: clones."""
    found = []
    with open(f"/proc/{pid}/cmdline") as file:
        line = file.read()
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/cmdline") as file:
                same = file.read() == line and int(other) != pid
            # The same test may run at another level, in a folder of its own.
            if same and os.path.samefile(f"/proc/{other}/cwd", "."):
                found.append(other)
        except OSError:
            pass
    return found


def checkpoint(pid, *options):
    out = subprocess.run([STASIS, "checkpoint", "--json", "-o", "image", *options, str(pid)],
                         stdout=subprocess.PIPE, check=True)
    return json.loads(out.stdout)


def check_counts(pid):
    """Of a large program only what a clone cannot freeze is copied while it stands still."""
    told = checkpoint(pid)
    if told["copied"] != 2:
        fail(f"{told['copied']} pages were copied within the pause, not 2")
    if told["memory"] < PAGES * 4096 or told["memory"] > (PAGES + 8192) * 4096:
        fail(f"{told['memory']} bytes of memory")


def check_small():
    with subprocess.Popen(["sleep", "1000"]) as small:
        time.sleep(0.2)
        told = checkpoint(small.pid)
        small.kill()
    if told["copied"] < told["memory"] // 4096 or told["memory"] == 0:
        fail(f"{told['copied']} pages were copied of {told['memory']} bytes")


def check_restored(program):
    for _ in range(3):
        checkpoint(program.pid)
        ask(program.pid)
        out = subprocess.run([STASIS, "restore", "--detach", "--pid=new", "image"],
                             stdout=subprocess.PIPE, check=True)
        copy = int(out.stdout)
        ask(copy)
        os.kill(copy, signal.SIGKILL)
        until(lambda: not relatives(program.pid), "the end of the copy")


def check_killed(program):
    before = state(program.pid)
    rounds = random.Random(5)
    for _ in range(40):
        tool = subprocess.Popen([STASIS, "checkpoint", "-o", "image", str(program.pid)])
        time.sleep(rounds.uniform(0, 0.12))
        tool.kill()
        tool.wait()
        until(lambda: not relatives(program.pid), "the end of a clone")
        # Who made the clone is waited for by the program itself, when it is cured.
        until(lambda: state(program.pid)[:2] == before[:2],
              f"{before} to be again, it is {state(program.pid)}")
        # Ended while the clone was made, the tool leaves a dead child for an instant, which the
        # program waits for itself; another thread that waits with __WALL may be faster.
        ask(program.pid, "bad: waitpid")
    checkpoint(program.pid)
    if state(program.pid) != before:
        fail(f"left over: {state(program.pid)}, before: {before}")


def main():
    with open("output", "wb") as output:
        program = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output)
    try:
        until(lambda: os.path.exists("ready") or program.poll() is not None, "the program")
        check_counts(program.pid)
        check_small()
        check_restored(program)
        check_killed(program)
    finally:
        program.kill()


main()
