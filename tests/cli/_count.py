"""A program that writes how far it is into a file "count", and whether it goes on."""

import os
import time


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return condition()


def count(folder="."):
    try:
        with open(os.path.join(folder, "count")) as file:
            return int(file.read() or 0)
    except (OSError, ValueError):
        return 0


def goes_on(folder=".", seconds=30):
    """Two rounds more: one may have been over before."""
    before = count(folder)
    return wait_for(lambda: count(folder) > before + 1, seconds)
