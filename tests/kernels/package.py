"""Debian's kernel packages: fetched and unpacked, never installed."""

import collections
import glob
import os
import re
import subprocess

Kernel = collections.namedtuple("Kernel", "release image modules")


def newest(version):
    """The name of the newest package of a kernel's version: the dots are not wild."""
    pattern = rf"^linux-image-{re.escape(version)}\.[0-9].*-cloud-amd64$"
    found = subprocess.run(["apt-cache", "--names-only", "search", pattern], check=True,
                           capture_output=True, text=True).stdout
    names = [line.split()[0] for line in found.splitlines()]
    if not names:
        raise SystemExit(f"apt knows no package linux-image-{version}.*-cloud-amd64")
    return max(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def fetch(version, folder):
    name = newest(version)
    release = name.removeprefix("linux-image-")
    top = os.path.join(folder, name)
    if not os.path.isdir(top):
        subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", name],
                       cwd=folder, check=True)
        archive = glob.glob(os.path.join(folder, name + "_*.deb"))[0]
        subprocess.run(["dpkg", "-x", archive, top + ".new"], check=True)
        os.rename(top + ".new", top)
        os.unlink(archive)
    return Kernel(release, os.path.join(top, "boot", "vmlinuz-" + release),
                  os.path.join(top, "lib", "modules", release))
