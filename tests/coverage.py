#!/usr/bin/python3
"""
Which lines of src the tests run, and whether each refusal is brought about by some test.

  tests/coverage.py --build build --coverage-build build-coverage --folder FOLDER
                    [--no-run] [--least 85] [RUN-OPTION...]

The coverage build is one by clang with -Dcoverage=FOLDER.  Runs tests/run.py with it (RUN-OPTIONs are
passed on) and tells, file by file, how many lines were run; then each call of refuse() that was
not, with its sentence, unless it stands in tests/refusals-untested.  Ends with 1 where less than
--least percent of the lines were run, such a call stands nowhere, or one there was run.  What the
tests found themselves is told and no more: programs with counters that save each other have their
counters' files changed meanwhile, and a few fail for that.  --no-run: what an earlier run has counted.
"""

import argparse
import collections
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
UNTESTED = os.path.join(ROOT, "tests", "refusals-untested")
REFUSAL = re.compile(r"\brefuse\(")
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def programs_of(build):
    """What counts: the tool, the library that others load, and the programs of the tests."""
    found = [os.path.join(build, "cli", "stasis"), os.path.join(build, "src", "libstasis.so")]
    for pattern in ("tests/unit-*", "fuzz/replay-*"):
        found += [path for path in sorted(glob.glob(os.path.join(build, pattern)))
                  if os.path.isfile(path) and os.access(path, os.X_OK)]
    return found


def prepare(folder, programs):
    """The files of the counters, writable for every user that the tests have."""
    os.umask(0)
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)  # without the sticky bit, which keeps even root from a file of others
    for path in glob.glob(os.path.join(folder, "*")):
        os.unlink(path)
    subprocess.run([programs[0], "--version"], check=True, stdout=subprocess.DEVNULL)


def run_tests(options, rest):
    argv = [sys.executable, os.path.join(ROOT, "tests", "run.py"), "--build", options.build,
            "--coverage-build", options.coverage_build, *rest]
    subprocess.run(argv, check=False)


def counts_of(folder, programs):
    """{path relative to the root: {line: how often}}, for src."""
    merged = os.path.join(folder, "merged")
    subprocess.run(["llvm-profdata", "merge", "-o", merged,
                    *glob.glob(os.path.join(folder, "*.profraw"))], check=True)
    objects = [word for path in programs[1:] for word in ("-object", path)]
    told = subprocess.run(["llvm-cov", "export", "-format=lcov", "-instr-profile=" + merged,
                           programs[0], *objects, os.path.join(ROOT, "src")],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    counts, path = collections.defaultdict(dict), None
    for line in told.splitlines():
        word, _, value = line.partition(":")
        if word == "SF":
            path = os.path.relpath(value, ROOT)
        elif word == "DA":
            number, count = value.split(",")[:2]
            counts[path][int(number)] = int(count)
    return {path: lines for path, lines in counts.items() if path.startswith("src/")}


def report_lines(counts):
    """A line for each layer; returns the share of all lines that were run, in percent."""
    layers = collections.defaultdict(lambda: [0, 0])
    for path, lines in counts.items():
        layer = os.path.dirname(path)
        for name in (layer, "all"):
            layers[name][0] += sum(count > 0 for count in lines.values())
            layers[name][1] += len(lines)
    for name in sorted(layers):
        run, there = layers[name]
        print(f"  {name:<18} {run:>6} of {there:>6} lines  {100 * run / there:5.1f} %")
    run, there = layers["all"]
    return 100 * run / there


def sentence_at(text, at):
    """The format of the call that begins there, its fourth argument: adjacent strings are one."""
    arguments, depth = [""], 0
    for token in TOKEN.findall(text[at:at + 3000]):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if token == ")" and depth == 0:
            break
        if token == "," and depth == 1:
            arguments.append("")
        else:
            arguments[-1] += token
    return "".join(STRING.findall(arguments[3])) if len(arguments) > 3 else ""


def refusals(path):
    """(line, sentence) of each call of refuse()."""
    with open(os.path.join(ROOT, path)) as file:
        text = file.read()
    for found in REFUSAL.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if not text[text.rfind("\n", 0, found.start()) + 1:found.start()].startswith(("int ", " *")):
            yield line, sentence_at(text, found.start())


def read_untested():
    """{(path, sentence)}"""
    with open(UNTESTED) as file:
        lines = [line.rstrip("\n") for line in file]
    return {tuple(line.split(": ", 1)) for line in lines if line and not line.startswith("#")}


def report_refusals(counts):
    """How many calls were not run and stand nowhere, or stand there and were run."""
    excused, seen, there, run, missing = read_untested(), set(), 0, 0, 0
    for path in sorted(counts):
        for line, sentence in refusals(path):
            there += 1
            if counts[path].get(line, 0) > 0:
                run += 1
            elif (path, sentence) in excused:
                seen.add((path, sentence))
            else:
                missing += 1
                print(f"  {path}:{line}: no test brings about \"{sentence}\"")
    for path, sentence in sorted(excused - seen):
        print(f"  {UNTESTED}: is brought about, or is not there: {path}: {sentence}")
    print(f"  refusals: {there} calls, {run} brought about, {len(seen)} in the list of those that are "
          f"not, {missing} nowhere")
    return missing + len(excused - seen)


def main():
    parser = argparse.ArgumentParser(description="What the tests run.")
    parser.add_argument("--build", required=True)
    parser.add_argument("--coverage-build", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--least", type=float, default=85)
    options, rest = parser.parse_known_args()
    programs = programs_of(options.coverage_build)
    if not options.no_run:
        prepare(options.folder, programs)
        run_tests(options, rest)
    counts = counts_of(options.folder, programs)
    print("coverage:")
    percent = report_lines(counts)
    missing = report_refusals(counts)
    return 1 if missing or percent < options.least else 0


if __name__ == "__main__":
    sys.exit(main())
