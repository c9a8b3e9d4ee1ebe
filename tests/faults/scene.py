"""A victim, the tool, and what must hold after anything that happened to the tool."""

import ctypes
import errno
import os
import re
import signal
import struct
import subprocess
import time

from lib.machine import Failure, end, explain, process_state, tail, wait_until

PR_SET_CHILD_SUBREAPER = 36
BEAT = struct.Struct("<3QQQ232s")
REPORT = re.compile(r"calls=(\d+) hit=(-?\d+) status=(\d+)")
# What a victim needs for a round of each of its threads, and more than any pause.
PATIENCE = 30.0
OUTCOMES = {0: "done", 1: "failed", 3: "refused"}


def become_subreaper():
    """What the tool leaves behind becomes our child, and so is seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return {int(pid) for pid in file.read().split()}


class Victim:
    """tests/faults/victim.c, running or restored."""

    def __init__(self, pid, beat):
        self.pid, self.beat = pid, beat

    def fields(self):
        with open(self.beat, "rb") as file:
            *counters, mappings, failed, why = BEAT.unpack(file.read(BEAT.size))
        return counters, mappings, failed, why.split(b"\0")[0].decode()

    def check(self):
        """It goes on, all of it, and nothing in it has changed."""
        before = self.fields()[0]

        def went_on():
            counters, _mappings, failed, _why = self.fields()
            return failed or all(now > then for now, then in zip(counters, before))

        done = wait_until(went_on, PATIENCE)
        _counters, _mappings, failed, why = self.fields()
        if failed:
            raise Failure(f"the program noticed: {why}")
        if not done:
            raise Failure(f"the program does not go on: {process_state(self.pid)}")

    def extra_mappings(self):
        """When it has looked again."""
        start = self.fields()[0][2]
        wait_until(lambda: self.fields()[0][2] > start + 1, PATIENCE)
        return self.fields()[1]


class Outcome:
    """What a run of the tool did, with or without a fault."""

    def __init__(self, status, said, calls, hit):
        self.status, self.said, self.calls, self.hit = status, said, calls, hit

    def sentence_fault(self):
        """What is wrong with its words, or None: one sentence that says what and why."""
        lines = self.said.strip().splitlines()
        if self.status == 0:
            return None
        if self.status not in OUTCOMES:
            return f"exit status {self.status}"
        if not lines or not lines[0].startswith("stasis: "):
            return "it does not say why"
        return None


class Scene:
    """A folder, the programs that stand in it, and one victim."""

    def __init__(self, machine, level, tool, programs):
        self.machine, self.level, self.tool = machine, level, tool
        self.step, self.program = programs
        self.folder = machine.folder("faults", f"{level}-{time.monotonic_ns()}", level=level)
        self.images = os.path.join(self.folder, "images")
        os.mkdir(self.images, 0o700)
        machine.give(self.images, level)
        self.known = children()
        self.victim = self.start_victim()

    def start_victim(self):
        beat = os.path.join(self.folder, "beat")
        with open(os.devnull, "w") as null:
            process = self.machine.start(self.level, [self.program, beat], cwd=self.folder,
                                         stdout=null)
        self.process = process
        self.known.add(process.pid)
        if not wait_until(lambda: os.path.exists(beat) and os.path.getsize(beat) >= BEAT.size, 10):
            raise Failure("the victim did not start")
        victim = Victim(process.pid, beat)
        victim.check()
        return victim

    def run(self, arguments, fault=(), timeout=120):
        """The tool with these arguments, with a fault of step.c."""
        report, said = (os.path.join(self.folder, name) for name in ("report", "said"))
        for path in (report, said):
            if os.path.exists(path):
                os.unlink(path)
        with open(said, "wb") as out:
            process = self.machine.start(
                self.level, [self.step, *fault, "--report", report, "--", self.tool, *arguments],
                cwd=self.folder, stdout=out, capability=True)
        self.known.add(process.pid)
        self.machine.wait(process, timeout, "stasis " + arguments[0])
        self.known.discard(process.pid)
        found = REPORT.match(tail(report))
        if not found:
            raise Failure(explain("step did not run", output=tail(said)))
        calls, hit, status = (int(word) for word in found.groups())
        return Outcome(os.waitstatus_to_exitcode(status), tail(said), calls, hit)

    def image(self):
        return os.path.join(self.images, "image")

    def left_images(self):
        return os.listdir(self.images)

    def clear_images(self):
        for name in self.left_images():
            os.unlink(os.path.join(self.images, name))

    def left_processes(self, seconds=5.0):
        """Children that came to us and are still there after a while."""
        def gone():
            for pid in children() - self.known:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
            return not children() - self.known

        wait_until(gone, seconds)
        return children() - self.known

    def expect_nothing_left(self):
        left = self.left_processes()
        if left:
            words = "; ".join(process_state(pid) for pid in left)
            for pid in left:
                end(pid)
            raise Failure(f"processes were left behind: {words}")

    def close(self):
        end(self.victim.pid)
        try:
            os.waitpid(self.victim.pid, 0)
        except OSError as error:
            if error.errno != errno.ECHILD:
                raise
        self.process.poll()


def kill_at_random(process, seconds):
    """SIGKILL from outside, after this long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
