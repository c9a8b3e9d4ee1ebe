#!/usr/bin/python3
# LEVELS: cap
# TIMEOUT: 60
"""
What its user does to a tool with a file capability by way of the environment: the loader and the C
library are told to take code and tables of his, descriptors 0 to 2 are closed, limits are low.  No
code of his runs, and no file of his is written to in place of standard output.
"""

import os
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _guard  # noqa: E402

target = _guard.start(after="said = 'goes on'")
here = os.path.abspath(".")
for name in ("libxxhash.so.0", "libzstd.so.1", "libcap.so.2", "libprotobuf-c.so.1", "libc.so.6"):
    with open(name, "w") as file:
        file.write("not a library: who loads it fails")
os.mkdir("C.UTF-8")
TRICKS = {
    "LD_LIBRARY_PATH": here, "LD_PRELOAD": os.path.join(here, "libc.so.6"),
    "LD_AUDIT": os.path.join(here, "libc.so.6"), "LD_DEBUG": "all",
    "LD_DEBUG_OUTPUT": os.path.join(here, "debug"), "GCONV_PATH": here,
    "LOCPATH": here, "LANGUAGE": "xx", "LC_ALL": "C.UTF-8", "TMPDIR": "/nonexistent",
    "MALLOC_TRACE": os.path.join(here, "trace"), "RES_OPTIONS": "debug",
    "GLIBC_TUNABLES": "glibc.malloc.check=3:" * 50, "TERM": "../../etc/passwd",
}
before = sorted(os.listdir("."))
done = _guard.stasis("checkpoint", "-o", "image", target.pid, env={**os.environ, **TRICKS})
_guard.expect(done, 0)
if done.stderr or sorted(set(os.listdir(".")) - {"image"}) != before:
    _guard.fail(f"the environment was heard: {done.stderr!r}, {os.listdir('.')}")
# The loader itself takes everything from nowhere but the system's folders.
dynamic = subprocess.run(["readelf", "-d", _guard.STASIS], stdout=subprocess.PIPE, text=True,
                         check=False).stdout if shutil.which("readelf") else ""
if "RPATH" in dynamic or "RUNPATH" in dynamic:
    _guard.fail("the tool says itself where its libraries are")

# Without descriptors 0 to 2 what is opened next must not be taken for one of them.
for closed in ((0,), (1,), (2,), (0, 1, 2)):
    shutil.copy("image", "kept")
    done = subprocess.run([_guard.STASIS, "verify", "kept"], check=False, close_fds=True,
                          preexec_fn=lambda: [os.close(fd) for fd in closed])
    with open("kept", "rb") as kept, open("image", "rb") as image:
        if kept.read() != image.read():
            _guard.fail(f"without {closed} the image was written to")
    done = subprocess.run([_guard.STASIS, "checkpoint", "-o", "other", str(target.pid)],
                          check=False, stderr=None,
                          preexec_fn=lambda: [os.close(fd) for fd in closed])
    if done.returncode == 0:
        _guard.expect(_guard.stasis("verify", "other"), 0)
        os.unlink("other")

# Limits: it fails in words, and the program goes on.
for limit, value in (("RLIMIT_NOFILE", 8), ("RLIMIT_FSIZE", 4096), ("RLIMIT_AS", 64 << 20),
                     ("RLIMIT_NPROC", 0), ("RLIMIT_STACK", 64 << 10), ("RLIMIT_CPU", 1),
                     ("RLIMIT_DATA", 1 << 20)):
    number = getattr(resource, limit)
    done = _guard.stasis("checkpoint", "-o", "low", target.pid,
                         preexec_fn=lambda: resource.setrlimit(number, (value, value)))
    if done.returncode == 0:
        _guard.expect(_guard.stasis("verify", "low"), 0)
        os.unlink("low")
    elif os.path.exists("low"):
        _guard.fail(f"{limit}: an image in spite of {done.returncode}: {done.stderr!r}")
    if _guard.status(target.pid)["TracerPid"] != "0":
        _guard.fail(f"{limit}: it is still held")
if _guard.answer() != "goes on":
    _guard.fail("it does not go on")
target.wait()
