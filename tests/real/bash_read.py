#!/usr/bin/python3
# bash: a loop of builtins that waits in `read -t` and catches a signal, before and after.
# LEVELS: none cap root
from _program import Program, expect, main, run

PROGRAM = r"""
declare -A square
mkfifo pipe
exec 3<>pipe            # nobody writes: read -t always runs into its timeout
trap 'echo trapped' USR1
trap 'echo bye' EXIT
for ((n = 1; n <= 120; n++)); do
    square[$n]=$((n * n))
    read -r -t 0.02 -u 3 word && echo "unexpected $word"
    echo "$n ${square[$n]} $BASHPID"
    [[ $n -ne 119 ]] || kill -USR1 $BASHPID
done
echo "result ${#square[@]} ${square[99]}"
"""


def test():
    job = Program("/bin/bash", "-c", PROGRAM)
    number = job.pid
    job.wait_for_more()
    job.checkpoint()
    run("kill", "-USR1", str(job.pid))
    job.wait_for("^trapped$")
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait()
    lines = [line for line in job.lines() if line != "trapped"]
    expect(lines == [f"{n} {n * n} {number}" for n in range(1, 121)] + ["result 120 9801", "bye"],
           f"wrong:\n{job.text()}")
    expect(job.lines().count("trapped") == 2, "a trap was lost")


main(test)
