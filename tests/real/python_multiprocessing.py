#!/usr/bin/python3
# Python's multiprocessing: queues, locks, shared memory, a pool and the resource tracker.
# LEVELS: none cap root
from _program import Program, expect, main

PROGRAM = r"""
import multiprocessing as mp, sys, time
from multiprocessing import shared_memory

STEPS, WORKERS = 60, 3

def work(number, tasks, results, name, lock, total):
    memory = shared_memory.SharedMemory(name=name)
    for n in iter(tasks.get, None):
        time.sleep(0.02)
        with lock:
            memory.buf[n] = n * 7 % 251
            total.value += n
        results.put((n, n * n))
    memory.close()
    results.put(None)

def cube(n):
    time.sleep(0.01)
    return n ** 3

if __name__ == '__main__':
    mp.set_start_method('fork')
    tasks, results, lock, total = mp.Queue(), mp.Queue(), mp.Lock(), mp.Value('l', 0, lock=False)
    memory = shared_memory.SharedMemory(create=True, size=4096)
    workers = [mp.Process(target=work, args=(i, tasks, results, memory.name, lock, total))
               for i in range(WORKERS)]
    for worker in workers:
        worker.start()
    for n in range(STEPS):
        tasks.put(n)
    for _ in workers:
        tasks.put(None)
    found, ended = {}, 0
    while ended < WORKERS:
        item = results.get()
        if item is None:
            ended += 1
            continue
        found[item[0]] = item[1]
        print('found', len(found), flush=True)
    for worker in workers:
        worker.join()
    print('all', sorted(found.items()) == [(n, n * n) for n in range(STEPS)], total.value,
          sum(memory.buf[:STEPS]), [worker.exitcode for worker in workers], flush=True)
    memory.close()
    memory.unlink()
    with mp.Pool(3) as pool:
        for i, value in enumerate(pool.imap(cube, range(60))):
            print('cube', i, value, flush=True)
    sys.exit(6)
"""


def test():
    with open("program.py", "w") as file:
        file.write(PROGRAM)
    job = Program("/usr/bin/python3", "program.py")
    job.wait_for("^found 8$")
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait_for("^cube 5 ")
    job.wait(6)
    total = sum(range(60))
    memory = sum(n * 7 % 251 for n in range(60))
    expect(job.lines() == [f"found {n + 1}" for n in range(60)]
           + [f"all True {total} {memory} [0, 0, 0]"]
           + [f"cube {n} {n ** 3}" for n in range(60)], f"wrong:\n{job.text()}")


main(test)
