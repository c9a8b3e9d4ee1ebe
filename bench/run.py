#!/usr/bin/env python3
"""Measures checkpoints and restores, beside what no tool can be faster than.  Asserts nothing.

    bench/run.py STASIS [--json FILE] [--rows WORD] [--repeat N]

SCALE=small in the environment leaves the row of 1 GiB out.  Started as root, all runs as an
ordinary user without capabilities, but for criu, if that is in PATH: it is run as root.
"""

import argparse
import ctypes
import json
import mmap
import os
import random
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PR_SET_CHILD_SUBREAPER = 36

# name, shape and count for workload.c, repetitions
ROWS = (
    ("small", "small", 1, 7),
    ("heap 64 MiB", "heap", 64, 7),
    ("heap 1 GiB", "heap", 1024, 5),
    ("100 threads", "threads", 100, 7),
    ("1,000 threads", "threads", 1000, 7),
    ("10,000 mappings", "mappings", 10000, 7),
    ("5,000 descriptors", "descriptors", 5000, 7),
)
# measured thing, heading, the floor that it is compared with
COLUMNS = (
    ("checkpoint", "checkpoint", "write"),
    ("pause", "pause", "idle"),
    ("kill", "--kill", "write"),
    ("restore", "restore", "read"),
)
FLOORS = ("write", "read", "idle")


class Obstacle(Exception):
    """A run that could not be measured, for the reason given."""


class Beat:
    """The page in which a workload writes what it sees of the clock (workload.c: struct beat)."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 24)

    def fields(self):
        return struct.unpack("QQQ", self.page[:24])

    def forget(self):
        self.page[8:16] = bytes(8)

    def longest_gap(self):
        return self.fields()[1] / 1e9

    def wait_for(self, condition, seconds, what):
        """Until condition(now, gap, gap_end).  Returns the fields."""
        deadline = time.monotonic() + seconds
        while True:
            fields = self.fields()
            if condition(*fields):
                return fields
            if time.monotonic() > deadline:
                raise Obstacle(f"{what}: nothing within {seconds} s")
            time.sleep(0.0005)


class User:
    """Who the runs belong to: an ordinary user, also when root started them."""

    def __init__(self):
        self.root = os.geteuid() == 0
        self.id = random.randrange(20000, 60000) if self.root else os.getuid()

    def start(self, argv, cwd, as_root=False, stdout=subprocess.DEVNULL,
              stderr=subprocess.DEVNULL):
        drop = {"user": self.id, "group": self.id, "extra_groups": []}
        return subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout,
                                stderr=stderr, start_new_session=True,
                                **(drop if self.root and not as_root else {}))

    def run(self, argv, cwd, as_root=False):
        """What it printed.  Outputs are files: a pipe would be held by what is restored."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            status = self.start(argv, cwd, as_root, out, err).wait()
            out.seek(0)
            err.seek(0)
            if status:
                raise Obstacle(f"{Path(argv[0]).name} {argv[1]}: status {status}: "
                               + err.read().decode(errors="replace").strip()[-500:])
            return out.read().decode()


class Stasis:
    name = "stasis"

    def __init__(self, user, program):
        self.user = user
        self.program = program

    def checkpoint(self, pid, folder, kill):
        argv = [self.program, "checkpoint", "-o", "image", str(pid)]
        self.user.run(argv + ["--kill"] * kill, folder)
        return (folder / "image").stat().st_size

    def restore(self, folder):
        return int(self.user.run([self.program, "restore", "--detach", "image"], folder))


class Criu:
    """A peer.  Without root it does not start."""

    name = "criu (root)"

    def __init__(self, user, program):
        self.user = user
        self.program = program

    def checkpoint(self, pid, folder, kill):
        images = folder / "images"
        images.mkdir(exist_ok=True)
        argv = [self.program, "dump", "-t", str(pid), "-D", str(images)]
        self.user.run(argv + ["-R"] * (not kill), folder, as_root=True)
        return sum(file.stat().st_size for file in images.iterdir())

    def restore(self, folder):
        self.user.run([self.program, "restore", "-d", "--pidfile", str(folder / "pid"),
                       "-D", str(folder / "images")], folder, as_root=True)
        return int((folder / "pid").read_text())


def timed(call, *args):
    start = time.monotonic()
    result = call(*args)
    return time.monotonic() - start, result


def end(pid):
    """Ends a child: a workload, or one restored, which became ours as we reap orphans."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def reap_orphans():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def measure(user, tool, built, folder, shape, count):
    """One program's life: checkpointed, left running, checkpointed, ended, restored, ended."""
    beat_file = folder / "beat"
    beat_file.write_bytes(bytes(4096))
    os.chown(beat_file, user.id, -1)
    beat = Beat(beat_file)
    process = user.start([str(built / "workload"), "beat", shape, str(count)], folder)
    restored = None
    try:
        beat.wait_for(lambda now, *_: now, 60, "the workload's start")
        found = {}
        beat.forget()
        found["checkpoint"], size = timed(tool.checkpoint, process.pid, folder, False)
        found["pause"] = beat.longest_gap()
        beat.forget()
        time.sleep(found["checkpoint"])
        found["idle"] = beat.longest_gap()
        found["kill"], _ = timed(tool.checkpoint, process.pid, folder, True)
        process.wait()
        beat.forget()
        start = time.monotonic_ns()
        restored = tool.restore(folder)
        _, _, went_on = beat.wait_for(lambda now, gap, gap_end: gap_end > start, 60,
                                      "the restored program")
        found["restore"] = (went_on - start) / 1e9
        floor = str(built / "floor")
        for what in ("write", "read"):
            answer = user.run([floor, what, "floor.data", str(size)], folder)
            found[what] = int(answer) / 1e9
        found["bytes"] = size
        return found
    finally:
        process.kill()
        process.wait()
        if restored:
            end(restored)
        reap_orphans()


def measure_row(user, tools, built, scratch, row, repeat):
    """{tool: {thing: [seconds]}}: the tools take turns, so that all see the same weather."""
    _, shape, count, often = row
    found = {}
    for _ in range(repeat or often):
        for tool in list(tools):
            folder = Path(tempfile.mkdtemp(dir=scratch))
            os.chown(folder, user.id, -1)
            try:
                for thing, value in measure(user, tool, built, folder, shape, count).items():
                    found.setdefault(tool.name, {}).setdefault(thing, []).append(value)
            except Obstacle as why:
                print(f"  {tool.name}: {why}", flush=True)
                if not isinstance(tool, Stasis):
                    tools.remove(tool)
            finally:
                shutil.rmtree(folder)
    return found


def cell(medians, thing, floor):
    """Times the floor only where there are bytes enough for that to mean something."""
    ratio = ""
    if floor != "idle" and medians["bytes"] >= 16 << 20:
        ratio = f" ({medians[thing] / medians[floor]:.1f}x)"
    return f"{medians[thing] * 1e3:.1f}{ratio}"


def print_row(name, tool, samples):
    medians = {thing: statistics.median(values) for thing, values in samples.items()}
    words = [name, tool, str(len(samples["restore"])), f"{medians['bytes'] / (1 << 20):.1f}"]
    words += [cell(medians, thing, floor) for thing, _, floor in COLUMNS]
    words += [f"{medians[floor] * 1e3:.1f}" for floor in FLOORS]
    print("| " + " | ".join(words) + " |", flush=True)


def print_head(where, path):
    headings = ["program", "tool", "runs", "MiB"] + [heading for _, heading, _ in COLUMNS]
    headings += [f"floor: {floor}" for floor in FLOORS]
    print(f"\n{where} ({path}); medians in ms, in brackets times the floor\n")
    print("| " + " | ".join(headings) + " |")
    print("|" + " --- |" * len(headings), flush=True)


def build(folder):
    for name in ("workload", "floor"):
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", str(folder / name),
                        str(HERE / f"{name}.c"), "-pthread"], check=True)
    os.chmod(folder, 0o711)


def pick_tools(user, program):
    tools = [Stasis(user, str(Path(program).resolve()))]
    criu = shutil.which("criu")
    if criu and user.root:
        tools.append(Criu(user, criu))
    return tools


def measure_all(options, built, places, user):
    record = {"load": os.getloadavg()[0], "kernel": os.uname().release,
              "cpus": os.cpu_count(), "seconds": {}}
    for where, parent in places:
        scratch = tempfile.mkdtemp(prefix="stasis-bench.", dir=parent)
        os.chmod(scratch, 0o711)
        print_head(where, parent)
        tools = pick_tools(user, options.stasis)
        try:
            for row in ROWS:
                if options.rows not in row[0] or (
                        row[2] == 1024 and os.environ.get("SCALE") == "small"):
                    continue
                found = measure_row(user, tools, built, scratch, row, options.repeat)
                for tool, samples in found.items():
                    print_row(row[0], tool, samples)
                record["seconds"].setdefault(where, {})[row[0]] = found
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return record


def main():
    parser = argparse.ArgumentParser(description="measure checkpoints and restores")
    parser.add_argument("stasis", help="the program to measure")
    parser.add_argument("--json", metavar="FILE", help="write every single value there")
    parser.add_argument("--rows", metavar="WORD", default="", help="only rows with this word")
    parser.add_argument("--repeat", metavar="N", type=int, help="instead of 7 (1 GiB: 5)")
    options = parser.parse_args()
    user = User()
    # What a restore leaves behind in the background is ours to end and to reap.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    places = [("tmpfs", "/dev/shm"), ("disk", os.environ.get("TMPDIR", "/var/tmp"))]
    print(f"Linux {os.uname().release}, {os.cpu_count()} processors, "
          f"load {os.getloadavg()[0]:.1f}, uid {user.id} without capabilities")
    with tempfile.TemporaryDirectory(prefix="stasis-bench.") as built:
        build(Path(built))
        record = measure_all(options, Path(built), places, user)
    if options.json:
        Path(options.json).write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
