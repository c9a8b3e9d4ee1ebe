#!/usr/bin/env python3
"""Measures checkpoints and restores, beside what no tool can be faster than, and beside peers.

    bench/run.py STASIS [--rows NAME,NAME...] [--repeat N] [--json FILE] [--write-docs]
                        [--criu FILE] [--dmtcp FOLDER]

SCALE in the environment is small (a quick look), normal, or big (a long one: 8 GiB, 5,000 threads,
whole minutes).  Asserts nothing.  Started as root, all of it runs as an ordinary user without
capabilities all the same; only what a row says so of is root's, and criu.
"""

import argparse
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib import machine, report  # noqa: E402
from lib.bench import SCALES, Bench  # noqa: E402
from lib.machine import Obstacle  # noqa: E402
from lib.samples import Line, Samples, milliseconds  # noqa: E402
from rows import all_rows  # noqa: E402

DOCS = Path(__file__).resolve().parent.parent / "docs" / "PERFORMANCE.md"
# From where on others, or the scheduler, count as noise.
NOISE_OTHERS, NOISE_GAP = 0.25, 0.004


def measure_row(bench, row):
    """The row's lines, and all that was measured."""
    samples, weather = Samples(), machine.Weather()
    idle = bench.idle_gap()
    try:
        for i in range(0, len(row.options), 2):
            bench.need(*row.options[i:i + 2])
        lines = row.measure(bench, samples)
    except (Obstacle, OSError) as why:
        lines = [Line(row.name, "", remark=str(why))]
    others = weather.others()
    if others > NOISE_OTHERS or idle > NOISE_GAP:
        samples.remark(f"noisy: others used {others:.1f} processors, a program at rest stood "
                       f"still for {milliseconds(idle)}")
    if lines:
        lines[0].remark = "; ".join(filter(None, [lines[0].remark, *samples.remarks]))
    return lines, report.record_of(samples, lines, others, idle)


def measure_all(bench, rows):
    """Prints the table line by line.  Returns it, and the record."""
    said, all_lines, record = [], [], {}

    def say(text):
        said.append(text + "\n")
        print(text, flush=True)

    say(report.introduction(bench) + "\n")
    say(report.head_line())
    for row in rows:
        lines, record[row.name] = measure_row(bench, row)
        all_lines += lines
        for line in lines:
            say(report.table_line(row.name, line))
    say("\n" + report.conclusion(all_lines))
    return "".join(said), record


def pick_rows(names):
    rows = all_rows()
    known = [row.name for row in rows]
    wanted = names.split(",") if names else known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"there is no row {', '.join(unknown)}; there are {', '.join(known)}")
    return [row for row in rows if row.name in wanted]


def main():
    parser = argparse.ArgumentParser(description="measure checkpoints and restores")
    parser.add_argument("stasis", help="the program to measure")
    parser.add_argument("--rows", metavar="NAME,NAME...", help="only these")
    parser.add_argument("--repeat", metavar="N", type=int, help="instead of 7")
    parser.add_argument("--json", metavar="FILE", default="-",
                        help="where all values go, instead of behind the table")
    parser.add_argument("--write-docs", action="store_true",
                        help="put the table into docs/PERFORMANCE.md")
    parser.add_argument("--criu", metavar="FILE", help="a peer; otherwise the one in PATH")
    parser.add_argument("--dmtcp", metavar="FOLDER", help="where dmtcp_launch is; or in PATH")
    options = parser.parse_args()
    scale = os.environ.get("SCALE") or "normal"
    if scale not in SCALES:
        sys.exit(f"SCALE is one of {', '.join(SCALES)}")
    rows = pick_rows(options.rows)
    machine.adopt_orphans()
    with Bench(options.stasis, scale, options.repeat, options.criu, options.dmtcp) as bench:
        text, record = measure_all(bench, rows)
        report.write_json(options.json, bench, record)
    if options.write_docs:
        report.write_docs(DOCS, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
