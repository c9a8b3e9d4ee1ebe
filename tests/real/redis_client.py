#!/usr/bin/python3
# redis-server while a client is connected: without --tcp-close that is refused, with it the
# server finds the connection closed, and serves others.
# LEVELS: none cap root
from _program import expect, main, stasis
from redis_data import check_data, connect, free_port, put_data, start


def test():
    port = free_port()
    job = start(port)
    client = connect(job, port)
    put_data(client)
    job.checkpoint()
    check_data(client)
    image = job.checkpoint("--kill")
    said = stasis("restore", image, status=3)
    expect("--tcp-close" in said, f"the refusal does not say what to do: {said}")
    job.restore(image, "--tcp-close")
    other = connect(job, port)
    check_data(other)
    expect(other.ask("CLIENT", "LIST").count("\n") == 1, "it still believes in the connection")
    client.close()
    other.socket.sendall(b"SHUTDOWN NOSAVE\r\n")
    job.wait()


main(test)
