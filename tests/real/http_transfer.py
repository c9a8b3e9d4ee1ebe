#!/usr/bin/python3
# python3: an HTTP server and its client, of one tree, in the middle of a transfer: what the server has
# written and the client has no room for yet comes back too, and all of it arrives once.
# LEVELS: none cap root
from _program import Program, expect, main

PROGRAM = """
import hashlib, http.server, os, sys, time, urllib.request

SIZE = int(sys.argv[1])

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments):
        pass

with open("big.bin", "wb") as file:
    for n in range(SIZE >> 16):
        file.write(n.to_bytes(4, "little") * (1 << 14))
with open("big.bin", "rb") as file:
    expected = hashlib.sha256(file.read()).digest()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
url = f"http://127.0.0.1:{server.server_address[1]}/big.bin"
pid = os.fork()
if pid == 0:
    server.serve_forever()
server.server_close()
digest = hashlib.sha256()
with urllib.request.urlopen(url) as response:
    while data := response.read(1 << 16):
        digest.update(data)
        print(response.length, "bytes to come", flush=True)
        time.sleep(0.02)
assert digest.digest() == expected
with urllib.request.urlopen(url) as response:
    assert hashlib.sha256(response.read()).digest() == expected
os.kill(pid, 9)
assert os.waitpid(pid, 0) == (pid, 9)
print("all is there")
"""
SIZE = 24 << 20


def test():
    job = Program("/usr/bin/python3", "-c", PROGRAM, str(SIZE))
    job.wait_for_more()
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    expect("all is there" not in job.text(), "it was too fast to be tested")
    job.restore(image)
    job.wait_for_more()
    job.wait()
    expect(job.lines()[-1] == "all is there", f"wrong: {job.lines()[-1]}")
    expect(len(job.lines()) == (SIZE >> 16) + 1, "something came twice")


main(test)
