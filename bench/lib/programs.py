"""The programs that are checkpointed, and what they see of themselves."""

import contextlib
import mmap
import os
import struct
import sys
import tempfile
import time
from pathlib import Path

from . import machine
from .machine import Obstacle

# The system's own, which others may execute, rather than one in somebody's home.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
HERE = Path(__file__).resolve().parent.parent


class Beat:
    """The page in which a program writes what it sees of the clock (c/workload.c: struct beat)."""

    FIELDS = ("now", "gap", "gap_end", "work", "order", "rate", "rest")

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)

    def __getitem__(self, field):
        return struct.unpack_from("Q", self.page, 8 * self.FIELDS.index(field))[0]

    def __setitem__(self, field, value):
        struct.pack_into("Q", self.page, 8 * self.FIELDS.index(field), value)

    def forget(self):
        self["gap"] = 0

    def longest_gap(self):
        """Once the program has run again: it may have had no turn since it was let go."""
        start = time.time_ns()
        self.wait_for(lambda: self["now"] > start, 60, "the program's next look at the clock")
        return self["gap"] / 1e9

    def wait_for(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Obstacle(f"{what}: nothing within {seconds} s")
            time.sleep(0.0005)


class Program:
    """A running program of some shape; ended, with all that became of it, at the end of a scope."""

    def __init__(self, bench, tool, folder, shape, count):
        self.bench, self.tool, self.folder = bench, tool, folder
        self.restored = []
        # On a tmpfs, wherever the images are: no file is to look changed because its pages are.
        self.scratch = tempfile.TemporaryDirectory(prefix="stasis-beat.",
                                                   dir=bench.places["tmpfs"])
        os.chmod(self.scratch.name, 0o711)
        file = Path(self.scratch.name) / "beat"
        file.write_bytes(bytes(4096))
        os.chmod(file, 0o666)
        self.beat = Beat(file)
        argv = [bench.built / "workload", file, shape, count]
        if shape == "python":
            argv = [PYTHON, "-I", bench.built / "python_heap.py", file, count]
        elif shape == "server":
            for name in ("ask", "answer"):
                os.mkfifo(folder / name)
                os.chmod(folder / name, 0o666)
        self.process = tool.start(argv, folder)

    def __enter__(self):
        try:
            self.beat.wait_for(self.started, 120, "the start of a program")
        except Obstacle:
            self.__exit__()
            raise
        return self

    def started(self):
        if self.process.poll() is not None:
            raise Obstacle(f"the program ended with status {self.process.returncode}")
        return self.beat["now"]

    @contextlib.contextmanager
    def awake(self):
        """Looks at the clock within the scope only, when others are measured meanwhile."""
        self.beat["rest"] = 0
        self.beat.longest_gap()
        yield
        self.beat["rest"] = 1

    @property
    def pid(self):
        return self.process.pid

    def gone(self):
        """Waits for the end that a tool prepared, of all processes: their numbers are free then."""
        self.process.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            machine.reap_orphans()
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.001)
        raise Obstacle("a process that was to end has not ended")

    def restore(self, *options):
        """Seconds from the start of the command to the first look of the program at the clock."""
        self.beat.forget()
        start = time.time_ns()
        self.restored.append(self.tool.restore(self.folder, *options))
        self.beat.wait_for(lambda: self.beat["gap_end"] > start, 60, "the restored program")
        return (self.beat["gap_end"] - start) / 1e9

    def rewrite(self, pages):
        self.beat["order"] = pages
        self.beat.wait_for(lambda: not self.beat["order"], 60, "the program's rewriting")

    def ask(self):
        """Seconds from a question to the program's answer."""
        start = time.monotonic()
        with open(self.folder / "ask", "wb", buffering=0) as ask, \
                open(self.folder / "answer", "rb", buffering=0) as answer:
            ask.write(b"?")
            answer.read(1)
        return time.monotonic() - start

    def end_restored(self):
        for pid in self.restored:
            machine.end(pid)
        self.restored = []

    def __exit__(self, *_):
        if self.process.poll() is None:
            machine.end(self.pid)
            self.process.wait()
        self.end_restored()
        self.tool.forget(self.folder)
        self.scratch.cleanup()
        machine.reap_orphans()
