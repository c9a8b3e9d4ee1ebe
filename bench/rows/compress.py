"""--compress into an output of 300 MB/s, and how much smaller a real heap becomes."""

import subprocess
import tempfile

from lib.machine import check, timed
from lib.samples import Line, at_least, at_most, mebibytes
from . import Row

DISK = 300_000_000
TOLERANCE = 1.02    # "never slower" within what two equal runs differ by


def through(bench, samples, who, program, *options):
    """A checkpoint through a pipe into the slow disk."""
    def turn():
        argv = [bench.stasis.program, "checkpoint", "-o", "-", *options, program.pid]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            disk = bench.user.start([bench.built / "throttle", DISK], program.folder,
                                    stdin=subprocess.PIPE, stdout=out)

            def save():
                tool = bench.user.start(argv, program.folder, stdout=disk.stdin, stderr=err)
                disk.stdin.close()
                status = tool.wait()
                disk.wait()
                check(argv, status, err)
            samples.add(who, "time", timed(save)[0])
            out.seek(0)
            samples.add(who, "bytes", int(out.read()))
    return turn


def measure_heap(bench, samples, shape, count):
    with bench.program(shape, count) as program:
        bench.rounds(samples, {
            f"plain {shape}": through(bench, samples, f"plain {shape}", program),
            f"compressed {shape}": through(bench, samples, f"compressed {shape}", program,
                                           "--compress")})
    return [samples.ratio((f"compressed {shape}", what), (f"plain {shape}", what))
            for what in ("time", "bytes")]


def line_of(samples, shape, name, bar, ratios, met):
    figure = "-"
    if None not in ratios:
        figure = (f"{ratios[0]:.2f}x the time, {1 / ratios[1]:.2f}x smaller: "
                  f"{samples.text(f'compressed {shape}', 'time')}")
    return Line(name, bar, figure,
                f"uncompressed {samples.text(f'plain {shape}', 'time')}, "
                f"{samples.text(f'plain {shape}', 'bytes', mebibytes)}", met)


def measure(bench, samples):
    random = measure_heap(bench, samples, "heap", bench.scale.heap)
    python = measure_heap(bench, samples, "python", bench.scale.python)
    return [
        line_of(samples, "heap", f"--compress into 300 MB/s, {bench.scale.heap} MiB "
                "incompressible", "never slower", random, at_most(random[0], TOLERANCE)),
        line_of(samples, "python", "--compress into 300 MB/s, a Python heap",
                "never slower, 2.5x smaller", python,
                None if None in python else
                at_most(python[0], TOLERANCE) and at_least(1 / python[1], 2.5))]


ROWS = (Row("compress", measure),)
