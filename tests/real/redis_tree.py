#!/usr/bin/python3
# redis-server and a redis-cli that asks it all the time, of one tree: their connection goes on, and
# nothing is counted twice or left out.
# LEVELS: none cap root
from _program import Program, expect, main, need
from redis_data import free_port

SCRIPT = """
redis-server --port "$1" --bind 127.0.0.1 --save '' --appendonly no --dir . >server.log 2>&1 &
until redis-cli -p "$1" ping >pong 2>&1 && grep -q PONG pong; do sleep 0.05; done
redis-cli -p "$1" -r "$2" -i 0.02 incr counter
redis-cli -p "$1" client list | grep -c addr
redis-cli -p "$1" shutdown nosave
wait
"""
COUNT = 150


def test():
    need("redis-server", "redis-cli")
    job = Program("/bin/sh", "-c", SCRIPT, "sh", str(free_port()), str(COUNT))
    job.wait_for_more()
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    expect(len(job.lines()) < COUNT, "it was too fast to be tested")
    job.restore(image)
    job.wait_for_more()
    job.wait()
    expect(job.lines() == [*map(str, range(1, COUNT + 1)), "1"], f"wrong: {job.text()[-500:]}")


main(test)
