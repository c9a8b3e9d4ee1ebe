#!/usr/bin/python3
"""
Runs the tests.

  tests/run.py --build build [--asan-build build-asan] [-k PATTERN] [--level none] [-v] ...

What there is: kind/ (programs that are checkpointed), soak/ (random trees of processes), real/
and cli/ (scripts), unit/ (programs that test parts of the library) and check/ (of the tree and of
the build).  tests/lib/kinds.py, soak.py and scripts.py say how each is written.

Started as root, everything of level "none" runs under a fresh uid without groups or
capabilities, "cap" adds CAP_CHECKPOINT_RESTORE to the tool alone, and "root" is root.
Started as anybody else, only "none" can run.
"""

import argparse
import collections
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from lib import checks, kinds, scripts, soak  # noqa: E402
from lib.machine import FAILED, LEVELS, PASSED, SKIPPED, Failure, Machine, Skip  # noqa: E402

# LeakSanitizer stops the threads of a process by ptrace, when the tool is already done.
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99:print_stacktrace=1",
    "LSAN_OPTIONS": "exitcode=99",
}


class Tool:
    """A build of stasis, installed where an ordinary user can read it."""

    def __init__(self, machine, build, name, sanitized, installed=None):
        self.prefix = name + "-" if name else ""
        self.environment = SANITIZER_ENVIRONMENT if sanitized else {}
        top = machine.scratch
        self.prefix_folder = os.path.join(top, self.prefix + "prefix")
        if installed:
            shutil.copytree(os.path.join(installed, "prefix"), self.prefix_folder, symlinks=True)
        else:
            subprocess.run(["meson", "install", "--quiet", "--no-rebuild", "-C", build, "--destdir",
                            self.prefix_folder], check=True, stdout=subprocess.DEVNULL)
        self.path = os.path.join(self.prefix_folder, "bin", "stasis")
        self.capable_path = os.path.join(top, self.prefix + "capable", "stasis")
        if machine.is_root:
            os.mkdir(os.path.dirname(self.capable_path), 0o755)
            shutil.copy(self.path, self.capable_path)
            subprocess.run(["setcap", "cap_checkpoint_restore+ep", self.capable_path], check=False)
        self.unit_folder = copy_programs(build, "unit-", os.path.join(top, self.prefix + "unit"))
        self.kind_folder = copy_programs(build, "kind-", os.path.join(top, self.prefix + "kind"))
        self.soak_folder = copy_programs(build, "soak-", os.path.join(top, self.prefix + "soak"))
        self.replay_folder = copy_programs(build, "replay-", os.path.join(top, self.prefix + "replay"),
                                           "fuzz")
        self.source_folder = os.path.join(top, "source")
        if not os.path.exists(self.source_folder):
            for folder in ("tests", "examples", "include", "fuzz"):
                shutil.copytree(os.path.join(ROOT, folder),
                                os.path.join(self.source_folder, folder),
                                ignore=shutil.ignore_patterns("__pycache__"))
            make_readable(self.source_folder)
        make_readable(self.prefix_folder)


def copy_programs(build, prefix, target, below="tests"):
    os.makedirs(target, mode=0o755)
    folder = os.path.join(build, below)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        if name.startswith(prefix) and os.path.isfile(path) and os.access(path, os.X_OK):
            shutil.copy(path, target)
    make_readable(target)
    return target


def make_readable(top):
    for parent, _folders, names in os.walk(top):
        os.chmod(parent, 0o755)
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)


class Report:
    """Counts, and prints one paragraph for each test that did not pass."""

    def __init__(self, verbose):
        self.verbose = verbose
        self.counts = collections.Counter()
        self.lock = threading.Lock()

    def add(self, label, outcome, reason="", seconds=0.0, count=1):
        with self.lock:
            self.counts[outcome] += count
            if outcome == FAILED:
                print(f"FAILED  {label}: {reason}")
            elif outcome == SKIPPED:
                print(f"skipped {label}: {reason}")
            elif self.verbose:
                print(f"passed  {label} ({seconds:.2f} s)")
            sys.stdout.flush()

    def conclude(self):
        print(f"{self.counts[PASSED]} passed, {self.counts[FAILED]} failed, "
              f"{self.counts[SKIPPED]} skipped")
        return 1 if self.counts[FAILED] or not self.counts[PASSED] else 0


def run_one(test, machine, report):
    started = time.monotonic()
    try:
        test.run(machine)
        report.add(test.label, PASSED, seconds=time.monotonic() - started)
    except Skip as skip:
        report.add(test.label, SKIPPED, str(skip))
    except Failure as failure:
        report.add(test.label, FAILED, str(failure))
    except Exception:
        report.add(test.label, FAILED, "the driver itself failed:\n" + traceback.format_exc())


def discover(options, machine):
    """All tests that this run asks for, the driver's levels aside."""
    levels = options.level or LEVELS
    modes = options.mode or kinds.MODES
    kind_sources = os.path.join(ROOT, "tests", "kind")
    tests = []
    plain = tool = Tool(machine, options.installed or options.build, "", False,
                        options.installed)
    if options.asan_build:
        sanitized = Tool(machine, options.asan_build, "asan", True)
        sanitized.kind_folder = plain.kind_folder      # targets are never sanitized,
        sanitized.prefix_folder = plain.prefix_folder  # nor what others build with the library
        tool = sanitized if options.asan else plain
    if options.coverage_build:
        tool = Tool(machine, options.coverage_build, "coverage", False)
        tool.kind_folder = plain.kind_folder  # targets are never instrumented
        tests += scripts.discover_replays(tool)
    if not options.installed:
        tests += checks.discover(ROOT, options.build)
    tests += scripts.discover_units(tool)
    tests += kinds.discover(kind_sources, tool, levels, modes)
    tests += soak.discover(os.path.join(ROOT, "tests", "soak"), tool, levels, options.seeds,
                           options.seed)
    tests += scripts.discover("cli", tool, levels)
    tests += scripts.discover("real", tool, levels)
    if options.asan_build and not options.asan:
        tests += scripts.discover_units(sanitized)
        tests += scripts.discover_replays(sanitized)
        tests += kinds.discover(kind_sources, sanitized,
                                [level for level in levels if level == "none"],
                                [mode for mode in modes if mode == "move"])
    return [test for test in tests if re.search(options.k, test.label)]


def without_impossible(tests, machine, report):
    """The tests that can run here; one line for each level that cannot."""
    possible = []
    for level in LEVELS:
        obstacle = machine.level_obstacle(level)
        concerned = [test for test in tests if test.level == level]
        if obstacle is None:
            possible += concerned
        elif concerned:
            report.add(f"level {level} ({len(concerned)} tests)", SKIPPED, obstacle,
                       count=len(concerned))
    order = {id(test): index for index, test in enumerate(tests)}
    return sorted(possible, key=lambda test: order[id(test)])


def parse_arguments():
    parser = argparse.ArgumentParser(description="Runs the tests of Stasis.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--installed", metavar="DIR", help="no build: what is to be tested is in "
                        "DIR/prefix, the programs of the tests in DIR/tests")
    parser.add_argument("--asan-build", help="a sanitizer build: adds kind/ tests with it")
    parser.add_argument("--asan", action="store_true", help="only the sanitizer build's tool")
    parser.add_argument("--coverage-build", help="the tool and the unit tests of that build, and the "
                        "fuzzers' inputs: tests/coverage.py")
    parser.add_argument("-k", default="", metavar="PATTERN", help="labels that match")
    parser.add_argument("--level", action="append", choices=LEVELS)
    parser.add_argument("--mode", action="append", choices=kinds.MODES)
    parser.add_argument("--seeds", type=int, default=40, help="how many trees soak/ makes")
    parser.add_argument("--seed", type=int, help="soak/ makes the tree of this seed only")
    parser.add_argument("--cycles", type=int, default=200, help="how often real/cycles.py saves and "
                        "restores its program")
    parser.add_argument("-j", type=int, default=min(os.cpu_count() or 2, 4))
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--list", action="store_true", help="print the labels and end")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    parser.add_argument("--time-scale", type=float, default=1.0, help="for a slow machine")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    if options.asan and not options.asan_build:
        options.asan_build = options.build + "-asan"
    if options.asan_build:
        options.asan_build = os.path.abspath(options.asan_build)
    if options.coverage_build:
        options.coverage_build = os.path.abspath(options.coverage_build)
    return options


def main():
    options = parse_arguments()
    os.umask(0o022)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up then, too
    # A shell starts its background jobs with these ignored, and programs under test inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    machine = Machine(keep=options.keep, time_scale=options.time_scale, cycles=options.cycles)
    report = Report(options.verbose)
    try:
        tests = discover(options, machine)
        if options.list:
            print("\n".join(test.label for test in tests))
            return 0
        tests = without_impossible(tests, machine, report)
        with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
            try:
                for done in [pool.submit(run_one, test, machine, report) for test in tests]:
                    done.result()
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        machine.close()
    return report.conclude()


if __name__ == "__main__":
    sys.exit(main())
