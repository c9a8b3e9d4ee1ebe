#!/usr/bin/python3
# LEVELS: none root
"""
SIGKILL to `restore --clone` at any instant: what is there then runs, and of the rest nothing is left.
"""

import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _count import wait_for  # noqa: E402

STASIS = os.environ["STASIS"]
PROGRAM = """
import os, time
memory = os.urandom(8 << 20)
mark = "a program of clone-killed"
open("ready", "w").close()
while True: time.sleep(0.02)
"""
COPIES = 3


def mine():
    """Living processes of ours in this folder: copies, templates, inits of namespaces."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                state = stat.read().rsplit(")", 1)[1].split()[0]
            if state not in "ZX" and os.readlink(f"/proc/{pid}/cwd") == os.getcwd():
                found.append(int(pid))
        except OSError:
            pass
    return [pid for pid in found if pid != os.getpid()]


def copies():
    found = []
    for pid in mine():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                if b"clone-killed" in line.read() and os.getpid() != pid:
                    found.append(pid)
        except OSError:
            pass
    return found


program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
if not wait_for(lambda: os.path.exists("ready")):
    sys.exit("the program did not start")
subprocess.run([STASIS, "checkpoint", "--kill", "-o", "image", str(program.pid)], check=True)
program.wait()

begin = time.monotonic()
whole = subprocess.run([STASIS, "restore", "--detach", "--clone", str(COPIES), "image"],
                       check=True, stdout=subprocess.PIPE)
takes = time.monotonic() - begin
for pid in whole.stdout.split():
    os.kill(int(pid), signal.SIGKILL)
if not wait_for(lambda: not mine()):
    sys.exit(f"left after all were ended: {mine()}")

chance = random.Random(int(os.environ.get("SEED", "5")))
none = some = 0
for turn in range(40):
    tool = subprocess.Popen([STASIS, "restore", "--detach", "--clone", str(COPIES), "image"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            stdin=subprocess.DEVNULL)
    time.sleep(chance.uniform(0, takes))
    tool.send_signal(signal.SIGKILL)
    tool.wait()
    time.sleep(0.05)
    left = copies()
    if not left:
        none += 1
        if not wait_for(lambda: not mine()):
            sys.exit(f"turn {turn}: left: {mine()}")
        continue
    some += 1
    for pid in left:
        with open(f"/proc/{pid}/status") as status:
            state = [line for line in status if line.startswith(("State:", "TracerPid:"))]
        if "T" in state[0].split()[1] or state[1].split()[1] != "0":
            sys.exit(f"turn {turn}: a copy is {state}")
        os.kill(pid, signal.SIGKILL)
    if not wait_for(lambda: not mine()):
        sys.exit(f"turn {turn}: left after the copies were ended: {mine()}")
if not none:
    sys.exit("the tool was never early enough to be ended before its work was done")
