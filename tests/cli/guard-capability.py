#!/usr/bin/python3
# LEVELS: none cap
# TIMEOUT: 60
"""
A restored program has the capabilities that it had at the checkpoint: nothing of the tool's, in no
thread and no process of it, whichever way it comes by its number.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _guard  # noqa: E402

SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
BEFORE = """
import threading
if os.fork() == 0:
    for fd in (1, 2): os.dup2(0, fd)
    threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()
    time.sleep(1000)
threading.Thread(target=lambda: time.sleep(1000), daemon=True).start()
"""


def all_sets(pid):
    """Of each thread of the tree, in order."""
    found = []
    for tid in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        found.append(_guard.status(f"{pid}/task/{tid}", *SETS))
    for child in _guard.children(pid):
        found += all_sets(child)
    return found


def end(pid):
    for child in _guard.children(pid):
        end(child)
    os.kill(pid, 9)


target = _guard.start(BEFORE)
_guard.wait_for(lambda: len(all_sets(target.pid)) == 4, "four threads")
before = all_sets(target.pid)
_guard.expect(_guard.stasis("checkpoint", "--kill", "-o", "image", target.pid), 0)
target.wait()
for policy in ("new", "private", "same", "auto"):
    if policy == "same" and _guard.LEVEL == "none":
        continue
    done = _guard.stasis("restore", "--detach", f"--pid={policy}", "image")
    if policy in ("private", "auto") and "user namespaces are not allowed" in done.stderr:
        continue
    _guard.expect(done, 0)
    pid = int(done.stdout)
    after = all_sets(pid)
    if policy == "private" or (policy, _guard.LEVEL) == ("auto", "none"):
        # In its own namespace the bounding set is that of a new one.
        after = [{**a, "CapBnd": b["CapBnd"]} for a, b in zip(after, before)]
    if after != before:
        _guard.fail(f"--pid={policy}: {after}, was {before}")
    end(pid)
    _guard.wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "it ends")
