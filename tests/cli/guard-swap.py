#!/usr/bin/python3
# LEVELS: none cap
# TIMEOUT: 100
"""
Targets that change under the tool, and mappings of what it must not read.  A helper outside of the
tree, with the same descriptors (clone(2)), swaps them all the time: the checkpoint is refused.
Of a deleted file of which one page is mapped privately, no other page is in the image.  A
dma-buf is refused.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _guard  # noqa: E402

# Two processes with one table of descriptors: the second, which is not of the tree, swaps.
BESIDE = """
import ctypes
secret = os.open("/etc/passwd", 0)
plain = os.open("plain", os.O_RDWR | os.O_CREAT)
shown = os.dup(plain)
CLONE_FILES, CLONE_PARENT = 0x400, 0x8000
me = os.getpid()
if ctypes.CDLL(None).syscall(56, CLONE_FILES | CLONE_PARENT, 0, 0, 0, 0) == 0:
    while os.path.exists(f"/proc/{me}"):
        os.dup2(secret, shown)
        os.dup2(plain, shown)
    os._exit(0)
"""
PAGE = 4096
GHOST = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
fd = os.open("ghost", os.O_RDONLY)
at = libc.mmap(None, 4096, 1, 2, fd, 4096)
os.close(fd)
os.unlink("ghost")
"""


def swapping():
    target = _guard.start(BESIDE, "said = 'goes on'")
    for _ in range(20):
        done = _guard.stasis("checkpoint", "-o", "image", target.pid)
        _guard.expect(done, 3, "descriptors")
        if os.path.exists("image"):
            _guard.fail("there is an image")
        if _guard.status(target.pid)["TracerPid"] != "0":
            _guard.fail("it is still held")
    if _guard.answer() != "goes on":
        _guard.fail("it does not go on")
    target.wait()


def ghost():
    pages = [os.urandom(PAGE) for _ in range(4)]
    with open("ghost", "wb") as file:
        file.write(b"".join(pages))
    target = _guard.start(GHOST, "said = ctypes.string_at(at, 4096).hex()")
    done = _guard.stasis("checkpoint", "--kill", "-o", "image", target.pid)
    _guard.expect(done, 0)
    target.wait()
    with open("image", "rb") as file:
        image = file.read()
    found = [page in image for page in pages]
    if found != [False, True, False, False]:
        _guard.fail(f"pages of the deleted file in the image: {found}")
    _guard.expect(_guard.stasis("restore", "--detach", "--pid=new", "image"), 0)
    if _guard.answer() != pages[1].hex():
        _guard.fail("the page that was mapped is another")


def dma_buf():
    """Where the kernel makes them for everybody: /dev/udmabuf."""
    try:
        os.close(os.open("/dev/udmabuf", os.O_RDWR))
    except OSError:
        return
    target = _guard.start(
        "import fcntl, mmap, struct\nm = os.memfd_create('m', os.MFD_ALLOW_SEALING)\n"
        "os.ftruncate(m, 4096); fcntl.fcntl(m, 1033, 2)\nd = os.open('/dev/udmabuf', os.O_RDWR)\n"
        "b = fcntl.ioctl(d, 0x40187542, struct.pack('IIQQ', m, 1, 0, 4096))\nos.close(d)\n"
        "at = mmap.mmap(b, 4096)\nos.close(b)", "said = 'goes on'")
    _guard.expect(_guard.stasis("checkpoint", "-o", "image", target.pid), 3, "dma-buf")
    if _guard.answer() != "goes on":
        _guard.fail("it does not go on")
    target.wait()


swapping()
ghost()
dma_buf()
