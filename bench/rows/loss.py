"""What a program loses that is checkpointed every minute: work done with it and without."""

import time

from lib.samples import Line, at_most, percent
from . import Row

SHARE = 0.10    # of the memory, rewritten each second
MINUTE = 60


class Windows:
    """Of equal length, with and without a checkpoint in them; work counts by the second."""

    def __init__(self, bench, samples, program):
        self.bench, self.samples, self.program = bench, samples, program
        self.number = 0

    def work(self, checkpoint=None):
        """Looks at the clock a second, and how long the window was."""
        beat, start = self.program.beat, time.monotonic()
        before = beat["work"]
        if checkpoint:
            checkpoint()
            self.samples.add("command", "time", time.monotonic() - start)
        time.sleep(max(0, start + self.bench.scale.window - time.monotonic()))
        elapsed = time.monotonic() - start
        return (beat["work"] - before) / elapsed, elapsed

    def turn(self, who, options):
        def turn():
            undisturbed, _ = self.work()
            disturbed, elapsed = self.work(lambda: self.checkpoint(options))
            lost = (1 - disturbed / undisturbed) * elapsed
            self.samples.add(who, "seconds lost", lost)
            self.samples.add(who, "loss", lost / MINUTE)
            pause = self.bench.stasis.told["pause_ns"] / 1e9
            self.samples.add(who, "pause told by the tool", pause)
        return turn

    def checkpoint(self, options):
        """A chain of images, where one is asked for: each has the one before as its parent."""
        image = f"image{self.number}"
        words = [word.replace("PREVIOUS", f"image{self.number - 1}") for word in options]
        self.bench.stasis.checkpoint(self.program.pid, self.program.folder, *words, image=image)
        if "--parent" not in options and self.number:
            (self.program.folder / f"image{self.number - 1}").unlink(missing_ok=True)
        self.number += 1


def measure_ways(bench, samples, ways, first=()):
    with bench.program("heap", bench.scale.heap) as program:
        program.beat["rate"] = int(bench.scale.heap * 256 * SHARE)
        windows = Windows(bench, samples, program)
        if first:
            windows.checkpoint(first)
        bench.rounds(samples, {who: windows.turn(who, options)
                               for who, options in ways.items()})


def measure(bench, samples):
    ways = {"plain": ()}
    if bench.stasis.has("checkpoint", "--precopy"):
        ways["precopy"] = ("--precopy",)
    measure_ways(bench, samples, ways)
    chosen = "plain"
    if bench.stasis.has("checkpoint", "--track"):
        chosen = "track"
        measure_ways(bench, samples, {chosen: ("--track",)}, ("--track",))
        measure_ways(bench, samples, {"parent": ("--track", "--parent", "PREVIOUS")},
                     ("--track",))
    beside = samples.beside("loss", *[who for who in ("plain", "precopy", "parent")
                                      if who != chosen], form=percent)
    beside.append(f"{samples.text(chosen, 'seconds lost')} of work; pause "
                  f"{samples.text(chosen, 'pause told by the tool')}")
    if bench.scale.window < MINUTE:
        samples.remark(f"windows of {bench.scale.window:g} s; what is lost there is held against "
                       "a minute")
    option = "checkpoint --track" if chosen == "track" else "checkpoint"
    return [Line(f"work lost in the minute around a {option}, {bench.scale.heap} MiB, "
                 "10 % rewritten a second", "3 %", samples.text(chosen, "loss", percent),
                 "; ".join(beside), at_most(samples.median(chosen, "loss"), 0.03))]


ROWS = (Row("loss", measure),)
