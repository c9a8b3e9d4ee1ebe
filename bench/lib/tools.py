"""Who saves and restores: stasis, and peers, where there are any."""

import json
import re
import shutil
import time
from pathlib import Path

from .machine import Obstacle


def folder_size(folder, pattern="*"):
    return sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file())


class Tool:
    """One that saves programs that anybody has started."""

    as_root = False

    def __init__(self, user):
        self.user = user

    def start(self, argv, folder):
        return self.user.start(argv, folder, self.as_root)

    def run(self, argv, folder, **options):
        return self.user.run(argv, folder, self.as_root, **options)

    def forget(self, folder):
        """What it has running for the sake of this folder is to end."""


class Stasis(Tool):
    name = "stasis"

    def __init__(self, user, program, as_root=False):
        super().__init__(user)
        self.program = program
        self.as_root = as_root
        self.told = {}

    def has(self, command, option):
        said = self.user.run([self.program, command, "--help"], "/")
        return re.search(re.escape(option) + r"\b", said) is not None

    def checkpoint(self, pid, folder, *options, image="image", **how):
        """Bytes of the image."""
        said = self.run([self.program, "checkpoint", "--json", "-o", image, *options, pid],
                        folder, **how)
        self.told = json.loads(said)
        return (folder / image).stat().st_size

    def save(self, pid, folder, kill):
        return self.checkpoint(pid, folder, *["--kill"] * kill)

    def restore_all(self, folder, *options, image="image", **how):
        said = self.run([self.program, "restore", "--detach", *options, image], folder, **how)
        return [int(word) for word in said.split()]

    def restore(self, folder, *options, **how):
        return self.restore_all(folder, *options, **how)[0]


class Criu(Tool):
    """Without root it does not start."""

    name = "criu"
    as_root = True

    def __init__(self, user, program):
        super().__init__(user)
        self.program = program

    def version(self):
        return re.search(r"[\d.]+", self.run([self.program, "--version"], "/"))[0]

    def save(self, pid, folder, kill):
        images = folder / "images"
        images.mkdir(exist_ok=True)
        self.run([self.program, "dump", "-t", pid, "-D", images] + ["-R"] * (not kill), folder)
        return folder_size(images)

    def restore(self, folder):
        self.run([self.program, "restore", "-d", "--pidfile", folder / "pid",
                  "-D", folder / "images"], folder)
        return int((folder / "pid").read_text())


class Dmtcp(Tool):
    """Programs have to be started under it, with a coordinator, of which each folder has one."""

    name = "dmtcp"

    def __init__(self, user, folder):
        super().__init__(user)
        self.bin = Path(folder)

    def version(self):
        return re.search(r"\d[\d.]+", self.run([self.bin / "dmtcp_launch", "--version"], "/"))[0]

    def start(self, argv, folder):
        self.run([self.bin / "dmtcp_coordinator", "--daemon", "-q", "--coord-port", 0,
                  "--port-file", folder / "port", "--ckptdir", folder], folder)
        return self.user.start([self.bin / "dmtcp_launch", "-q", "--join-coordinator",
                                *self.port(folder), "--ckptdir", folder, *argv], folder)

    def port(self, folder):
        deadline = time.monotonic() + 10
        while not (folder / "port").exists():
            if time.monotonic() > deadline:
                raise Obstacle("the coordinator tells no port")
            time.sleep(0.01)
        return ["--coord-port", (folder / "port").read_text().strip()]

    def save(self, pid, folder, kill):
        self.run([self.bin / "dmtcp_command", "-q", *self.port(folder),
                  "--kcheckpoint" if kill else "--bcheckpoint"], folder)
        return folder_size(folder, "ckpt_*.dmtcp")

    def restore(self, folder):
        images = sorted(folder.glob("ckpt_*.dmtcp"))
        return self.user.start([self.bin / "dmtcp_restart", "-q", "--join-coordinator",
                                *self.port(folder), "--ckptdir", folder, *images], folder).pid

    def forget(self, folder):
        if (folder / "port").exists():
            self.run([self.bin / "dmtcp_command", "-q", *self.port(folder), "--quit"], folder)


def find_peers(user, criu, dmtcp):
    """Those named or in PATH, and why others are not measured."""
    peers, remarks = [], []
    criu = criu or shutil.which("criu")
    launcher = Path(dmtcp) / "dmtcp_launch" if dmtcp else shutil.which("dmtcp_launch")
    if criu and user.root:
        peers.append(Criu(user, criu))
    elif criu:
        remarks.append("criu is not measured: it needs root")
    if launcher:
        peers.append(Dmtcp(user, Path(launcher).parent))
    for peer in list(peers):
        try:
            remarks.append(f"{peer.name} {peer.version()}" + " as root" * peer.as_root)
        except (Obstacle, OSError) as why:
            peers.remove(peer)
            remarks.append(f"{peer.name} does not run here: {why}")
    return peers, remarks
