#!/usr/bin/python3
# LEVELS: none cap root
"""
stasis doctor: what it says is what was tried.  Under no_new_privs, under seccomp filters, without
user namespaces, of processes that can be saved and of such that cannot.
"""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _gate  # noqa: E402

STASIS, LEVEL = os.environ["STASIS"], os.environ["STASIS_LEVEL"]
OPERATION = {"name": str, "works": bool, "error": (str, type(None)), "needs": str,
             "purpose": str, "rule": str, "since": str, "source": str, "without": str,
             "mend": (str, type(None)), "gives_away": (str, type(None))}
SETTING = {"name": str, "value": (str, type(None)), "in_the_way": (str, type(None))}
REPORT = {"version": str, "kernel": str, "machine": str, "uid": int, "level": str,
          "usable": bool, "operations": list, "settings": list,
          "process": (dict, type(None))}
PATIENT = {"pid": int, "parent": int, "name": str, "uid": int, "threads": int,
           "descriptors": (int, type(None)), "mappings": (int, type(None)), "memory": int}
PROCESS = {"pid": int, "can_be_saved": bool, "tree": list, "obstacles": list, "lacking": list}


def check(what, *words):
    if not what:
        sys.exit("not so: " + " ".join(str(word) for word in words))


def check_shape(value, shape):
    check(set(value) == set(shape), "members", sorted(value))
    for key, types in shape.items():
        check(isinstance(value[key], types), key, "is", value[key])


def run(*arguments, before=None, wrap=()):
    return subprocess.run([*wrap, STASIS, "doctor", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=before, check=False)


def examine(*arguments, status=0, **how):
    """The JSON document, its shape checked, and what it says of operations by name."""
    done = run("--json", *arguments, **how)
    check(done.returncode == status, "exit status", done.returncode, done.stderr, done.stdout)
    report = json.loads(done.stdout)
    check_shape(report, REPORT)
    for operation in report["operations"]:
        check_shape(operation, OPERATION)
        check(operation["works"] == (operation["error"] is None), operation)
        check(not operation["works"] or operation["mend"] is None, operation)
        check((operation["mend"] is None) == (operation["gives_away"] is None), operation)
    for setting in report["settings"]:
        check_shape(setting, SETTING)
    return report, {operation["name"]: operation for operation in report["operations"]}


def setting(report, name):
    return next(one for one in report["settings"] if one["name"] == name)


def check_level():
    report, operations = examine()
    level = {"none": ("none", "userns"), "cap": ("cap",), "root": ("root",)}[LEVEL]
    check(report["usable"], "usable")
    check(report["level"] in level, "level", report["level"])
    check(report["uid"] == os.geteuid(), "uid")
    for name in ("tracing", "descriptors", "kcmp", "memory map"):
        check(operations[name]["works"], name)
    for name in ("exact pid", "last pid", "files behind mappings", "System V ids",
                 "executable link", "terminal locks"):
        check(operations[name]["works"] == (LEVEL != "none"), name, "at", LEVEL)
    for name in ("other users' processes", "reading seccomp filters", "root directory",
                 "other user ids"):
        check(operations[name]["works"] == (LEVEL == "root"), name, "at", LEVEL)
    if LEVEL == "none":
        check("setcap cap_checkpoint_restore+ep" in operations["exact pid"]["mend"], "setcap")
        check(operations["exact pid"]["error"] == "EPERM", "error")
    check(setting(report, "capabilities of the program's file")["value"] ==
          ("yes" if LEVEL == "cap" else "no"), "file capability")


def check_words():
    done = run()
    check(done.returncode == 0 and done.stderr == "", "exit status", done.returncode, done.stderr)
    for words in ("can be saved and brought back here", "yes  tracing", "Settings"):
        check(words in done.stdout, words, "is not in", done.stdout)
    check(max(map(len, done.stdout.splitlines())) <= 100, "too wide")
    check(("gives away:" in done.stdout) or LEVEL == "root", "no remedies")
    for arguments in (["0"], ["-1"], ["x"], ["1", "2"], ["--all"]):
        check(run(*arguments).returncode == 2, arguments)


def check_no_new_privs():
    """The capability of the file gives nothing, and saying setcap would be wrong."""
    report, operations = examine(wrap=["setpriv", "--no-new-privs"])
    check(setting(report, "no_new_privs")["value"] == "1", "no_new_privs")
    if LEVEL == "root":
        check(operations["exact pid"]["works"], "root needs no file capability")
        return
    check(not operations["exact pid"]["works"], "exact pid under no_new_privs")
    check("no_new_privs" in operations["exact pid"]["mend"], operations["exact pid"]["mend"])


def check_gates():
    """What a container's filter forbids is seen, and what that leaves is said."""
    for name, rules, usable in (
            ("kcmp", [_gate.rule("kcmp")], False),
            ("descriptors", [_gate.rule("pidfd_getfd")], False),
            ("tracing", [_gate.rule("ptrace")], False),
            ("memory map", [_gate.rule("prctl", _gate.PR_SET_MM)], False),
            ("POSIX timer ids", [_gate.rule("prctl", _gate.PR_TIMER_CREATE_RESTORE_IDS)], True),
            # A probe that is killed for what it tries takes nobody with it.
            ("kcmp", [_gate.rule("kcmp", verdict=_gate.KILL)], False)):
        report, operations = examine(before=lambda rules=rules: _gate.close(*rules),
                                     status=0 if usable else 1)
        check(report["usable"] == usable, "usable", name)
        check(not operations[name]["works"], name, "behind a filter")
        check(operations[name]["mend"], "no remedy for", name)
        check(setting(report, "seccomp, on ourselves")["value"] == "1 filter", "seccomp")
        check(not operations["reading seccomp filters"]["works"], "who is filtered reads none")


def check_without_namespaces():
    """In an own user namespace its root may set the limit: the host's stays."""
    script = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0" doctor --json'
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", script, STASIS], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if not done.stdout:
        print("not tried: no user namespaces here")
        return
    report = json.loads(done.stdout)
    operations = {operation["name"]: operation for operation in report["operations"]}
    check(not operations["private numbers"]["works"], "private numbers")
    check(operations["private numbers"]["error"] == "ENOSPC", operations["private numbers"])
    check("user.max_user_namespaces" in operations["private numbers"]["mend"], "remedy")
    check(setting(report, "user.max_user_namespaces")["in_the_way"], "remark")
    check("user namespace" in setting(report, "signs of a container")["value"], "container")


def check_covered_proc():
    """As in many containers: a /proc of one's own would show what is covered."""
    # Any other /proc that can be seen would do for the kernel: all of them are covered.
    script = ('while read -r _ place type _; do [ "$type" != proc ] || '
              'mount -t tmpfs none "$place/fs" || exit; done </proc/mounts; '
              'exec "$0" doctor --json')
    done = subprocess.run(["unshare", "-Ur", "--mount", "sh", "-c", script, STASIS], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if not done.stdout:
        print("not tried: no user namespaces here")
        return
    report = json.loads(done.stdout)
    operations = {operation["name"]: operation for operation in report["operations"]}
    check(operations["private numbers"]["works"], "private numbers")
    check(operations["private /proc"]["error"] == "EPERM", operations["private /proc"])
    check("uncovered /proc" in operations["private /proc"]["mend"], "remedy")
    check("covered in places" in setting(report, "signs of a container")["value"], "container")


def start(*argv):
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
    program.stdout.readline()
    return program


def check_process():
    target = start("sh", "-c", "exec >/dev/null 2>&1 3>&1; exec sleep 1000")
    target.stdout.read()
    done = run(str(target.pid))
    check(done.returncode == 0 and "It can be saved." in done.stdout, done.stdout, done.stderr)
    report, _ = examine(str(target.pid))
    process = report["process"]
    check_shape(process, PROCESS)
    check(process["can_be_saved"] and not process["obstacles"] and not process["lacking"], process)
    check_shape(process["tree"][0], PATIENT)
    check(process["tree"][0]["pid"] == target.pid and process["tree"][0]["name"] == "sleep" and
          process["tree"][0]["descriptors"] == 4, process["tree"])
    with open(f"/proc/{target.pid}/status") as status:
        words = status.read()
    check("TracerPid:\t0" in words and "\nState:\tt" not in words.lower(), "it is still stopped")
    target.kill()
    target.wait()
    check(run(str(target.pid)).returncode == 3, "nobody is there")


def check_obstacles():
    """A generic netlink socket: what it is refused for is told, and the status says so."""
    target = start(sys.executable, "-c", "import socket, sys, time\n"
                   "s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)\n"
                   "print(s.fileno(), flush=True)\n"
                   "sys.stdout.close(); time.sleep(1000)")
    done = run(str(target.pid))
    report, _ = examine(str(target.pid), status=3)
    process = report["process"]
    check(done.returncode == 3 and "It cannot be saved:" in done.stdout, done.stdout)
    check(process["can_be_saved"] is False and process["obstacles"], process)
    check(all(set(one) == {"why", "mend"} for one in process["obstacles"]), process)
    target.kill()
    target.wait()


def check_lacking():
    """A program with a nice value that an ordinary user cannot give again."""
    if LEVEL != "root":
        report, _ = examine("1", status=3)
        if report["process"]["tree"][0]["uid"] != os.geteuid():
            check("other users' processes" in report["process"]["lacking"], report["process"])
        return
    target = start("nice", "-n", "-5", "sh", "-c", "echo; exec sleep 1000 >/dev/null 2>&1")
    target.stdout.read()
    report, operations = examine(str(target.pid))
    check(operations["lower nice value"]["works"], "root's nice value")
    check(report["process"]["lacking"] == [], report["process"])
    target.kill()
    target.wait()


check_level()
check_words()
check_no_new_privs()
check_gates()
check_without_namespaces()
check_covered_proc()
check_process()
check_obstacles()
check_lacking()
