#!/usr/bin/python3
# vim on a terminal, with unsaved changes: it comes back on another terminal, and saves them.
# LEVELS: none cap root
import glob

import _vim
from _program import Program, expect, main, need


def contents():
    with open("text") as file:
        return file.read()


def test():
    need("vim")
    with open("text", "w") as file:
        file.writelines(f"line {n}\n" for n in range(1, 101))
    job = Program(*_vim.COMMAND, terminal=True, env=_vim.TERMINAL)
    job.wait_for_screen("line 20")
    job.type("50GI<before the first> \x1b:echo 'typed' 6*7\r")
    job.wait_for_screen("typed 42")
    job.checkpoint()
    job.type("o<below it>\x1b:echo 'still' 7*7\r")
    job.wait_for_screen("still 49")
    expect("<" not in contents(), "the file changed too soon")
    image = job.checkpoint("--kill")
    job.restore(image, terminal=True)
    job.type("GA <at the end>\x1b:set nu\r\x0c")
    job.wait_for_screen("<at the end>")
    job.wait_for_screen("100 ")
    job.type(":wq\r")
    job.wait()
    lines = [f"line {n}\n" for n in range(1, 101)]
    lines[49] = "<before the first> line 50\n<below it>\n"
    lines[99] = "line 100 <at the end>\n"
    expect(contents() == "".join(lines), f"the file has something else:\n{contents()}")
    expect(not glob.glob(".*.sw?"), "the swap file was left behind")


main(test)
