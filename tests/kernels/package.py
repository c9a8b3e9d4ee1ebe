"""Debian's kernel packages: fetched and unpacked, never installed."""

import collections
import glob
import os
import re
import shutil
import subprocess

Kernel = collections.namedtuple("Kernel", "release image modules")


# Of the host; what the guest is given comes with packages that every Debian system has.
TOOLS = ("qemu-system-x86_64", "cpio", "xz", "dpkg", "apt-get", "apt-cache")


class Missing(Exception):
    """What this machine does not have, and cannot get."""


def check_tools():
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        raise Missing("there is no " + ", no ".join(missing))


def newest(version):
    """The name of the newest package of a kernel's version: the dots are not wild."""
    pattern = rf"^linux-image-{re.escape(version)}\.[0-9].*-cloud-amd64$"
    found = subprocess.run(["apt-cache", "--names-only", "search", pattern], check=True,
                           capture_output=True, text=True).stdout
    names = [line.split()[0] for line in found.splitlines()]
    if not names:
        raise Missing(f"apt knows no package linux-image-{version}.*-cloud-amd64")
    return max(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def fetch(version, folder):
    name = newest(version)
    release = name.removeprefix("linux-image-")
    top = os.path.join(folder, name)
    if not os.path.isdir(top):
        got = subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name],
                             cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, check=False)
        if got.returncode != 0:
            lines = got.stdout.strip().splitlines() or ["no reason given"]
            raise Missing(f"{name} cannot be fetched: {lines[-1]}")
        archive = glob.glob(os.path.join(folder, name + "_*.deb"))[0]
        subprocess.run(["dpkg", "-x", archive, top + ".new"], check=True)
        os.rename(top + ".new", top)
        os.unlink(archive)
    return Kernel(release, os.path.join(top, "boot", "vmlinuz-" + release),
                  os.path.join(top, "lib", "modules", release))
