#!/bin/bash
# LEVELS: none cap root
# A program in the middle of a pipeline comes back in another pipeline: its standard input
# and output are then those of the restore.
set -euo pipefail

cat >program.py <<'PY'
import os, sys
with open("pid", "w") as file:
    print(os.getpid(), file=file)
for line in sys.stdin:
    print(line.strip().upper(), flush=True)
print("end", flush=True)
PY

# A named pipe keeps the first pipeline's input open until the program has been ended.
mkfifo ready
(echo one && read -r _ <ready) | /usr/bin/python3 program.py 2>errors | cat >first &
for _ in $(seq 500); do
	if grep -qs ONE first; then break; fi
	sleep 0.02
done
grep -q ONE first
"$STASIS" checkpoint --kill -o image "$(cat pid)"
echo >ready
wait || :

printf 'two\nthree\n' | "$STASIS" restore image | cat >second
printf 'TWO\nTHREE\nend\n' | cmp - second

# Without a pipeline, files can take their places.
printf 'four\n' >input
"$STASIS" restore --stdin input --stdout third image </dev/null >nothing
printf 'FOUR\nend\n' | cmp - third
[ ! -s nothing ]

# A program of one pipe for both comes back on two files, when these are what there is now.
cat >both.py <<'PY'
import os, sys, time
with open("pid", "w") as file:
    print(os.getpid(), file=file)
while not os.path.exists("go"):
    time.sleep(0.01)
print("to output")
print("to error", file=sys.stderr)
PY
rm pid
/usr/bin/python3 both.py </dev/null 2>&1 | cat >fourth &
for _ in $(seq 500); do
	if [ -s pid ]; then break; fi
	sleep 0.02
done
sleep 0.2
"$STASIS" checkpoint --kill -o image "$(cat pid)"
wait || :
touch go
"$STASIS" restore image >fifth 2>sixth
grep -qx 'to output' fifth
grep -qx 'to error' sixth
"$STASIS" restore --stderr seventh image | cat >eighth
grep -qx 'to error' seventh
grep -qx 'to output' eighth
