#!/usr/bin/python3
"""
The ladder and its tests: each row of src/priv/table.c has one that runs the operation where it is
permitted, and one that shows what happens where it is not; and no other file asks who we are.
"""

import glob
import os
import re
import sys

PROBE = "unit/test_priv_ladder.c"

# Row: (tests at the levels at which it works, tests of the fallback or refusal), beside PROBE,
# which tries every row at every level.
ROWS = {
    "EXACT_PID": (["kind/proc_pid.c", "kind/thread_many.c"], ["kind/proc_pid.c", "cli/twice.sh"]),
    "LAST_PID": ([], []),
    "USER_NAMESPACE": (["kind/proc_pid.c", "cli/twice.sh"], ["cli/gated.py", "cli/doctor.py"]),
    "PRIVATE_PROC": (["unit/test_priv.c"], ["cli/doctor.py"]),
    "IPC_IDS": (["kind/ipc_shm_removed.c"], ["kind/ipc_shm_removed.c", "cli/ipc-beside.sh"]),
    "TIMER_IDS": (["kind/timer_posix.c"], ["cli/gated.py"]),
    "TRACE": (["kind/smoke.c"], ["cli/gated.py", "cli/doctor.py"]),
    "DESCRIPTORS": (["kind/fd_regular.c"], ["cli/gated.py", "cli/doctor.py"]),
    "KCMP": (["kind/fd_dup.c"], ["cli/gated.py", "cli/doctor.py"]),
    "OTHER_USERS": (["cli/root-only.py"], ["cli/doctor.py"]),
    "NOT_DUMPABLE": (["kind/proc_dumpable_root.c"], ["kind/proc_dumpable.c"]),
    "MAP_FILES_OPEN": (["kind/mem_deleted_file.c"], ["kind/mem_deleted_file.c"]),
    "FILTERS_READ": (["kind/proc_seccomp.c", "kind/thread_seccomp.c"],
                     ["kind/proc_seccomp_plain.c", "cli/same-filters.py"]),
    "FILTERS_SUSPEND": (["kind/proc_seccomp.c", "kind/thread_seccomp_strict.c"],
                        ["kind/thread_seccomp_strict.c", "cli/same-filters.py"]),
    "SET_MM_MAP": (["kind/mem_prctl_mm_map.c", "kind/proc_mm.c"], ["cli/gated.py"]),
    "EXE_LINK": ([], ["kind/proc_exe.c"]),
    "TCP_REPAIR": (["kind/fd_socket_tcp_outside.c"], ["kind/fd_socket_established.c"]),
    "HANDLES": ([], ["kind/fd_inotify.c"]),
    "KERNEL_FAULTS": (["cli/lazy.py"], ["cli/lazy.py"]),
    "TERMINAL_LOCKS": (["kind/fd_pty_locked_modes.c", "cli/root-only.py"], ["cli/root-only.py"]),
    "CHANGE_USER": (["cli/root-only.py", "kind/proc_ids_changed.c"], ["cli/root-only.py"]),
    "CHANGE_GROUP": (["cli/root-only.py", "kind/proc_ids_changed.c"], ["cli/root-only.py"]),
    "SECURE_BITS": (["cli/root-only.py", "kind/proc_securebits.c"], ["cli/root-only.py"]),
    "CHANGE_ROOT": (["cli/root-only.py", "kind/proc_root.c"], ["cli/root-only.py"]),
    "RAISE_LIMITS": (["kind/proc_limits.c"], ["cli/root-only.py"]),
    "LOWER_OOM_SCORE": (["kind/proc_oom.c"], ["cli/root-only.py"]),
    "LOWER_NICE": (["cli/root-only.py", "kind/proc_nice.c"], ["cli/root-only.py"]),
    "REAL_TIME": (["cli/root-only.py", "kind/thread_sched.c"], ["cli/root-only.py"]),
    "DEADLINE": (["cli/root-only.py", "kind/thread_sched.c"], ["cli/root-only.py"]),
    "IO_REAL_TIME": (["cli/root-only.py"], ["cli/root-only.py"]),
}

ASKING = re.compile(r"\b(get(e|res)?[ug]id|cap_?get\w*|cap_get_proc|priv_has_permitted)\s*\(")
# Who may, and why.
MAY_ASK = {
    "src/engine/audit-scene.c": "an experiment starts from who we are, and plays others",
    "src/engine/checkpoint.c": "the image says who made it, for people",
    "src/engine/holder-process.c": "it answers its own user only",
    "src/engine/holder.c": "it is named by its user, and believed only if it is that user's",
    "src/engine/nsinit.c": "a user namespace maps the maker's ids, which it must be told",
}


def problems(root):
    with open(os.path.join(root, "src", "priv", "table.c")) as table:
        rows = re.findall(r"^\t\[PRIV_(\w+)\] = \{", table.read(), re.MULTILINE)
    found = [f"src/priv/table.c: {row} has no tests in tests/ladder.py"
             for row in rows if row not in ROWS]
    found += [f"tests/ladder.py: there is no row {row}" for row in ROWS if row not in rows]
    with open(os.path.join(root, "tests", PROBE)) as probe:
        probed = re.findall(r"^\t\[PRIV_(\w+)\] = ", probe.read(), re.MULTILINE)
    found += [f"tests/{PROBE}: {row} is not tried" for row in rows if row not in probed]
    for row, (works, without) in ROWS.items():
        found += [f"tests/ladder.py: {row}: there is no tests/{test}" for test in works + without
                  if not os.path.exists(os.path.join(root, "tests", test))]
    for path in sorted(glob.glob(os.path.join(root, "src", "**", "*.[ch]"), recursive=True)):
        name = os.path.relpath(path, root)
        if name.startswith("src/priv/") or name in MAY_ASK:
            continue
        with open(path) as source:
            found += [f"{name}:{number}: asks who we are; that is for src/priv/ to know"
                      for number, line in enumerate(source, 1)
                      if ASKING.search(line) and not line.lstrip().startswith(("*", "/*"))]
    return found


if __name__ == "__main__":
    FOUND = problems(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    print("\n".join(FOUND))
    sys.exit(1 if FOUND else 0)
