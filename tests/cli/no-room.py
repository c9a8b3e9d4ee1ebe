#!/usr/bin/python3
# LEVELS: none
# TIMEOUT: 240
"""
A disk that is full or read-only, at a checkpoint and at a restore that has files to bring back; and
a terminal that goes away.  One sentence, the program goes on, and nothing is left on the disk.
"""

import os
import pty
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _count import goes_on  # noqa: E402

STASIS = os.environ["STASIS"]
PROGRAM = """
import os, sys, time
memory = os.urandom(12 << 20)
ghost = open(sys.argv[1], "w+b")
ghost.write(memory[:3 << 20]); ghost.flush()
os.unlink(sys.argv[1])
n = 0
while True:
    n += 1
    assert ghost.seek(0) == 0 and ghost.read() == memory[:3 << 20]
    with open("count.new", "w") as file: file.write(str(n))
    os.rename("count.new", "count")
    time.sleep(0.005)
"""
SETUP = """
mkdir small fixed && mount -t tmpfs -o size=4M none small && mount -t tmpfs -o ro none fixed ||
	exit 77
exec "$@"
"""
WAYS = [[], ["--kill"], ["--leave-stopped"], ["--precopy"], ["--compress"], ["--track"]]


def inside():
    """Again, where we may mount something."""
    argv = ["unshare", "-Urm", "/bin/sh", "-c", SETUP, "sh", sys.executable, __file__, "inside"]
    status = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=False)
    if status.returncode in (1, 77) and "unshare" in status.stderr or status.returncode == 77:
        print(f"skipped: nothing can be mounted here: {status.stderr.strip()}")
        sys.exit(77)
    sys.stderr.write(status.stderr)
    sys.exit(status.returncode)


def start(ghost="ghost"):
    with open(os.devnull, "r+b") as null:
        program = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM, ghost], stdin=null,
                                   stdout=null, stderr=null, start_new_session=True)
    if not goes_on():
        sys.exit("the program did not start")
    return program


def stasis(*arguments):
    return subprocess.run([STASIS, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def expect(done, status, words, folder="small"):
    if done.returncode != status or words not in done.stdout or \
            not done.stdout.startswith("stasis: "):
        sys.exit(f"exit status {done.returncode} (not {status}), {done.stdout!r} (not {words!r})")
    if os.listdir(folder):
        sys.exit(f"left behind: {os.listdir(folder)}")


def checkpoints():
    program = start()
    for way in WAYS:
        done = stasis("checkpoint", *way, "-o", "small/image", str(program.pid))
        expect(done, 1, "the disk is full")
        if not goes_on():
            sys.exit(f"the program does not go on after {way} and a full disk")
        done = stasis("checkpoint", *way, "-o", "fixed/image", str(program.pid))
        expect(done, 3, "Read-only file system", "fixed")
        if not goes_on():
            sys.exit(f"the program does not go on after {way} and a read-only disk")
    program.kill()
    program.wait()


def restores():
    """A deleted file has to be brought back where it was."""
    program = start("small/ghost")
    if stasis("checkpoint", "--kill", "-o", "image", str(program.pid)).returncode != 0:
        sys.exit("the program cannot be saved")
    program.wait()
    with open("small/filler", "wb") as filler:
        filler.write(bytes(2 << 20))
    done = stasis("restore", "--detach", "image")
    if done.returncode not in (1, 3) or "No space left" not in done.stdout:
        sys.exit(f"onto a full disk: {done.returncode}: {done.stdout}")
    if os.listdir("small") != ["filler"] or goes_on(seconds=0.3):
        sys.exit(f"left behind: {os.listdir('small')}")
    os.unlink("small/filler")
    done = stasis("restore", "--detach", "image")
    if done.returncode != 0 or not goes_on():
        sys.exit(f"with room again: {done.returncode}: {done.stdout}")
    os.kill(int(done.stdout.split()[0]), signal.SIGKILL)


def on_a_terminal(*arguments):
    """The tool leads a session on a terminal, which is gone after a while."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(STASIS, [STASIS, *arguments])
    time.sleep(random.uniform(0, 0.4))
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def terminals():
    program = start()
    outcomes = []
    for way in ([], ["--precopy"], ["--compress"]) * 8:
        outcomes.append(on_a_terminal("checkpoint", *way, "-o", "image", str(program.pid)))
        if not goes_on():
            sys.exit(f"the program does not go on after its checkpoint's terminal: {outcomes}")
        left = set(os.listdir(".")) - {"small", "fixed", "count", "count.new", "image"}
        if left:
            sys.exit(f"left behind: {left}")
    print(f"terminals: {outcomes}")
    if -signal.SIGHUP not in outcomes:
        sys.exit("the terminal was never gone in time: the test proves nothing")
    program.kill()
    program.wait()


if sys.argv[1:] != ["inside"]:
    inside()
checkpoints()
restores()
terminals()
