#!/usr/bin/python3
# Stasis is ended by SIGKILL at random instants of a checkpoint: the program goes on and computes what it
# would have, no process and no more than one mapping stays, and the next checkpoint clears that.
# LEVELS: none cap root
import hashlib
import os
import random
import subprocess
import time

from _program import STASIS, Program, expect, main

ROUNDS = 60

PROGRAM = r"""
import hashlib, os, select, signal, threading, time
alarms = 0
def on_alarm(number, frame):
    global alarms
    alarms += 1
def poller():
    reader, writer = os.pipe()
    while not os.path.exists("stop"):
        assert select.select([reader], [], [], 0.003) == ([], [], [])
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
threads = [threading.Thread(target=poller) for _ in range(3)]
for t in threads:
    t.start()
value, steps = b"", 0
print("ready", flush=True)
while not os.path.exists("stop"):
    for _ in range(200):
        value = hashlib.sha256(value).digest()
    steps += 200
    x = 1.0
    for _ in range(200):
        x = x * 1.000001 + 0.5 / x
    assert abs(x - 14.22835) < 0.00001, x
for t in threads:
    t.join()
signal.setitimer(signal.ITIMER_REAL, 0)
print(steps, value.hex(), alarms > 0, flush=True)
"""


def regions(pid):
    """Mappings of code without a file: what a killed checkpoint may leave."""
    with open(f"/proc/{pid}/maps") as maps:
        return sum(line.split()[1:5] == ["r-xp", "00000000", "00:00", "0"] and "[" not in line
                   for line in maps)


def test():
    job = Program("/usr/bin/python3", "-c", PROGRAM)
    job.wait_for("^ready")
    before = regions(job.pid)
    killed = 0
    for _ in range(ROUNDS):
        tool = subprocess.Popen([STASIS, "checkpoint", "-o", "killed.stasis", str(job.pid)])
        time.sleep(random.random() * 0.03)
        tool.kill()
        killed += tool.wait() < 0
        expect(job.is_alive(), f"the program is dead after {killed} kills:\n{job.text()}")
        expect(regions(job.pid) <= before + 1, "more than one mapping was left")
    expect(killed > 0, "no checkpoint was ended in its middle")
    image = job.checkpoint()
    expect(regions(job.pid) == before, "a mapping was left behind")
    open("stop", "w").close()
    job.wait(0)
    steps, value, alarmed = job.lines()[-1].split()
    want = b""
    for _ in range(int(steps)):
        want = hashlib.sha256(want).digest()
    expect(value == want.hex() and alarmed == "True", f"wrong result: {job.text()}")
    # The image of the last checkpoint is good, too: it ends at once, for stop exists.
    job.restore(image)
    job.wait(0)
    left = [name for name in os.listdir(".") if name.endswith(".tmp")]
    expect(len(left) <= 1, f"left behind: {left}")


main(test)
