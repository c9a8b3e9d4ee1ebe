#!/usr/bin/python3
"""
Runs the fuzz targets of a build for some time, and says what was done.

  fuzz/run.py --build build-fuzz [--seconds 60] [--target NAME] [--jobs N] [--afl]
              [--input-seconds N]

Each target starts with fuzz/corpus/TARGET and with what earlier runs found (BUILD/found/TARGET).
What crashes, hangs, or takes too much memory is in BUILD/crashes, and the target has failed.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIMITS = {  # longest input; seconds, MiB in all, MiB at once
    "default": (131072, 10, 1024, 128),
    "proc": (8192, 5, 512, 64),
    "records": (65536, 5, 512, 128),
    "runs": (32768, 5, 512, 64),
}
SANITIZERS = {
    # What was freed is kept from being used again, for a while: 256 MiB of it would be most of the limit.
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:symbolize=1:handle_abort=1:"
                    "quarantine_size_mb=32",
    "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
}


class Run:
    """One target and how it went."""

    def __init__(self, name, options, scratch):
        self.name, self.options = name, options
        self.scratch = os.path.join(scratch, name)
        self.seeds = os.path.join(ROOT, "fuzz", "corpus", name)
        self.found = os.path.join(options.build, "found", name)
        self.crashes = os.path.join(options.build, "crashes")
        for folder in (self.scratch, self.found, self.crashes):
            os.makedirs(folder, exist_ok=True)
        self.executions, self.edges, self.features, self.cpu, self.status = 0, 0, 0, 0.0, None

    def command(self):
        longest, seconds, memory, allocation = LIMITS.get(self.name, LIMITS["default"])
        program = os.path.join(self.options.build, "fuzz", "fuzz-" + self.name)
        seconds = self.options.input_seconds or seconds
        if self.options.afl:
            return ["afl-fuzz", "-i", self.seeds, "-o", self.scratch, "-V",
                    str(self.options.seconds), "-t", str(seconds * 1000), "-m", "none", "--", program]
        return [program, f"-max_total_time={self.options.seconds}", f"-max_len={longest}",
                f"-timeout={seconds}", f"-rss_limit_mb={memory}", f"-malloc_limit_mb={allocation}",
                "-print_final_stats=1", "-reload=0", f"-artifact_prefix={self.crashes}/{self.name}-",
                self.found, self.seeds]

    def run(self):
        log = os.path.join(self.scratch, "log")
        environment = {**os.environ, **SANITIZERS, "TMPDIR": self.scratch}
        if self.options.afl:
            environment.update(AFL_SKIP_CPUFREQ="1", AFL_NO_UI="1", AFL_NO_AFFINITY="1",
                               AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1")
        with open(log, "wb") as out:
            child = subprocess.Popen(self.command(), stdout=out, stderr=out, env=environment,
                                     stdin=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
        child.returncode = self.status = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        with open(log, errors="replace") as file:
            text = file.read()
        self.read_afl() if self.options.afl else self.read(text)
        if self.status:
            kept = os.path.join(self.crashes, self.name + ".log")
            shutil.copy(log, kept)
            print(f"{self.name}: failed (status {self.status}); {kept}")
        return self

    def read(self, text):
        for edges, features in re.findall(r"cov: (\d+) ft: (\d+)", text)[-1:]:
            self.edges, self.features = int(edges), int(features)
        found = re.search(r"stat::number_of_executed_units: *(\d+)", text)
        count = re.findall(r"^#(\d+)", text, re.MULTILINE)
        self.executions = int(found.group(1) if found else count[-1] if count else 0)
        if not self.executions:
            self.status = self.status or 1

    def read_afl(self):
        stats = {}
        for path in glob.glob(os.path.join(self.scratch, "default", "fuzzer_stats")):
            with open(path) as file:
                stats = dict(re.findall(r"^(\w+) *: (.*)$", file.read(), re.MULTILINE))
        self.executions = int(stats.get("execs_done", 0))
        self.edges = int(stats.get("edges_found", 0))
        saved = glob.glob(os.path.join(self.scratch, "default", "crashes", "id*"))
        saved += glob.glob(os.path.join(self.scratch, "default", "hangs", "id*"))
        for path in saved:
            shutil.copy(path, os.path.join(self.crashes, f"{self.name}-{os.path.basename(path)}"))
        if saved or not self.executions:
            self.status = self.status or 1


def main():
    parser = argparse.ArgumentParser(description="Runs the fuzz targets.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build-fuzz"))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--afl", action="store_true")
    parser.add_argument("--input-seconds", type=int, metavar="N",
                        help="what one input may take, by the clock: more than the target's own "
                             "limit where the fuzzer is stopped now and then")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    there = sorted(os.path.basename(path).removeprefix("fuzz-") for path in
                   glob.glob(os.path.join(options.build, "fuzz", "fuzz-*")) if os.path.isfile(path))
    names = [name for name in there if not options.target or name in options.target]
    skipped = len(there) - len(names)
    with tempfile.TemporaryDirectory(prefix="stasis-fuzz-") as scratch:
        with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
            runs = list(pool.map(lambda name: Run(name, options, scratch).run(), names))
    print(f"{'target':10} {'executions':>12} {'edges':>7} {'features':>9} {'CPU':>9}")
    for run in runs:
        print(f"{run.name:10} {run.executions:12,} {run.edges:7,} {run.features:9,} "
              f"{run.cpu:7.0f} s{'  FAILED' if run.status else ''}")
    failed = sum(1 for run in runs if run.status)
    print(f"{'all':10} {sum(run.executions for run in runs):12,} {'':17} "
          f"{sum(run.cpu for run in runs):7.0f} s")
    print(f"{len(runs) - failed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
