#!/usr/bin/python3
"""
Does harm to the tool, and looks whether the program that it works on is harmed.

  tests/faults/run.py --build build [--every N] [--random N] [--errno NAME ...] [-k PATTERN]
                      [--seed N] [--list]

What there is stands in plans.py, and is named OPERATION WAY LEVEL:

  kill     the tool is ended before each of its system calls in turn
  random   ... from outside, at random times
  errno    each of its system calls fails in turn, with each of several errors
  short    each transfers less than was asked for
  signal   it gets SIGINT, SIGTERM and SIGHUP before each of its system calls
  ended    the program gets SIGKILL, before each of the tool's system calls
  stopped  ... SIGSTOP, and SIGCONT when the tool has ended
  traced   ... somebody else begins to trace it, and goes on for a moment
  inside   each of the calls that it makes in the program fails, with each of several errors;
           takes a build with -Dfaults=true: --faults-build

The program (victim.c) watches itself without pause.  --every N takes each N-th call only, from a place
of its own in each run (--seed).  Ends as tests/run.py does; before that, one line says for each part
what was tried.
"""

import argparse
import os
import random
import re
import shutil
import sys
import time

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from faults.parts import ERRORS, run_part  # noqa: E402
from faults.plans import PLANS  # noqa: E402
from faults.scene import apart  # noqa: E402
from lib.machine import Failure, Machine  # noqa: E402


def copy_programs(machine, build, faults_build=None):
    """Where an ordinary user can read them."""
    programs = {}
    paths = {name: os.path.join(build, path) for name, path in (
        ("stasis", "cli/stasis"), ("step", "tests/faults-step"), ("victim", "tests/faults-victim"),
        ("tracer", "tests/faults-tracer"))}
    if faults_build:
        paths["failing"] = os.path.join(faults_build, "cli/stasis")
    for name, path in paths.items():
        programs[name] = os.path.join(machine.folder("faults", name), name)
        shutil.copy(path, programs[name])
        os.chmod(programs[name], 0o755)
    return programs


def run_all(options, isolated):
    machine = Machine()
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        programs = copy_programs(machine, options.build, options.faults_build)
        for plan in PLANS:
            if not re.search(options.k, plan.label):
                continue
            obstacle = machine.level_obstacle(plan.level)
            if plan.way == "inside" and not options.faults_build:
                obstacle = "needs --faults-build"
            if obstacle:
                print(f"skipped {plan.label}: {obstacle}", flush=True)
                counts["skipped"] += 1
                continue
            started = time.monotonic()
            failures = []
            try:
                words = run_part(plan, machine, programs, isolated, options, failures)
                print(f"{plan.label}: {words} ({time.monotonic() - started:.0f} s)", flush=True)
            except Failure as failure:
                failures.append(str(failure))
            for reason in failures:
                print(f"FAILED  {plan.label}: {reason}", flush=True)
            counts["failed" if failures else "passed"] += 1
    finally:
        machine.close()
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts), flush=True)
    return 1 if counts["failed"] or not counts["passed"] else 0


def main():
    parser = argparse.ArgumentParser(description="Faults while a program is saved or restored.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--faults-build")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--random", type=int, default=2000)
    parser.add_argument("--errno", action="append", choices=ERRORS)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="N",
                        help="begin with this call")
    parser.add_argument("--to", type=int, default=1 << 30, dest="last", metavar="N")
    parser.add_argument("-k", default="", metavar="PATTERN")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(plan.label for plan in PLANS))
        return 0
    print(f"seed {options.seed}", flush=True)
    return apart(lambda isolated: run_all(options, isolated))


if __name__ == "__main__":
    sys.exit(main())
