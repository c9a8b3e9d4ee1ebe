"""One thing that is done, again and again, to a scene, with another fault each time."""

import errno
import os
import random
import re
import signal
import time

from faults.scene import Scene, Victim, is_alive, kill_after
from lib.machine import Failure, end, explain, wait_until

ERRORS = ("ENOMEM", "EINTR", "EPERM", "ENOSPC", "EMFILE", "EAGAIN")
# What the program meets while the tool stands at a call: lines for the shell.
MEETS = {"ended": "kill -KILL {pid}", "stopped": "kill -STOP {pid}", "traced": "{tracer} {pid} 30"}
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
DEADLY = ("--kill", "--signal")
# What a killed checkpoint may leave until the next: its region, of which /proc/PID/maps shows the code and the
# data as two.
MAPPINGS = 2
# How long a process may take to end, or what was let go is waited for to end after all.
SETTLED = 0.3
# After this many failures of one part, more say no more.
ENOUGH = 12
WORDS = {0: "succeeded", 1: "failed", 3: "refused"}


class Part:
    """What checkpoints and restores have in common."""

    def __init__(self, plan, scene, options, dice):
        self.plan, self.scene, self.options, self.dice = plan, scene, options, dice
        self.tried, self.counts, self.failures = 0, {}, []

    def count(self, word):
        self.counts[word] = self.counts.get(word, 0) + 1

    def attempt(self, label, what, *arguments):
        """True: it is worth going on."""
        self.tried += 1
        try:
            what(*arguments)
        except Failure as failure:
            self.failures.append(f"{label}: {failure}")
            self.recover()
        return len(self.failures) < ENOUGH

    def verify(self, path):
        outcome = self.scene.run(["verify", path], None)
        if outcome.status != 0:
            raise Failure(explain("the image is not whole", output=outcome.said))

    def run_faulty(self, number, fault):
        """The tool with a fault at this call: its status is that of the tool, or negative."""
        if fault[0] == "--inside":
            outcome = self.scene.run_inside(self.command(), number, fault[1])
        else:
            words = {"pid": self.scene.victim.pid if self.scene.victim else 0,
                     "tracer": self.scene.programs["tracer"]}
            outcome = self.scene.run(self.command(), ["--at", str(number), *[
                word.format(**words) for word in fault]])
        if fault[0] in DEADLY:
            self.count("killed" if outcome.status < 0 else "ended before")
            return outcome
        self.count(WORDS.get(outcome.status, "other"))
        return outcome

    def faulty(self, number, fault):
        self.prepare()
        outcome = self.run_faulty(number, fault)
        try:
            wrong = None if fault[0] in DEADLY else outcome.sentence_fault()
            if wrong:
                raise Failure(explain(wrong, output=outcome.said))
            self.after(outcome)
        except Failure as failure:
            raise Failure(f"(system call {outcome.hit}) {failure}") from None

    def at_random(self, longest):
        self.prepare()
        process = self.scene.start(self.command())
        kill_after(process, self.dice.uniform(0, longest))
        self.scene.forget_ended()
        self.count("killed" if process.returncode < 0 else "ended before")
        with open(os.path.join(self.scene.folder, "said")) as said:
            self.after_kill(process.returncode, said.read())

    def calls_inside(self):
        self.prepare()
        outcome = self.scene.run_inside(self.command(), 1 << 30, 0)
        self.after(outcome)
        return outcome.calls

    def prepare(self):
        """Before each attempt."""

    def summary(self):
        words = ", ".join(f"{count} {word}" for word, count in sorted(self.counts.items()))
        return f"{self.tried} tried: {words}"


class Checkpoint(Part):
    """Faults while the program is checkpointed, and left running or ended."""

    kills = property(lambda self: "--kill" in self.plan.options)
    tracks = property(lambda self: "--track" in self.plan.options)

    def command(self):
        parent = ["--parent", self.scene.image("base")] if self.tracks else []
        return ["checkpoint", *self.plan.options, *parent, "-o", self.scene.image(),
                str(self.scene.victim.pid)]

    def prepare(self):
        if not self.tracks:
            return
        self.scene.may_hold = True
        base = self.scene.image("base")
        outcome = self.scene.run(["checkpoint", "--track", "-o", base,
                                  str(self.scene.victim.pid)], None)
        if outcome.status != 0:
            raise Failure(explain("the first checkpoint failed without a fault",
                                  output=outcome.said))

    def whole(self):
        """How many calls there are; a whole checkpoint also mends what a killed one left."""
        scene = self.scene
        scene.clear_images()
        self.prepare()
        outcome = scene.run(self.command())
        if outcome.status != 0:
            raise Failure(explain("the checkpoint failed without a fault", output=outcome.said))
        self.verify(scene.image())
        scene.clear_images()
        if self.kills:
            scene.end_victim()
            scene.expect_nothing_left()
            scene.start_victim()
            return outcome.calls
        left = scene.victim.extra_mappings()
        if left:
            raise Failure(f"{left} mappings too many after a whole checkpoint")
        scene.expect_nothing_left()
        return outcome.calls

    def recover(self):
        self.scene.clear_images()
        self.scene.end_victim()
        self.scene.start_victim()

    def after_end(self, outcome):
        """The program has been ended: of the checkpoint there is a whole image, or none."""
        scene = self.scene
        images = [name for name in scene.left_images() if name != "base"]
        if (images == ["image"]) != (outcome.status == 0) and "is complete" not in outcome.said:
            raise Failure(explain(f"exit status {outcome.status}, and images: {images}",
                                  output=outcome.said))
        if images:
            self.verify(scene.image())
        self.recover()
        scene.expect_nothing_left()

    def after(self, outcome):
        if self.plan.way == "stopped" and is_alive(self.scene.victim.pid):
            os.kill(self.scene.victim.pid, signal.SIGCONT)
        if self.plan.way == "ended" and outcome.hit >= 0:
            wait_until(lambda: not is_alive(self.scene.victim.pid), 5)
            self.after_end(outcome)
        else:
            self.after_kill(outcome.status, outcome.said)

    def after_kill(self, status, said):
        scene = self.scene
        images = [name for name in scene.left_images() if name != "base"]
        # Killed or failed behind the last step: it must be whole.
        if images == ["image"] and status > 0 and "is complete" not in said:
            raise Failure("there is an image of a failed checkpoint")
        if images == ["image"]:
            self.verify(scene.image())
        elif images:
            raise Failure(f"files were left behind: {images}")
        elif status == 0:
            raise Failure("there is no image")
        if self.kills and images and self.has_ended(status):
            self.recover()
            return
        scene.clear_images()
        scene.victim.check()
        scene.expect_nothing_left()
        left = max(each[1] for each in scene.victim.fields())
        if left > MAPPINGS:
            raise Failure(explain(f"{left} mappings were left behind", output=said,
                                  maps=scene.victim.maps()))
        if left:
            self.count("with a mapping left")

    def has_ended(self, status):
        """Only a complete image may cost a program its life."""
        dead = wait_until(lambda: not is_alive(self.scene.victim.pid), 0.02)
        if status == 0 and not dead:
            raise Failure("the program was not ended")
        return dead

    def finish(self):
        self.whole()
        self.scene.end_victim()
        self.scene.may_hold = False
        self.scene.expect_nothing_left(10)


class Restore(Part):
    """Faults while the program is brought back."""

    def __init__(self, plan, scene, options, dice):
        super().__init__(plan, scene, options, dice)
        self.beat, self.processes = scene.victim.beat, scene.victim.count
        outcome = scene.run(["checkpoint", "--kill", "-o", scene.image(), str(scene.victim.pid)],
                            None)
        if outcome.status != 0:
            raise Failure(explain("the checkpoint failed without a fault", output=outcome.said))
        scene.end_victim()
        with open(self.beat, "rb") as file:
            self.content, self.time = file.read(), os.fstat(file.fileno()).st_mtime_ns

    def prepare(self):
        """The program's file is as it was: it is compared."""
        with open(self.beat, "r+b") as file:
            file.write(self.content)
        os.utime(self.beat, ns=(self.time, self.time))

    def command(self):
        return ["restore", "--detach", *self.plan.options, self.scene.image()]

    def whole(self):
        """It works, the program goes on; and is ended again.  Returns the number of calls."""
        self.prepare()
        outcome = self.scene.run(self.command())
        if outcome.status != 0:
            raise Failure(explain("the restore failed without a fault", output=outcome.said))
        self.end_restored(outcome.said)
        return outcome.calls

    def recover(self):
        scene = self.scene
        for pid in scene.strangers():
            end(pid)
        scene.end_victim()

    def end_restored(self, said):
        scene = self.scene
        scene.victim = Victim(int(said.split()[0]), self.beat, self.processes)
        try:
            scene.victim.check()
        finally:
            scene.end_victim()
        scene.expect_nothing_left()

    def after(self, outcome):
        self.after_kill(outcome.status, outcome.said)
        if self.tried % 20 == 0:
            self.whole()

    def after_kill(self, status, said):
        scene = self.scene
        # It runs, and only its number could not be written.
        runs = re.search(r"process (\d+) runs, which could not be written", said)
        if status == 0 or runs:
            self.end_restored(runs.group(1) if runs else said)
            return
        # The program may have been let go before the tool was ended: then it must be whole.
        copies = 3 if "--clone" in self.plan.options else 1
        # What is being killed takes a moment to be gone.
        wait_until(lambda: not scene.victim_pids(), SETTLED if status < 0 else 5)
        alive = scene.victim_pids()
        if status < 0 and len(alive) == self.processes * copies:
            self.count("let go before")
            self.end_restored(str(alive[0]))
            return
        scene.expect_nothing_left()
        if scene.victim_pids():
            raise Failure(f"parts of the program were left behind: {scene.victim_pids()}")
        if scene.left_images() != ["image"]:
            raise Failure(f"files were left behind: {scene.left_images()}")

    def finish(self):
        self.whole()


def attempts(part, calls, options):
    """(label, what, arguments) of all that is to be tried."""
    way = part.plan.way
    if way == "random":
        started = time.monotonic()
        part.prepare()
        part.scene.run(part.command(), None)
        longest = (time.monotonic() - started) * 1.1
        part.recover()
        for number in range(options.random):
            yield f"kill {number}", part.at_random, (longest,)
        return
    faults = {"kill": [("kill", ["--kill"])],
              **{name: [(name, ["--run", line])] for name, line in MEETS.items()},
              "signal": [(name, ["--signal", str(int(getattr(signal, name)))]) for name in SIGNALS],
              "short": [("short", ["--short"])],
              "errno": [(name, ["--errno", str(getattr(errno, name))])
                        for name in options.errno or ERRORS],
              "inside": [(name, ["--inside", str(getattr(errno, name))])
                         for name in options.errno or ERRORS]}[way]
    for name, fault in faults:
        first = max(options.first, part.dice.randrange(options.every) + 1)
        for number in range(first, min(calls, options.last) + 1, options.every):
            yield f"{name} at {number}", part.faulty, (number, fault)


def run_part(plan, machine, programs, isolated, options, failures):
    """Everything of one plan; returns what was tried, as words."""
    kind = Checkpoint if plan.command == "checkpoint" else Restore
    scene = Scene(machine, plan.level, programs, isolated, plan.victim)
    try:
        part = kind(plan, scene, options, random.Random(options.seed))
        part.failures = failures
        calls = part.whole()
        if plan.way == "inside":
            calls = part.calls_inside()
        for label, what, arguments in attempts(part, calls, options):
            if not part.attempt(label, what, *arguments):
                break
        part.finish()
    finally:
        scene.close()
    return f"{calls} calls, {part.summary()}"
