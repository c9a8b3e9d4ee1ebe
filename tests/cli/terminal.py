#!/usr/bin/python3
# LEVELS: none cap root
"""
A program of a terminal comes back on the user's new one: with its modes, the new window's
size (which it is told), as the foreground job, and with /dev/tty.  The terminal gets its
own modes again when the program has ended, and the exit status is the program's.
"""
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

PROGRAM = r"""
import fcntl, os, signal, struct, sys, termios, tty

def say(text):
    os.write(1, text.encode() + b"\r\n")

signal.signal(signal.SIGWINCH, lambda *_: say("resized"))
tty.setraw(0)
say("ready")
while True:
    key = os.read(0, 1)
    if key == b"q":
        break
    if key != b"s":
        say("key %d" % key[0])
        continue
    rows, columns = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))[:2]
    raw = not termios.tcgetattr(0)[3] & (termios.ICANON | termios.ECHO)
    job = os.tcgetpgrp(0) == os.getpgrp()
    os.close(os.open("/dev/tty", os.O_RDWR))
    say("size %dx%d raw %d foreground %d" % (rows, columns, raw, job))
say("bye")
sys.exit(7)
"""


def start(argv, rows, columns):
    """A process that leads a session on a terminal of its own."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.closerange(3, 1024)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(argv[0], argv)
    return pid, terminal


class Screen:
    def __init__(self, terminal):
        self.terminal, self.text = terminal, b""

    def expect(self, wanted):
        end = time.monotonic() + 20
        while wanted not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                sys.exit(f"no {wanted!r} on the terminal: {self.text!r}")
            try:
                self.text += os.read(self.terminal, 4096)
            except OSError:
                sys.exit(f"no {wanted!r} on the terminal, which has ended: {self.text!r}")

    def type(self, key):
        self.text = b""
        os.write(self.terminal, key)


def wait(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main():
    tool = os.environ["STASIS"]
    with open("program.py", "w", encoding="ascii") as file:
        file.write(PROGRAM)
    pid, terminal = start(["/usr/bin/python3", "program.py"], 24, 80)
    screen = Screen(terminal)
    screen.expect(b"ready")
    screen.type(b"s")
    screen.expect(b"size 24x80 raw 1 foreground 1")
    subprocess.run([tool, "checkpoint", "--kill", "-o", "image", str(pid)], check=True)
    if wait(pid) != -9:
        sys.exit("the program was not ended by --kill")
    os.close(terminal)

    # A shell between the two, as a user has it: its terminal must be usable afterwards.
    restore = f"{tool} restore image; echo status $?; stty -a"
    pid, terminal = start(["/bin/bash", "-c", restore], 40, 132)
    screen = Screen(terminal)
    screen.expect(b"resized")
    screen.type(b"s")
    screen.expect(b"size 40x132 raw 1 foreground 1")
    screen.type(b"\x03")
    screen.expect(b"key 3")
    screen.type(b"q")
    screen.expect(b"bye")
    screen.expect(b"status 7")
    screen.expect(b" icanon")
    if wait(pid) != 0:
        sys.exit("the shell did not end well")


main()
