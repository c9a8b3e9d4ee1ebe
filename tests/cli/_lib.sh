# What the scripts of tests/cli share.  They begin with
#
#	. "$STASIS_SOURCE/tests/cli/_lib.sh"
#
# and run in an empty folder of their own (tests/lib/scripts.py).
set -euo pipefail

exec 3>&1 # for messages: outputs of single commands are looked at
started=()

fail() {
	echo "${BASH_SOURCE[-1]##*/}:${BASH_LINENO[-2]}: $*" >&3
	[[ ! -s said.err ]] || sed 's/^/    it said: /' said.err >&3
	exit 1
}

skip() {
	echo "skipped: $*" >&3
	exit 77
}

end_started() {
	local pid
	for pid in "${started[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
}
trap end_started EXIT

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
	local tries=$(($1 * 50 * ${STASIS_TIME_SCALE:-1}))
	shift
	until "$@" 2>/dev/null; do
		((tries-- > 0)) || return 1
		sleep 0.02
	done
}

# start NAME COMMAND...: in the background, with its own folder; its number is in $pid.
start() {
	local name=$1
	shift
	mkdir -p "$name"
	(
		cd "$name"
		exec 3>&-
		exec setsid "$@" </dev/null >out 2>&1
	) &
	pid=$!
	started+=("$pid")
}

# The number is nobody's any more, or soon that of a program that is brought back.
forget() {
	local kept=() number
	for number in "${started[@]}"; do
		[[ $number == "$1" ]] || kept+=("$number")
	done
	started=("${kept[@]}")
}

# killed PID: what --kill has ended.
killed() {
	wait_for 10 is_gone "$1" || fail "--kill did not end it"
	forget "$1"
}

# program_of PID: what the 'stasis restore' with that number is the parent of.
program_of() {
	local number=$1 child
	while child=$(cat "/proc/$number/task/$number/children") && [[ $child ]]; do
		number=${child%% *}
	done
	echo "$number"
}

# A program that counts in the file NAME/ticks; TERM makes it exit with 7, USR1 is counted in NAME/usr1.
counter() {
	cat >"$1.py" <<'PYTHON'
import os, signal, sys, time

usr1 = 0

def on_usr1(number, frame):
    global usr1
    usr1 += 1
    put("usr1", usr1)

def put(name, value):
    fd = os.open(name, os.O_CREAT | os.O_WRONLY, 0o600)
    os.pwrite(fd, b"%08d\n" % value, 0)
    os.close(fd)

signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
signal.signal(signal.SIGUSR1, on_usr1)
ballast = bytearray(os.urandom(int(sys.argv[1]) << 20))
n = 0
while True:
    n += 1
    put("ticks", n)
    time.sleep(0.01)
PYTHON
	start "$1" python3 "../$1.py" "${2:-0}"
	wait_for 20 test -s "$1/ticks" || fail "the program did not start"
}

ticks() {
	echo $((10#$(cat "$1/ticks")))
}

moved_on() {
	(($(ticks "$1") > $2))
}

# The program NAME counts on.
goes_on() {
	wait_for 10 moved_on "$1" "$(ticks "$1")" || fail "$1 does not go on: ${2:-}"
}

stands_still() {
	local before
	sleep 0.1
	before=$(ticks "$1")
	sleep 0.15
	[[ $(ticks "$1") == "$before" ]] || fail "$1 goes on: ${2:-}"
}

state_is() {
	[[ $(awk '/^State:/ {print $2}' "/proc/$1/status") == "$2" ]]
}

is_gone() {
	[[ ! -e /proc/$1 ]] || state_is "$1" Z
}

# expect CODE COMMAND...: what it says is in said.out and said.err.
expect() {
	local code=0 wanted=$1
	shift
	"$@" >said.out 2>said.err </dev/null || code=$?
	[[ $code == "$wanted" ]] || fail "'${*##*/}' ended with $code, not $wanted"
}

# The last command said WHY (a regular expression), in the way that errors are told.
says() {
	grep -qE -- "$1" said.err || fail "it does not say '$1'"
	if grep -qvE '^(stasis: [a-z]+: .*[^.]|    [^ ].*)$' said.err; then
		fail "not a sentence of the form 'stasis: WHAT: WHY'"
	fi
}

# refuses CODE WHY COMMAND...: as expect, with its reason, and nothing is left behind.
refuses() {
	local code=$1 why=$2 files
	shift 2
	touch said.out said.err
	files=$(find . ! -name 'ticks' ! -name 'usr1' | sort)
	expect "$code" "$@"
	says "$why"
	[[ ! -s said.out || ${stdout_is_fine:-} ]] || fail "it wrote to standard output"
	[[ $(find . ! -name 'ticks' ! -name 'usr1' | sort) == "$files" ]] ||
		fail "files were left behind: $(find . -newer said.err | tr '\n' ' ')"
	nobody_left
}

# Processes of our folder that are neither the script nor what it started itself.
strangers() {
	local number
	find /proc -maxdepth 2 -name cwd -lname "$SCRATCH*" 2>/dev/null | cut -d/ -f3 | while read -r number; do
		[[ " ${started[*]} " == *" $number "* ]] ||
			tr '\0' ' ' 2>/dev/null <"/proc/$number/cmdline" |
			grep -v -e /tests/cli/ -e '^find /proc' | sed "s/^/$number /" || true
	done
}

nobody_there() {
	[[ -z $(strangers) ]]
}

nobody_left() {
	wait_for 3 nobody_there || fail "processes were left behind: $(strangers)"
}
