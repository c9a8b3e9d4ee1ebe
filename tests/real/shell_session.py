#!/usr/bin/python3
# An interactive shell on the user's terminal, with vim in the foreground and a stopped job: all of it
# is brought back on another terminal, where vim has the foreground.
# LEVELS: none cap root
import _vim
from _program import Program, expect, main, need


def test():
    need("vim")
    _vim.write_text()
    job = Program("bash", "--norc", "--noprofile", "-i", terminal=True, env=_vim.TERMINAL)
    job.wait_for_screen("bash-")
    job.type("VALUE=kept; (echo asleep; exec sleep 1000)\r")
    job.wait_for_screen("asleep\r\n")
    job.type("\x1a")
    job.wait_for_screen("Stopped")
    job.type(" ".join(_vim.COMMAND) + "\r")
    _vim.change(job)
    image = _vim.checkpoint_twice(job)

    job.restore(image, terminal=True)
    _vim.answers_again(job)
    _vim.stop(job)
    job.type("echo $VALUE-after; jobs\r")
    job.wait_for_screen("kept-after")
    job.wait_for_screen("sleep 1000")
    job.type("fg; echo ended-$((1 + 1))\r")
    job.type(":wq\r")
    job.wait_for_screen("ended-2")
    job.type("kill -KILL %1; sleep 0.3; exit 7\r")
    job.wait(7)
    expect(_vim.saved(), "the file has something else")


main(test)
