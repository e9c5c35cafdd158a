# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Work under way: what is finished of an import lies in a hidden folder beside the dataset.

Each recording becomes a unit, written under a temporary name and renamed when whole; the dataset
appears under its name by one rename at the end. An import that is killed goes on from its units.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically

UNIT: Final = 'unit.json'


@dataclass(frozen=True)
class Unit:
    """
    What came of one recording.

    :param figures: of each of its episodes, the refused ones too
    :param episodes: of those that were written: see ``import_unit``
    """

    folder: Path
    figures: list[dict[str, Any]]
    episodes: list[dict[str, Any]]


class Staging:
    """The hidden folder of one dataset; one process at a time."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(f'.{out.name}.part')
        self.dataset = self.folder / 'dataset'

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """
        Keep others out.

        :raises RecordingError: if another import works there, or it cannot be made
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / 'lock', 'w')  # noqa: SIM115, closed below
        except OSError as error:
            raise RecordingError(f'{self.folder} cannot be made ({error})') from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for leftover in self.folder.glob('*.tmp'):
                shutil.rmtree(leftover)
            yield
        except BlockingIOError as error:
            raise RecordingError(
                f'{self.out} is being made by another import: wait for it, or choose another --out'
            ) from error
        finally:
            lock.close()

    def find(self, key: str) -> Unit | None:
        """Return a unit that is whole; None if it is not there."""
        folder = self.folder / key
        if not (folder / UNIT).is_file():
            return None
        content = json.loads((folder / UNIT).read_text(encoding='utf-8'))
        return Unit(folder, content['figures'], content['episodes'])

    @contextlib.contextmanager
    def begin(self, key: str) -> Iterator[Path]:
        """Return a folder to write a unit into; it is there under its name when all went well."""
        temporary = self.folder / f'{key}.tmp'
        temporary.mkdir()
        try:
            yield temporary
            _sync(temporary)
            temporary.rename(self.folder / key)
            _sync_one(self.folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def finish_unit(self, folder: Path, unit: Mapping[str, Any]) -> None:
        """Write the description of a unit, last."""
        write_atomically(folder / UNIT, json.dumps(unit, indent=1))

    def clear_dataset(self) -> None:
        """Forget a dataset that was not put together to the end."""
        shutil.rmtree(self.dataset, ignore_errors=True)

    def commit(self) -> None:
        """
        Return the assembled dataset its name, and forget the units.

        :raises RecordingError: if there is something of that name
        """
        _sync(self.dataset)
        try:
            self.dataset.rename(self.out)
        except OSError as error:
            raise RecordingError(
                f'{self.out} cannot be given its name ({error}): choose another --out'
            ) from error
        _sync_one(self.out.parent)
        shutil.rmtree(self.folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make everything in a folder last through a power cut."""
    for path in folder.rglob('*'):
        _sync_one(path)
    _sync_one(folder)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
