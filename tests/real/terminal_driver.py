#!/usr/bin/python3
# A program like expect(1): it types into a shell on a terminal of its own and waits for what that
# says.  It is saved in the middle of a conversation, with a command that runs in the foreground.
# LEVELS: none cap root
from _program import STASIS, Program, expect, main, run, stasis, until

DRIVER = r"""
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ["PS1"] = "> "
    os.execv("/bin/bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"])
said = b""
def wait(words):
    global said
    while words not in said:
        said += os.read(fd, 4096)
    said = said[said.index(words) + len(words):]
wait(b"> ")
for n in range(60):
    os.write(fd, b"read -r line; sleep 0.05; echo =$((%d * %d))-$line=\n" % (n, n))
    # The shell reads this once the command waits for it.
    os.write(fd, b"typed %d\n" % n)
    wait(b"=%d-typed %d=" % (n * n, n))
    wait(b"> ")
    print("round", n, flush=True)
os.write(fd, b"sleep 1000\n")
wait(b"sleep 1000")
time.sleep(0.2)
os.write(fd, b"\x03")
wait(b"> ")
os.write(fd, b"exit 9\n")
print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def test():
    with open("driver.py", "w") as file:
        file.write(DRIVER)
    job = Program("/usr/bin/python3", "driver.py")
    for rounds in (5, 10, 15):
        job.wait_for(r"^round", rounds)
        job.checkpoint()
    pid = job.pid
    for rounds in (20, 25, 30, 35):
        until(lambda: len(job.lines()) >= rounds, f"{rounds} rounds")
        stasis("checkpoint", "--kill", "-o", "image", str(pid))
        job.process.wait()
        pid = int(run(STASIS, "restore", "--detach", "image"))
    until(lambda: "status" in job.text(), "the end")
    expect(job.lines() == [f"round {n}" for n in range(60)] + ["status 9"], job.text())


main(test)
