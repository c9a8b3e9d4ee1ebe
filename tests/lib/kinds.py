"""
tests/kind: one program for each sort of state.

A program sets its state up, says "ready", and is then, by mode,
  stay: checkpointed and left running,
  move: checkpointed, ended, and restored from the image;
it is told to "go" and checks for itself that nothing has changed.

Comments in a program's source steer this:
  /* LEVELS: none root */          only at these levels
  /* MODES: move */                only in these modes
  /* NEEDS-FILE: /proc/... */      skipped where that does not exist
  /* CHECKPOINT: --option ... */   more options for stasis checkpoint
  /* RESTORE: --pid=new ... */     more options for stasis restore
  /* TIMEOUT: 60 */                seconds for each step, instead of 60
  /* LINK: -lfoo */                libraries (read by Meson)
  /* EXPECT-REFUSAL: regex */      the checkpoint must be refused with these words;
  /* EXPECT-REFUSAL(none cap): regex */   the same, at these levels only
"""

import glob
import os
import re

from .machine import (LEVELS, Failure, Skip, end, explain, mode_of, process_state,
                      status_words, tail, wait_until)

MODES = ("stay", "move")
SKIP_STATUS = 77
REFUSED_STATUS = 3
DIRECTIVE = re.compile(r"/\*\s*([A-Z-]+)(?:\(([a-z ]+)\))?:\s*(.*?)\s*\*/")


class Program:
    """A source file of tests/kind and what its comments ask for."""

    def __init__(self, source):
        self.name = os.path.basename(source).removesuffix(".c")
        self.levels, self.modes = LEVELS, MODES
        self.needs, self.refusals = [], []
        self.checkpoint_options, self.restore_options = [], []
        self.timeout = 180.0  # a disk that others write to can take its time for fsync(2)
        with open(source) as file:
            text = file.read()
        self.says_passed = "test_passed(" in text
        for word, levels, value in DIRECTIVE.findall(text):
            self.directive(word, levels.split() or LEVELS, value)

    def directive(self, word, levels, value):
        if word == "LEVELS":
            self.levels = value.split()
        elif word == "MODES":
            self.modes = value.split()
        elif word == "NEEDS-FILE":
            self.needs += value.split()
        elif word == "CHECKPOINT":
            self.checkpoint_options += value.split()
        elif word == "RESTORE":
            self.restore_options += value.split()
        elif word == "TIMEOUT":
            self.timeout = float(value)
        elif word == "EXPECT-REFUSAL":
            self.refusals.append((levels, value))

    def refusals_at(self, level):
        return [regex for levels, regex in self.refusals if level in levels]


class KindTest:
    """One program at one level in one mode."""

    def __init__(self, program, level, mode, tool):
        self.program, self.level, self.mode, self.tool = program, level, mode, tool
        self.label = f"{tool.prefix}kind/{program.name} {level} {mode}"

    def run(self, machine):
        for path in self.program.needs:
            if not os.path.exists(path):
                raise Skip(f"{path} does not exist here")
        top = machine.folder("work", self.label.replace("/", "-").replace(" ", "."),
                             level=self.level)
        Run(self, machine, top).all()


class Run:
    """A test under way: its folders and processes."""

    def __init__(self, test, machine, top):
        self.test, self.program, self.machine = test, test.program, machine
        self.level, self.tool = test.level, test.tool
        self.top = top
        self.home = os.path.join(top, "home")    # where the program lives
        self.image = os.path.join(top, "image")  # what stasis makes, and what it says
        for path in (self.home, self.image):
            os.mkdir(path, 0o700)
            machine.give(path, self.level)
        self.out = os.path.join(self.home, "out")
        self.children = []

    def all(self):
        try:
            target = self.start_program()
            refusals = self.program.refusals_at(self.level)
            if refusals:
                self.expect_refusal(target, refusals)
            elif self.test.mode == "stay":
                self.stay(target)
            else:
                self.move(target)
            self.expect_nothing_left()
        finally:
            self.clean_up()
        self.machine.forget(self.top)

    def command(self):
        return [os.path.join(self.tool.kind_folder, "kind-" + self.program.name)]

    def start_program(self):
        with open(self.out, "ab") as out:
            machine, path = self.machine, self.out
            machine.give(path, self.level)
            command = self.command()
            if not os.path.exists(command[0]):
                raise Failure("it was not built")
            target = machine.start(self.level, command, cwd=self.home, stdout=out,
                                   env={"STASIS_LEVEL": self.level})
        self.children.append(target)
        ready = os.path.join(self.home, "ready")
        wait_until(lambda: os.path.exists(ready) or target.poll() is not None, self.seconds())
        if target.poll() is not None:
            self.judge(target.returncode, "before it was ready, the program: ")
            raise Failure(self.story("it ended before it was ready"))
        if not os.path.exists(ready):
            raise Failure(self.story("the program did not become ready"))
        return target

    def stay(self, target):
        self.checkpoint(target, [])
        self.expect_image()
        self.go()
        status = self.machine.wait(target, self.program.timeout, "the program, left running,")
        self.judge(status, "left running, the program: ")

    def move(self, target):
        self.checkpoint(target, ["--kill"])
        self.expect_image()
        status = self.machine.wait(target, self.program.timeout, "the target of --kill")
        if status != -9:
            raise Failure(self.story(f"the target of --kill: {status_words(status)}"))
        restore = self.stasis("restore", *self.program.restore_options, "image", appending=True)
        self.go()
        status = self.wait_stasis(restore, "stasis restore")
        self.judge(status, "after the restore, stasis: ")

    def expect_refusal(self, target, refusals):
        options = ["--kill"] if self.test.mode == "move" else []
        status = self.run_checkpoint(target, options)
        if status != REFUSED_STATUS:
            raise Failure(self.story(f"stasis checkpoint: {status_words(status)}, "
                                     f"expected a refusal ({REFUSED_STATUS})"))
        said = tail(os.path.join(self.image, "checkpoint.err"))
        for regex in refusals:
            if not re.search(regex, said):
                raise Failure(self.story(f"the refusal does not say /{regex}/"))
        if os.path.exists(os.path.join(self.image, "image")):
            raise Failure(self.story("refused, yet there is an image"))
        self.go()
        status = self.machine.wait(target, self.program.timeout, "the refused target")
        self.judge(status, "after the refusal, the program: ")

    def checkpoint(self, target, options):
        status = self.run_checkpoint(target, options)
        if status != 0:
            raise Failure(self.story(f"stasis checkpoint: {status_words(status)}"))

    def run_checkpoint(self, target, options):
        options = [*options, *self.program.checkpoint_options]
        process = self.stasis("checkpoint", *options, "-o", "image", str(target.pid))
        return self.wait_stasis(process, "stasis checkpoint")

    def stasis(self, command, *arguments, appending=False):
        """Starts stasis; its outputs are files, as a pipe would wait for what it restores."""
        out_path = self.out if appending else os.path.join(self.image, command + ".out")
        err_path = os.path.join(self.image, command + ".err")
        with open(out_path, "ab") as out, open(err_path, "ab") as err:
            process = self.machine.start(self.level, [self.tool.path, command, *arguments],
                                         cwd=self.image, stdout=out, stderr=err,
                                         env=self.tool.environment, capability=True)
        self.children.append(process)
        return process

    def wait_stasis(self, process, what):
        try:
            return self.machine.wait(process, self.program.timeout, what)
        except Failure as failure:
            others = [process_state(pid) for pid in self.machine.processes_under(self.top)
                      if pid != process.pid]
            raise Failure(self.story("; ".join([str(failure), *others])))

    def expect_image(self):
        path = os.path.join(self.image, "image")
        if not os.path.exists(path):
            raise Failure(self.story("stasis checkpoint succeeded without an image"))
        if mode_of(path) != 0o600:
            raise Failure(f"the image has mode {mode_of(path):04o}, not 0600")

    def go(self):
        path = os.path.join(self.home, "go")
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self.machine.give(path, self.level)

    def judge(self, status, context):
        if status == SKIP_STATUS:
            lines = [line for line in tail(self.out).splitlines() if line.startswith("skipped:")]
            raise Skip(lines[-1].removeprefix("skipped:").strip() if lines else "no reason given")
        if status != 0:
            raise Failure(self.story(context + status_words(status)))
        if self.program.says_passed and "passed" not in tail(self.out).splitlines():
            raise Failure(self.story(f"{context}exit status 0, but the program never came to "
                                     "say that it passed"))

    def expect_nothing_left(self):
        if not wait_until(lambda: not self.machine.processes_under(self.top), 2):
            left = [process_state(pid) for pid in self.machine.processes_under(self.top)]
            if left:
                raise Failure(self.story("left behind: " + "; ".join(left)))

    def clean_up(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
        for _ in range(20):
            left = self.machine.processes_under(self.top)
            if not left:
                break
            for pid in left:
                end(pid)
            wait_until(lambda: not self.machine.processes_under(self.top), 0.1)
        for child in self.children:
            child.wait()

    def seconds(self):
        return self.program.timeout * self.machine.time_scale

    def story(self, words):
        image = self.image
        return explain(words, program=tail(self.out),
                       checkpoint=tail(os.path.join(image, "checkpoint.err")),
                       restore=tail(os.path.join(image, "restore.err")))


def discover(folder, tool, levels, modes):
    tests = []
    for source in sorted(glob.glob(os.path.join(folder, "*.c"))):
        program = Program(source)
        for level in levels:
            for mode in modes:
                if level in program.levels and mode in program.modes:
                    tests.append(KindTest(program, level, mode, tool))
    return tests
