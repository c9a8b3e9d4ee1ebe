"""
Images changed by somebody who knows the format (docs/FORMAT.md), with all checksums put right:

    _edit.rewrite("image", "edited", lambda tag, record: ...)

record is the message as a list of [field, value]: a number, or bytes for all that has a length.
"""

import ctypes
import struct

MASK = (1 << 64) - 1
HEADER, END, MEMORY = 32, 0x10001, 0x10000


class Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


library = ctypes.CDLL("libxxhash.so.0")
library.XXH3_64bits.restype = ctypes.c_uint64
library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
library.XXH3_128bits.restype = Hash128
library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def hash64(data):
    return library.XXH3_64bits(data, len(data))


def frames(image):
    """Of each frame: its type, its flags, and where its payload begins and ends."""
    at = HEADER
    while at < len(image):
        kind, flags, length = struct.unpack_from("<IIQ", image, at)
        yield kind, flags, at + HEADER, at + HEADER + length
        at += HEADER + length


def varint(value):
    value &= MASK
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def take_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def parse(data):
    at, fields = 0, []
    while at < len(data):
        key, at = take_varint(data, at)
        value, at = take_varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        elif key & 7:
            raise ValueError("wire type")
        fields.append([key >> 3, value])
    return fields


def pack(fields):
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(value)
    return out


def get(fields, number, default=0):
    return next((value for field, value in fields if field == number), default)


def put(fields, number, value):
    """A field of a message, anew.  In order: that is how they are written."""
    fields[:] = sorted([f for f in fields if f[0] != number] + [[number, value]],
                       key=lambda f: f[0])


def rewrite(source, target, change):
    """change(tag, fields) changes a record in place.  Returns how many were changed."""
    with open(source, "rb") as file:
        image = file.read()
    out, chain, count, changed = image[:HEADER], image[:HEADER], 0, 0
    for kind, flags, start, end in frames(image):
        payload = image[start:end]
        if kind < MEMORY:
            fields = parse(payload)
            change(kind, fields)
            edited = pack(fields)
            changed += edited != payload
            payload = edited
        elif kind == END:
            whole = library.XXH3_128bits(chain, len(chain))
            payload = struct.pack("<QQQ", whole.low, whole.high, count)
        header = struct.pack("<IIQQ", kind, flags, len(payload), hash64(payload))
        header += struct.pack("<Q", hash64(header))
        if kind == MEMORY:
            # Where raw data begins depends on the place of the frame: it is moved by padding.
            payload, header = place(payload, flags, len(out) + HEADER)
        out += header + payload
        chain += header
        count += 1
    with open(target, "wb") as file:
        file.write(out)
    return changed


def place(payload, flags, at, page=4096):
    runs, encoding, raw = struct.unpack_from("<IIQ", payload)
    prologue = 16 + 24 * runs
    if encoding == 0:
        data = payload[-raw:]
        payload = payload[:prologue] + bytes(-(at + prologue) % page) + data
    header = struct.pack("<IIQQ", MEMORY, flags, len(payload), hash64(payload))
    return payload, header + struct.pack("<Q", hash64(header))
