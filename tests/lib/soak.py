"""
tests/soak: random trees of processes, each made from a seed; see tests/soak/soak.h.

As in tests/kind, the program checks itself.  The seed says also in which way it is saved:
left running, ended and restored, or first the one and then the other.
"""

import os

from . import kinds

BINARY = "soak-tree"
WAYS = ("move", "move", "move", "stay", "both")


class SoakTest:
    """One tree at one level."""

    def __init__(self, program, seed, level, tool):
        self.program, self.seed, self.level, self.tool = program, seed, level, tool
        self.mode = WAYS[seed % len(WAYS)]
        self.label = f"{tool.prefix}soak/{seed} {level} {self.mode}"

    def run(self, machine):
        top = machine.folder("work", self.label.replace("/", "-").replace(" ", "."),
                             level=self.level)
        SoakRun(self, machine, top).all()


class SoakRun(kinds.Run):
    """A tree under way."""

    def command(self):
        return [os.path.join(self.tool.soak_folder, BINARY), str(self.test.seed)]

    def all(self):
        try:
            target = self.start_program()
            if self.test.mode == "both":
                self.checkpoint(target, [])
                self.forget_image()
            if self.test.mode == "stay":
                self.stay(target)
            else:
                self.move(target)
            self.expect_nothing_left()
        finally:
            self.clean_up()

    def forget_image(self):
        self.expect_image()
        os.unlink(os.path.join(self.image, "image"))

    def story(self, words):
        return super().story(f"seed {self.test.seed}: {words}")


def discover(folder, tool, levels, seeds, only):
    """SEEDS trees as an ordinary user, and a quarter of that at each other level."""
    if not os.path.exists(os.path.join(tool.soak_folder, BINARY)):
        return []
    program = kinds.Program(os.path.join(folder, "tree.c"))
    tests, first = [], 1
    for level in levels:
        count = seeds if level == "none" else (seeds + 3) // 4
        numbers = [only] if only is not None else range(first, first + count)
        tests += [SoakTest(program, seed, level, tool) for seed in numbers]
        first += count
    return tests
