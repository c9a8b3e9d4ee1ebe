#!/usr/bin/python3
# LEVELS: none
# TIMEOUT: 240
"""
Images that are whole and make no sense, and a world that is not as it was: a table of what is changed
in an image, or around it, and of the sentence with which the restore then refuses.  Nothing is made,
and the image as it was can still be restored at the end.
"""

import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from _count import goes_on  # noqa: E402
import _edit  # noqa: E402

STASIS = os.environ["STASIS"]
TASK, TIMERS, FILESYSTEM, SCHEDULING = 2, 68, 69, 71
REGULAR, TIMERFD, EPOLL, MEMFD, SOCKET, SYSV_SHM, MESSAGE_QUEUE, PIDFD = \
    128, 135, 137, 139, 141, 150, 151, 160

PROGRAM = r"""
import ctypes, os, pty, select, signal, socket, sys, time
c = ctypes.CDLL(None, use_errno=True)
def ok(value):
    if value < 0: sys.exit(os.strerror(ctypes.get_errno()))
    return value
os.mkdir("watched"); os.mkdir("other"); os.mkdir("home")
ghost = open("ghost", "w+b"); ghost.write(b"ghost" * 100); ghost.flush(); os.unlink("ghost")
memfd = os.memfd_create("a memfd"); os.write(memfd, b"x" * 5000)
watch = ok(c.inotify_init1(0))
ok(c.inotify_add_watch(watch, b"watched", 2)); ok(c.inotify_add_watch(watch, b"other", 2))
ends = os.pipe()
poller = select.epoll(); poller.register(ends[0], select.EPOLLIN)
os.mkfifo("fifo", 0o600)
fifo = os.open("fifo", os.O_RDWR)
timer = ok(c.timerfd_create(1, 0))
name = b"/stasis-nonsense.%d" % os.getpid()
queue = ok(c.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None))
segment = ok(c.shmget(0, 8192, 0o1600))
c.shmat.restype = ctypes.c_void_p
memory = c.shmat(segment, None, 0)
ctypes.memset(memory, 1, 8192)
child = os.fork()
if child == 0:
    while True: time.sleep(100)
pidfd = os.pidfd_open(child)
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
near = socket.create_connection(listener.getsockname()); far, _ = listener.accept()
unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); unix.bind(os.getcwd() + "/name")
master, slave = pty.openpty()
spec = (ctypes.c_long * 4)()
ids = ctypes.c_int()
ok(c.timer_create(1, None, ctypes.byref(ids)))
os.chdir("home")
open("../ready", "w").write(name.decode())
n = 0
while True:
    n += 1
    with open("../count.new", "w") as file: file.write(str(n))
    os.rename("../count.new", "../count")
    time.sleep(0.01)
"""


def stasis(*arguments):
    return subprocess.run([STASIS, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def field(wanted, number, value, which=lambda fields: True):
    """In the first record of this kind, or in the first that is meant."""
    done = []

    def change(tag, fields):
        if tag == wanted and not done and which(fields):
            done.append(True)
            _edit.put(fields, number, value)
    return change


def within(wanted, number, inner, value, which=lambda fields: True):
    """... in the first message of a list in it."""
    done = []

    def change(tag, fields):
        if tag != wanted or done or not which(fields):
            return
        for entry in fields:
            if entry[0] == number and not done:
                done.append(True)
                message = _edit.parse(entry[1])
                _edit.put(message, inner, value)
                entry[1] = _edit.pack(message)
    return change


def file_field(wanted, inner, value):
    return within(wanted, 1, inner, value)


def is_ghost(fields):
    return bool(_edit.get(fields, 8))


def drop_links(tag, fields):
    """Of a connection nobody is the other end."""
    if tag == SOCKET and _edit.get(fields, 40):
        _edit.put(fields, 40, 99)


def real_time(tag, fields):
    if tag == SCHEDULING:
        _edit.put(fields, 2, 1)
        _edit.put(fields, 4, 50)


NONSENSE = [
    (file_field(REGULAR, 1, 0), "without an id"),
    (file_field(REGULAR, 2, 1 << 31), "has unknown flags"),
    (file_field(REGULAR, 3, 1 << 63), "has an impossible position"),
    (file_field(REGULAR, 4, 0o10000), "has a wrong type"),
    (field(REGULAR, 9, 1, is_ghost), "has no content"),
    (field(MEMFD, 3, 9999), "memfd"),
    (within(EPOLL, 2, 4, 9999), "an epoll that watches what the image does not have"),
    (field(EPOLL, 3, 99999), "an epoll of a process that the image does not have"),
    (field(PIDFD, 2, 77777), "the image has a pidfd of process 77777, and not that process"),
    (field(SYSV_SHM, 3, 0), "makes no sense"),
    (field(SYSV_SHM, 7, _edit.pack([[1, 4096], [2, 1 << 40]])), "is out of order"),
    (field(MESSAGE_QUEUE, 3, b"no slash"), "makes no sense"),
    (field(MESSAGE_QUEUE, 7, 3), "queue"),  # another one, or not to be had in a private namespace
    (field(TIMERFD, 2, 8), "timer"),
    (field(TIMERFD, 2, 77), "a timer of clock 77"),
    (within(TIMERS, 3, 2, 77 << 1), "which is not to be had here"),
    (drop_links, "the image has a TCP connection with one end"),
    (real_time, "real-time priority"),
    (field(SCHEDULING, 10, 1 << 13), "real-time I/O priority"),
    (field(SCHEDULING, 8, bytes(127) + b"\x80"), "processors that thread"),
    (field(TASK, 20, 9999, lambda fields: _edit.get(fields, 1) == _edit.get(fields, 4)),
     "a session on a terminal that is none"),
    (field(FILESYSTEM, 2, b"/nowhere/at/all"), "No such file or directory"),
]


def refused(name, words, *options):
    done = stasis("restore", "--detach", *options, name)
    if done.returncode != 3 or words not in done.stdout or not done.stdout.startswith("stasis: "):
        return f"{words!r}: exit status {done.returncode}: {done.stdout}"
    return None


def nonsense():
    wrong = []
    for number, (change, words) in enumerate(NONSENSE):
        if not _edit.rewrite("image", "edited", change):
            wrong.append(f"{words!r} ({number}): nothing was changed")
            continue
        wrong.append(refused("edited", words))
    return wrong


def around():
    """What the image names is away, closed, or something else."""
    wrong = []
    for before, after, words in (
            ("chmod 0 home", "chmod 700 home", "may not be entered"),
            ("mv watched away", "mv away watched", "watched, which the program watches (inotify)"),
            ("chmod 0 watched", "chmod 700 watched", "may not be read"),
            ("mv name away; touch name", "rm name; mv away name", "is now"),
            ("mv fifo away", "mv away fifo", "fifo"),
            ("chmod 0 fifo", "chmod 600 fifo", "the named pipe"),
            ("mv fifo away; mkdir closed; mv away closed/fifo; ln -s closed/fifo fifo",
             "rm fifo; mv closed/fifo fifo; rmdir closed", "symbolic link")):
        subprocess.run(before, shell=True, check=True)
        wrong.append(refused("image", words))
        subprocess.run(after, shell=True, check=True)
    return wrong


def queues(name):
    """The queue is gone with its messages, or may not be opened."""
    path = "/dev/mqueue" + name
    if not os.path.exists(path):
        return []
    os.chmod(path, 0)
    wrong = [refused("image", "cannot be opened")]
    os.chmod(path, 0o600)
    return wrong


def main():
    with open(os.devnull, "r+b") as null:
        program = subprocess.Popen(["/usr/bin/python3", "-c", PROGRAM], stdin=null, stdout=null,
                                   stderr=null, start_new_session=True)
    if not goes_on():
        sys.exit("the program did not start")
    with open("ready") as ready:
        name = ready.read()
    done = stasis("checkpoint", "--kill", "-o", "image", str(program.pid))
    if done.returncode != 0:
        sys.exit(f"it cannot be saved: {done.stdout}")
    program.wait()
    wrong = [each for each in nonsense() + around() + queues(name) if each]
    done = stasis("restore", "--detach", "image")
    if done.returncode != 0 or not goes_on():
        wrong.append(f"the image as it was: {done.returncode}: {done.stdout}")
    else:
        os.killpg(int(done.stdout.split()[0]), signal.SIGKILL)
    if wrong:
        sys.exit("\n".join(wrong))


main()
