#!/usr/bin/python3
# script(1) on a terminal, with a shell and vim on a terminal of its own: it comes back on another
# terminal, goes on with its recording, and ends with the status of its shell.
# LEVELS: none cap root
from _program import Program, expect, main, need

TERMINAL = {"TERM": "xterm", "LINES": "", "COLUMNS": "", "SHELL": "/bin/bash"}


def contents(path):
    with open(path, errors="replace") as file:
        return file.read()


def test():
    need("script", "vim")
    with open("text", "w") as file:
        file.write("first\nsecond\n")
    job = Program("script", "-q", "-f", "-e", "-c", "bash --norc --noprofile -i", "typescript",
                  terminal=True, env=TERMINAL)
    job.wait_for_screen("bash-")
    job.type("VALUE=kept; echo $((40 + 2))\r")
    job.wait_for_screen("42")
    job.type("vim -N -u NONE text\r")
    job.wait_for_screen("second")
    job.type("A, changed\x1b:echo 'typed' 6*7\r")
    job.wait_for_screen("typed 42")
    job.checkpoint()
    job.type(":echo 'still' 7*7\r")
    job.wait_for_screen("still 49")
    image = job.checkpoint("--kill")

    job.restore(image, terminal=True)
    job.type(":echo 'again' 8*8\r")
    job.wait_for_screen("again 64")
    job.type("\x1a")  # ^Z stops vim, not script
    job.wait_for_screen("Stopped")
    job.type("echo $VALUE-after; fg; echo ended-$((1 + 1))\r")
    job.wait_for_screen("kept-after")
    job.type(":wq\r")
    job.wait_for_screen("ended-2")
    job.type("exit 7\r")
    job.wait(7)
    expect(contents("text") == "first, changed\nsecond\n", "the file has something else")
    recorded = contents("typescript")
    for words in ("typed 42", "still 49", "again 64", "kept-after"):
        expect(words in recorded, f"{words!r} was not recorded:\n{recorded}")


main(test)
