"""checkpoint --kill and restore of incompressible memory, beside the kernel's own speed."""

from lib.machine import timed
from lib.samples import Line, Samples, at_least, at_most, both, exponent, peer_limit
from . import Row


def life(bench, samples, tool, place, shape, mebibytes):
    """One program: started, saved and ended, restored; then the floors, of as many bytes."""
    with bench.program(shape, mebibytes, tool, place) as program:
        end_by_kill(samples, tool, program)
        samples.add(tool.name, "restore", program.restore())
        samples.add(tool.name, "restore, processor time", bench.user.processor_time)
        size = samples.values[tool.name, "bytes"][-1]
        program.end_restored()
        if tool is not bench.stasis:
            return
        for floor in ("read", "uffd"):
            samples.add(floor, "restore", bench.floor(floor, program.folder, "image", size))
        (program.folder / "image").unlink()
        samples.add("write", "kill", bench.floor("write", program.folder, "floor", size))


def end_by_kill(samples, tool, program):
    took, size = timed(tool.save, program.pid, program.folder, kill=True)
    samples.add(tool.name, "kill", took)
    samples.add(tool.name, "kill, processor time", program.bench.user.processor_time)
    samples.add(tool.name, "bytes", size)
    program.gone()


def measure_lives(bench, samples, place, shape, mebibytes):
    bench.need_memory(mebibytes * 2.5 * (1 << 20))
    bench.rounds(samples, {
        tool.name: lambda tool=tool: life(bench, samples, tool, place, shape, mebibytes)
        for tool in bench.tools})


def rate(samples, who, what):
    """Of the bytes of the image."""
    seconds, size = samples.median(who, what), samples.median("stasis", "bytes")
    return f"{size / seconds / 1e9:.2f} GB/s" if seconds and size else "-"


def used(samples, what):
    return f"processor time {samples.text('stasis', f'{what}, processor time')}"


def kill_line(bench, samples, place, shape, mebibytes):
    share = samples.ratio(("write", "kill"), ("stasis", "kill"))
    return Line(f"checkpoint --kill, {mebibytes} MiB, {shape} pages, {place}",
                "85 % of write(2)",
                f"{samples.text('stasis', 'kill')}, "
                + (f"{share * 100:.0f} %" if share else "-"),
                "; ".join([f"write {samples.text('write', 'kill')}, "
                           f"{rate(samples, 'write', 'kill')}",
                           *samples.beside("kill", *bench.peer_names),
                           used(samples, "kill")]),
                at_least(share, 0.85))


def restore_line(bench, samples, place, shape, mebibytes, times):
    speed = samples.ratio(("read", "restore"), ("stasis", "restore"))
    limit = peer_limit(samples, "restore", 1 / 4, bench.peer_names)
    value = samples.median("stasis", "restore")
    floors = [f"{floor} {samples.text(floor, 'restore')}, {rate(samples, floor, 'restore')}"
              for floor in ("read", "uffd")]
    return Line(f"restore, {mebibytes} MiB, {shape} pages, {place}",
                f"{times:g}x read(2)" + ", 1/4 of the peer's" * (limit is not None),
                f"{samples.text('stasis', 'restore')}, " + (f"{speed:.2f}x" if speed else "-"),
                "; ".join(floors + samples.beside("restore", *bench.peer_names)
                          + [used(samples, "restore")]),
                both(at_least(speed, times), *[at_most(value, limit)] * (limit is not None)))


def row(place, shape, times, name):
    kind = "4 KiB" if shape == "heap" else "huge"

    def measure(bench, samples):
        lines, sizes = [], (bench.scale.heap, *bench.scale.growth)
        points = {"kill": {}, "restore": {}}
        for mebibytes in sizes:
            part = Samples()
            measure_lives(bench, part, place, shape, mebibytes)
            lines.append(kill_line(bench, part, place, kind, mebibytes))
            if place == "tmpfs":
                lines.append(restore_line(bench, part, place, kind, mebibytes, times))
            samples.take(part, f" {mebibytes} MiB" if len(sizes) > 1 else "")
            for what, found in points.items():
                if part.median("stasis", what):
                    found[mebibytes] = part.median("stasis", what)
        grown = [f"{what} n^{exponent(found):.2f}" for what, found in points.items()
                 if len(found) > 1]
        if grown:
            samples.remark("growth: " + ", ".join(grown))
        return lines
    return Row(name, measure)


ROWS = (row("tmpfs", "heap", 1.7, "copy-tmpfs"), row("disk", "heap", 1.7, "copy-disk"),
        row("tmpfs", "huge", 3, "copy-huge"))
