#!/usr/bin/python3
# redis-server with data: nobody is connected when it is saved; a client that comes later finds
# all of it, also keys that expire, and the server goes on to serve.
# LEVELS: none cap root
import socket
import time

from _program import Program, Trouble, expect, main, need, run, until


class Client:
    """A connection that speaks Redis' protocol, as far as a test needs it."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def ask(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.answer()

    def answer(self):
        line = self.file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.answer() for _ in range(int(rest))]
        raise Trouble(f"the server answers {line!r}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(job, port):
    def attempt():
        expect(job.is_alive(), f"the server ended:\n{job.text()}")
        try:
            return Client(port)
        except OSError:
            return None

    return until(attempt, "the server to answer")


def start(port):
    need("redis-server")
    return Program("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "yes", "--dir", ".", "--maxmemory", "64mb",
                   "--enable-debug-command", "yes")


def put_data(client):
    for n in range(5000):
        client.ask("SET", f"key {n}", f"value {n} " * 10)
    for n in range(500):
        client.ask("HSET", "table", f"field {n}", n * n)
        client.ask("ZADD", "ranking", n, f"member {n}")
        client.ask("RPUSH", "list", n)
    client.ask("SET", "short", "gone soon", "PX", 1500)
    client.ask("SET", "long", "stays", "EX", 1000)


def check_data(client):
    expect(client.ask("DBSIZE") in (5004, 5005), "the number of keys differs")
    for n in range(0, 5000, 7):
        expect(client.ask("GET", f"key {n}") == f"value {n} " * 10, f"key {n} differs")
    expect(client.ask("HGET", "table", "field 321") == str(321 * 321), "the table differs")
    expect(client.ask("ZRANGE", "ranking", 498, -1) == ["member 498", "member 499"], "ranking")
    expect(client.ask("LRANGE", "list", 0, -1) == [str(n) for n in range(500)], "the list differs")
    expect(client.ask("GET", "long") == "stays", "a key expired too soon")
    expect(990 <= client.ask("TTL", "long") <= 1000, "the time that a key has left differs")


def idle(port):
    """Nobody is connected any more, also not in the server's eyes."""
    client = Client(port)
    until(lambda: client.ask("CLIENT", "LIST").count("\n") == 1, "the server to forget clients")
    client.close()
    time.sleep(0.3)


def test():
    port = free_port()
    job = start(port)
    client = connect(job, port)
    number = int(dict(line.split(":", 1) for line in client.ask("INFO", "server").split("\r\n")
                      if ":" in line)["process_id"])
    expect(number == job.pid, "another server answers")
    put_data(client)
    client.close()
    idle(port)
    job.checkpoint()
    client = connect(job, port)
    check_data(client)
    expect(client.ask("INCR", "counter") == 1, "it does not count")
    client.close()
    idle(port)
    image = job.checkpoint("--kill")
    job.restore(image)
    client = connect(job, port)
    until(lambda: client.ask("GET", "short") is None, "a key to expire")
    expect(client.ask("INCR", "counter") == 2, "it does not go on counting")
    expect(client.ask("DEL", "counter") == 1, "nothing to delete")
    check_data(client)
    client.ask("SET", "new", "after the restore")
    other = connect(job, port)
    expect(other.ask("GET", "new") == "after the restore", "two clients see different data")
    # What it writes to its log of changes goes to the file that it had open.
    expect("after the restore" in read_log(), "the log of changes stands still")
    other.close()
    client.socket.sendall(b"SHUTDOWN NOSAVE\r\n")
    job.wait()


def read_log():
    names = run("find", ".", "-name", "*.aof").split()
    expect(names, "there is no log of changes")
    text = ""
    for name in names:
        with open(name, errors="replace") as file:
            text += file.read()
    return text


if __name__ == "__main__":
    main(test)
