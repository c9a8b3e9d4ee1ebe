"""A small program, and programs with many of something: times, and how they grow."""

from lib.machine import timed
from lib.samples import Line, at_most, both, exponent, peer_limit
from . import Row

LINEAR = 1.15   # the exponent up to which growth counts as linear
# The numbers that a share of the peer's time is the bar of; the others are there for the growth.
JUDGED = {"threads": 1000, "processes": 200, "mappings": 10000, "descriptors": 5000}
# of a peer on the machine that the bars are of, where none is there to be measured
SMALL = {"kill": 0.0155, "restore": 0.025}


def life(bench, samples, tool, shape, count):
    key = "" if shape == "small" else f" {count}"
    with bench.program(shape, count, tool) as program:
        program.beat.forget()
        took, _ = timed(tool.save, program.pid, program.folder, kill=False)
        samples.add(tool.name, "checkpoint" + key, took)
        samples.add(tool.name, "pause" + key, program.beat.longest_gap())
        took, _ = timed(tool.save, program.pid, program.folder, kill=True)
        samples.add(tool.name, "kill" + key, took)
        samples.add(tool.name, "kill" + key + " used", bench.user.processor_time)
        program.gone()
        samples.add(tool.name, "restore" + key, program.restore())
        samples.add(tool.name, "restore" + key + " used", bench.user.processor_time)


def measure_lives(bench, samples, shape, count):
    bench.rounds(samples, {
        tool.name: lambda tool=tool: life(bench, samples, tool, shape, count)
        for tool in bench.tools})


def line_of(bench, samples, name, what, limit, bar, growth=None):
    """what: "kill 100", or "kill".  growth: exponents by what is done; that of what is judged."""
    beside = samples.beside(what, *bench.peer_names)
    beside.append(f"processor time {samples.text('stasis', what + ' used')}")
    action = what.split()[0]
    if action == "kill":
        going_on = what.replace("kill", "checkpoint")
        pause = what.replace("kill", "pause")
        beside.append(f"leaving it running {samples.text('stasis', going_on)}, "
                      f"pause {samples.text('stasis', pause)}")
    verdicts = [at_most(samples.median("stasis", what), limit)] if limit else []
    if growth is not None:
        verdicts.append(at_most(growth[action], LINEAR))
        beside.append("growth n^" + ", ".join(
            f"{value:.2f}" + f" ({kind})" * (kind != action)
            for kind, value in growth.items() if value is not None))
    return Line(name, bar, samples.text("stasis", what), "; ".join(beside),
                both(*verdicts) if verdicts else None)


def growth_of(samples, action, counts):
    """Of the time of an action, of the processor time, and of what goes with it."""
    kinds = {action: f"{action} {{}}", "processor time": f"{action} {{}} used"}
    if action == "kill":
        kinds |= {"leaving it running": "checkpoint {}", "pause": "pause {}"}
    found = {}
    for kind, name in kinds.items():
        medians = {n: samples.median("stasis", name.format(n)) for n in counts}
        found[kind] = exponent({n: value for n, value in medians.items() if value})
    return found if found[action] is not None else None


def small(bench, samples):
    measure_lives(bench, samples, "small", 1)
    lines = []
    for what in ("kill", "restore"):
        limit = peer_limit(samples, what, 1 / 3, bench.peer_names)
        bar = "1/3 of the peer's"
        if limit is None:
            limit = SMALL[what] / 3
            bar = f"{limit * 1e3:.1f} ms (1/3 of a peer's)"
        command = "checkpoint --kill" if what == "kill" else "restore"
        lines.append(line_of(bench, samples, f"{command}, small program, no capabilities", what,
                             limit, bar))
    return lines


def row(shape):
    def measure(bench, samples):
        counts = bench.scale.counts[shape]
        for count in counts:
            measure_lives(bench, samples, shape, count)
        lines = []
        for count in counts:
            for what in ("kill", "restore"):
                growth = growth_of(samples, what, counts) if count == counts[-1] else None
                limit = None
                if count == JUDGED[shape]:
                    limit = peer_limit(samples, f"{what} {count}", 1 / 4, bench.peer_names)
                command = "checkpoint --kill" if what == "kill" else "restore"
                bars = ["1/4 of the peer's"] * (limit is not None)
                bars += ["linear"] * (growth is not None)
                lines.append(line_of(bench, samples, f"{command}, {count:,} {shape}",
                                     f"{what} {count}", limit, ", ".join(bars), growth))
        return lines
    return Row(shape, measure)


ROWS = (Row("small", small), row("threads"), row("processes"), row("mappings"),
        row("descriptors"))
