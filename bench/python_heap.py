"""A program in Python with a real heap: syntax trees of the standard library, and what is in them.

    python_heap.py BEAT-FILE MEBIBYTES
"""

import ast
import mmap
import os
import signal
import struct
import sys
import sysconfig
from pathlib import Path


def resident():
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def record(node):
    """One as programs keep them: a dict of strings, numbers and lists."""
    return {"type": type(node).__name__, "line": getattr(node, "lineno", 0),
            "column": getattr(node, "col_offset", 0), "name": getattr(node, "name", ""),
            "words": ast.dump(node)[:60].split()}


def build(mebibytes):
    kept = []
    while True:
        for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
            try:
                tree = ast.parse(path.read_text())
            except (OSError, SyntaxError, ValueError):
                continue
            kept.append((str(path), tree, [record(node) for node in tree.body]))
            if resident() > mebibytes << 20:
                return kept


def main():
    heap = build(int(sys.argv[2]))
    with open(sys.argv[1], "r+b") as file:
        page = mmap.mmap(file.fileno(), 8)
    page[:8] = struct.pack("Q", len(heap))
    while True:
        signal.pause()


main()
