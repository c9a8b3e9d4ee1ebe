#!/usr/bin/python3
# bash in the middle of pipelines, background jobs, command substitutions and traps: what it
# prints is what an unbroken run prints.
# LEVELS: none cap root
import subprocess

from _program import PATIENCE, Program, expect, main, need

SCRIPT = r"""
trap 'echo ended with $?' EXIT
worker() { for i in 1 2 3 4 5 6 7 8; do echo "worker $1 step $i"; sleep 0.1; done; return $1; }
worker 3 >w3 & first=$!
worker 5 >w5 & second=$!
for n in $(seq 1 12); do
    sum=$(seq 1 $((n * 1000)) | awk '{ s += $1 } END { print s }')
    printf 'sum %s %s\n' "$n" "$sum"
    sleep 0.1
done | tee copy | while read -r word n sum; do
    echo "got $n: $sum"
    echo "$sum" | md5sum | cut -c1-8
done
wait $first; echo "first $?"
wait $second; echo "second $?"
cat w3 w5 copy | sort | md5sum
exit 9
"""


def test():
    need("bash", "awk")
    unbroken = subprocess.run(["bash", "-c", SCRIPT], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
    expect(unbroken.returncode == 9, f"the script itself fails: {unbroken.stderr}")
    job = Program("bash", "-c", SCRIPT)
    job.wait_for("^got 3: ")
    job.checkpoint()
    job.wait_for_more()
    image = job.checkpoint("--kill")
    job.restore(image)
    job.wait(9)
    expect(job.text() == unbroken.stdout, f"not as in an unbroken run:\n{job.text()}")


main(test)
