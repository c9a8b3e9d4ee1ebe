#!/usr/bin/python3
# Children that share a large memory with their parent since fork(2), each with a few pages of its own:
# after the restore they take no more memory than before (the sum of PSS, within 10 %).
# TIMEOUT: 240
import os

from _program import Program, expect, main, until

CHILDREN, MEGABYTES, OWN_PAGES = 20, 100, 64
PROGRAM = f"""
import mmap, os, time
memory = mmap.mmap(-1, {MEGABYTES} << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(memory), 4096):
    memory[at:at + 8] = at.to_bytes(8, 'little')
gate = os.pipe()
for child in range({CHILDREN}):
    if os.fork() == 0:
        os.close(gate[1])
        for page in range({OWN_PAGES}):
            memory[(child * 900 + page) * 4096] = 77
        print('ready', flush=True)
        os.read(gate[0], 1)
        own = {{child * 900 + page for page in range({OWN_PAGES})}}
        bad = sum(memory[at:at + 8] != at.to_bytes(8, 'little')
                  for at in range(0, len(memory), 4096) if at // 4096 not in own)
        bad += sum(memory[page * 4096] != 77 for page in own)
        os._exit(min(bad, 255))
while not os.path.exists('go'):
    time.sleep(0.01)
os.close(gate[1])
print('statuses', [os.wait()[1] for _ in range({CHILDREN})], flush=True)
"""


def members():
    """Of the program, by the folder that they work in; the tool that stands for it is none."""
    here, found = os.getcwd(), []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.readlink(f"/proc/{name}/cwd") == here:
                with open(f"/proc/{name}/cmdline") as file:
                    if "MAP_PRIVATE" in file.read().split("\0")[2]:
                        found.append(name)
        except (OSError, IndexError):
            continue
    return found


def shares():
    """The sum of PSS, in KiB."""
    pids, total = members(), 0
    expect(len(pids) == CHILDREN + 1, f"{len(pids)} processes")
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def test():
    job = Program("/usr/bin/python3", "-c", PROGRAM)
    job.wait_for("^ready", CHILDREN)
    before = shares()
    image = job.checkpoint("--kill")
    size = os.stat(image).st_size >> 10
    job.restore(image)
    until(lambda: len(members()) == CHILDREN + 1, "all members")
    after = shares()
    print(f"PSS: {before} KiB before, {after} KiB after: {after / before:.3f}; image {size} KiB")
    expect(0.9 <= after / before <= 1.1, "the memory is not shared as it was")
    expect(size < before * 1.1, "the image holds shared memory several times")
    with open("go", "w"):
        pass
    job.wait(0)
    expect(f"statuses {[0] * CHILDREN}" in job.text(), f"wrong memory:\n{job.text()[-500:]}")


main(test)
