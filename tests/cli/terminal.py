#!/usr/bin/python3
# LEVELS: none cap
"""
A restored program on a terminal, under a shell with job control: it reads from the terminal, ^Z
stops the job, fg continues it, ^C ends it; and without a terminal the restore says what it needs.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
PROGRAM = """
import os, sys
print("pid", os.getpid(), flush=True)
n = 0
for line in sys.stdin:
    n += 1
    print("line", n, line.strip().upper(), flush=True)
print("end of input")
"""


class Terminal:
    """bash on a terminal of its own."""

    def __init__(self):
        self.said = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["PS1"] = "> "
            os.environ["TERM"] = "dumb"
            os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, seconds=20):
        """Waits until it says the pattern, and forgets what was said up to its end."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.said)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"it does not say {pattern!r}, but {self.said!r}")
            try:
                self.said += os.read(self.fd, 4096).decode(errors="replace").replace("\r", "")
            except OSError:
                sys.exit(f"the terminal was closed before {pattern!r}: {self.said!r}")
        self.said = self.said[found.end():]
        return found

    def command(self, text, pattern):
        self.type(text + "\n")
        return self.expect(pattern)

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


def wait_for_state(pid, wanted):
    deadline = time.monotonic() + 10
    while state_of(pid) not in wanted:
        if time.monotonic() > deadline:
            sys.exit(f"process {pid} is {state_of(pid)}, not {wanted}")
        time.sleep(0.02)


def stasis(*arguments, **options):
    return subprocess.run([STASIS, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, **options)


def job_of(terminal):
    """The number of the stopped or running stasis, that is the shell's only job."""
    return int(terminal.command("echo job=$(jobs -p)=", r"job=(\d+)=").group(1))


def check_running(terminal):
    """Saved while it waits for a line; brought back, it reads on, stops, goes on and is ended."""
    pid = int(terminal.command("python3 program.py", r"pid (\d+)").group(1))
    terminal.command("first", r"line 1 FIRST\n")
    done = stasis("checkpoint", "--kill", "-o", "running", str(pid))
    if done.returncode != 0:
        sys.exit(f"checkpoint: {done.stderr}")
    terminal.expect("Killed")

    terminal.type(f"{STASIS} restore running; echo status=$?=\n")
    time.sleep(0.5)
    terminal.command("second", r"line 2 SECOND\n")
    terminal.type("\x1a")  # ^Z
    terminal.expect(r"Stopped.*\n")
    tool = job_of(terminal)
    wait_for_state(tool, "T")
    # The shell has the terminal: what is typed is its own.
    terminal.command("echo shell=$((40 + 2))=", r"shell=42=")
    terminal.command("fg", r"restore running.*\n")
    terminal.command("third", r"line 3 THIRD\n")
    terminal.type("\x1a")
    terminal.expect(r"Stopped.*\n")
    terminal.command("bg", r"\n")
    # In the background it may not read: it stops again, and so does the job.
    time.sleep(1)
    wait_for_state(tool, "T")
    terminal.command("fg", r"restore running.*\n")
    terminal.command("fourth", r"line \d FOURTH\n")
    terminal.type("\x03")  # ^C
    terminal.expect(r"KeyboardInterrupt\n\s*> ")
    terminal.command("echo after=$?=", r"after=130=")


def check_stopped(terminal):
    """Saved while it is stopped by ^Z, it comes back stopped, as a job of the shell."""
    pid = int(terminal.command("python3 program.py", r"pid (\d+)").group(1))
    terminal.command("first", r"line 1 FIRST\n")
    terminal.type("\x1a")
    terminal.expect(r"Stopped.*\n")
    terminal.command(f"{STASIS} checkpoint --kill -o stopped {pid}; echo status=$?=",
                     r"stopped: .*, the program stood still for .* ms\n(.*\n)*.*status=0=")
    wait_until_gone(pid)
    terminal.command("true", r"\n")
    terminal.type(f"{STASIS} restore stopped\n")
    terminal.expect(r"Stopped.*restore stopped")
    terminal.command("fg", r"restore stopped.*\n")
    terminal.command("second", r"line 2 SECOND\n")
    terminal.type("\x04")  # ^D
    terminal.expect("end of input")
    terminal.command("echo after=$?=", r"after=0=")


def wait_until_gone(pid):
    for _ in range(500):
        if not os.path.exists(f"/proc/{pid}") or state_of(pid) == "Z":
            return
        time.sleep(0.02)
    sys.exit(f"{pid} is still there")


def check_without_terminal():
    """From a place without a terminal its three descriptors are those of the restore."""
    with open("typed", "w") as file:
        file.write("from a file\n")
    done = stasis("restore", "--stdin", "typed", "--stdout", "printed", "running",
                  start_new_session=True)
    if done.returncode != 0:
        sys.exit(f"restore without a terminal: {done.returncode}: {done.stderr}")
    with open("printed") as file:
        printed = file.read()
    if printed != "line 2 FROM A FILE\nend of input\n":
        sys.exit(f"without a terminal: {printed!r}")


def main():
    with open("program.py", "w") as file:
        file.write(PROGRAM)
    for check in (check_running, check_stopped):
        terminal = Terminal()
        terminal.expect("> ")
        try:
            check(terminal)
        finally:
            terminal.close()
    check_without_terminal()


if __name__ == "__main__":
    main()
