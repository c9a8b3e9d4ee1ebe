"""
A program that nobody here wrote, through a checkpoint and a restore.

The real/ tests share this.  Program starts one as the user who runs the test; checkpoint()
and restore() are the tool's; wait_for() and wait() see that it does its work.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

STASIS = os.environ["STASIS"]
PATIENCE = 60  # seconds, for a step of a program on a slow machine


class Trouble(Exception):
    """What is wrong, for whoever reads the test's output."""


def need(*commands):
    """Their paths; skips the test when one is not installed."""
    found = [shutil.which(command) for command in commands]
    for command, path in zip(commands, found):
        if path is None:
            print(f"skipped: {command} is not installed")
            sys.exit(77)
    return found


def until(condition, what, seconds=PATIENCE):
    """The first true value of condition()."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Trouble(f"gave up waiting: {what}")
        time.sleep(0.02)


def expect(is_so, what):
    if not is_so:
        raise Trouble(what)


def run(*argv, **options):
    """What a helper program says; it must succeed."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, **options)
    expect(done.returncode == 0, f"{argv[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


class Program:
    """argv, with its output in the file `out` or, when asked to, on a terminal."""

    def __init__(self, *argv, terminal=False, env=None):
        self.terminal = -1
        self.image_count = 0
        env = {**os.environ, **(env or {})}
        if terminal:
            self.process = self.on_new_terminal(argv, env)
        else:
            # Not appended: the position is a part of what must survive.
            with open("out", "wb") as file:
                self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file,
                                                stderr=file, env=env)
        self.pid = self.process.pid

    def on_new_terminal(self, argv, env=None):
        """A process that leads a session of its own, on a new pseudo terminal."""
        if self.terminal >= 0:
            os.close(self.terminal)
        self.terminal, other = pty.openpty()
        self.seen = b""
        try:
            return subprocess.Popen(["setsid", "--ctty", *argv], stdin=other, stdout=other,
                                    stderr=other, env=env)
        finally:
            os.close(other)

    def type(self, text):
        """Types on its terminal."""
        os.write(self.terminal, text.encode())

    def screen(self):
        """All that it wrote to this terminal until now."""
        while select.select([self.terminal], [], [], 0)[0]:
            try:
                self.seen += os.read(self.terminal, 65536)
            except OSError:  # nobody has the other side any more
                break
        return self.seen.decode(errors="replace")

    def wait_for_screen(self, text):
        try:
            until(lambda: text in self.screen(), "")
        except Trouble:
            raise Trouble(f"not on the screen: {text!r}, but {self.screen()!r}") from None

    def text(self):
        if self.terminal >= 0:
            return self.screen()
        with open("out", errors="replace") as file:
            return file.read()

    def lines(self):
        """The complete lines of the output."""
        return self.text().split("\n")[:-1]

    def wait_for(self, pattern, count=1):
        """Waits until the output has count matches of pattern (at the start of a line)."""
        found = re.compile(pattern, re.MULTILINE)

        def seen():
            matches = found.findall(self.text())
            expect(len(matches) >= count or self.is_alive(), f"it ended:\n{self.text()[-2000:]}")
            return matches if len(matches) >= count else None

        return until(seen, f"{count} times {pattern!r} in:\n{self.text()[-2000:]}")

    def wait_for_more(self, count=3):
        """Waits for some more lines: the program is at work."""
        goal = len(self.lines()) + count
        until(lambda: len(self.lines()) >= goal or not self.is_alive(), "more output")
        expect(len(self.lines()) >= goal,
               f"no progress:\n{self.text()[-2000:]}{complaints()}")

    def is_alive(self):
        return self.process.poll() is None

    def checkpoint(self, *options):
        """A new image of it."""
        self.image_count += 1
        image = f"{self.image_count}.stasis"
        stasis("checkpoint", "-o", image, *options, str(self.pid))
        if "--kill" in options:
            expect(self.process.wait(PATIENCE) == -signal.SIGKILL, "not ended by --kill")
        else:
            expect(self.is_alive(), f"it ended when it was left running:\n{self.text()[-2000:]}")
        return image

    def restore(self, image, *options, terminal=False):
        """The program is back, as the child of a tool that stands for it."""
        argv = [STASIS, "restore", *options, image]
        if terminal:
            self.process = self.on_new_terminal(argv)
        else:
            with open("restore.err", "wb") as file:
                self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file,
                                                stderr=file)
        self.pid = None  # it may have another number here

    def wait(self, status=0):
        """It ends by itself, with that status."""
        try:
            ended = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Trouble(f"it does not end:\n{self.text()[-2000:]}") from None
        expect(ended == status, f"it ended with {ended}:\n{self.text()[-2000:]}{complaints()}")


def stasis(*argv, status=0):
    """Runs the tool, which must end with that status; what it wrote to stdout and stderr."""
    done = subprocess.run([STASIS, *argv], capture_output=True, text=True, timeout=PATIENCE)
    expect(done.returncode == status,
           f"stasis {' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def complaints():
    try:
        with open("restore.err", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def main(test):
    """Runs the test; whatever it leaves behind is ended by the driver."""
    try:
        test()
    except Trouble as trouble:
        print(trouble)
        sys.exit(1)
