# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: valid inputs, how they are changed, and the function that reads them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuzz.mutation import Mutator, of_bytes

Reader = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Target:
    """
    One reader.

    :param what: the input, for the report
    :param seeds: returns valid inputs
    :param read: reads an input; a folder of its own is there for files
    :param mutate: changes an input
    """

    what: str
    seeds: Callable[[Path], Sequence[bytes]]
    read: Reader
    mutate: Mutator = of_bytes


def of_file(name: str, read: Callable[[Path], object]) -> Reader:
    """Return a reader of a file with this name."""

    def write_and_read(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return write_and_read


def in_folder(
    build: Callable[[Path], Path], name: str, read: Callable[[Path], object]
) -> tuple[Callable[[Path], Sequence[bytes]], Reader]:
    """
    Return seeds and reader of one file of a folder, whose other files are valid.

    :param build: writes the folder below another, and returns it
    :param name: of the file in the folder
    """

    @cache
    def built(folder: Path) -> Path:
        return build(folder)

    def seeds(folder: Path) -> Sequence[bytes]:
        return [(built(folder) / name).read_bytes()]

    def write_and_read(data: bytes, folder: Path) -> object:
        root = built(folder)
        (root / name).write_bytes(data)
        return read(root)

    return seeds, write_and_read
