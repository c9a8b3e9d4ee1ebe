"""What the tests of the guard have in common (docs/SECURITY.md)."""

import ctypes
import os
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
LEVEL = os.environ["STASIS_LEVEL"]
HERE = os.path.dirname(os.path.abspath(__file__))
libc = ctypes.CDLL(None, use_errno=True)

# Waits for the file "go"; then says in "said" what CODE leaves in the variable `said`.
PROGRAM = """
import os, sys, time
{before}
null = os.open("/dev/null", os.O_RDWR)
sys.stdout.write("ready\\n"); sys.stdout.flush()
for fd in (0, 2, 1): os.dup2(null, fd)
if null > 2: os.close(null)
while not os.path.exists("go"): time.sleep(0.01)
said = ""
{after}
with open("said.new", "w") as file: file.write(str(said))
os.rename("said.new", "said")
os._exit(0)
"""


def fail(words):
    sys.exit(words)


def start(before="", after="", argv0=(sys.executable, "-c"), **how):
    for name in ("go", "said"):
        if os.path.exists(name):
            os.unlink(name)
    code = PROGRAM.format(before=before, after=after)
    target = subprocess.Popen([*argv0, code], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              start_new_session=True, **how)
    if target.stdout.readline() != b"ready\n":
        fail("the program did not start")
    target.stdout.read()
    return target


def stasis(*arguments, tool=None, **how):
    return subprocess.run([*(tool or [STASIS]), *map(str, arguments)],
                          stdin=how.pop("stdin", subprocess.DEVNULL), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **how)


def expect(done, status, words=""):
    if done.returncode != status or words not in done.stderr:
        fail(f"{done.args[1:]}: exit status {done.returncode} (not {status}), {done.stderr!r}")
    return done


def save(target, image="image"):
    expect(stasis("checkpoint", "--kill", "-o", image, target.pid), 0)
    target.wait()


def wait_for(condition, what, seconds=20):
    for _ in range(seconds * 100):
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    return fail(f"does not happen: {what}")


def answer():
    """What the program says when it is let go on."""
    with open("go", "w"):
        pass
    wait_for(lambda: os.path.exists("said"), "the program goes on")
    with open("said") as file:
        words = file.read()
    os.unlink("said")
    os.unlink("go")
    return words


def status(pid, *names):
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {name: lines[name] for name in names} if names else lines


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:
        return []


def try_syscall(number, *arguments):
    """0, or the error."""
    ctypes.set_errno(0)
    result = libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a
                                    for a in arguments])
    return 0 if result >= 0 else ctypes.get_errno()
