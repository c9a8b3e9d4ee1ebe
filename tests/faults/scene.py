"""A victim, the tool, and what must hold after anything that happened to the tool."""

import ctypes
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time

from lib.machine import Failure, end, explain, process_state, tail, wait_until

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x8000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
BEAT = struct.Struct("<3QQQ232s")
REPORT = re.compile(r"calls=(\d+) hit=(-?\d+) status=(\d+)")
# What a victim needs for a round of each of its threads, and more than any pause.
PATIENCE = 20.0
OUTCOMES = {0: "done", 1: "failed", 3: "refused"}
LIBC = ctypes.CDLL(None, use_errno=True)


def libc(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def apart(function):
    """
    Runs it where nobody else's processes and System V objects are, if we are root: then all that
    is there is ours, and how many calls the tool makes does not depend on others.  Returns its result,
    a number.
    """
    if os.geteuid() != 0:
        libc("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return function(False)
    libc("unshare", CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS)
    pid = os.fork()
    if pid == 0:
        libc("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
        libc("mount", b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
        try:
            status = function(True)
        finally:
            sys.stdout.flush()
        os._exit(status)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), lambda *_: os.kill(pid, signal.SIGKILL))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Victim:
    """tests/faults/victim.c, running or restored: one process or several."""

    def __init__(self, pid, beat, count):
        self.pid, self.beat, self.count = pid, beat, count

    def fields(self):
        """Of each process: counters, mappings too many, failed, why."""
        with open(self.beat, "rb") as file:
            data = file.read(BEAT.size * self.count)
        found = []
        for i in range(self.count):
            *counters, mappings, failed, why = BEAT.unpack_from(data, i * BEAT.size)
            found.append((counters, mappings, failed, why.split(b"\0")[0].decode()))
        return found

    def maps(self):
        with open(f"/proc/{self.pid}/maps") as file:
            return file.read()

    def check(self):
        """It goes on, all of it, and nothing in it has changed."""
        before = [counter for fields in self.fields() for counter in fields[0]]

        def went_on():
            fields = self.fields()
            # The round that has begun may have been over before whatever happened did.
            return any(each[2] for each in fields) or all(
                now > then + 1
                for now, then in zip((c for each in fields for c in each[0]), before))

        done = wait_until(went_on, PATIENCE)
        for _counters, _mappings, failed, why in self.fields():
            if failed:
                raise Failure(f"the program noticed: {why}")
        if not done:
            raise Failure(f"the program does not go on: {process_state(self.pid)}")

    def extra_mappings(self):
        """When it has looked twice."""
        self.check()
        return max(each[1] for each in self.fields())


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
        if not any(line.startswith("stasis: ") for line in lines):
            return "it does not say why"
        return None


class Scene:
    """A folder, the programs that stand in it, and one victim."""

    def __init__(self, machine, level, programs, isolated, arguments=()):
        self.machine, self.level, self.isolated = machine, level, isolated
        self.programs, self.arguments = programs, [str(word) for word in arguments]
        self.folder = machine.folder("faults", f"{level}-{time.monotonic_ns()}", level=level)
        self.images = os.path.join(self.folder, "images")
        os.mkdir(self.images, 0o700)
        machine.give(self.images, level)
        self.known = {}
        self.may_hold = False
        self.start_victim()

    def start_victim(self):
        beat = os.path.join(self.folder, f"beat.{time.monotonic_ns()}")
        count = 1 + (int(self.arguments[1]) if len(self.arguments) > 1 else 0)
        with open(os.devnull, "w") as null:
            process = self.machine.start(self.level,
                                         [self.programs["victim"], beat, *self.arguments],
                                         cwd=self.folder, stdout=null)
        self.known[process.pid] = process
        if not wait_until(lambda: os.path.exists(beat) and
                          os.path.getsize(beat) >= BEAT.size * count, 10):
            raise Failure("the victim did not start")
        self.victim = Victim(process.pid, beat, count)
        self.victim.check()

    def forget_ended(self):
        for pid, process in list(self.known.items()):
            if process.poll() is not None:
                del self.known[pid]

    def victim_pids(self):
        """All of its processes that are still there."""
        return [pid for pid in self.machine.processes_under(self.folder)
                if is_alive(pid) and self.program_of(pid) == "victim"]

    @staticmethod
    def program_of(pid):
        try:
            with open(f"/proc/{pid}/comm") as file:
                return file.read().strip()
        except OSError:
            return ""

    def start(self, arguments, fault=None, inside=None):
        """
        The tool with these arguments.  fault: of step.c, which then runs it.  inside: number and
        errno of a call that it makes in the program.
        """
        said, report = (os.path.join(self.folder, name) for name in ("said", "report"))
        argv = [self.programs["failing" if inside else "stasis"], *arguments]
        env = {"STASIS_FAULT": inside, "STASIS_FAULT_REPORT": report} if inside else None
        if os.path.exists(report):
            os.unlink(report)
        if fault is not None:
            argv = [self.programs["step"], *fault, "--report", report, "--", *argv]
        with open(said, "wb") as out:
            process = self.machine.start(self.level, argv, cwd=self.folder, stdout=out,
                                         env=env, capability=True)
        self.known[process.pid] = process
        return process

    def finish(self, process, timeout, what):
        try:
            return self.machine.wait(process, timeout, what)
        finally:
            if process.poll() is None:
                # step.c takes the tool with it.
                process.kill()
                process.wait()
            del self.known[process.pid]

    def run_inside(self, arguments, number, error, timeout=20):
        """A call in the program fails.  Outcome.calls: how many there were up to that one."""
        process = self.start(arguments, None, f"{number} {error}")
        status = self.finish(process, timeout, "stasis " + arguments[0])
        numbers = [int(word) for word in re.findall(r"=(\d+)",
                                                    tail(os.path.join(self.folder, "report")))]
        return Outcome(status, tail(os.path.join(self.folder, "said")), numbers[0] if numbers else 0,
                       numbers[2] if len(numbers) > 2 else -1)

    def run(self, arguments, fault=(), timeout=20):
        """The same to its end.  fault None: without step.c, and no calls are counted."""
        said, report = (os.path.join(self.folder, name) for name in ("said", "report"))
        process = self.start(arguments, fault)
        status = self.finish(process, timeout, "stasis " + arguments[0])
        if fault is None:
            return Outcome(status, tail(said), 0, -1)
        found = REPORT.match(tail(report))
        if not found:
            raise Failure(explain("step did not run", output=tail(said)))
        calls, hit, status = (int(word) for word in found.groups())
        return Outcome(os.waitstatus_to_exitcode(status), tail(said), calls, hit)

    def image(self, name="image"):
        return os.path.join(self.images, name)

    def left_images(self):
        return sorted(os.listdir(self.images))

    def clear_images(self, keep=()):
        for name in self.left_images():
            if name not in keep:
                os.unlink(os.path.join(self.images, name))

    def strangers(self):
        """Processes that nobody knows."""
        if not self.isolated:
            with open(f"/proc/self/task/{os.getpid()}/children") as file:
                pids = {int(pid) for pid in file.read().split()}
        else:
            pids = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}
        found = set()
        for pid in pids - set(self.known):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    continue
            except ChildProcessError:
                pass
            found.add(pid)
        if found:
            found -= set(self.victim_pids()) if self.victim else set()
        if self.may_hold and len(found) == 1:
            found = {pid for pid in found if self.program_of(pid) != "stasis-track"}
        return {pid for pid in found if os.path.exists(f"/proc/{pid}")}

    def expect_nothing_left(self, seconds=5.0):
        wait_until(lambda: not self.strangers(), seconds)
        left = self.strangers()
        if left:
            words = "; ".join(process_state(pid) for pid in left)
            for pid in left:
                end(pid)
            raise Failure(f"processes were left behind: {words}")
        for name in ("shm", "sem", "msg") if self.isolated else ():
            with open("/proc/sysvipc/" + name) as file:
                if len(file.readlines()) > 1:
                    raise Failure(f"System V objects were left behind ({name})")

    def end_victim(self):
        pids = set(self.victim_pids()) | ({self.victim.pid} if self.victim else set())
        for pid in pids:
            end(pid)
        for pid in pids:
            process = self.known.pop(pid, None)
            if process:
                process.wait()
        self.victim = None

    def close(self):
        self.end_victim()
        for process in self.known.values():
            end(process.pid)
            process.wait()
        self.known = {}


def wait_at_most(process, seconds):
    """True: it has ended within this time."""
    if process.poll() is not None:
        return True
    fd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        deadline = time.monotonic() + seconds
        left = seconds
        # To the millisecond at most: the rest is slept.
        while left > 0.002 and not poll.poll(int((left - 0.001) * 1000)):
            left = deadline - time.monotonic()
        left = deadline - time.monotonic()
        if left > 0 and process.poll() is None:
            time.sleep(left)
    finally:
        os.close(fd)
    return process.poll() is not None


def kill_after(process, seconds):
    """SIGKILL from outside, after this long."""
    if not wait_at_most(process, seconds):
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return subprocess.list2cmdline(process.args) if process.returncode is None else process.returncode
