#!/usr/bin/python3
# LEVELS: root
# TIMEOUT: 60
"""
The guard, run by an ordinary user: no process is saved that this user could not trace without it.
Another user's; one that gained ids or capabilities from its file; one that is not dumpable; one
of which a single thread has the tool's own capability; the first process.  None is touched.
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _guard  # noqa: E402

USER = 60000 + os.getpid() % 5000
CR = "checkpoint_restore"
GUARD = os.path.abspath("bin/stasis")
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
           f"--bounding-set=-all,+{CR},+net_raw", GUARD]
PRCTL = "ctypes.CDLL(None).prctl"
BECOME = f"os.setgroups([]); os.setresgid({USER},{USER},{USER}); " \
         f"os.setresuid({USER},{USER},{USER}); {PRCTL}(4, 1, 0, 0, 0)"
# The second thread keeps the capability, the first gives it away: the kernel asks for each.
ONE_THREAD = f"""
import ctypes, os, struct, threading
{PRCTL}(8, 1, 0, 0, 0)
{BECOME}
def capset(low, high):
    head, data = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 0, low, 0, 0, high, 0)
    assert ctypes.CDLL(None).syscall(126, head, data) == 0
capset(0, 1 << 8)
started = threading.Event()
threading.Thread(target=lambda: (started.set(), time.sleep(1000)), daemon=True).start()
started.wait()
{PRCTL}(8, 0, 0, 0, 0)
capset(0, 0)
{PRCTL}(4, 1, 0, 0, 0)
"""


def copy_of_sleep(name, mode, *capabilities):
    path = os.path.abspath(os.path.join("bin", name))
    shutil.copy(shutil.which("sleep"), path)
    os.chmod(path, mode)
    for words in capabilities:
        subprocess.run(["setcap", words, path], check=True)
    return path


def sleeper(path, uid):
    return subprocess.Popen([path, "1000"], user=uid, group=uid, extra_groups=[],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def attack(pid, what):
    before = _guard.status(pid, "TracerPid", "CapPrm")
    for arguments in (("checkpoint", "-o", "out/image", pid), ("checkpoint", "--kill", "-o",
                      "out/image", pid), ("checkpoint", "--only", "-o", "out/image", pid)):
        done = _guard.stasis(*arguments, tool=AS_USER)
        if done.returncode != 3 or os.listdir("out"):
            _guard.fail(f"{what}: {done.returncode}, {done.stderr!r}, {os.listdir('out')}")
    # What is told of it is what /proc tells everybody.
    _guard.stasis("doctor", pid, tool=AS_USER)
    after = _guard.status(pid, "TracerPid", "CapPrm")
    # Asleep or just awake, but neither stopped nor ended.
    state = _guard.status(pid, "State")["State"]
    if before != after or state[0] not in "RSD":
        _guard.fail(f"{what}: {after}, {state}, was {before}")


os.chmod(".", 0o755)
for name in ("bin", "out"):
    os.mkdir(name, 0o755)
os.chown("out", USER, USER)
shutil.copy(_guard.STASIS, GUARD)
subprocess.run(["setcap", f"cap_{CR}+ep", GUARD], check=True)

victims = [
    ("another user's", sleeper(shutil.which("sleep"), USER + 1)),
    ("root's", sleeper(shutil.which("sleep"), 0)),
    ("setuid", sleeper(copy_of_sleep("setuid", 0o4755), USER)),
    ("setgid", sleeper(copy_of_sleep("setgid", 0o2755), USER)),
    ("a file capability", sleeper(copy_of_sleep("caps", 0o755, "cap_net_raw+ep"), USER)),
    ("our file capability", sleeper(copy_of_sleep("ours", 0o755, f"cap_{CR}+ep"), USER)),
    ("unreadable", sleeper(copy_of_sleep("unreadable", 0o711), USER)),
    ("not dumpable", _guard.start(f"import ctypes; {BECOME}; {PRCTL}(4, 0, 0, 0, 0)")),
    ("the tool's capability", _guard.start(
        "import ctypes", argv0=["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                                f"--inh-caps=-all,+{CR}", f"--ambient-caps=-all,+{CR}",
                                sys.executable, "-c"])),
    ("the tool's capability in one thread", _guard.start(ONE_THREAD)),
]
try:
    for what, victim in victims:
        _guard.wait_for(lambda: _guard.status(victim.pid)["State"].startswith("S"), what)
        attack(victim.pid, what)
    attack(1, "the first process")
    # The same program without anything that it gained is saved: the refusals had a cause.
    plain = sleeper(copy_of_sleep("plain", 0o755), USER)
    victims.append(("plain", plain))
    _guard.wait_for(lambda: _guard.status(plain.pid)["State"].startswith("S"), "plain")
    _guard.expect(_guard.stasis("checkpoint", "-o", "out/image", plain.pid, tool=AS_USER), 0)
finally:
    for _, victim in victims:
        victim.kill()
        victim.wait()
