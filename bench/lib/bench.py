"""What every row is given: tools, programs, folders, floors, and how often to measure."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import machine, programs
from .machine import Obstacle
from .tools import Stasis, find_peers

GIB = 1 << 30


@dataclass(frozen=True)
class Scale:
    """How large things are: MiB, numbers, seconds."""

    heap: int           # where the bars say 1 GiB
    lazy: int           # where they say 4 GiB
    python: int
    window: float       # of the periodic checkpoint
    repeat: int
    counts: dict        # sizes of what there are many of: the bar is for the one named in it
    growth: tuple = ()  # heaps to fit an exponent to, beside the first


SCALES = {
    "tiny": Scale(4, 4, 16, 0.2, 1, {"threads": (4,), "processes": (2,), "mappings": (40,),
                                     "descriptors": (40,)}),
    "small": Scale(128, 256, 64, 1, 3, {
        "threads": (25, 100), "processes": (5, 20), "mappings": (500, 2000),
        "descriptors": (500, 2000)}),
    "normal": Scale(1024, 4096, 256, 6, 7, {
        "threads": (100, 1000), "processes": (20, 200), "mappings": (2500, 10000),
        "descriptors": (1250, 5000)}),
    "big": Scale(1024, 4096, 256, 60, 7, {
        "threads": (100, 1000, 5000), "processes": (20, 200, 2000),
        "mappings": (2500, 10000, 50000), "descriptors": (1250, 5000)}, (8192,)),
}


class Bench:
    def __init__(self, stasis, scale, repeat=None, criu=None, dmtcp=None):
        self.scale_name = scale
        self.scale = SCALES[scale]
        self.repeat = repeat or self.scale.repeat
        self.user = machine.User()
        self.stack = contextlib.ExitStack()
        self.built = self.make_folder(None, 0o711)
        self.build()
        program = self.built / "stasis"
        shutil.copy(stasis, program)
        program.chmod(0o755)
        self.stasis = Stasis(self.user, program)
        self.stasis_as_root = Stasis(self.user, program, as_root=True)
        self.peers, self.remarks = find_peers(self.user, criu, dmtcp)
        self.places = {"tmpfs": "/dev/shm", "disk": os.environ.get("TMPDIR", "/var/tmp")}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    @property
    def tools(self):
        return [self.stasis, *self.peers]

    @property
    def peer_names(self):
        return [peer.name for peer in self.peers]

    def make_folder(self, parent, mode):
        folder = tempfile.mkdtemp(prefix="stasis-bench.", dir=parent)
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, mode)
        return Path(folder)

    def build(self):
        sources = programs.HERE / "c"
        for name, parts in (("workload", ["workload.c", "shapes.c"]), ("floor", ["floor.c"]),
                            ("throttle", ["throttle.c"])):
            subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-O2",
                            "-o", self.built / name, *[sources / part for part in parts],
                            "-pthread"], check=True)
        shutil.copy(programs.HERE / "python_heap.py", self.built)
        (self.built / "python_heap.py").chmod(0o644)

    @contextlib.contextmanager
    def folder(self, place="tmpfs"):
        with tempfile.TemporaryDirectory(prefix="stasis-bench.", dir=self.places[place],
                                         ignore_cleanup_errors=True) as name:
            os.chown(name, self.user.id, -1)
            yield Path(name)

    @contextlib.contextmanager
    def program(self, shape, count, tool=None, place="tmpfs"):
        with self.folder(place) as folder:
            with programs.Program(self, tool or self.stasis, folder, shape, count) as program:
                yield program

    def need(self, command, *options):
        for option in options:
            if not self.stasis.has(command, option):
                raise Obstacle(f"this build's {command} has no {option}")

    def need_memory(self, size):
        available = machine.available_memory()
        if available < size:
            raise Obstacle(f"needs {size / GIB:.0f} GiB of memory, {available / GIB:.1f} are "
                           "available")

    def floor(self, what, folder, *args):
        """Seconds."""
        return int(self.user.run([self.built / "floor", what, *args], folder)) / 1e9

    def idle_gap(self):
        """How long a program that nobody touches stands still in a second."""
        return self.floor("idle", "/", 1000)

    def rounds(self, samples, turns):
        """Each of {who: call} in turn, so that all see the same weather."""
        turns = dict(turns)
        for _ in range(self.repeat):
            for who, turn in list(turns.items()):
                try:
                    turn()
                except (Obstacle, OSError, ValueError) as why:
                    samples.remark(f"{who}: {why}")
                    del turns[who]
