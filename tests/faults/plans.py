"""What is done to whom: one line for each operation, with the ways of harm that it is tried with."""

from dataclasses import dataclass

EVERY_WAY = ("kill", "errno", "short", "inside")


@dataclass(frozen=True)
class Plan:
    """victim: arguments of victim.c behind its file.  options: of the tool."""

    operation: str
    way: str
    level: str
    command: str
    options: tuple
    victim: tuple
    name: str = ""

    @property
    def label(self):
        return f"faults/{self.operation} {self.way} {self.level}"


def plans(operation, ways, levels, options=(), victim=(512,)):
    command = operation.split("-")[0]
    return [Plan(operation, way, level, command, tuple(options), tuple(victim))
            for way in ways for level in levels]


MEETINGS = ("ended", "stopped", "traced")
NONE, ALL = ("none",), ("none", "cap", "root")

PLANS = [
    *plans("checkpoint", (*EVERY_WAY, "random", "signal", *MEETINGS), NONE),
    # Without a signal that could be a doorbell.
    *plans("checkpoint-all-signals", ("kill",), NONE, victim=(512, 0, "all")),
    *plans("checkpoint-kill", (*EVERY_WAY, "random", "signal", *MEETINGS), NONE, ["--kill"]),
    *plans("checkpoint-track", EVERY_WAY, NONE, ["--track"]),
    *plans("checkpoint-precopy", EVERY_WAY, NONE, ["--precopy"]),
    # A clone is made, and writes itself.
    *plans("checkpoint-large", (*EVERY_WAY, "random", *MEETINGS), NONE, victim=(16384,)),
    *plans("checkpoint-large-kill", EVERY_WAY, NONE, ["--kill"], victim=(16384,)),
    *plans("checkpoint-tree", (*EVERY_WAY, "random", *MEETINGS), NONE, victim=(512, 2)),
    *plans("checkpoint-tree-kill", ("kill",), NONE, ["--kill"], victim=(512, 2)),
    *plans("restore", (*EVERY_WAY, "random", "signal"), NONE),
    *plans("restore", ("kill",), ("cap", "root")),
    *plans("restore-private", ("kill", "errno", "inside"), NONE, ["--pid=private"]),
    *plans("restore-new", ("kill",), NONE, ["--pid=new"]),
    *plans("restore-clone", ("kill", "errno", "inside"), NONE, ["--clone", "3"]),
    *plans("restore-lazy", ("kill", "errno", "inside"), ("root",), ["--lazy"], victim=(16384,)),
    *plans("restore-large", EVERY_WAY, NONE, victim=(16384,)),
    *plans("restore-tree", (*EVERY_WAY, "random"), NONE, victim=(512, 2)),
    *plans("restore-tree", ("kill",), ("cap",), victim=(512, 2)),
]
