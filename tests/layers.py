#!/usr/bin/python3
"""
Enforces the layers of docs/ARCHITECTURE.md by reading the #include lines:

  base <- arch <- {proc, image, priv} <- inject <- task <- kind <- engine <- api <- cli

A layer may include itself and what is below it, never a sibling and never what is above.
Kinds never include one another.  cli/ sees stasis.h only.  Files and functions stay small.
"""

import os
import re
import sys

RANKS = {"base": 0, "arch": 1, "proc": 2, "image": 2, "priv": 2, "inject": 3, "task": 4,
         "kind": 5, "engine": 6, "api": 7, "cli": 8}
GENERATED = {"records.pb-c.h": "image"}
PUBLIC_HEADER = "stasis.h"
MAY_SEE_PUBLIC_HEADER = ("engine", "api", "cli")
# What every kind is written against, and the one file that knows all kinds.
KIND_INTERFACE, KIND_TABLE = "kind/kind.h", "kind/kinds.c"
MAX_FILE_LINES = 650
MAX_FUNCTION_LINES = 80

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def layer_of(path):
    """The layer of a path that is relative to src/ (or below cli/)."""
    if path in GENERATED:
        return GENERATED[path]
    first = path.split("/")[0]
    return "api" if first.startswith("api.") or first.startswith("api-") else first


def sources(root, folder):
    for parent, folders, names in os.walk(os.path.join(root, folder)):
        folders.sort()
        for name in sorted(names):
            if name.endswith((".c", ".h", ".S")):
                yield os.path.relpath(os.path.join(parent, name), root)


def resolve(root, including, included):
    """The included path relative to src/, or "cli/..." for the command line's own headers."""
    beside = os.path.normpath(os.path.join(os.path.dirname(including), included))
    if os.path.exists(os.path.join(root, beside)):
        return beside.removeprefix("src/")
    return included


def of_one_kind(including, included):
    """kind/NAME.h belongs to kind/NAME.c and to kind/NAME-*.c."""
    own = os.path.splitext(included)[0]
    stem = os.path.splitext(including)[0]
    return stem == own or stem.startswith((own + "-", own + "_"))


def include_problem(including, included):
    """Why a file (path relative to src/) may not include another, or None."""
    layer, other = layer_of(including), layer_of(included)
    if included == PUBLIC_HEADER:
        return None if layer in MAY_SEE_PUBLIC_HEADER else f"{layer}/ does not see stasis.h"
    if other not in RANKS:
        return "there is no such layer"
    if layer == "cli":
        return None if other == "cli" else "cli/ sees stasis.h only"
    if RANKS[other] > RANKS[layer]:
        return f"{layer}/ is below {other}/"
    if RANKS[other] == RANKS[layer] and other != layer:
        return f"{layer}/ and {other}/ are siblings"
    if layer == other == "kind" and including != KIND_TABLE and included != KIND_INTERFACE \
            and not of_one_kind(including, included):
        return "kinds never include one another"
    return None


def check_file(root, path):
    with open(os.path.join(root, path)) as file:
        lines = file.read().splitlines()
    inner = path.removeprefix("src/")
    if layer_of(inner) not in RANKS:
        yield f"{path}: belongs to no layer"
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        problem = match and include_problem(inner, resolve(root, path, match.group(1)))
        if problem:
            yield f'{path}:{number}: includes "{match.group(1)}": {problem}'
    if len(lines) > MAX_FILE_LINES:
        yield f"{path}: {len(lines)} lines; more than {MAX_FILE_LINES} hold two things"
    start = 0
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            if number - start - 1 > MAX_FUNCTION_LINES:
                yield (f"{path}:{start}: a function of {number - start - 1} lines; "
                       f"more than {MAX_FUNCTION_LINES} hold two things")
            start = 0


def problems(root):
    return [problem for folder in ("src", "cli") for path in sources(root, folder)
            for problem in check_file(root, path)]


if __name__ == "__main__":
    found = problems(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    print("\n".join(found) if found else "layers: all is in its place")
    sys.exit(1 if found else 0)
