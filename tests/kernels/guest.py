"""The initial RAM file system of the virtual machine: the tool, the tests and what they need."""

import os
import re
import shutil
import stat
import subprocess
import sysconfig

# Commands by their names; libraries are found by ldd.
PROGRAMS = ("sh", "bash", "mount", "setpriv", "setcap", "getcap", "sysctl", "ip", "insmod",
            "cat", "mkdir", "ln", "sleep", "ls", "uname", "dmesg", "sed")
# What the scripts of tests/cli call; what they can do without (a compiler, strace), they tell.
OF_SCRIPTS = ("awk", "chmod", "cmp", "comm", "cp", "cut", "date", "dd", "env", "false", "find",
              "flock", "grep", "head", "id", "kill", "mkfifo", "mv", "printf", "ps", "readlink",
              "rm", "seq", "setsid", "sort", "stat", "tail", "tee", "timeout", "touch", "tr",
              "true", "truncate", "tty", "uniq", "unshare", "wc", "yes")
# In the order in which they can be loaded; a kernel that has one built in has no such file.
MODULES = ("unix_diag", "inet_diag", "tcp_diag", "udp_diag", "af_packet_diag", "udmabuf")
# Of Python what the driver of the tests imports does not use.
UNUSED = shutil.ignore_patterns("__pycache__", "test", "idlelib", "lib2to3", "ensurepip",
                                "distutils", "pydoc_data", "dist-packages", "config-*",
                                "turtle*", "tkinter")


def libraries(path):
    """The files that the loader maps for it."""
    told = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    return re.findall(r"(/\S+) \(0x", told)


class Tree:
    """A folder that becomes the archive."""

    def __init__(self, top):
        self.top = top
        shutil.rmtree(top, ignore_errors=True)
        for name in ("proc", "sys", "dev", "tmp", "var/tmp", "run", "root", "etc", "usr/bin",
                     "usr/sbin", "usr/lib", "usr/lib64", "lib/modules"):
            os.makedirs(os.path.join(top, name))
        shutil.rmtree(os.path.join(top, "lib"))
        for name in ("bin", "sbin", "lib", "lib64"):
            os.symlink("usr/" + name, os.path.join(top, name))

    def add(self, path, target=None):
        """A file, with the libraries it needs."""
        place = os.path.join(self.top, (target or path).lstrip("/"))
        if os.path.exists(place):
            return
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copy(os.path.realpath(path), place)
        if os.stat(place).st_mode & stat.S_IXUSR:
            for library in libraries(path):
                self.add(library)

    def add_command(self, name):
        path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if path is None:
            raise SystemExit(f"there is no command {name}")
        self.add(path, "/usr/bin/" + name)

    def write(self, name, text, mode=0o644):
        with open(os.path.join(self.top, name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(os.path.join(self.top, name), mode)


def add_python(tree):
    tree.add("/usr/bin/python3")
    folder = sysconfig.get_path("stdlib", vars={"base": "/usr", "installed_base": "/usr"})
    shutil.copytree(folder, tree.top + folder, ignore=UNUSED)
    for name in os.listdir(os.path.join(folder, "lib-dynload")):
        for library in libraries(os.path.join(folder, "lib-dynload", name)):
            tree.add(library)


def add_modules(tree, kernel):
    names = []
    for parent, _folders, files in os.walk(kernel.modules):
        names += [os.path.join(parent, name) for name in files]
    for module in MODULES:
        for path in names:
            if re.fullmatch(rf"{module}\.ko(\.xz)?", os.path.basename(path)):
                os.makedirs(os.path.join(tree.top, "modules"), exist_ok=True)
                shutil.copy(path, os.path.join(tree.top, "modules"))
                if path.endswith(".xz"):
                    subprocess.run(["xz", "-d", "-f", os.path.join(
                        tree.top, "modules", os.path.basename(path))], check=True)


def add_tests(tree, build, root):
    """As an installation, for tests/run.py --installed."""
    subprocess.run(["meson", "install", "--quiet", "--no-rebuild", "-C", build, "--destdir",
                    os.path.join(tree.top, "stasis", "prefix")], check=True,
                   stdout=subprocess.DEVNULL)
    os.makedirs(os.path.join(tree.top, "stasis", "tests"))
    for name in sorted(os.listdir(os.path.join(build, "tests"))):
        path = os.path.join(build, "tests", name)
        if name.startswith(("kind-", "unit-")) and os.path.isfile(path) and os.access(path, os.X_OK):
            tree.add(path, "/stasis/tests/" + name)
            # Symbols of the debugger make most of an archive that is unpacked into memory.
            subprocess.run(["strip", "-g", os.path.join(tree.top, "stasis/tests", name)],
                           check=True)
    tree.add(os.path.join(tree.top, "stasis/prefix/bin/stasis"), "/stasis/prefix/bin/stasis")
    for library in libraries(os.path.join(tree.top, "stasis/prefix/bin/stasis")):
        tree.add(library)
    for folder in ("tests", "examples", "include"):
        shutil.copytree(os.path.join(root, folder), os.path.join(tree.top, "stasis/source", folder),
                        ignore=shutil.ignore_patterns("__pycache__"))
    os.mkdir(os.path.join(tree.top, "stasis/source/fuzz"))  # without its corpus


def archive_of(tree, archive):
    names = subprocess.run(["find", ".", "-print0"], cwd=tree.top, check=True,
                           capture_output=True).stdout
    with open(archive, "wb") as file:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], cwd=tree.top,
                       input=names, stdout=file, check=True)
    shutil.rmtree(tree.top)


def pack_common(archive, build, root):
    """What all kernels are given, packed once."""
    tree = Tree(archive + ".tree")
    for name in PROGRAMS + OF_SCRIPTS:
        tree.add_command(name)
    add_python(tree)
    add_tests(tree, build, root)
    tree.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    tree.write("etc/group", "root:x:0:\n")
    tree.add(os.path.join(root, "tests/kernels/init.sh"), "/init")
    os.chmod(os.path.join(tree.top, "init"), 0o755)
    archive_of(tree, archive)


def pack(archive, common, kernel, words):
    """The common archive and, after it, what is one kernel's; words: what init.sh is told."""
    tree = Tree(archive + ".tree")
    add_modules(tree, kernel)
    for name, value in words.items():
        tree.write("etc/" + name, value + "\n")
    archive_of(tree, archive + ".own")
    with open(archive, "wb") as whole:
        for part in (common, archive + ".own"):
            with open(part, "rb") as file:
                shutil.copyfileobj(file, whole)
            whole.write(bytes(-whole.tell() % 512))
    os.unlink(archive + ".own")
