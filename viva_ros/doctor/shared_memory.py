# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What killed processes leave in shared memory: Fast DDS removes its files only at a proper end.

Each segment has a lock file beside it, which its owner holds for as long as it lives. A file whose
lock can be had is dead.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SHARED: Final = Path('/dev/shm')
PREFIXES: Final = ('fastdds_', 'fastrtps_')  # since, and before Fast DDS 3
LOCK: Final = '_el'
YOUNG: Final = 10.0  # s: a process that is just starting may not hold its lock yet


@dataclass(frozen=True)
class Leftover:
    """
    A segment of a process that is gone.

    :param size: bytes
    """

    path: Path
    size: int

    @property
    def files(self) -> tuple[Path, ...]:
        """Return what belongs to it; the lock comes last."""
        mutex = self.path.with_name(f'sem.{self.path.name}_mutex')
        return (self.path, mutex, self.path.with_name(self.path.name + LOCK))


def find(folder: Path = SHARED, young: float = YOUNG) -> list[Leftover]:
    """
    Return the segments whose owner is gone.

    :param young: those made within the last so many seconds are let be
    """
    return [one for one in _segments(folder) if _with_lock(one, young, remove=False)]


def remove(folder: Path = SHARED, young: float = YOUNG) -> list[Leftover]:
    """Delete the segments whose owner is gone, each under its lock; give those deleted."""
    return [one for one in _segments(folder) if _with_lock(one, young, remove=True)]


def _segments(folder: Path) -> Iterator[Leftover]:
    for lock in sorted(folder.glob(f'*{LOCK}')):
        segment = lock.with_name(lock.name.removesuffix(LOCK))
        if lock.name.startswith(PREFIXES):
            try:
                yield Leftover(segment, segment.stat().st_size)
            except OSError:  # it is being removed, or was never made
                continue


def _with_lock(leftover: Leftover, young: float, remove: bool) -> bool:
    """Return whether the lock could be had; remove the files under it."""
    lock = leftover.files[-1]
    try:
        if time.time() - lock.stat().st_mtime < young:
            return False
        handle = os.open(lock, os.O_RDWR)
    except OSError:  # gone, or of another user
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if remove:
            for path in leftover.files:
                path.unlink(missing_ok=True)
    except OSError:  # it lives, or it is another user's
        return False
    finally:
        os.close(handle)
    return True
