#!/usr/bin/python3
# LEVELS: none cap root
"""
stasis audit: it agrees with this kernel, has the columns that its level can make and says why it
has no others, explains its cells, and leaves nothing behind, also when it is killed.
"""

import glob
import json
import os
import re
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
LEVEL = os.environ["STASIS_LEVEL"]
COLUMNS = {"none": {"none", "userns"}, "cap": {"none", "cap", "userns"},
           "root": {"none", "cap", "ptrace", "admin", "userns", "other", "root"}}
VICTIMS = {"none": {"same", "nodump", "dropped"}, "cap": {"same", "nodump", "gained", "dropped"},
           "root": {"same", "nodump", "gained", "other", "dropped"}}
FOLDERS = [place + "/stasis-audit.PID.*" for place in ("/tmp", "/var/tmp", "/dev/shm")]


def check(condition, what):
    if not condition:
        sys.exit(what)


def audit(*arguments, **options):
    return subprocess.run([STASIS, "audit", *arguments], capture_output=True, text=True,
                          timeout=60, check=False, **options)


def ours():
    """The audit's processes: of our session, or (the guardian) ours at the head of its own."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                name, rest = file.read().partition("(")[2].rsplit(")", 1)
            pid, session = int(path.split("/")[2]), int(rest.split()[3])
            if rest.split()[0] == "Z" or name != "stasis":
                continue
            if session == os.getsid(0) or (session == pid
                                           and os.stat(path).st_uid == os.geteuid()):
                found.add(pid)
        except OSError:
            pass
    return found


def folders(pid):
    """What the audit with this number has made."""
    return {path for pattern in FOLDERS for path in glob.glob(pattern.replace("PID", str(pid)))}


def may_make_namespaces():
    return subprocess.run(["unshare", "-Ur", "true"], capture_output=True,
                          check=False).returncode == 0


def document():
    began = time.monotonic()
    done = audit("--json")
    took = time.monotonic() - began
    check(done.returncode == 0, f"exit status {done.returncode}:\n{audit().stdout}{done.stderr}")
    check(took < 10, f"it took {took:.1f} s")
    return json.loads(done.stdout)


def made(parties):
    for party in parties:
        check(party["made"] or party["why_not"], f"no reason why there is no {party['name']}")
    return {party["name"] for party in parties if party["made"]}


def check_document(doc):
    columns, victims = set(COLUMNS[LEVEL]), set(VICTIMS[LEVEL])
    if not may_make_namespaces():
        columns -= {"userns"}
        victims -= {"dropped"} if LEVEL != "root" else set()
    if LEVEL != "root" or made(doc["callers"]) >= {"ptrace", "admin"}:  # a container's root is less
        check(made(doc["callers"]) == columns, f"columns {made(doc['callers'])}")
        check(made(doc["victims"]) == victims, f"victims {doc['victims']}")
    cells = {cell["cell"]: cell for cell in doc["cells"]}
    counts = doc["counts"]
    check(len(cells) == len(doc["cells"]) == counts["tried"], "cells are not what was counted")
    check(sum(counts[name] for name in ("agrees", "stricter", "looser", "different", "unknown"))
          == counts["tried"], f"{counts}")
    check(counts["agrees"] > counts["tried"] * 0.9, f"{counts}")
    for cell in cells.values():
        check(cell["caller"] in columns, f"{cell['cell']} of a column that was not made")
    return cells


def check_findings(cells):
    """What this project stands on, whatever the policies say."""
    def says(cell, expected):
        got = cells[cell]["kernel"]
        check(got == expected or got == "not here", f"{cell}: {got}, not {expected}")

    says("map_files.readlink@same/none", "yes")
    says("map_files.open-read@same/none", "EPERM")
    says("clone3.set_tid/none", "EPERM")
    says("mm_map/none", "yes")
    says("reopen.memfd-readonly@same/none", "yes")
    says("reopen.memfd-sealed@same/none", "EPERM")
    says("file.by-path@same/none", "EACCES")
    says("reopen.file@same/none", "yes")
    says("maps@nodump/none", "EACCES")
    says("shared.read/none", "SIGBUS")
    says("shrink-sealed.read/none", "yes")
    if LEVEL in ("cap", "root"):
        says("map_files.truncate@same/cap", "yes")
        says("map_files.open-read@nodump/cap", "EACCES")
        says("clone3.set_tid/cap", "yes")
        says("mm_map.exe_fd/cap", "yes")
        says("map_files.open-read@gained/none", "EACCES")
    if LEVEL == "root":
        says("map_files.open-read@other/cap", "EACCES")
        says("maps@other/ptrace", "yes")
        says("map_files.open-read@same/userns", "EACCES")


def check_text():
    done = audit()
    check(done.returncode == 0 and not done.stderr,
          f"{done.returncode} {done.stdout[-3000:]}{done.stderr}")
    check("\033" not in done.stdout, "colours, and no terminal")
    check(re.search(r"^\d+ cells tried: \d+ agree with \S+, 0 stricter, 0 looser", done.stdout,
                    re.MULTILINE), f"no summary in {done.stdout[-300:]}")
    if LEVEL == "none":
        check("admin     cannot be made here: " in done.stdout, "no reason for a column")


def check_explain():
    done = audit("--explain", "map_files.open-read/none")
    check(done.returncode == 0, f"{done.returncode} {done.stderr}")
    for part in ("map_files.open-read@same/none", "says EPERM", "CAP_CHECKPOINT_RESTORE",
                 "source: fs/proc/base.c"):
        check(part in done.stdout, f"no {part!r} in {done.stdout}")
    done = audit("--explain", "maps@other/admin")  # known without being tried, at level none
    check(done.returncode == 0, f"{done.returncode} {done.stderr}")
    if LEVEL == "none":
        check("not tried" in done.stdout, done.stdout)
    done = audit("--json", "--explain", "maps/none")
    check(len(json.loads(done.stdout)["cells"]) == 1, "more than one cell")
    check(json.loads(done.stdout)["explanation"], "no explanation")


def check_usage():
    for arguments, said in ((["--explain", "map_files.opn-read/cap"], "map_files.open-read/cap"),
                            (["--explain", ""], "nearest names"), (["--explain"], "needs a value"),
                            (["extra"], "no arguments"), (["--what"], "no option")):
        done = audit(*arguments)
        check(done.returncode == 2 and said in done.stderr and not done.stdout,
              f"{arguments}: {done.returncode} {done.stdout} {done.stderr}")


def check_closed_output():
    with open("/dev/full", "w") as full:
        done = subprocess.run([STASIS, "audit"], stdout=full, stderr=subprocess.PIPE, check=False)
    check(done.returncode == 1 and b"No space" in done.stderr, f"{done}")


def wait_for_nothing(pid, what):
    deadline = time.monotonic() + 10
    while folders(pid) or ours():
        check(time.monotonic() < deadline, f"{what}: left behind {folders(pid)} {ours()}")
        time.sleep(0.01)


def check_left_behind():
    process = subprocess.Popen([STASIS, "audit"], stdout=subprocess.DEVNULL)
    process.wait()
    check(not folders(process.pid), f"left behind {folders(process.pid)}")
    wait_for_nothing(process.pid, "at its end")  # the guardians of other tests look like ours


def check_killed():
    """At any instant of a run of some 100 ms."""
    for step in range(16):
        process = subprocess.Popen([STASIS, "audit"], stdout=subprocess.DEVNULL)
        time.sleep(step * 0.008)
        process.send_signal(signal.SIGKILL if step % 3 else signal.SIGINT)
        process.wait()
        wait_for_nothing(process.pid, f"ended after {step * 8} ms")


def main():
    check_findings(check_document(document()))
    check_text()
    check_explain()
    check_usage()
    check_closed_output()
    check_left_behind()
    check_killed()


main()
