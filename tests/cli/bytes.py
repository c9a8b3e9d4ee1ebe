#!/usr/bin/python3
# LEVELS: none cap root
"""
What is written for a known pattern of memory: each page that is not zero once, no page that was
never touched, none of a stretch of zeros, and beside the pages no more than the tables need.  To a
file, through a pipe, and compressed: the same pages with the same bytes.  Single zero pages amid
others may be written where looking at every page costs more than they do: into a file.
"""

import mmap
import os
import struct
import subprocess
import sys

STASIS = os.environ["STASIS"]
PAGE = mmap.PAGESIZE
MIB = 1 << 20
HEADER, PROLOGUE, RUN = 32, 16, 24
MEMORY, END = 0x10000, 0x10001
ZSTD = 1

# In pages: one piece after the other, and holes that nothing ever touches between them.
SOLID, ZEROS, COMB = 3000, 2000, 5000  # of the comb every other page is zero
AT_SOLID, AT_ZEROS, AT_COMB, ALL = 100, 5000, 9000, 20000
PROGRAM = f"""
import ctypes, mmap, os, sys, time
area = mmap.mmap(-1, {ALL} * {PAGE}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.madvise(mmap.MADV_NOHUGEPAGE)
def put(page, number):
    area[page * {PAGE}:(page + 1) * {PAGE}] = number.to_bytes(8, "little") * ({PAGE} // 8)
for i in range({SOLID}): put({AT_SOLID} + i, i + 1)
for i in range({ZEROS}): put({AT_ZEROS} + i, 0)
for i in range({COMB}): put({AT_COMB} + i, (i + 1) * (i % 2))
sys.stdout.write("%d\\n" % ctypes.addressof(ctypes.c_char.from_buffer(area))); sys.stdout.flush()
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 2, 1): os.dup2(null, fd)
os.close(null)
while True: time.sleep(1000)
"""


def expected():
    """{page: number} of what must be in the image."""
    pages = {AT_SOLID + i: i + 1 for i in range(SOLID)}
    pages.update({AT_COMB + i: i + 1 for i in range(1, COMB, 2)})
    return pages


def memory_frames(image):
    """(runs, raw length, encoding, payload, where its data begins) of each."""
    at = HEADER
    while True:
        kind, _, length = struct.unpack_from("<IIQ", image, at)
        at += HEADER
        if kind == END:
            return
        if kind == MEMORY:
            count, encoding, raw = struct.unpack_from("<IIQ", image, at)
            runs = [struct.unpack_from("<QQQ", image, at + PROLOGUE + i * RUN) for i in range(count)]
            yield runs, raw, encoding, at, length
        at += length


def check(image, base, what, packed):
    seen, table = {}, 0
    for runs, raw, encoding, at, length in memory_frames(image):
        data = at + length - raw
        if encoding != ZSTD:
            table += HEADER + length - raw
            if data % PAGE:
                sys.exit(f"{what}: raw data begins amid a page")
        elif not packed:
            sys.exit(f"{what}: a frame is compressed")
        for _, offset, size in runs:
            for address in range(offset, offset + size, PAGE):
                page, amid = divmod(address - base, PAGE)
                if not amid and 0 <= page < ALL:
                    if page in seen:
                        sys.exit(f"{what}: page {page} is there twice")
                    seen[page] = encoding == ZSTD or image[data:data + PAGE]
                data += PAGE
    want = expected()
    if what in ("file", "stopped"):
        want.update({page: 0 for page in seen if AT_COMB <= page < AT_COMB + COMB and page not in want})
    if seen.keys() != want.keys():
        sys.exit(f"{what}: {len(seen)} pages, not {len(want)}: "
                 f"{sorted(seen.keys() ^ want.keys())[:10]}")
    for page, number in want.items():
        if seen[page] is not True and seen[page] != number.to_bytes(8, "little") * (PAGE // 8):
            sys.exit(f"{what}: page {page} holds something else")
    return table


def main():
    target = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE)
    base = int(target.stdout.readline())
    target.stdout.read()
    try:
        command = [STASIS, "checkpoint", "-o"]
        for name, options in (("file", []), ("stopped", ["--leave-stopped"]),
                              ("packed", ["--compress=3"])):
            subprocess.run([*command, name, *options, str(target.pid)], check=True,
                           stdin=subprocess.DEVNULL)
            if name == "stopped":
                os.kill(target.pid, 18)  # SIGCONT
        piped = subprocess.run([*command, "-", str(target.pid)], check=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
        for name, image in (("pipe", piped), *((n, open(n, "rb").read())
                                               for n in ("file", "stopped", "packed"))):
            table = check(image, base, name, name == "packed")
            pages = sum(raw for _, raw, *_ in memory_frames(image)) // PAGE
            frames = sum(1 for _ in memory_frames(image))
            # A run of a page of its own takes 24 bytes; a frame's begin is at most a page more.
            if table > frames * (HEADER + PROLOGUE + PAGE) + pages * RUN:
                sys.exit(f"{name}: {table} bytes of tables for {frames} frames of {pages} pages")
            if name == "packed":
                if len(image) > len(piped) / 2:
                    sys.exit(f"{name}: {len(image)} bytes instead of {len(piped)}")
            # A frame holds a MiB, or 1,024 runs; the last one of a process what is left.
            elif frames > pages * PAGE // MIB + COMB // 2 // 1024 + 10:
                sys.exit(f"{name}: {frames} frames for {pages} pages")
    finally:
        target.kill()
        target.wait()


if __name__ == "__main__":
    main()
