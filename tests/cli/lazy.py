#!/usr/bin/python3
# LEVELS: none cap root
"""
restore --lazy: the program runs before its memory is there.  What it touches, or the kernel for it,
is as it was, whatever it does to its mappings and whomever it forks meanwhile; in the end
nothing of ours is left.  A program that cannot be served is ended.
"""

import os
import signal
import subprocess
import sys
import time

STASIS, LEVEL = os.environ["STASIS"], os.environ["STASIS_LEVEL"]
MEGABYTES = 96

PROGRAM = r"""
import ctypes, hashlib, mmap, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
MB = 1 << 20
size = int(sys.argv[1]) * MB

def view(address, length):
    return memoryview((ctypes.c_char * length).from_address(address)).cast("B")

def mark(megabyte):
    return hashlib.sha512(b"%d" % megabyte).digest() * 64

first = libc.mmap(None, size, 3, 0x22, -1, 0)
# The last megabyte is a hole; of the others each page is told by its megabyte.
for i in range(size // MB - 1):
    view(first + i * MB, MB)[:] = mark(i) * 256
open("ready", "w").close()
while not os.path.exists("go"):
    time.sleep(0.005)

def whole(address, i, length=MB):
    return view(address, length) == mark(i) * (length // 4096)

def check(what, right):
    if not right:
        with open("wrong", "a") as file:
            file.write(what + "\n")

n = size // MB - 1
# The kernel reads what is not there yet, and writes to it.
with open("written", "wb", buffering=0) as file:
    file.write(view(first + (n - 2) * MB, MB))
with open("written", "rb", buffering=0) as file:
    check("read by the kernel", file.read() == mark(n - 2) * 256)
with open("/dev/zero", "rb", buffering=0) as file:
    file.readinto(view(first + (n - 3) * MB, 4096))
check("written by the kernel", view(first + (n - 3) * MB, 4096) == bytes(4096) and
      whole(first + (n - 3) * MB + 4096, n - 3, MB - 4096))
check("a hole", view(first + n * MB, MB) == bytes(MB))
# Dropped before it came.
check("madvise", libc.madvise(first + (n - 4) * MB, MB, 4) == 0)
# Moved, and then a child.
moved = libc.mremap(first + (n - 8) * MB, 2 * MB, 4 * MB, 1)
check("munmap", libc.munmap(first + (n - 10) * MB, MB) == 0)
children = []
for turn in range(3):
    child = os.fork()
    if child == 0:
        good = (whole(moved, n - 8) and whole(moved + MB, n - 7) and
                view(moved + 2 * MB, 2 * MB) == bytes(2 * MB) and
                view(first + (n - 4) * MB, MB) == bytes(MB) and
                all(whole(first + i * MB, i) for i in range(n - 10)))
        os._exit(0 if good else 1)
    children.append(child)
    view(first + turn * MB, 4096)[:] = b"p" * 4096
check("moved", whole(moved, n - 8) and whole(moved + MB, n - 7))
check("dropped", view(first + (n - 4) * MB, MB) == bytes(MB))
for turn, child in enumerate(children):
    # The second and the third see what was written before they were made.
    status = os.waitpid(child, 0)[1]
    check("child %d: %d" % (turn, status), status == (0 if turn == 0 else 256))
for i in range(3):
    check("own write", view(first + i * MB, 4096) == b"p" * 4096 and
          whole(first + i * MB + 4096, i, MB - 4096))
check("all", all(whole(first + i * MB, i) for i in range(3, n - 10)))
open("done", "w").close()
time.sleep(1000)
"""


def fail(words):
    sys.exit(f"lazy.py: {words}")


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"waited in vain: {what}")
        time.sleep(0.005)


def stasis(*arguments, **more):
    return subprocess.run([STASIS, *arguments], stdin=more.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)


def expect(done, status, words=""):
    if done.returncode != status or words not in done.stderr.decode():
        fail(f"{done.args[1:]}: exit status {done.returncode}, not {status}: {done.stderr!r}")
    return done


def save(image, *options):
    """An image of the program, before it goes on."""
    forget("ready", "go")
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(MEGABYTES)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists("ready"), "the program starts")
    expect(stasis("checkpoint", "--kill", *options, "-o", image, str(program.pid)), 0)
    program.wait()


def forget(*names):
    for name in names:
        if os.path.exists(name):
            os.unlink(name)


def helpers():
    """The processes that serve: by the names that they have given themselves."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/cmdline") as line:
                name = comm.read().strip()
                if name in ("stasis memory", "stasis guard") and os.getcwd() in line.read():
                    found[name] = int(pid)
        except OSError:
            pass
    return found


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def path(image):
    """With our folder in it: so a helper is known for ours."""
    return os.path.join(os.getcwd(), image)


save("image")
probe = stasis("restore", "--detach", "--lazy", path("image"))
if probe.returncode == 3:
    if "userfaultfd" not in probe.stderr.decode() or "without --lazy" not in probe.stderr.decode():
        fail(f"refused without a reason: {probe.stderr!r}")
    if helpers():
        fail("something is left of a restore that was refused")
    if LEVEL == "root":
        print("skipped: this root may not serve memory")
        sys.exit(77)
    sys.exit(0)
if LEVEL != "root":
    with open("/proc/sys/vm/unprivileged_userfaultfd") as setting:
        if setting.read() != "1\n":
            fail(f"not refused: {probe}")
os.kill(int(expect(probe, 0).stdout), signal.SIGKILL)
wait_until(lambda: not helpers(), "helpers end with the program")


def run_through(image):
    forget("wrong", "done")
    open("go", "w").close()
    pid = int(expect(stasis("restore", "--detach", "--lazy", path(image)), 0).stdout)
    wait_until(lambda: os.path.exists("done") or is_gone(pid), "the program goes on")
    if os.path.exists("wrong"):
        with open("wrong") as wrong:
            fail(f"{image}: {wrong.read()}")
    if is_gone(pid):
        fail(f"{image}: the program has ended")
    wait_until(lambda: not helpers(), "the helpers leave")
    with open(f"/proc/{pid}/smaps") as smaps:
        if any(line.startswith("VmFlags:") and {"um", "uw"} & set(line.split()) for line in smaps):
            fail("memory is not ordinary in the end")
    if "userfaultfd" in " ".join(os.readlink(f"/proc/{pid}/fd/{fd}")
                                 for fd in os.listdir(f"/proc/{pid}/fd")):
        fail("a descriptor is left in the program")
    # It can be saved again, and is all there.
    expect(stasis("checkpoint", "--kill", "-o", "again", str(pid)), 0)


run_through("image")
save("small", "--compress")
run_through("small")

# ---- What is no use ----
save("image")
expect(stasis("restore", "--lazy", "--clone", "2", "image"), 2, "--lazy")
with subprocess.Popen(["cat", "image"], stdout=subprocess.PIPE) as pipe:
    expect(stasis("restore", "--lazy", "-", stdin=pipe.stdout), 3, "regular file")
    pipe.stdout.close()

# ---- An image that is damaged where nobody has looked ----
forget("go")
with open("image", "rb") as file:
    data = bytearray(file.read())
at = len(data) * 2 // 3
data[at] ^= 1
with open("damaged", "wb") as file:
    file.write(data)
expect(stasis("restore", "--lazy", path("damaged")), 1, "could not be served")
wait_until(lambda: not helpers(), "helpers end with the program")

# ---- One of the helpers is killed ----
for name in ("stasis memory", "stasis guard"):
    for attempt in range(30):
        restored = subprocess.Popen([STASIS, "restore", "--lazy", path("image")],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE)
        while name not in helpers() and restored.poll() is None:
            pass
        there = helpers()
        if len(there) < 2:
            restored.terminate()
            restored.communicate()
            continue
        os.kill(there[name], signal.SIGKILL)
        try:
            said = restored.communicate(timeout=1)[1].decode()
        except subprocess.TimeoutExpired:
            # It had done its work.
            restored.terminate()
            restored.communicate()
            continue
        if "could not be served" in said:
            break
    else:
        fail(f"{name} was never killed in time: {said}")
    wait_until(lambda: not helpers(), "the other one ends, too")
