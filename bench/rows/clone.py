"""restore --clone N: what each further copy of one image costs, in time and in memory."""

from pathlib import Path

from lib import machine
from lib.samples import Line, at_most, both, mebibytes
from . import Row

COPIES = 9


def private(pid):
    """Bytes of its memory that it shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def turn_of(bench, samples, folder, copies):
    def turn():
        took, pids = machine.timed(bench.stasis.restore_all, folder, "--clone", copies)
        try:
            samples.add(f"{copies}", "time", took)
            if copies > 1:
                samples.add("each copy", "private", private(pids[-1]))
                whole = samples.values["1", "time"][-1]
                samples.add("each copy", "time", (took - whole) / (copies - 1))
        finally:
            for pid in pids:
                machine.end(pid)
    return turn


def measure(bench, samples):
    with bench.program("server", bench.scale.heap) as program:
        bench.stasis.save(program.pid, program.folder, kill=True)
        program.gone()
        bench.rounds(samples, {str(n): turn_of(bench, samples, program.folder, n)
                               for n in (1, COPIES)})
    size = bench.scale.heap << 20
    return [Line(f"restore --clone, each further copy of {bench.scale.heap} MiB",
                 "30 ms, memory only for what it writes", samples.text("each copy", "time")
                 + f", {samples.text('each copy', 'private', mebibytes)} of its own",
                 f"one {samples.text('1', 'time')}, {COPIES} {samples.text(f'{COPIES}', 'time')}",
                 both(at_most(samples.median("each copy", "time"), 0.030),
                      at_most(samples.median("each copy", "private"), max(size / 100, 2 << 20))))]


ROWS = (Row("clone", measure, ("restore", "--clone")),)
