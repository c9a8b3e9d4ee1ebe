#!/usr/bin/python3
# LEVELS: none
"""
A kernel, or a container, that forbids one thing: what is done without it, or the refusal, and
that the program goes on and nothing is left behind.
"""

import errno
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _gate  # noqa: E402

STASIS = os.environ["STASIS"]
# Two POSIX timers, of which the first is deleted: the other's id is not the first one there is.
PROGRAM = """
import ctypes, os, sys, time
c = ctypes.CDLL(None)
ids = [ctypes.c_int(-1) for _ in range(4)]
for i in ids:
    if c.syscall(222, 1, None, ctypes.byref(i)) < 0: sys.exit("no timers")
for i in ids[:-1]: c.syscall(226, i)
sys.stdout.write("ready\\n"); sys.stdout.flush()
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 2, 1): os.dup2(null, fd)
os.close(null)
while not os.path.exists("go"): time.sleep(0.01)
spec = (ctypes.c_long * 4)()
open("said", "w").write(str(c.syscall(224, ids[-1], spec)))
"""


def start():
    for name in ("go", "said"):
        if os.path.exists(name):
            os.unlink(name)
    target = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE)
    if target.stdout.readline() != b"ready\n":
        sys.exit("the program did not start")
    target.stdout.read()
    return target


def stasis(*arguments, gates=(), unshared=""):
    argv = [STASIS, *arguments]
    if unshared:
        argv = ["unshare", "-Ur", "--mount", "sh", "-c", unshared + '; exec "$0" "$@"', *argv]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.PIPE, check=False,
                          preexec_fn=(lambda: _gate.close(*gates)) if gates else None)


def expect(done, status, words):
    if done.returncode != status or words not in done.stderr:
        sys.exit(f"exit status {done.returncode} (not {status}), {done.stderr!r} "
                 f"(not {words!r}), {done.stdout!r}")


def finish(pid=None, target=None):
    """The program is told to go on, and finds its timer."""
    with open("go", "w"):
        pass
    for _ in range(500):
        if os.path.exists("said") and os.path.getsize("said"):
            break
        time.sleep(0.02)
    else:
        sys.exit(f"the program does not go on ({pid or target.pid})")
    with open("said") as said:
        if said.read() != "0":
            sys.exit("the program's timer is gone")
    if target:
        target.wait()


def refuse_checkpoints():
    """Nothing was touched: the program goes on, and there is no image."""
    for call, status, words in (("ptrace", 3, "trace"), ("kcmp", 3, "kcmp"),
                                ("pidfd_getfd", 1, "")):
        target = start()
        done = stasis("checkpoint", "-o", "image", str(target.pid), gates=[_gate.rule(call)])
        expect(done, status, words)
        if os.path.exists("image"):
            sys.exit(f"there is an image without {call}")
        finish(target=target)


def save():
    target = start()
    expect(stasis("checkpoint", "--kill", "-o", "image", str(target.pid)), 0, "")
    target.wait()


def refuse_without_mm_map():
    """A kernel in which PR_SET_MM_MAP is gated, as was proposed, and that of a container."""
    for answer in (errno.EPERM, errno.EINVAL):
        gate = _gate.rule("prctl", _gate.PR_SET_MM, verdict=_gate.ERRNO | answer)
        done = stasis("restore", "--detach", "--pid=new", "image", gates=[gate])
        expect(done, 3, "PR_SET_MM_MAP")


def restore_without_timer_ids():
    """As before Linux 6.15: timers are made and deleted until the id comes up."""
    gate = _gate.rule("prctl", _gate.PR_TIMER_CREATE_RESTORE_IDS,
                      verdict=_gate.ERRNO | errno.EINVAL)
    done = stasis("restore", "--detach", "--pid=new", "image", gates=[gate])
    expect(done, 0, "")
    finish(pid=done.stdout.strip())


def refuse_without_namespaces():
    """No capability, no namespaces: the old number is refused, new ones are not."""
    limit = "echo 0 >/proc/sys/user/max_user_namespaces"
    if subprocess.run(["unshare", "-Ur", "sh", "-c", limit], stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        print("not tried: no user namespaces here")
        return
    done = stasis("restore", "--detach", "--pid=private", "image", unshared=limit)
    expect(done, 3, "user namespaces")


refuse_checkpoints()
save()
refuse_without_mm_map()
restore_without_timer_ids()
save()
refuse_without_namespaces()
