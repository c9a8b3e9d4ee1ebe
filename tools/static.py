#!/usr/bin/python3
"""
Runs the static checkers over everything that is installed (src, cli) and the examples.

  tools/static.py --build build [--tool gcc|clang-tidy|cppcheck] [--jobs N] [PATTERN]

gcc is gcc -fanalyzer; which checks of the others are on, and why some are not, is below.  A remark
that is wrong stands in tools/static/accepted with the reason; one that does not come any more has to
leave that list.  PATTERN: only files whose path has it in it.  Ends with 1 if there is a remark,
with 2 if a checker is missing or does not work.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CONTRACTS = os.path.join(ROOT, "tools", "static", "contracts.h")
ACCEPTED = os.path.join(ROOT, "tools", "static", "accepted")
FOLDERS = ("src", "cli", "examples")

GCC = [
    "-fanalyzer",
    # GCC 12 does not see what __attribute__((cleanup)) frees.  LeakSanitizer sees to leaks in the tests.
    "-Wno-analyzer-malloc-leak", "-Wno-analyzer-file-leak",
]
CLANG_TIDY = [
    "clang-analyzer-*",
    "-clang-analyzer-security.insecureAPI.*",  # wants memcpy_s, which no C library here has
    # Neither sees what __attribute__((cleanup)) frees, or reads.
    "-clang-analyzer-unix.Malloc", "-clang-analyzer-deadcode.DeadStores",
    "bugprone-*",
    "-bugprone-branch-clone",                  # the same end for two reasons
    "-bugprone-easily-swappable-parameters",   # no fault, and everywhere
    "-bugprone-implicit-widening-of-multiplication-result",  # products of constants, all of them
    "-bugprone-narrowing-conversions",         # -Wconversion sees to that where it matters
    "-bugprone-reserved-identifier",           # _GNU_SOURCE
    "-bugprone-sizeof-expression",             # sizeof *pointers, in arrays of pointers
    "concurrency-thread-canceltype-asynchronous",
    "cert-env33-c", "cert-fio38-c", "cert-flp30-c", "cert-msc30-c", "cert-pos44-c", "cert-sig30-c",
    "misc-misplaced-const", "misc-redundant-expression", "misc-unused-parameters",
    "performance-*",
    "-performance-no-int-to-ptr",              # addresses of others are numbers
    "portability-*",
    "readability-inconsistent-declaration-parameter-name", "readability-misleading-indentation",
    "readability-redundant-*",
]
# Half of the time: gcc -fanalyzer goes deep.
CLANG_ANALYZER = ["-Xclang", "-analyzer-config", "-Xclang", "mode=shallow"]
CPPCHECK = [
    "--quiet", "--std=c11", "--enable=warning,performance,portability", "--inline-suppr",
    "--template={file}:{line}:{column}: {severity}: {message} [{id}]",
    # Debian 12's cppcheck does not read a cleanup attribute between a declaration's type and name.
    "--suppress=internalAstError", "--suppress=memleak", "--suppress=resourceLeak",
    "--suppress=comparePointers",              # symbols of the linker and of assembly
    "--suppress=preprocessorErrorDirective", "--suppress=missingIncludeSystem",
]
REMARK = re.compile(r"^(?P<path>[^:\s]+):\d+:\d+: (?:warning|error|performance|portability|fatal error): "
                    r"(?P<words>.*) \[(?P<check>[^\]]+)\]$", re.MULTILINE)
UNREADABLE = re.compile(r"^.*(?:fatal error|clang-diagnostic-error).*$", re.MULTILINE)


class Missing(Exception):
    """A checker that is not there."""


class Broken(Exception):
    """One that does not do what it should."""


def files_of(build):
    """(path relative to the root, folder of the build, command without outputs) of each C file."""
    with open(os.path.join(build, "compile_commands.json")) as file:
        commands = json.load(file)
    for entry in commands:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if not path.startswith(FOLDERS) or not path.endswith(".c"):
            continue
        words, skip = [], 0
        command = shlex.split(entry["command"])[:-1]
        if os.path.basename(command[0]) == "ccache":
            del command[0]
        for word in command:
            if skip:
                skip = 0
            elif word in ("-MQ", "-MF", "-o"):
                skip = 1
            elif word not in ("-MD", "-c", "-Werror", "-Winvalid-pch") and \
                    not word.startswith("-fdiagnostics-color"):
                words.append(word)
        yield path, entry["directory"], words


def contracts(path):
    """The library's own files are told what the functions of base/error.h promise."""
    if not path.startswith("src/") or path == "src/base/error.c":
        return []
    return ["-I" + os.path.join(ROOT, "src"), "-include", CONTRACTS]


def ask(argv, folder):
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          env={**os.environ, "LC_ALL": "C"})
    return done.returncode, done.stdout


def run_gcc(path, folder, words, _scratch):
    argv = [words[0], *GCC, "-fdiagnostics-color=never", "-fdiagnostics-plain-output", *words[1:],
            *contracts(path), "-S", "-o", "/dev/null", os.path.join(ROOT, path)]
    return ask(argv, folder)


def run_clang_tidy(path, folder, words, _scratch):
    argv = ["clang-tidy", "--quiet", "--checks=-*," + ",".join(CLANG_TIDY),
            *(f"--extra-arg={word}" for word in CLANG_ANALYZER), os.path.join(ROOT, path), "--", *words[1:], "-Wno-unknown-warning-option", *contracts(path)]
    return ask(argv, folder)


def run_cppcheck(path, folder, words, scratch):
    wanted = [word for word in words if word.startswith(("-I", "-D"))]
    argv = ["cppcheck", *CPPCHECK, "--cppcheck-build-dir=" + scratch, *wanted,
            os.path.join(ROOT, path)]
    return ask(argv, folder)


TOOLS = {"gcc": ("cc", run_gcc), "clang-tidy": ("clang-tidy", run_clang_tidy),
         "cppcheck": ("cppcheck", run_cppcheck)}


def read_accepted(tool):
    """{"path: words [check]"}; the reasons are comments above them."""
    with open(ACCEPTED) as file:
        lines = [line.strip() for line in file]
    return {line.partition(" ")[2] for line in lines if line.startswith(tool + " ")}


def remarks_of(output, folder):
    for found in REMARK.finditer(output):
        path = os.path.relpath(os.path.join(folder, found["path"]), ROOT)
        yield f"{path}: {found['words']} [{found['check']}]", found[0]


def problems(build, tool, jobs=1, pattern=""):
    """Sentences; none: all is well."""
    command, run = TOOLS[tool]
    if shutil.which(command) is None:
        raise Missing(f"there is no {command}")
    files = [each for each in files_of(build) if pattern in each[0]]
    accepted, seen, found = read_accepted(tool), set(), []
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        tasks = [(each, pool.submit(run, *each, scratch)) for each in files]
        for (path, folder, _words), task in tasks:
            status, output = task.result()
            unreadable = UNREADABLE.search(output)
            if unreadable or (status != 0 and not REMARK.search(output)):
                raise Broken(f"{tool} cannot read {path}: "
                             f"{unreadable[0] if unreadable else output[-500:]}")
            for key, whole in remarks_of(output, folder):
                if key in accepted:
                    seen.add(key)
                elif whole not in found:
                    found.append(whole)
    stale = [] if pattern else sorted(accepted - seen)
    return found + [f"{ACCEPTED}: this comes no more: {key}" for key in stale]


def main():
    parser = argparse.ArgumentParser(description="Static checks.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--tool", action="append", choices=TOOLS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("pattern", nargs="?", default="")
    options = parser.parse_args()
    failed = False
    for tool in options.tool or TOOLS:
        try:
            found = problems(os.path.abspath(options.build), tool, options.jobs, options.pattern)
        except (Missing, Broken) as trouble:
            print(trouble, file=sys.stderr)
            return 2
        print("\n".join([*found, f"{tool}: {len(found)} remarks"]), flush=True)
        failed = failed or bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
