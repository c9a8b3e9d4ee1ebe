#!/usr/bin/python3
# LEVELS: root
"""
What only root can give a program: root saves a program of another user and brings it back as it
was; that user is told, for each such thing, what he cannot have.
"""

import os
import re
import subprocess
import sys
import tempfile

STASIS = os.environ["STASIS"]
USER = 60000 + os.getpid() % 5000
PROGRAM = """
import ctypes, os, sys, time
null = os.open("/dev/null", os.O_RDWR)
exec(sys.argv[1])
sys.stdout.write("ready\\n")
sys.stdout.flush()
for fd in (0, 2, 1): os.dup2(null, fd)
os.close(null)
while not os.path.exists("go"): time.sleep(0.01)
"""
PRCTL = "ctypes.CDLL(None).prctl"
BECOME = f"os.setgroups([]); os.setresgid({USER},{USER},{USER}); " \
         f"os.setresuid({USER},{USER},{USER}); {PRCTL}(4, 1, 0, 0, 0)"

# What the program does, what its user hears, and how he is limited further.
CASES = (
    ("nothing", BECOME, None, ()),
    ("nice", f"os.nice(-5); {BECOME}", "nice value -5", ()),
    ("real-time", f"os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)); {BECOME}",
     "real-time priority 1", ()),
    ("real-time I/O", f"ctypes.CDLL(None).syscall(251, 1, 0, 1 << 13 | 4); {BECOME}",
     "real-time I/O priority", ()),
    ("deadline", "import struct; a = struct.pack('IIQiIQQQ', 48, 6, 0, 0, 0, 10**7, 10**9, 10**9); "
     f"ctypes.CDLL(None).syscall(314, 0, a, 0); {BECOME}", "runs with a deadline", ()),
    ("OOM score", BECOME, "oom_score_adj is", ("choom", "-n", "500", "--")),
    ("group", BECOME.replace("setgroups([])", "setgroups([1, 2])"),
     "supplementary groups are not yours", ()),
    ("user", BECOME.replace(f"os.setresuid({USER},{USER},{USER})",
                            f"os.setresuid({USER},{USER + 1},{USER + 1})"),
     f"ran as user {USER}/{USER + 1}", ()),
    ("secure bits", f"{PRCTL}(28, 1, 0, 0, 0); {BECOME}", "secure bits are 0x1", ()),
    ("root directory", f"os.chroot(os.getcwd()); {BECOME}", "root directory is", ()),
    ("locked modes", "import fcntl, pty; m, s = pty.openpty(); "
     f"fcntl.ioctl(s, 0x5457, b'\\x01' * 36); {BECOME}", "has locked modes", ()),
    ("limits", BECOME, "core file size limit is too low",
     ("prlimit", "--core=0:0")),
)


def command(argv, **how):
    return subprocess.run(argv, stdin=how.pop("stdin", subprocess.DEVNULL), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **how)


def status_lines(pid):
    """What must be as it was."""
    with open(f"/proc/{pid}/status") as status:
        lines = [line for line in status if re.match("(Uid|Gid|Groups|Cap(Prm|Eff)):", line)]
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return lines, fields[16], fields[38:39], os.readlink(f"/proc/{pid}/root")


def try_case(name, setup, refusal, limited):
    folder = tempfile.mkdtemp(dir=os.getcwd())
    os.chmod(folder, 0o755)
    target = subprocess.Popen([sys.executable, "-c", PROGRAM, setup], cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if target.stdout.readline() != b"ready\n":
        target.wait()
        print(f"not tried, as this machine does not permit it: {name}")
        return
    before = status_lines(target.pid)
    image = f"{folder}.image"
    done = command([STASIS, "checkpoint", "--kill", "-o", image, str(target.pid)])
    if done.returncode != 0:
        sys.exit(f"{name}: checkpoint by root: {done.stderr}")
    target.wait()
    if refusal:
        with open(image) as stdin:
            done = command([*limited, "setpriv", f"--reuid={USER}", f"--regid={USER}",
                            "--clear-groups", "--bounding-set=-all", STASIS, "restore",
                            "--detach", "--pid=new", "-"], stdin=stdin)
        if done.returncode != 3 or refusal not in done.stderr:
            sys.exit(f"{name}: restore by the user: {done.returncode}, {done.stderr}")
    done = command([STASIS, "restore", "--detach", image])
    if done.returncode != 0:
        sys.exit(f"{name}: restore by root: {done.stderr}")
    after = status_lines(int(done.stdout))
    with open(os.path.join(folder, "go"), "w"):
        pass
    if after != before:
        sys.exit(f"{name}: {after}, was {before}")


os.chmod(".", 0o755)
for case in CASES:
    try_case(*case)
