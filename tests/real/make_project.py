#!/usr/bin/python3
# make -j2 of a small C project, in the middle: compilers, their pipes and temporary files, the
# jobserver.  What comes out is, byte for byte, what an unbroken run builds.
# LEVELS: none cap root
import os
import subprocess

from _program import PATIENCE, Program, expect, main, need, run

FILES = 16
# Each compilation lasts a little, so that the checkpoint meets some.
MAKEFILE = """
CFLAGS = -O2 -pipe -g0
OBJECTS = $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
all: prog
prog: $(OBJECTS)
\t$(CC) -o $@ $(OBJECTS)
\t@echo linked
%.o: %.c
\t@echo compiling $<
\t$(CC) $(CFLAGS) -c -o $@ $< && sleep 0.1
"""


def write_project(folder):
    os.mkdir(folder)
    for n in range(FILES):
        with open(f"{folder}/f{n}.c", "w") as file:
            file.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n")
            for k in range(60):
                file.write(f"int f{n}_{k}(int x) {{ int s = 0; for (int i = 0; i < x; i++) "
                           f"s += i * {k} % (i + {n + 1}); return s; }}\n")
    with open(f"{folder}/main.c", "w") as file:
        file.write("#include <stdio.h>\n")
        file.write("".join(f"int f{n}_7(int);\n" for n in range(FILES)))
        file.write("int main(void) {\n")
        file.write("".join(f'printf("%d\\n", f{n}_7(100));\n' for n in range(FILES)))
        file.write("return 0; }\n")
    with open(f"{folder}/Makefile", "w") as file:
        file.write(MAKEFILE)


def test():
    need("make", "cc")
    write_project("unbroken")
    write_project("project")
    subprocess.run(["make", "-s", "-C", "unbroken", "-j2"], check=True, timeout=PATIENCE,
                   stdout=subprocess.DEVNULL)
    job = Program("make", "--no-print-directory", "-C", "project", "-j2")
    job.wait_for("^compiling ", 4)
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    expect(not os.path.exists("project/prog"), "it was finished too soon")
    job.restore(image)
    job.wait(0)
    job.wait_for("^linked$")
    expect(job.text().count("compiling ") == FILES + 1, f"not one rule each:\n{job.text()}")
    for name in ["prog"] + [f"f{n}.o" for n in range(FILES)]:
        with open(f"unbroken/{name}", "rb") as one, open(f"project/{name}", "rb") as other:
            expect(one.read() == other.read(), f"{name} differs from that of an unbroken run")
    expect(run("project/prog") == run("unbroken/prog"), "the programs differ")


main(test)
