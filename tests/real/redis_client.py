#!/usr/bin/python3
# redis-server while a client is connected.  Where TCP_REPAIR is permitted the client goes on and
# never notices; else that is refused without --tcp-close, with the name of the client, and with
# it the server finds the connection closed, and serves others.
# LEVELS: none cap root
import os
import socket

from _program import expect, main, stasis
from redis_data import check_data, connect, free_port, put_data, start

TCP_REPAIR = 19


def may_repair():
    with socket.socket() as trial:
        try:
            trial.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:
            return False
    return True


def test():
    port = free_port()
    job = start(port)
    client = connect(job, port)
    put_data(client)
    job.checkpoint()
    check_data(client)
    image = job.checkpoint("--kill")
    if may_repair():
        job.restore(image)
    else:
        said = stasis("restore", image, status=3)
        expect("--tcp-close" in said, f"the refusal does not say what to do: {said}")
        expect(f"process {os.getpid()} (" in said, f"the refusal does not name us: {said}")
        job.restore(image, "--tcp-close")
    other = connect(job, port)
    check_data(other)  # only now it is there: to a client that asked before, nobody is
    if may_repair():
        check_data(client)
    connected = other.ask("CLIENT", "LIST").count("\n")
    expect(connected == (2 if may_repair() else 1), f"it believes in {connected} connections")
    client.close()
    other.socket.sendall(b"SHUTDOWN NOSAVE\r\n")
    job.wait()


main(test)
