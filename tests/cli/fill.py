#!/usr/bin/python3
# LEVELS: none cap
# TIMEOUT: 120
"""
Memory on its way back: an image is read once, with little memory of the tool's own, whatever its
size; and wherever a bit of an image is another one, compressed
or not, from a file or a pipe, it is refused and nothing is left.
"""

import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _edit  # noqa: E402
import _guard  # noqa: E402

MIB = 1 << 20
HEADER = 32
BALLAST = ("import hashlib, random\nr = random.Random(1)\n"
           "ballast = [r.randbytes(1 << 20) + bytes(1 << 19) for i in range({count})]\n"
           "texts = [b'%08d ' % i * 7000 for i in range({count})]\n"
           "def sum():\n"
           "    h = hashlib.sha256()\n"
           "    for b in ballast + texts: h.update(b)\n"
           "    return h.hexdigest()\n"
           "before = sum()")
SAME = "said = sum() == before"


def save(count, *options):
    target = _guard.start(BALLAST.format(count=count), SAME)
    _guard.expect(_guard.stasis("checkpoint", "--kill", "-o", "image", *options, target.pid), 0)
    target.wait()


def io(pid):
    with open(f"/proc/{pid}/io") as file:
        return {name: int(value) for name, value in (line.split(": ") for line in file)}


def kib(pid, *names):
    return [int(value.split()[0]) for value in _guard.status(pid, *names).values()]


def runs(pid):
    """The program was let go: nobody traces it any more."""
    for child in _guard.children(pid):
        found = _guard.status(child, "Name", "TracerPid")
        return found["Name"] != "stasis" and found["TracerPid"] == "0"
    return False


def restored(stdin=None):
    """Brought back in the foreground: the tool stays, and tells what it did."""
    tool = subprocess.Popen([_guard.STASIS, "restore", "--pid=new", "-" if stdin else "image"],
                            stdin=stdin or subprocess.DEVNULL)
    _guard.wait_for(lambda: runs(tool.pid), "the program runs")
    return tool


def said_so(tool):
    if _guard.answer() != "True":
        _guard.fail("the memory is another")
    if tool.wait() != 0:
        _guard.fail("it did not end well")


def counts():
    """What is read of the image: all of it, once."""
    used = []
    for count in (20, 60):
        save(count)
        size = os.stat("image").st_size
        tool = restored()
        seen = io(tool.pid)
        high, file, shared = kib(tool.pid, "VmHWM", "RssFile", "RssShmem")
        said_so(tool)
        used.append((size, seen["rchar"]))
        if high - file - shared > 16 << 10:
            _guard.fail(f"the tool took {high - file - shared} KiB of its own")
    (size1, bytes1), (size2, bytes2) = used
    if size2 - size1 < 40 * MIB:
        _guard.fail(f"the images are too small: {used}")
    if bytes2 - bytes1 > 1.02 * (size2 - size1):
        _guard.fail(f"{bytes2 - bytes1} bytes were read of {size2 - size1} more")


def from_pipe():
    with subprocess.Popen(["cat", "image"], stdout=subprocess.PIPE) as cat:
        tool = restored(cat.stdout)
        cat.stdout.close()
    high, file, shared = kib(tool.pid, "VmHWM", "RssFile", "RssShmem")
    said_so(tool)
    if high - file - shared > 16 << 10:
        _guard.fail(f"from a pipe the tool took {high - file - shared} KiB of its own")


def places(image, dice):
    """Bytes of every part of an image, and what a restore that was refused for each exits with."""
    yield dice.randrange(HEADER), (3,)
    memory = False
    for kind, _, start, end in _edit.frames(image):
        memory = memory or kind >= _edit.MEMORY
        # What is found before anything is made, and what is undone.
        status = (1, 3) if memory else (3,)
        if kind < _edit.MEMORY and dice.random() > 0.3:
            continue
        yield dice.randrange(start - HEADER, start), status
        if end > start:
            yield dice.randrange(start, end), status
        if kind == _edit.MEMORY:
            yield start + dice.randrange(40), status
            yield end - 1, status


def processes():
    """Those that work in our folder, or in one of its own."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/cwd").startswith(os.getcwd()):
                found.add(int(pid))
        except OSError:
            pass
    return found


def nothing_left(before, where):
    for _ in range(200):
        left = processes() - before
        if not left:
            return
        time.sleep(0.01)
    _guard.fail(f"{where}: processes are left: {left}")


def flipped(dice, most):
    with open("image", "rb") as file:
        good = file.read()
    before = processes()
    chosen = list(places(good, dice))
    for at, statuses in dice.sample(chosen, min(most, len(chosen))):
        bad = bytearray(good)
        bad[at] ^= 1 << dice.randrange(8)
        with open("bad", "wb") as file:
            file.write(bad)
        piped = dice.random() < 0.3
        with open("bad", "rb") as file:
            stdin = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE) if piped else None
            done = _guard.stasis("restore", "--detach", "--pid=new", "-" if piped else "bad",
                                 **({"stdin": stdin.stdout} if piped else {}))
            if piped:
                stdin.stdout.close()
                stdin.wait()
        where = f"byte {at} of {len(good)}{', from a pipe' if piped else ''}"
        if done.returncode not in statuses or not done.stderr:
            _guard.fail(f"{where}: status {done.returncode}, {done.stderr!r}")
        nothing_left(before, where)
        if not piped:
            _guard.expect(_guard.stasis("verify", "bad"), 3)


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    dice = random.Random(_guard.LEVEL)
    # With a capability from its file nobody may look into it.
    if _guard.LEVEL == "none":
        counts()
    save(20)
    from_pipe()
    save(6)
    flipped(dice, 40)
    save(6, "--compress")
    from_pipe()
    save(6, "--compress")
    flipped(dice, 30)


main()
