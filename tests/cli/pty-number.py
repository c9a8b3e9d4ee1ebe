#!/usr/bin/python3
# LEVELS: none cap root
"""
A program with a pseudo-terminal of its own is restored while it still runs: the copy has a terminal
of another number, and both work.
"""

import os
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
PROGRAM = """
import os, time
master, slave = os.openpty()
while True:
    os.write(master, b"typed\\n")
    assert os.read(slave, 100) == b"typed\\n"
    assert os.read(master, 100) == b"typed\\r\\n"
    name = os.ttyname(slave)
    assert os.stat(name).st_rdev == os.fstat(slave).st_rdev
    with open("names", "a") as names:
        names.write(name + "\\n")
    time.sleep(0.01)
"""


def names():
    try:
        with open("names") as file:
            return set(file.read().split())
    except FileNotFoundError:
        return set()


def until_names(count):
    deadline = time.monotonic() + 30
    while len(names()) < count:
        if time.monotonic() > deadline:
            sys.exit(f"{count} names wanted, there are {names()}")
        time.sleep(0.01)


def main():
    with open("output", "wb") as output:
        program = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM], stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output)
    until_names(1)
    subprocess.run([STASIS, "checkpoint", "-o", "image", str(program.pid)], check=True)
    for copies in (1, 2):
        said = subprocess.run([STASIS, "restore", "--detach", "--pid=new", "image"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        os.kill(int(said.stdout), 0)
        until_names(1 + copies)
    if program.poll() is not None:
        sys.exit(f"the program ended: {program.returncode}")
    program.send_signal(signal.SIGKILL)


main()
