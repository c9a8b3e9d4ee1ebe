"""An image of what has changed since the last one, beside a whole one."""

from lib.machine import timed
from lib.samples import Line, at_most, both, mebibytes, percent
from . import Row

CHANGED = 0.01


def turn_of(bench, samples, program):
    def turn():
        save = bench.stasis.checkpoint
        # An image of that name would have to be freed within the measured time.
        for image in ("full", "part"):
            (program.folder / image).unlink(missing_ok=True)
        took, size = timed(save, program.pid, program.folder, "--track", image="full")
        samples.add("full", "time", took)
        samples.add("full", "bytes", size)
        program.rewrite(int(bench.scale.heap * 256 * CHANGED))
        took, size = timed(save, program.pid, program.folder, "--track", "--parent", "full",
                           image="part")
        samples.add("incremental", "time", took)
        samples.add("incremental", "bytes", size)
        samples.add("incremental", "pause told by the tool",
                    bench.stasis.told["pause_ns"] / 1e9)
    return turn


def measure(bench, samples):
    with bench.program("heap", bench.scale.heap) as program:
        bench.rounds(samples, {"stasis": turn_of(bench, samples, program)})
    share = {what: samples.ratio(("incremental", what), ("full", what))
             for what in ("time", "bytes")}
    met = both(at_most(share["time"], 0.05), at_most(share["bytes"], 0.02))
    said = [percent(share[what]) if share[what] else "-" for what in ("time", "bytes")]
    return [Line(f"incremental checkpoint, {bench.scale.heap} MiB, 1 % rewritten",
                 "5 % of the time, 2 % of the bytes",
                 f"{said[0]}: {samples.text('incremental', 'time')}; "
                 f"{said[1]}: {samples.text('incremental', 'bytes', mebibytes)}",
                 f"full {samples.text('full', 'time')}, "
                 f"{samples.text('full', 'bytes', mebibytes)}; "
                 f"pause {samples.text('incremental', 'pause told by the tool')}", met)]


ROWS = (Row("incremental", measure, ("checkpoint", "--track", "--parent")),)
