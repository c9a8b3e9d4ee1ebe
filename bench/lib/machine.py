"""The machine that is measured on: whose the runs are, what else it does, what is to be ended."""

import ctypes
import os
import random
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


class Obstacle(Exception):
    """Something that could not be measured, for the reason given."""


class User:
    """Who the runs belong to: an ordinary user, also when root started them."""

    def __init__(self):
        self.root = os.geteuid() == 0
        self.processor_time = 0     # of what was run last
        self.id = random.randrange(20000, 60000) if self.root else os.getuid()

    def start(self, argv, cwd, as_root=False, stdin=subprocess.DEVNULL,
              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        drop = {}
        if self.root and not as_root:
            drop = {"user": self.id, "group": self.id, "extra_groups": []}
        return subprocess.Popen([str(word) for word in argv], cwd=cwd, stdin=stdin,
                                stdout=stdout, stderr=stderr, start_new_session=True, **drop)

    def run(self, argv, cwd, as_root=False, stdin=subprocess.DEVNULL, watch=None):
        """What it printed.  Outputs are files: a pipe would be held by what is restored."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            before = children_seconds()
            process = self.start(argv, cwd, as_root, stdin, out, err)
            if watch:
                watch(process)
            status = process.wait()
            self.processor_time = children_seconds() - before
            check(argv, status, err)
            out.seek(0)
            return out.read().decode()


def check(argv, status, err):
    if status:
        err.seek(0)
        said = err.read().decode(errors="replace").strip()
        words = " ".join(str(word) for word in argv[1:3])
        raise Obstacle(f"{Path(argv[0]).name} {words}: status {status}: {said[-400:]}")


def timed(call, *args, **options):
    """Seconds, and what the call returned."""
    start = time.monotonic()
    result = call(*args, **options)
    return time.monotonic() - start, result


def adopt_orphans():
    """What a restore leaves behind in the background is ours to end and to reap."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def family(pid):
    """A process and all that come from it, the oldest first."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(word) for word in tasks.read_text().split()]
            except OSError:
                pass
    return found


def end(pid):
    """Ends a child, and its children: a workload, or one restored, which became ours."""
    for member in family(pid):
        try:
            os.kill(member, signal.SIGKILL)
        except ProcessLookupError:
            pass
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def reap_orphans():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def available_memory():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def busy_seconds():
    """Processor time that anybody has used, or the host has taken, since the machine started."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(word) for word in words[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    """Processor time of all children that we have waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def own_seconds():
    return children_seconds() + time.process_time()


class Weather:
    """How much of the processors others used meanwhile, from 0 to their number."""

    def __init__(self):
        self.start = time.monotonic(), busy_seconds(), own_seconds()

    def others(self):
        elapsed, busy, own = (now - then for now, then in zip(
            (time.monotonic(), busy_seconds(), own_seconds()), self.start))
        return max(0, (busy - own) / elapsed) if elapsed else 0
