#!/usr/bin/python3
# python3: threads that work on one queue, with locks, conditions and a timer.
# LEVELS: none cap root
import hashlib

from _program import Program, expect, main

PROGRAM = """
import hashlib, queue, sys, threading, time

STEPS = int(sys.argv[1])
jobs, results, lock = queue.Queue(8), {}, threading.Lock()

def work():
    while True:
        job = jobs.get()
        if job is None:
            return
        digest = b"%d" % job
        for _ in range(2000):
            digest = hashlib.sha256(digest).digest()
        with lock:
            results[job] = digest.hex()
        jobs.task_done()

workers = [threading.Thread(target=work, name=f"worker {n}") for n in range(4)]
for worker in workers:
    worker.start()
ballast = {n: str(n) * 3 for n in range(100_000)}
for step in range(STEPS):
    jobs.put(step)
    if step % 10 == 0:
        print("step", step, flush=True)
        time.sleep(0.02)
jobs.join()
for worker in workers:
    jobs.put(None)
for worker in workers:
    worker.join()
assert all(text == str(n) * 3 for n, text in ballast.items())
print("result", hashlib.sha256("".join(results[n] for n in range(STEPS)).encode()).hexdigest())
"""
STEPS = 1000


def expected():
    total = hashlib.sha256()
    for step in range(STEPS):
        digest = b"%d" % step
        for _ in range(2000):
            digest = hashlib.sha256(digest).digest()
        total.update(digest.hex().encode())
    return total.hexdigest()


def test():
    job = Program("/usr/bin/python3", "-c", PROGRAM, str(STEPS))
    job.wait_for_more()
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    expect("result" not in job.text(), "it was too fast to be tested")
    job.restore(image)
    job.wait_for_more()
    job.wait()
    expect(job.lines()[-1] == f"result {expected()}", f"wrong: {job.lines()[-1]}")
    expect(len(job.lines()) == STEPS / 10 + 1, "steps are missing or were done twice")


main(test)
