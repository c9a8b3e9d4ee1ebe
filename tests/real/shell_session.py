#!/usr/bin/python3
# An interactive shell on the user's terminal, with vim in the foreground and a stopped job: all of it
# is brought back on another terminal, where vim has the foreground.
# LEVELS: none cap root
from _program import Program, expect, main, need

TERMINAL = {"TERM": "xterm", "LINES": "", "COLUMNS": ""}


def test():
    need("vim")
    with open("text", "w") as file:
        file.write("first\nsecond\n")
    job = Program("bash", "--norc", "--noprofile", "-i", terminal=True, env=TERMINAL)
    job.wait_for_screen("bash-")
    job.type("VALUE=kept; (echo asleep; exec sleep 1000)\r")
    job.wait_for_screen("asleep\r\n")
    job.type("\x1a")
    job.wait_for_screen("Stopped")
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
    job.type("\x1a")
    job.wait_for_screen("Stopped")
    job.type("echo $VALUE-after; jobs\r")
    job.wait_for_screen("kept-after")
    job.wait_for_screen("sleep 1000")
    job.type("fg; echo ended-$((1 + 1))\r")
    job.type(":wq\r")
    job.wait_for_screen("ended-2")
    job.type("kill -KILL %1; sleep 0.3; exit 7\r")
    job.wait(7)
    with open("text") as file:
        expect(file.read() == "first, changed\nsecond\n", "the file has something else")


main(test)
