#!/usr/bin/python3
# nginx: a master and two workers with one listening socket and shared memory serve requests
# before and after; the master still reads its settings anew and ends its workers.
# LEVELS: none
import os
import signal
import socket
import time
import urllib.error
import urllib.request

from _program import Program, expect, main, need, until

SETTINGS = """
{user}
daemon off;
master_process on;
worker_processes 2;
error_log error.log;
pid nginx.pid;
events {{ worker_connections 64; }}
http {{
    limit_req_zone $binary_remote_addr zone=all:1m rate=1000r/s;
    access_log access.log;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        root {home}/pages;
        location / {{ limit_req zone=all burst=100; }}
        location /word {{ return 200 "{word}"; }}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_settings(port, word):
    with open("nginx.conf", "w") as file:
        file.write(SETTINGS.format(port=port, word=word, home=os.getcwd(),
                                   user="user root;" if os.geteuid() == 0 else ""))


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return answer.read()


def answers(port, path):
    try:
        return get(port, path)
    except (urllib.error.URLError, OSError):
        return None


def serves(port, page, times=20):
    for _ in range(times):
        expect(get(port, "/page") == page, "the page differs")
    time.sleep(0.3)  # the connections are gone


def test():
    nginx, = need("nginx")
    port = free_port()
    page = b"a page of some length\n" * 3000
    os.mkdir("pages")
    with open("pages/page", "wb") as file:
        file.write(page)
    write_settings(port, "before")
    job = Program(nginx, "-p", os.getcwd(), "-e", "error.log", "-c", os.path.abspath("nginx.conf"))
    number = job.pid
    until(lambda: answers(port, "/word") == b"before" or not job.is_alive(), "nginx to answer")
    expect(job.is_alive(), f"nginx ended:\n{job.text()}")
    serves(port, page)
    job.checkpoint()
    serves(port, page)
    image = job.checkpoint("--kill")
    expect(answers(port, "/word") is None, "somebody still answers")
    job.restore(image)
    until(lambda: answers(port, "/word") == b"before", "nginx to answer after the restore")
    serves(port, page)
    # What stands for the master hands signals on to it.
    write_settings(port, "after")
    job.process.send_signal(signal.SIGHUP)
    until(lambda: answers(port, "/word") == b"after", "new workers with the new settings")
    serves(port, page)
    with open("nginx.pid") as file:
        expect(int(file.read()) == number, "the master has another number")
    job.process.send_signal(signal.SIGQUIT)
    job.wait(0)


main(test)
