#!/usr/bin/python3
# gzip in the middle of a file: what it writes is the same as that of an unbroken run.
# LEVELS: none cap root
import hashlib
import os
import random

from _program import Program, expect, main, need, run, until


def write_big_file(path):
    """Some 20 MB that compress neither very well nor very badly."""
    words = [random.Random(n).randbytes(random.Random(-n).randrange(2, 12)).hex()
             for n in range(3000)]
    choose = random.Random(1)
    with open(path, "w") as file:
        for _ in range(50):
            file.write(" ".join(choose.choices(words, k=26_000)))


def written():
    try:
        return os.stat("big.gz").st_size
    except FileNotFoundError:
        return 0


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() \
            if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()


def test():
    need("gzip")
    write_big_file("big")
    run("cp", "--preserve=timestamps", "big", "copy")
    job = Program("gzip", "-9", "big")
    until(lambda: written() > 500_000, "gzip at work")
    job.checkpoint()
    half = written()
    until(lambda: written() > half + 500_000, "gzip at work")
    image = job.checkpoint("--kill")
    expect(os.path.exists("big"), "gzip was ready too soon to be tested")
    job.restore(image)
    job.wait()
    expect(not os.path.exists("big"), "gzip ends by removing the original")
    os.rename("copy", "big")
    os.rename("big.gz", "broken.gz")
    run("gzip", "-9", "big")
    expect(digest("big.gz") == digest("broken.gz"), "the compressed files differ")


main(test)
