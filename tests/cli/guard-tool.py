#!/usr/bin/python3
# LEVELS: cap
# TIMEOUT: 60
"""
The user of a tool with a file capability cannot get at that through the running tool, nor through
the process that it makes: stopped half-way in a restore, neither can be traced, read, written
or robbed of descriptors.
"""

import ctypes
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _edit  # noqa: E402
import _guard  # noqa: E402

PTRACE_ATTACH, PTRACE_SEIZE, EPERM = 16, 0x4206, 1
SYS_PTRACE, SYS_READV, SYS_WRITEV = 101, 310, 311
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD, SYS_KCMP = 434, 438, 312


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def attack(pid, what):
    buffer = ctypes.create_string_buffer(8)
    local, remote = Piece(ctypes.addressof(buffer), 8), Piece(0x400000, 8)
    pidfd = _guard.libc.syscall(SYS_PIDFD_OPEN, pid, 0)
    tries = {
        "PTRACE_ATTACH": (SYS_PTRACE, PTRACE_ATTACH, pid, 0, 0),
        "PTRACE_SEIZE": (SYS_PTRACE, PTRACE_SEIZE, pid, 0, 0),
        "process_vm_readv": (SYS_READV, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0),
        "process_vm_writev": (SYS_WRITEV, pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0),
        "pidfd_getfd": (SYS_PIDFD_GETFD, pidfd, 0, 0),
        "kcmp": (SYS_KCMP, pid, os.getpid(), 1, 0, 0),
    }
    for name, call in tries.items():
        errnum = _guard.try_syscall(*call)
        if errnum != EPERM:
            _guard.fail(f"{name} of {what}: {os.strerror(errnum)}")
    for name, flags in (("mem", os.O_RDWR), ("mem", os.O_RDONLY), ("maps", os.O_RDONLY),
                        ("environ", os.O_RDONLY), ("pagemap", os.O_RDONLY),
                        ("fd/0", os.O_RDONLY), ("exe", os.O_RDONLY), ("cwd", os.O_RDONLY)):
        try:
            os.open(f"/proc/{pid}/{name}", flags)
        except PermissionError:
            continue
        _guard.fail(f"{name} of {what} can be opened")
    if len(os.listdir("/proc/self/fd")) > 20:
        _guard.fail("descriptors came to us")
    os.close(pidfd)


def half_way(policy):
    """A restore that has not got the last of its image, and the process that it has made."""
    ours, its = os.pipe()
    tool = subprocess.Popen([_guard.STASIS, "restore", "--detach", f"--pid={policy}", "-"],
                            stdin=ours, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(ours)
    with open("image", "rb") as file:
        image = file.read()
    last = max(start for kind, _, start, _ in _edit.frames(image) if kind == _edit.MEMORY)
    for at in range(0, last, 4096):
        os.write(its, image[at:min(at + 4096, last)])
    _guard.wait_for(lambda: _guard.children(tool.pid), "a process is made")
    return tool, its, image[last:]


def user_namespaces():
    return subprocess.run(["unshare", "-U", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


# Memory enough for several frames: the process is made when the first has been read.
target = _guard.start("ballast = os.urandom(20 << 20)", "said = 'goes on'")
_guard.save(target)
for policy in ("same", "new") + (("private",) if user_namespaces() else ()):
    tool, its, rest = half_way(policy)
    newborn = _guard.children(tool.pid)[0]
    if policy != "private":
        _guard.wait_for(lambda: _guard.status(newborn)["TracerPid"] != "0", "it is traced")
    elif int(_guard.status(newborn)["CapPrm"], 16) and \
            os.readlink(f"/proc/{newborn}/ns/user") == os.readlink("/proc/self/ns/user"):
        _guard.fail("the init of a private namespace has capabilities over ours")
    for when in (signal.SIGCONT, signal.SIGSTOP):
        tool.send_signal(when)
        if when == signal.SIGSTOP:
            _guard.wait_for(lambda: _guard.status(tool.pid)["State"].startswith("T"), "a stop")
        attack(tool.pid, f"the tool (--pid={policy})")
        # Over the user's own namespace that one has all powers: what it gives reaches no further.
        if policy != "private":
            attack(newborn, f"the new process (--pid={policy})")
    sets = _guard.status(tool.pid, "CapPrm", "CapEff", "CapAmb")
    if int(sets["CapEff"], 16) or int(sets["CapAmb"], 16) or not int(sets["CapPrm"], 16):
        _guard.fail(f"the tool has {sets}")
    tool.send_signal(signal.SIGCONT)
    os.write(its, rest)
    os.close(its)
    out, err = tool.communicate()
    if tool.returncode != 0:
        _guard.fail(f"--pid={policy}: {tool.returncode}, {err}")
    if _guard.answer() != "goes on":
        _guard.fail(f"--pid={policy}: the program does not go on")

_guard.wait_for(lambda: not os.path.exists(f"/proc/{target.pid}"), "its number is free")
# Ended in the middle, it leaves no process that has the capability.
tool, its, rest = half_way("same")
newborn = _guard.children(tool.pid)[0]
tool.kill()
tool.wait()
_guard.wait_for(lambda: not os.path.exists(f"/proc/{newborn}"), "the new process ends")
