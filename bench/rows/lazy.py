"""restore --lazy of a large server: how soon it answers, and whether its memory comes."""

import time
from pathlib import Path

from lib.machine import Obstacle, timed
from lib.samples import Line, at_most
from . import Row

SWITCH = Path("/proc/sys/vm/unprivileged_userfaultfd")


def pick_tool(bench, samples):
    """Faults within the kernel must be seen, too, which is not everybody's right."""
    if SWITCH.exists() and SWITCH.read_text().strip() == "1":
        return bench.stasis
    if bench.user.root:
        samples.remark("measured as root: vm.unprivileged_userfaultfd is 0")
        return bench.stasis_as_root
    raise Obstacle("vm.unprivileged_userfaultfd is 0, and this is not root")


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0


def filled(pid, size):
    """Seconds until all memory is there."""
    start = time.monotonic()
    while resident(pid) < size:
        if time.monotonic() - start > 120:
            raise Obstacle("the memory is not all there after 120 s")
        time.sleep(0.01)
    return time.monotonic() - start


def life(bench, samples, tool, who, options):
    with bench.program("server", bench.scale.lazy, tool) as program:
        program.ask()
        tool.save(program.pid, program.folder, kill=True)
        program.gone()
        start = time.monotonic()
        pid = tool.restore(program.folder, *options)
        program.restored.append(pid)
        samples.add(who, "command", time.monotonic() - start)
        program.ask()
        samples.add(who, "first reply", time.monotonic() - start)
        for _ in range(100):
            samples.add(who, "later replies", timed(program.ask)[0])
        samples.add(who, "filled", filled(pid, bench.scale.lazy << 20))


def measure(bench, samples):
    tool = pick_tool(bench, samples)
    bench.need_memory((bench.scale.lazy << 20) * 2.2)
    bench.rounds(samples, {
        "lazy": lambda: life(bench, samples, tool, "lazy", ("--lazy",)),
        "whole": lambda: life(bench, samples, tool, "whole", ())})
    return [Line(f"restore --lazy, {bench.scale.lazy} MiB, until the first reply", "50 ms",
                 samples.text("lazy", "first reply"),
                 f"without --lazy {samples.text('whole', 'first reply')}; "
                 f"all there after {samples.text('lazy', 'filled')}; replies meanwhile "
                 f"{samples.text('lazy', 'later replies')}",
                 at_most(samples.median("lazy", "first reply"), 0.050))]


ROWS = (Row("lazy", measure, ("restore", "--lazy")),)
