#!/usr/bin/python3
# LEVELS: none cap
# TIMEOUT: 100
"""
Hostile images in the hand of an ordinary user: no file comes back open wider than this user can
open it, no executable that this user may not execute, no number that somebody has, no memory
without its seals, no file behind a symbolic link; and an image that is rewritten while it is
read is read once: what was checked is what runs.
"""

import os
import shutil
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _edit  # noqa: E402
import _guard  # noqa: E402

TASK, REGULAR, MEMFD = 2, 128, 139


def restore(image, *options):
    return _guard.stasis("restore", "--detach", *(options or ["--pid=new"]), image)


def edit(change):
    if not _edit.rewrite("image", "edited", change):
        _guard.fail("the record was not found")


def of_path(path, change):
    """Changes the records of this file."""
    def changer(tag, fields):
        if tag == REGULAR and _edit.get(fields, 2) == path.encode():
            change(fields)
    return changer


def wider(fields):
    inner = _edit.parse(_edit.get(fields, 1))
    _edit.put(inner, 2, _edit.get(inner, 2) & ~os.O_ACCMODE | os.O_RDWR)
    _edit.put(fields, 1, _edit.pack(inner))


MODE = "import fcntl; said = [fcntl.fcntl(f, fcntl.F_GETFL) & 3 for f in (a, b)]"


def access_modes():
    with open("mine", "w") as file:
        file.write("content")
    theirs = os.path.realpath("/etc/passwd")
    mine = os.path.abspath("mine")
    _guard.save(_guard.start(f"a = os.open({mine!r}, 0); b = os.open({theirs!r}, 0)", MODE))
    _guard.expect(restore("image"), 0)
    if _guard.answer() != "[0, 0]":
        _guard.fail("not open as it was")
    edit(of_path(theirs, wider))
    done = restore("edited")
    if done.returncode == 0:
        _guard.fail("a file that may only be read came back open for writing")
    _guard.expect(done, 3, theirs)
    # What this user may write is his to write.
    edit(of_path(mine, wider))
    _guard.expect(restore("edited"), 0)
    if _guard.answer() != "[2, 0]":
        _guard.fail("not as the image says")
    symbolic_links(mine)


def symbolic_links(path):
    """The name leads elsewhere now: also to a file that looks the same."""
    os.rename(path, path + ".moved")
    os.symlink(path + ".moved", path)
    done = restore("image")
    if done.returncode == 0:
        _guard.fail("a symbolic link was followed")


def executables():
    """Not the interpreter itself, which is everybody's, but a copy."""
    shutil.copy(os.path.realpath(sys.executable), "python")
    target = _guard.start(argv0=[os.path.abspath("python"), "-c"])
    _guard.save(target)
    os.chmod("python", 0o644)
    done = restore("image")
    if done.returncode == 0:
        _guard.fail("a file was executed that may not be")
    # One that root alone may execute: another record of the same number.
    secret = next((p for p in ("/usr/sbin/unix_chkpwd", "/usr/bin/passwd", "/usr/bin/su")
                   if os.path.exists(p) and os.stat(p).st_mode & 0o6000), None)
    os.chmod("python", 0o755)
    if secret:
        at = os.stat(secret)

        def instead(fields):
            for number, value in ((2, secret.encode()), (3, at.st_size), (5, at.st_ino),
                                  (4, at.st_mtime_ns), (12, at.st_uid), (13, at.st_gid)):
                _edit.put(fields, number, value)
        edit(of_path(os.path.abspath("python"), instead))
        done = restore("edited")
        if done.returncode == 0:
            pid = int(done.stdout)
            ids = _guard.status(pid, "Uid", "Gid", "CapPrm", "CapEff")
            os.kill(pid, 9)
            uid, gid = os.getuid(), os.getgid()
            if ids != {"Uid": f"{uid}\t{uid}\t{uid}\t{uid}", "Gid": f"{gid}\t{gid}\t{gid}\t{gid}",
                       "CapPrm": "0" * 16, "CapEff": "0" * 16}:
                _guard.fail(f"the ids of {secret}: {ids}")


def numbers():
    """The number of a process that is there, and the first of all."""
    _guard.save(_guard.start())
    with open("image", "rb") as file:
        before = file.read()
    for number in (1, 2, os.getpid()):
        was = _edit.get(next(_edit.parse(before[start:end]) for kind, _, start, end in
                             _edit.frames(before) if kind == TASK), 1)

        def renumber(tag, fields):
            if tag == TASK:
                _edit.put(fields, 7, _edit.varint(number))
            for field in fields:
                if field[1] == was and field[0] in (1, 2) and tag < 128:
                    field[1] = number
        edit(renumber)
        done = _guard.stasis("restore", "--detach", "--pid=same", "edited")
        if done.returncode == 0:
            _guard.fail(f"a process with the number {number}")


def seals():
    """A sealed memory comes back with its seals, and none are taken that there are not."""
    _guard.save(_guard.start(
        "import fcntl\nf = os.memfd_create('m', os.MFD_ALLOW_SEALING); os.write(f, b'x' * 4096)\n"
        "fcntl.fcntl(f, 1033, 15)", "said = fcntl.fcntl(f, 1034)"))
    _guard.expect(restore("image"), 0)
    if _guard.answer() != "15":
        _guard.fail("the seals are others")
    edit(lambda tag, fields: tag == MEMFD and _edit.get(fields, 6) and _edit.put(fields, 6, 64))
    if restore("edited").returncode != 3:
        _guard.fail("a seal that there is not")


def rewriting():
    """
    The image is rewritten all the time that it is read: with other bytes of the same length in
    records and memory, and back.  Either all that was read fits its checksums, or it is refused.
    """
    _guard.save(_guard.start(
        "import hashlib\nballast = os.urandom(12 << 20)\nsum = hashlib.sha256(ballast).digest()",
        "said = hashlib.sha256(ballast).digest() == sum"))
    with open("image", "rb") as file:
        good = file.read()
    bad = bytearray(good)
    for kind, _, start, end in _edit.frames(good):
        for at in range(start, end, 1024 if kind < _edit.MEMORY else 1 << 16):
            bad[at] ^= 0xFF
    stop = threading.Event()

    def rewriter(fd):
        while not stop.is_set():
            os.pwrite(fd, bad, 0)
            os.pwrite(fd, good, 0)

    shutil.copy("image", "changing")
    fd = os.open("changing", os.O_RDWR)
    thread = threading.Thread(target=rewriter, args=[fd])
    thread.start()
    ran = refused = 0
    try:
        for _ in range(30):
            done = restore("changing")
            if done.returncode == 0:
                ran += 1
                if _guard.answer() != "True":
                    _guard.fail("something runs that was not checked")
            elif done.returncode in (1, 3) and ("damaged" in done.stderr or
                                                "not a Stasis image" in done.stderr):
                refused += 1
            else:
                _guard.fail(f"{done.returncode}: {done.stderr!r}")
    finally:
        stop.set()
        thread.join()
    if not refused:
        _guard.fail(f"it was never caught changing ({ran} ran)")
    # From a pipe nothing can be read twice.
    with open("image", "rb") as stdin:
        _guard.expect(_guard.stasis("restore", "--detach", "--pid=new", "-", stdin=stdin), 0)
    if _guard.answer() != "True":
        _guard.fail("not from a pipe")


access_modes()
executables()
if _guard.LEVEL == "cap":
    numbers()
seals()
rewriting()
