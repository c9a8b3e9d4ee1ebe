"""Levels of privilege, processes and their remains: what every sort of test is run with."""

import os
import pwd
import random
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import time

LEVELS = ("none", "cap", "root")
CAP_CHECKPOINT_RESTORE = 40

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Failure(Exception):
    """The test failed, for the reason given."""


class Skip(Exception):
    """This machine cannot show it, for the reason given."""


class Machine:
    """Where tests run: a scratch folder, a fresh uid, and what this run may do."""

    def __init__(self, keep=False, time_scale=1.0, cycles=200):
        self.is_root = os.geteuid() == 0
        self.keep = keep
        self.time_scale = time_scale
        self.cycles = cycles
        self.uid = fresh_uid() if self.is_root else os.getuid()
        self.gid = self.uid if self.is_root else os.getgid()
        parent = os.environ.get("STASIS_TEST_SCRATCH", "/var/tmp")
        self.scratch = tempfile.mkdtemp(prefix="stasis-test.", dir=parent)
        os.chmod(self.scratch, 0o711)

    def close(self):
        for pid in self.processes_under(self.scratch):
            end(pid)
        if self.keep:
            print(f"kept: {self.scratch}")
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def forget(self, folder):
        """Of a test that passed nothing is wanted: images of all of them take gigabytes."""
        if not self.keep:
            shutil.rmtree(folder, ignore_errors=True)

    def level_obstacle(self, level):
        """Why tests of this level cannot run, or None."""
        if level == "none":
            return None
        if not self.is_root:
            return "needs root to start with"
        if level == "cap" and not bounding_set() >> CAP_CHECKPOINT_RESTORE & 1:
            return "CAP_CHECKPOINT_RESTORE is not in the bounding set"
        if level == "cap" and shutil.which("setpriv") is None:
            return "there is no setpriv"
        return None

    def folder(self, *names, level="none"):
        """A new folder below the scratch folder, owned by the level's user."""
        path = os.path.join(self.scratch, *names)
        os.makedirs(path, mode=0o755)
        self.give(path, level)
        return path

    def give(self, path, level):
        if self.is_root and level != "root":
            os.chown(path, self.uid, self.gid)

    def start(self, level, argv, *, cwd, stdout, stderr=subprocess.STDOUT, env=None,
              capability=False):
        """Starts argv as the level's user; with the level's capability only when asked to."""
        user = {}
        if self.is_root and level != "root":
            if level == "cap" and capability:
                only = "-all,+checkpoint_restore"
                argv = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}",
                        "--clear-groups", f"--inh-caps={only}", f"--ambient-caps={only}",
                        "--", *argv]
            else:
                user = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout,
                                stderr=stderr, env=self.environment(cwd, env),
                                start_new_session=True, **user)

    def environment(self, home, extra=None):
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": home,
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            **(extra or {}),
        }

    def wait(self, process, timeout, what):
        """The exit status (negative: the signal), or Failure when it takes too long."""
        status = wait_exit(process, timeout * self.time_scale)
        if status is None:
            raise Failure(f"{what} did not end within {timeout * self.time_scale:g} s: "
                          + process_state(process.pid))
        return status

    def processes_under(self, path):
        """Pids of our users' processes whose working directory is path or below it."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                if os.stat(f"/proc/{name}").st_uid not in (self.uid, os.geteuid()):
                    continue
                cwd = os.readlink(f"/proc/{name}/cwd").removesuffix(" (deleted)")
            except OSError:
                continue
            if cwd == path or cwd.startswith(path + "/"):
                found.append(int(name))
        return found


def fresh_uid():
    """A uid that nobody has and that no process runs under."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                taken.add(os.stat(f"/proc/{name}").st_uid)
            except OSError:
                pass
    while True:
        uid = random.randrange(20000, 60000)
        if uid not in taken:
            return uid


def bounding_set():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("CapBnd:"):
                return int(line.split()[1], 16)
    return 0


def wait_exit(process, seconds):
    """Like Popen.wait, without its polling.  None when it still runs."""
    if process.poll() is not None:
        return process.returncode
    fd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(fd)
    return process.poll()


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.003)
    return True


def end(pid):
    """Ends a process that a test left behind."""
    for signum in (signal.SIGKILL, signal.SIGCONT):
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            return


def process_state(pid):
    """What a process is doing, for the message about one that hangs."""
    try:
        with open(f"/proc/{pid}/status") as status:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        words = (f"{pid} ({fields['Name']}) is in state {fields['State']}, "
                 f"traced by {fields['TracerPid']}")
        for name in ("wchan", "syscall"):
            with open(f"/proc/{pid}/{name}") as file:
                words += f", {name} {file.read().strip()}"
        return words
    except (OSError, KeyError):
        return f"{pid} is gone"


def tail(path, limit=4000):
    """The end of a text file, for a failure message."""
    try:
        with open(path, errors="replace") as file:
            text = file.read()
    except OSError:
        return ""
    return text if len(text) <= limit else "[...]" + text[-limit:]


def explain(words, **outputs):
    """A failure's reason, and below it what the programs said."""
    lines = [words]
    for name, text in outputs.items():
        if text.strip():
            lines.append(f"    {name}:")
            lines += [f"      {line}" for line in text.rstrip().splitlines()]
    return "\n".join(lines)


def status_words(status):
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)
