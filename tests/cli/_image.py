"""
Makes images that are not what they seem: python3 _image.py HOW FROM TO

HOW is major, minor, arch, page, flags or magic: the field of the file header that is changed, with the
header's hash put right, as a program of another version or machine would have written it
(docs/FORMAT.md).
"""

import struct
import sys

MASK64 = (1 << 64) - 1
PRIME32_1, PRIME64_1, PRIME64_2 = 0x9E3779B1, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
PRIME_MX1 = 0x165667919E3779F9
# The first 32 bytes of the secret of XXH3 are all that an input of 17 to 32 bytes meets.
SECRET = bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f")


def mix16(data, secret):
    low, high = struct.unpack("<QQ", data)
    secret_low, secret_high = struct.unpack("<QQ", secret)
    product = (low ^ secret_low) * (high ^ secret_high)
    return (product & MASK64) ^ (product >> 64)


def xxh3_64(data):
    """XXH3-64 of 17 to 32 bytes, without a seed."""
    assert 17 <= len(data) <= 32
    hashed = len(data) * PRIME64_1 & MASK64
    hashed = hashed + mix16(data[:16], SECRET[:16]) + mix16(data[-16:], SECRET[16:]) & MASK64
    hashed ^= hashed >> 37
    hashed = hashed * PRIME_MX1 & MASK64
    return hashed ^ hashed >> 32


def main():
    how, source, target = sys.argv[1:]
    with open(source, "rb") as file:
        image = bytearray(file.read())
    assert struct.unpack_from("<Q", image, 24)[0] == xxh3_64(bytes(image[:24])), "not an image"
    change = {
        "major": ("<H", 8, 2), "minor": ("<H", 10, 99), "arch": ("<H", 12, 183),
        "page": ("<H", 14, 14), "flags": ("<I", 16, 1), "magic": ("<H", 4, 0x0a0a),
    }[how]
    struct.pack_into(change[0], image, change[1], change[2])
    struct.pack_into("<Q", image, 24, xxh3_64(bytes(image[:24])))
    with open(target, "wb") as file:
        file.write(image)


if __name__ == "__main__":
    main()
