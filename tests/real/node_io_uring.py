#!/usr/bin/python3
# node with libuv's io_urings, of which some have threads of the kernel's: its files go on being
# written and read through them, also after a second checkpoint of what was brought back.
# LEVELS: none cap root
import glob
import os
import subprocess

from _program import STASIS, Program, expect, main, need, until

STEPS = 150
PROGRAM = r"""
const fs = require('fs');
let step = 0;
function next() {
    const text = 'text ' + step;
    fs.writeFile('data', text, () => fs.readFile('data', 'utf8', (error, read) => {
        console.log('step', step, read === text);
        if (++step === STEPS)
            process.exit(6);
        setTimeout(next, 20);
    }));
}
next();
""".replace("STEPS", str(STEPS))


def rings(pid):
    links = [os.readlink(path) for path in glob.glob(f"/proc/{pid}/fd/*")]
    return links.count("anon_inode:[io_uring]")


def children(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path) as file:
            found += [int(word) for word in file.read().split()]
    return found


def descendant(pid, name):
    """The process of that name below pid, however deep."""
    for child in children(pid):
        with open(f"/proc/{child}/comm") as file:
            if file.read().strip() == name:
                return child
        deeper = descendant(child, name)
        if deeper:
            return deeper
    return None


def save_idle(pid, image):
    """As often as it takes: a request may just be in flight."""
    def tried():
        done = subprocess.run([STASIS, "checkpoint", "--kill", "-o", image, str(pid)],
                              capture_output=True, text=True)
        if "does not tell" in done.stderr:
            print("skipped: this kernel does not tell enough of an io_uring")
            raise SystemExit(77)
        expect(done.returncode == 0 or "in flight" in done.stderr, done.stderr)
        return done.returncode == 0

    until(tried, "an idle moment")


def test():
    need("node")
    job = Program("node", "-e", PROGRAM, env={"UV_USE_IO_URING": "1"})
    job.wait_for("^step 5 ")
    if not rings(job.pid):
        print("skipped: this node uses no io_uring here")
        raise SystemExit(77)
    save_idle(job.pid, "1.stasis")
    job.process.wait()
    for image, following in ("1.stasis", "2.stasis"), ("2.stasis", None):
        job.restore(image)
        job.wait_for_more(10)
        pid = until(lambda: descendant(job.process.pid, "node"), "the restored program")
        expect(rings(pid) > 0, "its rings are gone")
        if following:
            save_idle(pid, following)
            job.process.wait()
    job.wait(6)
    expect(job.lines() == [f"step {n} true" for n in range(STEPS)], f"wrong:\n{job.text()}")


main(test)
