#!/usr/bin/python3
# LEVELS: none cap root
# TIMEOUT: 240
"""
A program that is never the same: it executes another one all the time, or makes children that end,
or its threads come and go.  A checkpoint takes it, or says why not, and it goes on; the image,
restored, goes on as well.
"""

import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _count import count, goes_on  # noqa: E402

STASIS = os.environ["STASIS"]
TRIES = 25
EXECUTES = "echo $1 >count.new; mv count.new count; exec /bin/sh ../executes.sh $(($1 + 1))"
FORKS = """n=0
while :; do
	(exit 3); [ $? = 3 ] || exit 1
	/bin/true | /bin/cat
	n=$((n + 1)); echo $n >count.new; mv count.new count
done"""
THREADS = """
import os, threading
n = 0
while True:
    threads = [threading.Thread(target=os.getppid) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    n += 1
    open("count.new", "w").write(str(n))
    os.rename("count.new", "count")
"""


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def checkpoint(*arguments):
    return subprocess.run([STASIS, "checkpoint", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def try_once(folder, pid, options):
    """Returns the exit status; whatever it is, the program goes on."""
    time.sleep(random.uniform(0, 0.02))
    done = checkpoint(*options, "-o", "image", str(pid))
    if not goes_on(folder):
        sys.exit(f"{folder} does not go on after {options}: {done.stdout}")
    if done.returncode == 0:
        subprocess.run([STASIS, "verify", "image"], check=True, stdout=subprocess.DEVNULL)
        os.unlink("image")
    elif done.returncode not in (1, 3) or not done.stdout.startswith("stasis: "):
        sys.exit(f"{folder}, {options}: {done.returncode}: {done.stdout!r}")
    elif os.path.exists("image"):
        sys.exit(f"{folder}, {options}: an image of a failed checkpoint")
    return done.returncode


def come_back(folder, pid):
    """Saved and ended in the middle of it, and restored."""
    for _ in range(20):
        done = checkpoint("--kill", "-o", "image", str(pid))
        if done.returncode == 0:
            break
        if not goes_on(folder):
            sys.exit(f"{folder} does not go on: {done.stdout}")
    else:
        sys.exit(f"{folder} cannot be saved: {done.stdout}")
    before = count(folder)
    said = subprocess.run([STASIS, "restore", "--detach", "image"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if said.returncode != 0 or not goes_on(folder) or count(folder) <= before:
        sys.exit(f"{folder} does not come back: {said.stdout}")
    os.kill(int(said.stdout.split()[0]), signal.SIGKILL)
    os.unlink("image")


def examine(folder, argv):
    os.mkdir(folder)
    with open(os.devnull, "r+b") as null:
        program = subprocess.Popen(argv, cwd=folder, stdin=null, stdout=null, stderr=null,
                                   start_new_session=True)
    try:
        if not goes_on(folder):
            sys.exit(f"{folder} did not start")
        outcomes = [try_once(folder, program.pid, options)
                    for options in ([], ["--precopy"], ["--track"]) for _ in range(TRIES)]
        print(f"{folder}: {outcomes.count(0)} saved, {outcomes.count(1)} failed, "
              f"{outcomes.count(3)} refused")
        if not outcomes.count(0):
            sys.exit(f"{folder} could never be saved")
        come_back(folder, program.pid)
    finally:
        end_group(program.pid)
        program.wait()


for name, text in (("executes.sh", EXECUTES), ("forks.sh", FORKS), ("threads.py", THREADS)):
    with open(name, "w") as script:
        script.write(text)
examine("executes", ["/bin/sh", "../executes.sh", "1"])
examine("forks", ["/bin/sh", "../forks.sh"])
examine("threads", ["/usr/bin/python3", "../threads.py"])
