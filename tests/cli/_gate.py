"""
A seccomp filter for the calling process and its children: it makes a kernel, or a container, that
forbids what ours permits.  x86-64 only, like the rest.
"""

import ctypes
import errno
import struct

PR_SET_NO_NEW_PRIVS, PR_SET_MM = 38, 35
PR_TIMER_CREATE_RESTORE_IDS = 77
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
LD, JEQ, JSET, RET = 0x20, 0x15, 0x45, 0x06
CLONE_NEWUSER = 0x10000000

NUMBERS = {"ptrace": 101, "prctl": 157, "unshare": 272, "kcmp": 312, "seccomp": 317,
           "userfaultfd": 323, "clone3": 435, "pidfd_getfd": 438, "getpriority": 140,
           "sysinfo": 99, "setpriority": 141}

libc = ctypes.CDLL(None, use_errno=True)


def instruction(code, value, yes=0, no=0):
    return struct.pack("HBBI", code, yes, no, value & 0xFFFFFFFF)


def rule(name, first=None, verdict=ERRNO | errno.EPERM):
    """Instructions that answer a call (with this first argument) so, and else fall through."""
    code = [instruction(LD, 0)]
    tests = [instruction(LD, 16), (JEQ, first)] if first is not None else []
    code.append(instruction(JEQ, NUMBERS[name], 0, len(tests) + 1))
    if tests:
        code += [tests[0], instruction(JEQ, first, 0, 1)]
    return code + [instruction(RET, verdict)]


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def close(*rules):
    """Puts the filter on, for good."""
    code = b"".join(b"".join(one) for one in rules) + instruction(RET, ALLOW)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.syscall(NUMBERS["seccomp"], 1, 0, ctypes.byref(program)) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")
