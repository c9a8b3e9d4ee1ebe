"""The rows of the benchmark, in the order of the table: each module has some of them.

A row is a function of (bench, samples) that measures, and returns the lines of the table.
"""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Row:
    name: str
    measure: Callable
    options: tuple = ()    # that the command must know: ("checkpoint", "--precopy")


def all_rows():
    from . import clone, compress, copying, incremental, lazy, loss, many, memory, pause, stream
    modules = (pause, loss, copying, many, incremental, compress, lazy, clone, memory, stream)
    return [row for module in modules for row in module.ROWS]
