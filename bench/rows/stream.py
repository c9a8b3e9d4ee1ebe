"""checkpoint -o - | restore -, beside each half alone."""

import subprocess
import tempfile

from lib.machine import check, timed
from lib.samples import Line, at_most
from . import Row


def pipeline(bench, program, writer, reader, sink):
    """Both ends of a pipe, until both have ended.  What the reader printed."""
    with tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as out:
        right = bench.user.start(reader, program.folder, stdin=subprocess.PIPE, stdout=out,
                                 stderr=err)
        left = bench.user.start(writer, program.folder, stdout=right.stdin, stderr=err)
        right.stdin.close()
        left_status, right_status = left.wait(), right.wait()
        check(writer, left_status, err)
        check(reader, right_status, err)
        out.seek(0)
        return "" if sink else out.read().decode()


def life(bench, samples):
    save = [bench.stasis.program, "checkpoint", "--kill", "-o", "-"]
    bring = [bench.stasis.program, "restore", "--detach", "-"]
    with bench.program("heap", bench.scale.heap) as program:
        took, said = timed(pipeline, bench, program, [*save, program.pid], bring, False)
        samples.add("stream", "time", took)
        program.gone()
        program.restored.append(int(said.split()[0]))
    with bench.program("heap", bench.scale.heap) as program:
        bench.stasis.checkpoint(program.pid, program.folder)
        took, _ = timed(pipeline, bench, program, [*save, program.pid],
                        [bench.built / "throttle", 1e15], True)
        samples.add("checkpoint", "time", took)
        program.gone()
        took, said = timed(pipeline, bench, program, ["cat", "image"], bring, False)
        samples.add("restore", "time", took)
        program.restored.append(int(said.split()[0]))


def measure(bench, samples):
    bench.rounds(samples, {"stasis": lambda: life(bench, samples)})
    halves = [samples.median(half, "time") for half in ("checkpoint", "restore")]
    whole = samples.median("stream", "time")
    slower = max(halves) if None not in halves else None
    share = whole / slower if whole and slower else None
    return [Line(f"checkpoint -o - | restore -, {bench.scale.heap} MiB",
                 "within 15 % of the slower half",
                 samples.text("stream", "time") + (f", {share:.2f}x" if share else ""),
                 "; ".join(f"{half} alone {samples.text(half, 'time')}"
                           for half in ("checkpoint", "restore")), at_most(share, 1.15))]


ROWS = (Row("stream", measure),)
