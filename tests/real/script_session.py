#!/usr/bin/python3
# script(1) on a terminal, with a shell and vim on a terminal of its own: it comes back on another
# terminal, goes on with its recording, and ends with the status of its shell.
# LEVELS: none cap root
import _vim
from _program import Program, expect, main, need


def contents(path):
    with open(path, errors="replace") as file:
        return file.read()


def test():
    need("script", "vim")
    _vim.write_text()
    job = Program("script", "-q", "-f", "-e", "-c", "bash --norc --noprofile -i", "typescript",
                  terminal=True, env=_vim.TERMINAL | {"SHELL": "/bin/bash"})
    job.wait_for_screen("bash-")
    job.type("VALUE=kept; echo $((40 + 2))\r")
    job.wait_for_screen("42")
    job.type(" ".join(_vim.COMMAND) + "\r")
    _vim.change(job)
    image = _vim.checkpoint_twice(job)

    job.restore(image, terminal=True)
    _vim.answers_again(job)
    _vim.stop(job)
    job.type("echo $VALUE-after; fg; echo ended-$((1 + 1))\r")
    job.wait_for_screen("kept-after")
    job.type(":wq\r")
    job.wait_for_screen("ended-2")
    job.type("exit 7\r")
    job.wait(7)
    expect(_vim.saved(), "the file has something else")
    recorded = contents("typescript")
    for words in ("typed 42", "still 49", "again 64", "kept-after"):
        expect(words in recorded, f"{words!r} was not recorded:\n{recorded}")


main(test)
