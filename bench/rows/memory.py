"""The memory that the tool itself takes: the most anonymous memory seen while it worked."""

import time
from pathlib import Path

from lib.samples import Line, at_most, mebibytes
from . import Row

LIMIT = 16 << 20


def sampler(samples, who):
    """Follows /proc/PID/status of a tool until it has ended."""
    def watch(process):
        most, path = 0, Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            for line in path.read_text().splitlines():
                if line.startswith("RssAnon:"):
                    most = max(most, int(line.split()[1]) << 10)
            time.sleep(0.0005)
        samples.add(who, "memory", most)
    return watch


def life(bench, samples, shape, count):
    tool, key = bench.stasis, f"{count} {shape}"
    with bench.program(shape, count) as program:
        tool.checkpoint(program.pid, program.folder,
                        watch=sampler(samples, f"checkpoint {key}"))
        tool.checkpoint(program.pid, program.folder, "--compress",
                        watch=sampler(samples, f"--compress {key}"))
        tool.checkpoint(program.pid, program.folder, "--kill",
                        watch=sampler(samples, f"--kill {key}"))
        program.gone()
        program.restored.append(
            tool.restore(program.folder, watch=sampler(samples, f"restore {key}")))


def measure(bench, samples):
    sizes = [("heap", max(1, bench.scale.heap // 16)), ("heap", bench.scale.heap)]
    sizes += [("heap", n) for n in bench.scale.growth]
    sizes += [(shape, counts[-1]) for shape, counts in bench.scale.counts.items()]
    for shape, count in sizes:
        bench.rounds(samples, {f"{count} {shape}":
                               lambda shape=shape, count=count: life(bench, samples, shape, count)})
    medians = {who: samples.median(who, "memory") for who, _ in samples.values}
    most = max(medians, key=medians.get) if medians else None
    return [Line("memory of the tool itself (anonymous, peak)", "16 MiB",
                 f"{samples.text(most, 'memory', mebibytes)} in {most}" if most else "-",
                 "; ".join(f"{who} {samples.text(who, 'memory', mebibytes)}"
                           for who in medians if who != most),
                 at_most(medians.get(most), LIMIT))]


ROWS = (Row("memory", measure),)
