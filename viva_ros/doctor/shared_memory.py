# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Shared memory of dead processes: Fast DDS removes its files only at a clean exit.

Each segment has a lock file, which its owner holds as long as it runs. If the lock is free, the
owner is dead.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARED: Final = Path('/dev/shm')
PREFIXES: Final = ('fastdds_', 'fastrtps_')  # Fast DDS 3, and older versions
LOCK: Final = '_el'
YOUNG: Final = 10.0  # s: a starting process may not hold its lock yet


@dataclass(frozen=True)
class Leftover:
    """
    A segment of a dead process.

    :param size: bytes
    """

    path: Path
    size: int

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files of the segment; the lock is the last."""
        mutex = self.path.with_name(f'sem.{self.path.name}_mutex')
        return (self.path, mutex, self.path.with_name(self.path.name + LOCK))


def find_leftovers(folder: Path = SHARED, young: float = YOUNG) -> list[Leftover]:
    """
    Return the segments whose owner is dead.

    :param young: segments that are younger are left out, s
    """
    return [one for one in _segments(folder) if _with_lock(one, young, remove=False)]


def remove_leftovers(folder: Path = SHARED, young: float = YOUNG) -> list[Leftover]:
    """Delete the segments whose owner is dead, each under its lock, and return them."""
    return [one for one in _segments(folder) if _with_lock(one, young, remove=True)]


def _segments(folder: Path) -> Iterator[Leftover]:
    for lock in sorted(folder.glob(f'*{LOCK}')):
        segment = lock.with_name(lock.name.removesuffix(LOCK))
        if lock.name.startswith(PREFIXES):
            try:
                yield Leftover(segment, segment.stat().st_size)
            except OSError:  # removed meanwhile, or never created
                continue


def _with_lock(leftover: Leftover, young: float, remove: bool) -> bool:
    """Return whether the lock is free; with ``remove`` delete the files under the lock."""
    lock = leftover.files[-1]
    try:
        if time.time() - lock.stat().st_mtime < young:
            return False
        handle = os.open(lock, os.O_RDWR)
    except OSError:  # removed meanwhile, or of another user
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if remove:
            for path in leftover.files:
                path.unlink(missing_ok=True)
    except OSError:  # the owner runs, or is another user
        return False
    finally:
        os.close(handle)
    return True
