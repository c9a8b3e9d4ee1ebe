#!/bin/bash
# A stranger's program builds against the installed library through pkg-config, shared and
# static, with names of its own that the library has inside, and gets version and errors.
set -euo pipefail
shopt -s nullglob

if ! command -v cc >/dev/null || ! command -v pkg-config >/dev/null; then
	echo "skipped: there is no compiler"
	exit 77
fi
export PKG_CONFIG_PATH=$STASIS_PREFIX/lib/pkgconfig

cat >stranger.c <<'C'
#include <stasis.h>
#include <stdio.h>
#include <string.h>

/* The library has functions of these names inside: they must not meet. */
int fail(void);
int fail(void) { return 1; }
int fd_read(void);
int fd_read(void) { return 1; }

int main(int argc, char **argv)
{
	stasis_error *err = NULL;

	if (argc != 2 || strcmp(stasis_version(), argv[1]) != 0) {
		printf("version %s\n", stasis_version());
		return fail();
	}
	if (stasis_verify("there-is-none", NULL, &err) >= 0 || !err)
		return fail();
	if (stasis_error_count(err) < 1 || !strstr(stasis_error_why(err, 0), "there-is-none")) {
		printf("why: %s\n", stasis_error_why(err, 0));
		return fail();
	}
	stasis_error_free(err);
	return 0;
}
C

version=$(pkg-config --modversion stasis)
read -ra flags < <(pkg-config --cflags --libs stasis)
cc -std=c11 -Wall -Wextra -Werror -o shared stranger.c "${flags[@]}"
LD_LIBRARY_PATH=$STASIS_PREFIX/lib ./shared "$version"
readelf -d shared | grep -q 'NEEDED.*libstasis\.so\.0\]'

# -static is for the whole program; here only libstasis is to be.
read -ra flags < <(pkg-config --static --cflags --libs stasis)
cc -std=c11 -Wall -Wextra -Werror -o static stranger.c "${flags[@]/#-lstasis/-l:libstasis.a}"
./static "$version"
if readelf -d static | grep -q 'NEEDED.*libstasis'; then
	echo "not linked statically"
	exit 1
fi

for example in "$STASIS_SOURCE"/examples/*.c; do
	cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o example "$example" "${flags[@]}"
done
