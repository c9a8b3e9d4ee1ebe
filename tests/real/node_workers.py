#!/usr/bin/python3
# node: V8's compiled code, garbage collection, worker threads, timers and libuv's epoll.
# LEVELS: none cap root
import hashlib

from _program import Program, expect, main, need

PROGRAM = r"""
const { Worker } = require('worker_threads');
const { createHash } = require('crypto');
const fs = require('fs');

const STEPS = 120;
const worker = new Worker(`
    const { parentPort } = require('worker_threads');
    function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    parentPort.on('message', n => parentPort.postMessage([n, fib(15 + n % 8)]));
`, { eval: true });
const hash = createHash('sha256');
const answers = new Map();
let garbage = [], step = 0, read = 0;

worker.on('message', ([n, value]) => {
    answers.set(n, value);
    hash.update(n + ':' + value + ';');
    fs.promises.readFile('data', 'utf8').then(text => {     // libuv's thread pool
        console.log('step', n, value, text.length);
        if (++read < STEPS)
            return;
        console.log('result', hash.digest('hex'), garbage.length, process.pid);
        clearInterval(clock);
        worker.terminate().then(() => process.exit(5));
    });
});
const clock = setInterval(() => {
    if (step >= STEPS)
        return;
    garbage = garbage.concat(Array.from({ length: 100 }, (_, i) => ({ step, i })));
    worker.postMessage(step++);
}, 20);
"""
STEPS = 120


def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def test():
    need("node")
    with open("data", "w") as file:
        file.write("some text\n" * 100)
    job = Program("node", "-e", PROGRAM)
    number = job.pid
    job.wait_for("^step 5 ")
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait_for_more()
    job.wait(5)
    digest = hashlib.sha256("".join(f"{n}:{fib(15 + n % 8)};" for n in range(STEPS)).encode())
    # The thread pool may answer two reads in either order.
    lines = sorted(job.lines()[:-1], key=lambda line: int(line.split()[1])) + job.lines()[-1:]
    expect(lines == [f"step {n} {fib(15 + n % 8)} 1000" for n in range(STEPS)]
           + [f"result {digest.hexdigest()} {STEPS * 100} {number}"], f"wrong:\n{job.text()}")


main(test)
