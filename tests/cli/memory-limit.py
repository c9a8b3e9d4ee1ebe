#!/usr/bin/python3
# LEVELS: root
# TIMEOUT: 240
"""
A memory control group at its limit.  The program's: what it writes to while a clone of it is being
saved is memory that it does not have, so no clone is made; and where memory runs out all the same, the
kernel ends the clone, and it is saved without one.  The tool's: it is ended, or says so, and the
program goes on.
"""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _count  # noqa: E402

STASIS = os.environ["STASIS"]
MIB = 1 << 20
SIZE = 96 * MIB
TRIES = 8
V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
# It writes to all of its memory again and again, in a process of its own without a large library.
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	size_t size = strtoul(argv[1], NULL, 10);
	unsigned *words = malloc(size), *count = calloc(1, 4096);
	FILE *f = fopen("count", "w");
	(void)argc;
	for (unsigned n = 1;; n++) {
		for (size_t i = 0; i < size / sizeof *words; i += 64) {
			if (words[i] != (n == 1 ? words[i] : (n - 1) * 2654435761u + (unsigned)i))
				return 3;
			words[i] = n * 2654435761u + (unsigned)i;
		}
		*count = n;
		rewind(f);
		fprintf(f, "%u\n", n);
		fflush(f);
	}
}
"""


def make_group(name, limit):
    """A group with this limit and without swap; None: there is no such thing here."""
    if os.path.isdir(V1):
        top, files = V1, (("memory.limit_in_bytes", limit), ("memory.memsw.limit_in_bytes", limit),
                          ("memory.swappiness", 0))
    else:
        top, files = V2, (("memory.max", limit), ("memory.swap.max", 0))
    path = os.path.join(top, f"stasis-test.{os.getpid()}.{name}")
    try:
        os.mkdir(path)
    except OSError as error:
        print(f"skipped: no memory control group can be made here: {error}")
        sys.exit(77)
    groups.append(path)
    for file, value in files:
        try:
            with open(os.path.join(path, file), "w") as out:
                out.write(str(value))
        except OSError as error:
            if file in ("memory.limit_in_bytes", "memory.max"):
                print(f"skipped: no memory control group has a limit here: {error}")
                sys.exit(77)
    return path


def enter(path):
    with open(os.path.join(path, "cgroup.procs"), "w") as out:
        out.write(str(os.getpid()))


def goes_on(program):
    return program.poll() is None and _count.goes_on()


def start(group):
    program = subprocess.Popen(["./program", str(SIZE)], stdin=subprocess.DEVNULL,
                               preexec_fn=lambda: enter(group))
    if not goes_on(program):
        sys.exit(f"the program did not start ({program.poll()})")
    return program


def checkpoint(pid, *options, group=None):
    return subprocess.run([STASIS, "checkpoint", *options, "-o", "image", str(pid)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, preexec_fn=group and (lambda: enter(group)))


def examine(program, done, what):
    """The program goes on; there is a whole image, or none and a sentence."""
    if not goes_on(program):
        sys.exit(f"{what}: the program does not go on ({program.poll()}): {done.stdout}")
    if done.returncode == 0:
        if subprocess.run([STASIS, "verify", "image"], check=False).returncode != 0:
            sys.exit(f"{what}: the image is not whole")
        os.unlink("image")
    elif os.path.exists("image"):
        sys.exit(f"{what}: there is an image of a failed checkpoint")
    elif done.returncode > 0 and "stasis: " not in done.stdout:
        sys.exit(f"{what}: no sentence: {done.stdout!r}")
    left = [name for name in os.listdir(".") if name not in ("program", "program.c", "count")]
    if left:
        sys.exit(f"{what}: files were left: {left}")


def copied(done):
    return json.loads(done.stdout)["copied"]


def limit_of_program():
    """Too little is left for what a clone may come to cost: it is copied, whatever it takes."""
    program = start(make_group("program", SIZE + SIZE // 3))
    for options in ([], ["--precopy"]) * TRIES:
        done = checkpoint(program.pid, *options, "--json")
        # With --precopy most of it is copied before.
        if done.returncode != 0 or (not options and copied(done) * 4096 < SIZE // 2):
            sys.exit(f"checkpoint {' '.join(options)} in a full group: {done.stdout}")
        examine(program, done, f"checkpoint {' '.join(options)} in a full group")
    program.kill()
    program.wait()


def members(group):
    with open(os.path.join(group, "cgroup.procs")) as file:
        return {int(pid) for pid in file.read().split()}


def end_clone(group, program, running):
    """SIGKILL to the clone as soon as there is one.  False: the tool was faster."""
    while running.poll() is None:
        for pid in members(group) - {program.pid}:
            # In one read(2): it is about to change, and the next would be of another number.
            with open(f"/proc/{pid}/oom_score_adj", "rb", buffering=0) as file:
                score = int(file.read(32))
            # What makes it is there before it is.
            if score == 1000:
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def lost_clones():
    """The kernel ends the clone and not the program; from a pipe it cannot begin again."""
    group = make_group("lost", 4 * SIZE)
    program, ended = start(group), 0
    for n in range(2 * TRIES):
        piped = n % 4 == 3
        argv = [STASIS, "checkpoint", "-o", "-" if piped else "image", str(program.pid)]
        with open("said", "w+") as said:
            running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=said)
            try:
                lost = end_clone(group, program, running)
            except OSError:
                lost = False  # it was gone by itself
            running.communicate()
            said.seek(0)
            done = subprocess.CompletedProcess(argv, running.returncode, said.read())
        os.unlink("said")
        if lost and piped and done.returncode == 1 and "clone" not in done.stdout:
            sys.exit(f"it does not say what happened: {done.stdout!r}")
        if not piped:
            if done.returncode != 0:
                sys.exit(f"a lost clone: {done.stdout}")
            examine(program, done, "a lost clone")
        elif not goes_on(program):
            sys.exit("a lost clone: the program does not go on")
        ended += lost
    print(f"{ended} of {2 * TRIES} clones were ended")
    if not ended:
        sys.exit("no clone was ever ended: the test proves nothing")
    program.kill()
    program.wait()


def limit_of_tool():
    """Too small for what it wants to hold, at several sizes."""
    program = start(make_group("free", 4 * SIZE))
    outcomes = []
    for limit in (1, 2, 3, 4, 8, 64):
        group = make_group(f"tool-{limit}", limit * MIB)
        for options in ([], ["--precopy"], ["--compress"]):
            done = checkpoint(program.pid, *options, group=group)
            examine(program, done, f"checkpoint {' '.join(options)} with {limit} MiB for the tool")
            outcomes.append(done.returncode)
    print(f"the tool's group: {outcomes}")
    if -signal.SIGKILL not in outcomes or 0 not in outcomes:
        sys.exit("the limits were never, or always, met: the test proves nothing")
    program.kill()
    program.wait()


groups = []
with open("program.c", "w") as source:
    source.write(PROGRAM)
subprocess.run(["cc", "-O1", "-o", "program", "program.c"], check=True)
try:
    limit_of_program()
    lost_clones()
    limit_of_tool()
finally:
    for each in groups:
        for _ in range(50):
            try:
                os.rmdir(each)
                break
            except OSError:
                time.sleep(0.05)
