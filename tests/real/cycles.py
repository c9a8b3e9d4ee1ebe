#!/usr/bin/python3
# 200 checkpoints and restores (make soak: 10,000) of one program, one after another: it must not grow by a
# descriptor, a mapping, memory, or a byte of its image that it has not asked for.
# LEVELS: none
# TIMEOUT: 240
import ctypes
import os
import signal
import subprocess
import time

from _program import STASIS, Trouble, expect, main, need, stasis, until

CYCLES = int(os.environ.get("STASIS_CYCLES", 200))
WINDOW = 20  # the first so many after it has settled, and the last, are compared
SETTLED = 20
PR_SET_CHILD_SUBREAPER = 36

# Threads, a pipe, an epoll and a deleted file; memory that it goes on filling and freeing.
PROGRAM = """
import os, select, tempfile, threading, time

ends, poller, ghost = os.pipe(), select.epoll(), tempfile.TemporaryFile()
poller.register(ends[0], select.EPOLLIN)
ghost.write(b"ghost" * 1000)
ghost.flush()
blocks = []

def churn():
    while True:
        blocks[:] = [bytearray(b"x" * 70_000) for _ in range(20)]
        time.sleep(0.005)

for _ in range(2):
    threading.Thread(target=churn, daemon=True).start()
count = 0
while True:
    poller.poll(0.005)
    count += 1
    ghost.seek(0)
    assert ghost.read() == b"ghost" * 1000
    os.pwrite(1, b"%20d\\n" % count, 0)
"""


def status_of(pid, *names):
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [int(fields[name].split()[0]) for name in names]


def measure(pid, image):
    """What must not grow.  Sizes in KiB."""
    with open(f"/proc/{pid}/maps") as file:
        mappings = len(file.readlines())
    threads, size, anonymous, table = status_of(pid, "Threads", "VmSize", "RssAnon", "VmPTE")
    return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "mappings": mappings,
            "threads": threads, "size": size, "anonymous": anonymous, "page tables": table,
            "image": os.stat(image).st_size // 1024}


def count_in(path):
    with open(path) as file:
        text = file.read()
    return int(text) if len(text) == 21 else 0


def reap():
    """What restores leave behind, a process for each private namespace, has to end by itself."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] > 0:
            pass
    except ChildProcessError:
        return 0
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return len(file.read().split())


def cycle(pid):
    stasis("checkpoint", "--kill", "-o", "image", str(pid))
    until(lambda: reap() == 0, "the end of what was killed")
    said = subprocess.run([STASIS, "restore", "--detach", "image"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    expect(said.returncode == 0, f"the restore ended with {said.returncode}: {said.stderr}")
    return int(said.stdout)


# What its least may have grown by, in KiB; all else must be exactly as it was.
SLACK = {"anonymous": 400, "image": 400, "page tables": 64}


def sum_up(measured):
    """Each thread's memory goes up and down by 1.4 MB, for it makes its next blocks before it lets
    go of the last: one look finds it anywhere between, the least of many does not."""
    return {name: (min if name in SLACK else max)(each[name] for each in measured)
            for name in measured[0]}


def compare(early, late):
    for name, before in early.items():
        after = late[name]
        if after > before + SLACK.get(name, 0):
            raise Trouble(f"{name}: {before} in the first {WINDOW} cycles, {after} in the last")


def test():
    need("python3")
    # Restored programs are to be our children, so that nothing else need reap them.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with open("out", "wb") as out:
        pid = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM], stdin=subprocess.DEVNULL,
                               stdout=out, stderr=out).pid
    until(lambda: count_in("out") > 3, "the program to work")
    own_descriptors = len(os.listdir("/proc/self/fd"))
    measured = []
    began = time.monotonic()
    for n in range(1, CYCLES + 1):
        before = count_in("out")
        pid = cycle(pid)
        until(lambda: count_in("out") > before, f"progress in cycle {n}")
        if n == SETTLED:
            files = sorted(os.listdir("."))
        if n > SETTLED:
            measured.append(measure(pid, "image"))
    early, late = sum_up(measured[:WINDOW]), sum_up(measured[-WINDOW:])
    print(f"{CYCLES} cycles in {time.monotonic() - began:.1f} s: {early} -> {late}")
    compare(early, late)
    expect(sorted(os.listdir(".")) == files, f"files were left: {os.listdir('.')}")
    expect(len(os.listdir("/proc/self/fd")) == own_descriptors, "descriptors were left here")
    os.kill(pid, signal.SIGKILL)
    until(lambda: reap() == 0, "the end of the last one")


main(test)
