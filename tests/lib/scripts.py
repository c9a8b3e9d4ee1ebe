"""
tests/real and tests/cli: scripts; tests/unit and examples: programs that need no target.

A script runs in an empty folder of its own with
  STASIS         the tool
  STASIS_LEVEL   none, cap or root (at cap, STASIS is a copy with the file capability)
  STASIS_PREFIX  where the project is installed (bin, lib, include, share)
  STASIS_SOURCE  a copy of tests/, examples/ and include/
  SCRATCH        the folder
  STASIS_TIME_SCALE   how much slower than others this machine may be
  STASIS_CYCLES  how often what is done again and again is done
It ends with 0 (all is well), 77 (skipped, the last line says why) or anything else, after
telling what is wrong.  Comments in it: "# LEVELS: none cap root" (default: none) and
"# TIMEOUT: 300" (seconds; default 120).
"""

import glob
import os
import re

from .machine import LEVELS, Failure, Skip, end, explain, status_words, tail, wait_until

SKIP_STATUS = 77
INTERPRETERS = {".sh": "/bin/bash", ".py": "/usr/bin/python3"}


class ScriptTest:
    """A script at one level, or a program that tests something by itself."""

    def __init__(self, label, argv, level, tool, timeout):
        self.label, self.argv, self.level = label, argv, level
        self.tool, self.timeout = tool, timeout

    def run(self, machine):
        work = machine.folder("work", self.label.replace("/", "-").replace(" ", "."),
                              level=self.level)
        folder = os.path.join(work, "scratch")
        os.mkdir(folder, 0o700)
        machine.give(folder, self.level)
        out_path = os.path.join(work, "out")
        environment = {
            **self.tool.environment,
            "STASIS": self.tool.capable_path if self.level == "cap" else self.tool.path,
            "STASIS_LEVEL": self.level,
            "STASIS_PREFIX": self.tool.prefix_folder,
            "STASIS_SOURCE": self.tool.source_folder,
            "SCRATCH": folder,
            "STASIS_TIME_SCALE": f"{machine.time_scale:g}",
            "STASIS_CYCLES": str(machine.cycles),
        }
        with open(out_path, "wb") as out:
            process = machine.start(self.level, self.argv, cwd=folder, stdout=out,
                                    env=environment)
        try:
            # What is done more often than usual may take longer.
            status = machine.wait(process, self.timeout * max(1, machine.cycles / 200), "it")
        except Failure as failure:
            raise Failure(explain(str(failure), output=tail(out_path)))
        finally:
            clean_up(machine, process, work)
        if status == SKIP_STATUS:
            lines = tail(out_path).strip().splitlines() or ["no reason given"]
            raise Skip(lines[-1].removeprefix("skipped:").strip())
        if status != 0:
            raise Failure(explain(status_words(status), output=tail(out_path)))
        machine.forget(work)


def clean_up(machine, process, folder):
    if process.poll() is None:
        process.kill()
    for _ in range(20):
        left = machine.processes_under(folder)
        if not left:
            break
        for pid in left:
            end(pid)
        wait_until(lambda: not machine.processes_under(folder), 0.1)
    process.wait()


def discover(kind, tool, levels):
    """Scripts of tests/KIND, from the copy that an ordinary user can read."""
    tests = []
    folder = os.path.join(tool.source_folder, "tests", kind)
    for path in sorted(glob.glob(os.path.join(folder, "*"))):
        interpreter = INTERPRETERS.get(os.path.splitext(path)[1])
        name = os.path.basename(path)
        if interpreter is None or name.startswith("_"):
            continue
        with open(path) as file:
            text = file.read()
        wanted = directive(text, "LEVELS", "none").split()
        timeout = float(directive(text, "TIMEOUT", "120"))
        for level in LEVELS:
            if level in wanted and level in levels:
                tests.append(ScriptTest(f"{tool.prefix}{kind}/{name} {level}",
                                        [interpreter, path], level, tool, timeout))
    return tests


def directive(text, word, default):
    found = re.search(rf"^# {word}:(.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else default


def discover_units(tool):
    tests = []
    for path in sorted(glob.glob(os.path.join(tool.unit_folder, "unit-*"))):
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            name = os.path.basename(path).removeprefix("unit-")
            tests.append(ScriptTest(f"{tool.prefix}unit/{name}", [path], "none", tool, 120.0))
    return tests


def discover_replays(tool):
    """What the fuzzers found, and where they begin: harmless, again and again."""
    tests = []
    for path in sorted(glob.glob(os.path.join(tool.replay_folder, "replay-*"))):
        name = os.path.basename(path).removeprefix("replay-")
        inputs = os.path.join(tool.source_folder, "fuzz", "corpus", name)
        tests.append(ScriptTest(f"{tool.prefix}fuzz/{name}", [path, inputs], "none", tool, 120.0))
    return tests
