#!/usr/bin/python3
# A server in Python that forks its workers first: all accept from one socket (SO_REUSEADDR).  The
# master replaces workers that end, also after the restore.
# LEVELS: none cap root
import os
import signal
import socket
import time

from _program import Program, expect, main, until

SERVER = r"""
import os, signal, socket, sys

shared = socket.create_server(('127.0.0.1', 0), backlog=64)
port = shared.getsockname()[1]
cache = {n: str(n) * 100 for n in range(10000)}
workers = {}
ending = False

def work():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if ending:  # told to before that
        os._exit(1)
    served = 0
    while True:
        client, _ = shared.accept()
        with client:
            line = client.makefile().readline()
            if not line:
                continue
            key = int(line)
            served += 1
            client.sendall(f'{os.getpid()} {served} {cache[key]}\n'.encode())

def start():
    pid = os.fork()
    if pid == 0:
        work()
    workers[pid] = True

def end(*_):
    global ending
    ending = True
    for pid in list(workers):
        os.kill(pid, signal.SIGTERM)

signal.signal(signal.SIGTERM, end)
for _ in range(4):
    start()
print('port', port, flush=True)
while workers:
    pid, _ = os.wait()
    del workers[pid]
    if not ending:
        start()
        print('replaced', pid, flush=True)
print('ended', flush=True)
sys.exit(4)
"""


def ask(port, key):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as s:
        s.sendall(f"{key}\n".encode())
        pid, served, value = s.makefile().readline().split()
    expect(value == str(key) * 100, f"a wrong answer: {value}")
    return int(pid), int(served)


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
        return True
    except ConnectionRefusedError:
        return False


def ask_many(port, counts):
    for key in range(60):
        pid, served = ask(port, key * 37)
        expect(served == counts.get(pid, 0) + 1, f"worker {pid} does not count on: {served}")
        counts[pid] = served
    time.sleep(0.2)


def test():
    job = Program("/usr/bin/python3", "-c", SERVER)
    port = int(job.wait_for(r"^port (\d+)")[0])
    counts = {}
    ask_many(port, counts)
    job.checkpoint()
    ask_many(port, counts)
    image = job.checkpoint("--kill")
    expect(not is_open(port), "somebody still listens")
    job.restore(image)
    until(lambda: is_open(port), "the server to be back")
    ask_many(port, counts)
    # By the number that the server sees; on the host it may have another one.
    victim = until(worker_outside(job), "a worker")
    os.kill(victim, signal.SIGKILL)
    job.wait_for("^replaced ")
    ask(port, 1)
    job.process.send_signal(signal.SIGTERM)
    job.wait(4)
    expect("ended" in job.text(), "it does not end as it should")


def worker_outside(job):
    """A process whose command line is the server's and whose parent has it as well."""
    def command_of(pid):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                return file.read()
        except OSError:
            return ""

    def parent_of(pid):
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])

    def find():
        here = os.getcwd()
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and "backlog=64" in command_of(name) and \
                        os.readlink(f"/proc/{name}/cwd") == here and \
                        "backlog=64" in command_of(parent_of(name)):
                    return int(name)
            except OSError:
                continue
        return None

    return find


main(test)
