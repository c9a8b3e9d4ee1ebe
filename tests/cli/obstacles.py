#!/usr/bin/python3
# LEVELS: none
# TIMEOUT: 240
"""
Programs that cannot be saved: a table of what each does, and of the sentence that says so.  Each goes on
as if nobody had asked, and there is no image.
"""

import os
import pty
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _count import goes_on, wait_for  # noqa: E402

STASIS = os.environ["STASIS"]
PRELUDE = r"""
import array, ctypes, fcntl, os, pty, select, signal, socket, struct, sys, termios, threading, time
c = ctypes.CDLL(None, use_errno=True)
def ok(value):
    if value < 0:
        open("cannot", "w").write(os.strerror(ctypes.get_errno()))
        sys.exit(0)
    return value
def child(what=lambda: None):
    pid = os.fork()
    if pid == 0:
        what()
        while True: time.sleep(100)
    return pid
def timer(clock):
    return ok(c.syscall(222, clock, None, ctypes.byref(ctypes.c_int())))
def pass_and_close(fd):
    a, b = socket.socketpair()
    a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    os.close(fd)
    return a, b
def dgram(name=None):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if name: s.bind(os.getcwd() + "/" + name)
    return s
def tcp():
    l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen()
    near = socket.create_connection(l.getsockname()); far, _ = l.accept()
    return l, near, far
"""
LIVE = r"""
n = 0
open("ready", "w").close()
while True:
    n += 1
    with open("count.new", "w") as file: file.write(str(n))
    os.rename("count.new", "count")
    time.sleep(0.005)
"""
ROWS = [
    ("open('f', 'w').close(); keep = os.open('f', os.O_PATH); os.unlink('f')", "was removed"),
    ("sel = ctypes.c_char(0); ok(c.prctl(59, 1, 0, ctypes.c_ulong(0x7ffffffff000), ctypes.byref(sel)))",
     "PR_SET_SYSCALL_USER_DISPATCH"),
    ("keep = open(f'/proc/{os.getppid()}/stat')", "which is not the program"),
    ("t = threading.Thread(target=time.sleep, args=(0.2,)); t.start()\n"
     "keep = open(f'/proc/self/task/{t.native_id}/stat'); t.join()", "has ended"),
    ("signal.signal(signal.SIGIO, signal.SIG_IGN)\nkeep = os.open('f', os.O_CREAT | os.O_RDWR, 0o600)\n"
     "fcntl.fcntl(keep, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n"
     "def other():\n    try: os.open('f', os.O_RDONLY | os.O_NONBLOCK)\n    except BlockingIOError: pass\n"
     "child(other); time.sleep(0.2)", "being broken"),
    ("def idle():\n    time.sleep(1000)\nt = threading.Thread(target=idle, daemon=True); t.start()\n"
     "keep = ok(c.syscall(434, t.native_id, os.O_EXCL))", "pidfd of thread"),
    ("os.mkfifo('f'); keep = os.open('f', os.O_RDWR); os.unlink('f')", "lost its name"),
    ("os.mkfifo('f'); r = os.open('f', os.O_RDONLY | os.O_NONBLOCK); keep = os.open('f', os.O_WRONLY)\n"
     "os.write(keep, b'x'); os.close(r)", "that nobody reads"),
    ("keep = os.pipe(); fcntl.fcntl(keep[0], fcntl.F_SETOWN, os.getppid())", "sends its signals to"),
    ("l, near, far = tcp(); near.send(b'!', socket.MSG_OOB); time.sleep(0.1)", "urgent data"),
    ("l, near, far = tcp(); ok(far.setsockopt(1, 42, 0) or 0); near.send(b'x'); time.sleep(0.1)",
     "SO_PEEK_OFF"),
    ("l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(0); keep = []\n"
     "for _ in range(4):\n    s = socket.socket(); s.setblocking(False); keep.append(s)\n"
     "    s.connect_ex(l.getsockname())\ntime.sleep(0.2)", "connected"),
    ("p, q = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); b = dgram('b')\n"
     "q.connect(os.getcwd() + '/b')", "connected elsewhere"),
    ("f = os.open('f', os.O_CREAT | os.O_RDWR, 0o600); fcntl.flock(f, fcntl.LOCK_EX)\n"
     "keep = pass_and_close(f)", "is locked and on its way"),
    ("p = select.epoll(); keep = pass_and_close(os.dup(p.fileno())); p.close()", "on its way through a socket"),
    ("keep = os.open('/dev/ptmx', os.O_RDONLY | os.O_NOCTTY)", "for one direction only"),
    ("m, s = pty.openpty(); fcntl.ioctl(m, termios.TIOCPKT, struct.pack('i', 1))\n"
     "termios.tcflush(s, termios.TCIFLUSH)", "packet mode"),
    ("p = child(); timer((~p << 3) | 2)", "by the CPU time of process"),
    ("s = socket.socket(socket.AF_UNIX); s.connect(OUTSIDE)", "connected to"),
    ("prog = b''.join(struct.pack('HBBI', *i) for i in ((0x20, 0, 0, 0), (0x15, 0, 1, 135), "
     "(6, 0, 0, 0x7fc00000), (6, 0, 0, 0x7fff0000)))\nbuf = ctypes.create_string_buffer(prog, 32)\n"
     "class P(ctypes.Structure): _fields_ = [('n', ctypes.c_ushort), ('f', ctypes.c_void_p)]\n"
     "q = P(4, ctypes.cast(buf, ctypes.c_void_p)); c.prctl(38, 1, 0, 0, 0)\n"
     "keep = ok(c.syscall(317, 1, 8, ctypes.byref(q)))", "seccomp"),
]


def refused(number, code, words):
    """What is wrong, or None."""
    folder = f"row.{number}"
    os.mkdir(folder)
    text = f"{PRELUDE}\nOUTSIDE = {outside.getsockname()!r}\n{code}\n{LIVE}"
    with open(os.devnull, "r+b") as null:
        program = subprocess.Popen(["/usr/bin/python3", "-c", text], cwd=folder, stdin=null, stdout=null,
                                   stderr=open(f"{folder}/stderr", "wb"), start_new_session=True)
    try:
        started = wait_for(lambda: program.poll() is not None or os.path.exists(f"{folder}/ready"))
        if os.path.exists(f"{folder}/cannot"):
            print(f"row {number} ({words!r}) cannot be tried here: {open(f'{folder}/cannot').read()}")
            return None
        if not started or program.poll() is not None:
            return f"row {number} ({words!r}) did not start: {open(f'{folder}/stderr').read()}"
        done = subprocess.run([STASIS, "checkpoint", "-o", "image", str(program.pid)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if os.path.exists("image"):
            os.unlink("image")
            return f"row {number} ({words!r}): there is an image: {done.returncode}: {done.stdout}"
        if done.returncode != 3 or words not in done.stdout:
            return f"row {number} ({words!r}): exit status {done.returncode}: {done.stdout}"
        if not goes_on(folder):
            return f"row {number} ({words!r}): the program does not go on"
        return None
    finally:
        try:
            os.killpg(program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        program.wait()


def on_a_terminal(*arguments):
    """What the tool says with a terminal where an image should come from, or go to."""
    master, slave = pty.openpty()
    done = subprocess.run([STASIS, *arguments], stdin=slave, stdout=slave, stderr=subprocess.PIPE,
                          text=True, check=False)
    os.close(slave)
    os.close(master)
    return done.returncode, done.stderr


def terminals():
    for arguments, words in ((("restore", "-"), "not read from a terminal"),
                             (("checkpoint", "-o", "-", str(os.getpid())), "not written to a terminal")):
        status, said = on_a_terminal(*arguments)
        if status not in (2, 3) or words not in said:
            yield f"{arguments[0]} and a terminal: exit status {status}: {said}"


outside = socket.socket(socket.AF_UNIX)
outside.bind(os.getcwd() + "/outside")
outside.listen()
wrong = [each for each in (refused(i, *row) for i, row in enumerate(ROWS)) if each]
wrong += terminals()
if wrong:
    sys.exit("\n".join(wrong))
