# A thin front to Meson and the scripts: each of these is the only command to type.
PREFIX ?= /usr/local
BUILD ?= build

# Debian's own Python, which Meson is made for, whatever else comes first in PATH.
PYTHON = /usr/bin/python3
MESON_OPTIONS = --prefix=/ --libdir=lib -Dpkgconfig.relocatable=true

all: setup-build
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)

demo: setup-demo
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@tools/demo.sh $(BUILD)/cli/stasis

test: setup-test
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@tools/build.sh $(BUILD)-asan $(MESON_OPTIONS) -Dkind_tests=false \
		-Db_sanitize=address,undefined -Db_lundef=false
	@$(PYTHON) tests/run.py --build $(BUILD) --asan-build $(BUILD)-asan $(TESTFLAGS)

# Which lines of src the tests run, and which refusals they bring about: a quarter of an hour.
COVERAGE_OPTIONS = $(MESON_OPTIONS) -Dkind_tests=false -Dwerror=false -Dcoverage=$(COVERAGE_FOLDER) \
	-Db_lundef=false
COVERAGE_FOLDER = /var/tmp/stasis-coverage.$(shell id -u)
coverage: setup-coverage
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@CC=clang tools/build.sh $(BUILD)-coverage $(COVERAGE_OPTIONS)
	@$(PYTHON) tests/coverage.py --build $(BUILD) --coverage-build $(BUILD)-coverage \
		--folder $(COVERAGE_FOLDER) $(COVERAGEFLAGS)

# The static checkers alone; make test runs them, too.
static: setup-test
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@$(PYTHON) tools/static.py --build $(BUILD)

# Random trees of processes, and one program saved and restored again and again: half an hour for each
# 1,000 trees, and for each 10,000 cycles.
SEEDS ?= 1000
CYCLES ?= 10000
soak: setup-test
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@$(PYTHON) tests/run.py --build $(BUILD) -k '^(soak/|real/cycles)' --seeds $(SEEDS) \
		--cycles $(CYCLES) -v $(TESTFLAGS)

# The tool is ended, and its calls fail, at each of its system calls: hours.
# FAULTFLAGS='-k restore --every 10': some of it.
test-faults: setup-test
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@tools/build.sh $(BUILD)-faults $(MESON_OPTIONS) -Dkind_tests=false -Dunit_tests=false \
		-Dfaults=true
	@$(PYTHON) tests/faults/run.py --build $(BUILD) --faults-build $(BUILD)-faults $(FAULTFLAGS)

# Debian's 6.1 and 6.12 in a virtual machine: many minutes where there is no KVM.
test-kernels: setup-kernels
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@$(PYTHON) tests/kernels/run.py --build $(BUILD) $(KERNELFLAGS)

# Hostile input for everything that reads it: make fuzz FUZZSECONDS=3600 TARGET=load JOBS=4.
FUZZSECONDS ?= 60
FUZZFLAGS = --seconds $(FUZZSECONDS) $(TARGET:%=--target %) $(JOBS:%=--jobs %)
FUZZ_OPTIONS = -Dkind_tests=false -Dunit_tests=false -Dwerror=false
fuzz: setup-fuzz
	@CC=clang tools/build.sh $(BUILD)-fuzz $(FUZZ_OPTIONS) -Dfuzz=libfuzzer \
		-Db_sanitize=address,undefined -Db_lundef=false
	@$(PYTHON) fuzz/run.py --build $(BUILD)-fuzz $(FUZZFLAGS)

fuzz-afl: setup-fuzz
	@CC=afl-clang-fast tools/build.sh $(BUILD)-afl $(FUZZ_OPTIONS) -Dfuzz=afl -Db_lundef=false
	@$(PYTHON) fuzz/run.py --build $(BUILD)-afl --afl $(FUZZFLAGS)

bench: setup-bench
	@tools/build.sh $(BUILD) $(MESON_OPTIONS)
	@$(PYTHON) bench/run.py $(BUILD)/cli/stasis $(BENCHFLAGS)

# The build is made for no particular place, so any PREFIX will do.
install: all
	@meson install --quiet --no-rebuild -C $(BUILD) --destdir "$(abspath $(DESTDIR)$(PREFIX))"
	@echo "installed below $(DESTDIR)$(PREFIX)"
	@echo "for old process numbers on the host (docs/SECURITY.md says what that gives its users):"
	@echo "    setcap cap_checkpoint_restore+ep $(abspath $(DESTDIR)$(PREFIX))/bin/stasis"

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-fuzz $(BUILD)-afl $(BUILD)-faults $(BUILD)-coverage

setup-%:
	@tools/setup.sh $*

.PHONY: all demo test coverage static soak test-faults test-kernels fuzz fuzz-afl bench install clean
