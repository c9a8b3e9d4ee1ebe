#!/usr/bin/python3
# LEVELS: none cap root
"""
Tool and program under the very same seccomp filters, as in a container: the program is saved and
restored.  One filter more on either side, a restore outside, or a filter that would end the
program for what it is asked: refused, and the program goes on.
"""

import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _gate  # noqa: E402

STASIS, LEVEL = os.environ["STASIS"], os.environ["STASIS_LEVEL"]
GETITIMER = 36  # asked from within the program (kind/timers.c)
PROGRAM = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
import _gate
if sys.argv[2] == "more": _gate.close(_gate.rule("setpriority"))
threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()
sys.stdout.write("ready\\n"); sys.stdout.flush()
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 2, 1): os.dup2(null, fd)
os.close(null)
while not os.path.exists("go"): time.sleep(0.01)
lines = [l for l in open("/proc/self/status") if l.startswith("Seccomp_filters:")]
with open("said.new", "w") as said: said.write(lines[0].split()[1])
os.rename("said.new", "said")
os._exit(0)
"""


def start(more="same"):
    for name in ("go", "said", "image"):
        if os.path.exists(name):
            os.unlink(name)
    target = subprocess.Popen([sys.executable, "-c", PROGRAM,
                               os.path.dirname(os.path.abspath(__file__)), more],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if target.stdout.readline() != b"ready\n":
        sys.exit("the program did not start")
    target.stdout.read()
    return target


def stasis(*arguments, before=None):
    return subprocess.run([STASIS, *arguments], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          preexec_fn=before)


def expect(done, status, words=""):
    if done.returncode != status or words not in done.stderr:
        sys.exit(f"{done.args[1:]}: exit status {done.returncode} (not {status}), {done.stderr!r}")


def finish(filters):
    with open("go", "w"):
        pass
    for _ in range(1000):
        if os.path.exists("said"):
            break
        time.sleep(0.01)
    else:
        sys.exit("the program does not go on")
    with open("said") as said:
        if said.read() != str(filters):
            sys.exit("not the filters that it had")


def inside():
    """Under one filter, as everything that is started here."""
    _gate.close(_gate.rule("sysinfo"))

    target = start()
    expect(stasis("show", str(target.pid)), 0)
    expect(stasis("checkpoint", "-o", "image", str(target.pid)), 0)
    finish(1)
    target.wait()

    target = start()
    expect(stasis("checkpoint", "--kill", "-o", "image", str(target.pid)), 0)
    target.wait()
    os.rename("image", "kept")
    for policy in ("new", "private"):
        for name in ("go", "said"):
            if os.path.exists(name):
                os.unlink(name)
        done = stasis("restore", "--detach", f"--pid={policy}", "kept")
        if policy == "private" and "user namespaces are not allowed" in done.stderr:
            continue
        expect(done, 0)
        finish(1)

    target = start("more")
    expect(stasis("checkpoint", "-o", "image", str(target.pid)), 3, "seccomp")
    finish(2)
    target.wait()

    target = start()
    more = lambda: _gate.close(_gate.rule("setpriority"))  # noqa: E731
    expect(stasis("checkpoint", "-o", "image", str(target.pid), before=more), 3, "seccomp")
    finish(1)
    target.wait()


def under_a_killer():
    """No call is made that a child of the tool has not survived."""
    _gate.NUMBERS["getitimer"] = GETITIMER
    _gate.close(_gate.rule("getitimer", verdict=_gate.KILL))
    target = start()
    expect(stasis("checkpoint", "-o", "image", str(target.pid)), 3, f"system call {GETITIMER}")
    finish(1)
    target.wait()


def under_one_that_looks_at_arguments():
    """The limit of that (docs/ARCHITECTURE.md): it is ended, with all threads; we say so and end."""
    _gate.NUMBERS["getitimer"] = GETITIMER
    _gate.close(_gate.rule("getitimer", first=0, verdict=_gate.KILL))
    target = start()
    expect(stasis("checkpoint", "-o", "image", str(target.pid)), 1, "ended")
    if target.wait() != -signal.SIGSYS or os.path.exists("image"):
        sys.exit("not ended by its filter, or there is an image")


def in_child(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except SystemExit as end:
            print(end.code, flush=True)
            os._exit(1)
        except BaseException as end:  # noqa: B902
            print(repr(end), flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit(f"failed: {function.__name__}")


signal.signal(signal.SIGCHLD, signal.SIG_DFL)
in_child(inside)
expect(stasis("restore", "--detach", "--pid=new", "kept"), 3, "seccomp filters")
in_child(under_a_killer)
in_child(under_one_that_looks_at_arguments)
