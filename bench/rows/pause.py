"""How long a program stands still while it is checkpointed and goes on, as it sees it itself."""

import contextlib
import time

from lib.samples import Line, at_most, peer_limit
from . import Row

WITHOUT_PEER = 0.045    # a twentieth of what a peer took on the machine that the bar is of
REWRITTEN = 40_000_000  # bytes a second


def turn_of(bench, samples, tool, who, program, *options):
    """One checkpoint; then as long a time without one, to see what the scheduler does."""
    def turn():
        with program.awake():
            measure()

    def measure():
        (program.folder / "image").unlink(missing_ok=True)
        program.beat.forget()
        start = time.monotonic()
        if tool is bench.stasis:
            tool.checkpoint(program.pid, program.folder, *options)
            samples.add(who, "told by the tool", tool.told["pause_ns"] / 1e9)
        else:
            tool.save(program.pid, program.folder, kill=False)
        took = time.monotonic() - start
        samples.add(who, "pause", program.beat.longest_gap())
        samples.add(who, "command", took)
        program.beat.forget()
        time.sleep(min(took, 1))
        samples.add("nobody", "pause", program.beat.longest_gap())
    program.beat["rest"] = 1
    return turn


def told(samples, who):
    return [f"told by the tool {samples.text(who, 'told by the tool')}",
            f"command {samples.text(who, 'command')}"]


def measure_shape(bench, samples, shape):
    with contextlib.ExitStack() as stack:
        turns = {}
        for tool in bench.tools:
            program = stack.enter_context(bench.program(shape, bench.scale.heap, tool))
            turns[tool.name] = turn_of(bench, samples, tool, tool.name, program)
        bench.rounds(samples, turns)
    return samples.beside("pause", "nobody", *bench.peer_names)


def small_pages(bench, samples):
    beside = measure_shape(bench, samples, "heap")
    limit = peer_limit(samples, "pause", 1 / 20, bench.peer_names)
    return [Line(f"pause, {bench.scale.heap} MiB of 4 KiB pages",
                 "1/20 of the peer's" if limit else "45 ms (1/20 of a peer's)",
                 samples.text("stasis", "pause"),
                 "; ".join(beside + told(samples, "stasis")),
                 at_most(samples.median("stasis", "pause"), limit or WITHOUT_PEER))]


def huge_pages(bench, samples):
    beside = measure_shape(bench, samples, "huge")
    return [Line(f"pause, {bench.scale.heap} MiB of huge pages", "4 ms",
                 samples.text("stasis", "pause"), "; ".join(beside + told(samples, "stasis")),
                 at_most(samples.median("stasis", "pause"), 0.004))]


def precopied(bench, samples):
    """Beside it, for the same program, what the tool does of itself."""
    with bench.program("heap", bench.scale.heap) as program:
        program.beat["rate"] = REWRITTEN // 4096
        bench.rounds(samples, {
            "precopy": turn_of(bench, samples, bench.stasis, "precopy", program, "--precopy"),
            "plain": turn_of(bench, samples, bench.stasis, "plain", program)})
    beside = samples.beside("pause", "nobody", "plain") + told(samples, "precopy")
    return [Line(f"pause by --precopy, {bench.scale.heap} MiB, 40 MB/s rewritten", "10 ms",
                 samples.text("precopy", "pause"), "; ".join(beside),
                 at_most(samples.median("precopy", "pause"), 0.010))]


ROWS = (Row("pause", small_pages), Row("pause-huge", huge_pages),
        Row("pause-precopy", precopied, ("checkpoint", "--precopy")))
