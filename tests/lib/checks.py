"""Checks of the tree and of what was built: layers, the batch, exported symbols, scripts."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import ladder
import layers

from .machine import Failure, Skip, explain


class Check:
    """A function of (source root, build folder) that raises Failure or Skip."""

    def __init__(self, name, function, root, build):
        self.label = "check/" + name
        self.function, self.root, self.build = function, root, build
        self.level = "none"

    def run(self, _machine):
        self.function(self.root, self.build)


def output_of(argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          **options)
    return done.returncode, done.stdout


def check_layers(root, _build):
    found = layers.problems(root)
    if found:
        raise Failure(explain(f"{len(found)} violations", layers="\n".join(found)))


def check_ladder(root, _build):
    found = ladder.problems(root)
    if found:
        raise Failure(explain(f"{len(found)} violations", ladder="\n".join(found)))


def check_layers_checker(_root, _build):
    """The rule itself: what it must find, and what it must let pass."""
    for including, included, allowed in (
            ("base/fd.c", "proc/maps.h", False), ("image/reader.c", "proc/maps.h", False),
            ("proc/maps.c", "base/fd.h", True), ("task/task.h", "records.pb-c.h", True),
            ("kind/pipe.c", "kind/kind.h", True), ("kind/pipe.c", "kind/eventfd.h", False),
            ("kind/kinds.c", "kind/pipe.h", True), ("kind/memory-map.c", "kind/memory.h", True),
            ("cli/main.c", "stasis.h", True), ("cli/main.c", "base/fd.h", False),
            ("task/task.c", "kind/kind.h", False), ("proc/maps.c", "stasis.h", False)):
        if (layers.include_problem(including, included) is None) != allowed:
            raise Failure(f"{including} includes {included}: should be "
                          f"{'allowed' if allowed else 'refused'}")


def check_batch(root, build):
    """The build checks the batch; here the check itself is checked, with a bad one."""
    checker = os.path.join(root, "tools", "check-batch.sh")
    with tempfile.TemporaryDirectory() as scratch:
        stamp = os.path.join(scratch, "stamp")
        status, said = output_of([checker, os.path.join(build, "src", "libbatch.a"), stamp])
        if status != 0:
            raise Failure(explain("the batch is not position independent", check=said))
        bad = os.path.join(scratch, "bad")
        with open(bad + ".S", "w") as source:
            source.write('.section .batch,"ax",@progbits\nmovabs $elsewhere, %rax\n')
        status, said = output_of(["cc", "-c", "-o", bad + ".o", bad + ".S"])
        if status != 0:
            raise Failure(explain("cannot assemble", cc=said))
        status, said = output_of([checker, bad + ".o", stamp])
        if status == 0:
            raise Failure("a batch with a relocation was let pass")


def check_exports(_root, build):
    """Nothing but stasis_* is visible, in the shared and in the static library."""
    for library, argv in (("libstasis.so", ["nm", "-D", "--defined-only"]),
                          ("libstasis.a", ["nm", "-g", "--defined-only"])):
        status, said = output_of([*argv, os.path.join(build, "src", library)])
        names = re.findall(r"^[0-9a-f]+ [A-Za-z] (\S+)$", said, re.MULTILINE)
        strange = [name for name in names if not name.startswith("stasis_")]
        if status != 0 or not names or strange:
            raise Failure(explain(f"{library} exports: {' '.join(strange) or 'nothing'}",
                                  nm=said if status else ""))


def check_header(root, _build):
    """The public header stands alone, in strict C and in C++."""
    header = os.path.join(root, "include", "stasis.h")
    for compiler, options in (("cc", ["-std=c99", "-pedantic"]), ("c++", ["-x", "c++"])):
        if shutil.which(compiler) is None:
            continue
        status, said = output_of([compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                  *options, "-include", header, "/dev/null"]
                                 if compiler == "c++" else
                                 [compiler, "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                  *options, "-x", "c", "-include", header, "/dev/null"])
        if status != 0:
            raise Failure(explain(f"stasis.h does not compile by itself with {compiler}",
                                  compiler=said))


def check_scripts(root, _build):
    if shutil.which("shellcheck") is None:
        raise Skip("there is no shellcheck")
    scripts = [os.path.join(root, ".ci", "run")]
    for pattern in ("tools/*.sh", "tests/*/*.sh", "bench/*.sh", "packaging/*.sh"):
        scripts += sorted(glob.glob(os.path.join(root, pattern)))
    # What begins with "_" is read by others and has no #! line that names its shell.
    parts = [path for path in scripts if os.path.basename(path).startswith("_")]
    whole = [path for path in scripts if path not in parts]
    # Neither does it see what they take from each other (set -u does).
    for options, paths in ((["--exclude=SC2154"], whole),
                           (["--shell=bash", "--exclude=SC2034"], parts)):
        status, said = output_of(["shellcheck", "--severity=warning", *options, *paths])
        if paths and status != 0:
            raise Failure(explain("shellcheck has remarks", shellcheck=said))


def check_static(tool):
    def check(root, build):
        sys.path.append(os.path.join(root, "tools"))
        import static  # not where there is only what is installed
        try:
            found = static.problems(build, tool)
        except static.Missing as missing:
            raise Skip(str(missing))
        except static.Broken as broken:
            raise Failure(str(broken))
        if found:
            raise Failure(explain(f"{len(found)} remarks", **{tool.replace("-", "_"): "\n".join(found)}))
    return check


def check_faults(root, build):
    """Some of make test-faults."""
    status, said = output_of([sys.executable, os.path.join(root, "tests", "faults", "run.py"),
                              "--build", build, "--every", "101", "--seed", "1", "-k",
                              "^faults/(checkpoint|checkpoint-tree|restore) "
                              "(kill|errno|short|signal|ended|stopped|traced) none"])
    if status != 0:
        raise Failure(explain("the program or its restore was harmed", faults=said))


def check_pages(root, _build):
    """The man pages format without a warning."""
    pages = sorted(glob.glob(os.path.join(root, "man", "*.[1-8]")))
    if not pages:
        raise Failure("there are no man pages")
    if shutil.which("man") is None:
        raise Skip("there is no man")
    for page in pages:
        status, said = output_of(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                                 env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
                                      "MANROFFSEQ": "", "MANWIDTH": "80"})
        warnings = [line for line in said.splitlines()
                    if re.search(r"(warning|error|cannot)\b", line) and page in line]
        if status != 0 or warnings:
            raise Failure(explain(f"{os.path.basename(page)} has warnings",
                                  man="\n".join(warnings or said.splitlines()[-5:])))


def check_bench(root, build):
    """The benchmark still runs and finds values; what they are is the machine's affair."""
    environment = {**os.environ, "SCALE": "tiny"}
    status, said = output_of([sys.executable, os.path.join(root, "bench", "run.py"),
                              os.path.join(build, "cli", "stasis"), "--rows", "small"],
                             env=environment)
    if status != 0:
        raise Failure(explain("bench/run.py fails", bench=said))
    values = json.loads(said.splitlines()[-1])["rows"]["small"]["values"]
    for what in ("kill", "restore"):
        if values.get(f"stasis: {what}", {}).get("median", 0) <= 0:
            raise Failure(explain(f"bench/run.py has no value for {what}", bench=said))


def discover(root, build):
    functions = {"layers": check_layers, "layers-checker": check_layers_checker, "ladder": check_ladder,
                 "batch": check_batch, "exports": check_exports, "header": check_header,
                 "gcc": check_static("gcc"), "clang-tidy": check_static("clang-tidy"),
                 "cppcheck": check_static("cppcheck"), "faults": check_faults, "scripts": check_scripts, "man-pages": check_pages, "bench": check_bench}
    return [Check(name, function, root, build) for name, function in functions.items()]
