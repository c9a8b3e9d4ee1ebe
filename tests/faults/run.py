#!/usr/bin/python3
"""
Does harm to the tool, and looks whether the program that it works on is harmed.

  tests/faults/run.py --build build [--level none] [--every N] [--random N] [--errno NAME ...]
                      [-k PATTERN] [--seed N]

  checkpoint kill      the tool is ended before each of its system calls in turn
  checkpoint random    ... from outside, at random times
  checkpoint errno     each of its system calls fails in turn, with each of several errors
  checkpoint short     each transfers less than was asked for
  restore kill, restore errno, restore short
                       the same for a restore: nothing is left, and then it works

The program (victim.c) watches itself without pause.  --every N takes each N-th call only, from a place
of its own in each run (--seed).  Ends as tests/run.py does; before that, one line says for each part
what was tried.
"""

import argparse
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from faults.scene import Scene, become_subreaper  # noqa: E402
from lib.machine import LEVELS, Failure, Machine, end, explain, wait_until  # noqa: E402

ERRORS = ("ENOMEM", "EINTR", "EPERM", "ENOSPC", "EMFILE", "EAGAIN")
CHECKPOINT = ("checkpoint", "--external", "pipe=close", "-o")
# What a killed checkpoint may leave until the next: its region, of which /proc/PID/maps shows the code and the
# data as two.
MAPPINGS = 2
# After this many failures of one part, more say no more.
ENOUGH = 5


class Part:
    """One thing that is done, again and again, to a scene."""

    def __init__(self, scene, options, dice):
        self.scene, self.options, self.dice = scene, options, dice
        self.tried, self.counts, self.failures = 0, {}, []

    def numbers(self, calls):
        start = self.dice.randrange(self.options.every) + 1
        return range(start, calls + 1, self.options.every)

    def count(self, word):
        self.counts[word] = self.counts.get(word, 0) + 1

    def attempt(self, label, what, *arguments):
        """True: it is worth going on."""
        self.tried += 1
        try:
            what(*arguments)
        except Failure as failure:
            self.failures.append(f"{label}: {failure}")
        return len(self.failures) < ENOUGH

    def summary(self):
        words = ", ".join(f"{count} {word}" for word, count in sorted(self.counts.items()))
        return f"{self.tried} tried: {words}"


class Checkpoint(Part):
    """Faults while the program is checkpointed and left running."""

    def command(self):
        return [*CHECKPOINT, self.scene.image(), str(self.scene.victim.pid)]

    def survey(self):
        """How many calls there are; a whole checkpoint also mends what a killed one left."""
        scene = self.scene
        scene.clear_images()
        outcome = scene.run(self.command())
        if outcome.status != 0:
            raise Failure(explain("the checkpoint failed without a fault", output=outcome.said))
        scene.clear_images()
        scene.victim.check()
        left = scene.victim.extra_mappings()
        if left:
            raise Failure(f"{left} mappings too many after a whole checkpoint")
        scene.expect_nothing_left()
        return outcome.calls

    def after(self, outcome):
        scene = self.scene
        scene.victim.check()
        scene.expect_nothing_left()
        left = scene.left_images()
        if outcome.status != 0 and left:
            raise Failure(f"files were left behind: {left}")
        scene.clear_images()
        if scene.victim.fields()[1] > MAPPINGS:
            raise Failure(f"{scene.victim.fields()[1]} mappings were left behind")

    def kill(self, number):
        outcome = self.scene.run(self.command(), ["--at", str(number), "--kill"])
        self.count("killed" if outcome.status < 0 else "ended before")
        if outcome.status >= 0:
            outcome.status = 0  # the image may be complete
        if outcome.status < 0 and self.scene.left_images() == ["image"]:
            self.verify()  # killed after the last step: it must be whole
            self.scene.clear_images()
        self.after(outcome)

    def verify(self):
        outcome = self.scene.run(["verify", self.scene.image()])
        if outcome.status != 0:
            raise Failure(explain("the image is not whole", output=outcome.said))

    def fault(self, number, arguments):
        outcome = self.scene.run(self.command(), ["--at", str(number), *arguments])
        wrong = outcome.sentence_fault()
        self.count({0: "succeeded", 1: "failed", 3: "refused"}.get(outcome.status, "other"))
        if wrong:
            raise Failure(explain(f"call {outcome.hit}: {wrong}", output=outcome.said))
        if outcome.status == 0:
            self.verify()
        self.after(outcome)

    def at_random(self, longest):
        scene = self.scene
        with open(os.path.join(scene.folder, "said"), "wb") as out:
            process = scene.machine.start(scene.level, [scene.tool, *self.command()],
                                          cwd=scene.folder, stdout=out, capability=True)
        scene.known.add(process.pid)
        try:
            process.wait(self.dice.uniform(0, longest))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        scene.known.discard(process.pid)
        self.count("killed" if process.returncode < 0 else "ended before")
        scene.clear_images()
        scene.victim.check()
        scene.expect_nothing_left()
        if scene.victim.fields()[1] > MAPPINGS:
            raise Failure(f"{scene.victim.fields()[1]} mappings were left behind")


class Restore(Part):
    """Faults while the program is brought back."""

    def __init__(self, scene, options, dice):
        super().__init__(scene, options, dice)
        scene.clear_images()
        outcome = scene.run([*CHECKPOINT, scene.image(), "--kill", str(scene.victim.pid)])
        if outcome.status != 0:
            raise Failure(explain("the checkpoint failed without a fault", output=outcome.said))
        scene.close()

    def command(self):
        return ["restore", "--detach", "--pid=auto", self.scene.image()]

    def whole(self):
        """It works, the program goes on; and is ended again.  Returns the number of calls."""
        scene = self.scene
        outcome = scene.run(self.command())
        if outcome.status != 0:
            raise Failure(explain("the restore failed without a fault", output=outcome.said))
        self.end_restored(outcome)
        return outcome.calls

    def end_restored(self, outcome):
        scene = self.scene
        scene.victim.pid = int(outcome.said.split()[0])
        try:
            scene.victim.check()
        finally:
            end(scene.victim.pid)
            scene.expect_nothing_left()

    def after(self, outcome, number):
        scene = self.scene
        if outcome.status == 0 and outcome.said.strip():
            self.end_restored(outcome)
            return
        # The program may have been let go before the tool was ended: then it must be whole.
        alive = scene.machine.processes_under(scene.folder)
        if outcome.status < 0 and alive:
            self.count("let go before")
            try:
                scene.victim.pid = alive[0]
                scene.victim.check()
            finally:
                for pid in alive:
                    end(pid)
        scene.expect_nothing_left()
        if number % 10 == 0:
            self.whole()

    def kill(self, number):
        outcome = self.scene.run(self.command(), ["--at", str(number), "--kill"])
        self.count("killed" if outcome.status < 0 else "ended before")
        self.after(outcome, number)

    def fault(self, number, arguments):
        outcome = self.scene.run(self.command(), ["--at", str(number), *arguments])
        wrong = outcome.sentence_fault()
        self.count({0: "succeeded", 1: "failed", 3: "refused"}.get(outcome.status, "other"))
        if wrong:
            self.after(outcome, number)
            raise Failure(explain(f"call {outcome.hit}: {wrong}", output=outcome.said))
        self.after(outcome, number)


def run_part(part, way, options):
    """Everything of one way to do harm; returns what was tried, as words."""
    calls = part.survey() if isinstance(part, Checkpoint) else part.whole()
    if way == "random":
        started = time.monotonic()
        part.survey()
        longest = (time.monotonic() - started) * 0.6
        for number in range(options.random):
            if not part.attempt(f"kill {number}", part.at_random, longest):
                break
    elif way == "errno":
        for name in options.errno or ERRORS:
            for number in part.numbers(calls):
                if not part.attempt(f"{name} at {number}", part.fault, number,
                                    ["--errno", str(getattr(errno, name))]):
                    break
    else:
        for number in part.numbers(calls):
            if way == "kill":
                more = part.attempt(f"kill at {number}", part.kill, number)
            else:
                more = part.attempt(f"short at {number}", part.fault, number, ["--short"])
            if not more:
                break
    if isinstance(part, Checkpoint):
        part.survey()
    else:
        part.whole()
    return part.summary()


def run_all(options, machine):
    programs = []
    for name in ("step", "victim"):
        target = os.path.join(machine.folder("faults", name), name)
        shutil.copy(os.path.join(options.build, "tests", "faults-" + name), target)
        os.chmod(target, 0o755)
        programs.append(target)
    tool = os.path.join(machine.folder("faults", "tool"), "stasis")
    shutil.copy(os.path.join(options.build, "cli", "stasis"), tool)
    os.chmod(tool, 0o755)
    passed = failed = 0
    for kind in (Checkpoint, Restore):
        for way in ("kill", "random", "errno", "short"):
            label = f"faults/{kind.__name__.lower()} {way} {options.level}"
            if (kind is Restore and way == "random") or not re.search(options.k, label):
                continue
            scene = Scene(machine, options.level, tool, programs)
            part = None
            try:
                part = kind(scene, options, random.Random(options.seed))
                print(f"{label}: {run_part(part, way, options)}", flush=True)
            except Failure as failure:
                print(f"FAILED  {label}: {failure}", flush=True)
                failed += 1
                continue
            finally:
                scene.close()
                for reason in part.failures if part else ():
                    print(f"FAILED  {label}: {reason}", flush=True)
            if part.failures:
                failed += 1
            else:
                passed += 1
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description="Faults while a program is saved or restored.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--level", choices=LEVELS, default="none")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--random", type=int, default=2000)
    parser.add_argument("--errno", action="append", choices=ERRORS)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("-k", default="", metavar="PATTERN")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    become_subreaper()
    machine = Machine()
    try:
        passed, failed = run_all(options, machine)
    finally:
        machine.close()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
