#!/bin/bash
# Makes sure that a Debian machine has what GROUP needs; quiet and instant when it has.
#
#	tools/setup.sh build | demo | test | coverage | bench | kernels | fuzz
#
# Installs through apt-get, with sudo when not root.  No service that comes
# with a package is started or enabled: this is somebody's machine.
set -euo pipefail

# PACKAGE, or PACKAGE:COMMAND where any provider of COMMAND will do.
build=(gcc libc6-dev make meson ninja-build pkg-config binutils protobuf-c-compiler
	libprotobuf-c-dev libzstd-dev libxxhash-dev libcap-dev libcmocka-dev
	zlib1g-dev libseccomp-dev)
demo=(python3 util-linux)
test=(python3 util-linux libcap2-bin procps strace perl sqlite3 redis-server redis-tools gzip
	nginx-light:nginx make nodejs:node openjdk-17-jdk-headless:javac vim:vim tmux bsdutils:script shellcheck man-db
	clang-tidy cppcheck)
bench=(python3 util-linux)
kernels=(python3 util-linux libcap2-bin procps iproute2 kmod cpio xz-utils
	qemu-system-x86:qemu-system-x86_64)
coverage=(clang llvm:llvm-cov)
fuzz=(python3 clang afl++:afl-fuzz)

has() { # PACKAGE[:COMMAND]
	if [[ $1 == *:* ]] && command -v "${1#*:}" >/dev/null; then
		return 0
	fi
	[[ " $installed " == *" ${1%%:*} "* ]]
}

as_root() {
	if [[ $(id -u) -eq 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		echo "setup: these packages are missing and need root: ${missing[*]}" >&2
		echo "setup: as root, run: apt-get install ${missing[*]}" >&2
		exit 1
	fi
}

# While the packages are configured, a policy of our own says "start nothing";
# a policy that is already there is the owner's and stays.
install_quietly() {
	local policy=/usr/sbin/policy-rc.d ours='' before log
	before=$(redis_unit)
	log=$(mktemp)
	if [[ ! -e $policy ]]; then
		ours=1
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		# shellcheck disable=SC2064 # policy is local: it is gone when the trap runs
		trap "rm -f $policy" EXIT
		trap 'exit 1' INT TERM HUP
	fi
	if ! { apt-get update -qq &&
		apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@"; } \
		</dev/null >"$log" 2>&1; then
		tail -n 30 "$log" >&2
		echo "setup: apt-get could not install: $*" >&2
		rm -f "$log"
		exit 1
	fi
	rm -f "$log"
	[[ -z $ours ]] || rm -f $policy
	if [[ -z $before && -n $(redis_unit) ]]; then
		update-rc.d redis-server disable >/dev/null 2>&1 || true
	fi
}

redis_unit() {
	ls /etc/init.d/redis-server 2>/dev/null || true
}

if [[ ${1-} == --as-root ]]; then
	shift
	export DEBIAN_FRONTEND=noninteractive
	install_quietly "$@" >&2
	exit 0
fi

case ${1-} in
build) want=("${build[@]}") ;;
demo) want=("${build[@]}" "${demo[@]}") ;;
test) want=("${build[@]}" "${demo[@]}" "${test[@]}") ;;
coverage) want=("${build[@]}" "${demo[@]}" "${test[@]}" "${coverage[@]}") ;;
bench) want=("${build[@]}" "${bench[@]}") ;;
kernels) want=("${build[@]}" "${kernels[@]}") ;;
fuzz) want=("${build[@]}" "${fuzz[@]}") ;;
*)
	echo "usage: tools/setup.sh build|demo|test|coverage|bench|kernels|fuzz" >&2
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "setup: not a Debian system; needed are: ${want[*]%%:*}" >&2
	exit 0
fi
installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
	awk '$1 == "ii" || $1 == "hi" { printf "%s ", $2 }')
missing=()
for package in "${want[@]}"; do
	has "$package" || missing+=("${package%%:*}")
done
if [[ ${#missing[@]} -gt 0 ]]; then
	echo "setup: installing ${missing[*]}" >&2
	as_root bash "$0" --as-root "${missing[@]}"
fi
