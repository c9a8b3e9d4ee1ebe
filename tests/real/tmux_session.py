#!/usr/bin/python3
# tmux with two windows, a shell that has a variable, and vim with unsaved changes: the server is
# brought back, and somebody attaches to it from another terminal; also when somebody was attached.
# LEVELS: none cap root
import os
import re
import signal

from _program import STASIS, Program, Trouble, expect, main, need, run, stasis, until

TERMINAL = {"TERM": "xterm", "LINES": "", "COLUMNS": "", "TMUX_TMPDIR": os.getcwd(), "TMUX": "",
            "SHELL": "/bin/bash"}
SHELL = "bash --norc --noprofile -i"


def tmux(*argv):
    return run("tmux", "-f", "/dev/null", *argv)


def screen(window):
    return tmux("capture-pane", "-p", "-t", f"s:{window}")


def on_screen(window, text):
    try:
        until(lambda: text in screen(window), "")
    except Trouble:
        raise Trouble(f"not in window {window}: {text!r}, but {screen(window)!r}") from None


def type_in(window, *keys):
    tmux("send-keys", "-t", f"s:{window}", *keys)


def size(window):
    return tmux("display", "-p", "-t", f"s:{window}", "#{pane_height} #{pane_width}").strip()


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def look_in_from_a_terminal():
    """Attaches, sees the window, types, and detaches."""
    client = Program("tmux", "attach", "-t", "s:1", terminal=True, env=TERMINAL)
    client.type("echo $VALUE-attached\r")
    client.wait_for_screen("kept-attached")
    client.type("\x02d")
    client.wait_for_screen("detached")
    client.wait()


def with_somebody_attached(server):
    """His terminal and his client are not the server's: it comes back without them."""
    client = Program("tmux", "attach", "-t", "s:1", terminal=True, env=TERMINAL)
    client.type("clear; echo $VALUE-again\r")
    client.wait_for_screen("kept-again")
    stasis("checkpoint", "--kill", "--external", "unix=close", "-o", "attached.stasis", str(server))
    client.wait(1)  # "server exited unexpectedly"
    client.restore("attached.stasis", "--detach", terminal=True)
    client.wait()
    on_screen(1, "kept-again")
    expect(tmux("list-clients") == "", "somebody is attached still")
    return int(re.search(r"(\d+)\r\n", client.screen()).group(1))


def test():
    need("tmux", "vim")
    os.environ.update(TERMINAL)
    with open("text", "w") as file:
        file.write("first\nsecond\n")
    tmux("new-session", "-d", "-s", "s", "-x", "91", "-y", "31", SHELL)
    tmux("new-window", "-t", "s:1", SHELL)
    server = int(tmux("display", "-p", "#{pid}"))
    try:
        type_in(0, "vim -N -u NONE text", "Enter")
        on_screen(0, "second")
        type_in(0, "A, changed", "Escape", ":echo 6*7", "Enter")
        on_screen(0, "42")
        type_in(1, "VALUE=kept; stty size", "Enter")
        on_screen(1, size(1))
        look_in_from_a_terminal()

        stasis("checkpoint", "-o", "running.stasis", str(server))
        type_in(0, "A more", "Escape")
        on_screen(0, "changed more")
        stasis("checkpoint", "--kill", "-o", "ended.stasis", str(server))
        until(lambda: gone(server), "the end of the server")
        server = int(run(STASIS, "restore", "--detach", "ended.stasis"))

        on_screen(0, "changed more")
        on_screen(1, "kept-attached")
        look_in_from_a_terminal()
        type_in(1, "clear; stty size; tty", "Enter")
        on_screen(1, size(1))
        on_screen(1, "/dev/pts/")  # tmux(1) may remember another number
        type_in(0, "C-z")
        on_screen(0, "Stopped")
        type_in(0, "fg", "Enter")
        on_screen(0, "second")
        type_in(0, ":wq", "Enter")
        until(lambda: "more" in open("text").read(), "that vim saves")
        with open("text") as file:
            expect(file.read() == "first, changed more\nsecond\n", "the file has something else")
        server = with_somebody_attached(server)
        tmux("kill-server")
        until(lambda: gone(server), "the end of the restored server")
    finally:
        end(server)


main(test)
