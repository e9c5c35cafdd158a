# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Working folder of an import: a hidden folder next to the dataset.

Each imported recording is a unit, which is written under a temporary name and renamed when
complete. At the end the dataset is renamed to its final path. A killed import resumes from its
units.
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
    The imported episodes of one recording.

    :param figures: ``resample.Figures`` of all its episodes, refused ones included
    :param episodes: descriptions of the written ones, see ``convert``
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
        Lock the folder.

        :raises RecordingError: if another import has locked it, or it cannot be created
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = open(self.folder / 'lock', 'w')  # noqa: SIM115, closed below
        except OSError as error:
            raise RecordingError(
                'workspace-unwritable', f'{self.folder} cannot be created ({error})'
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for leftover in self.folder.glob('*.tmp'):
                shutil.rmtree(leftover)
            yield
        except BlockingIOError as error:
            raise RecordingError(
                'workspace-locked',
                f'{self.out} is being written by another import: wait for its end, or choose '
                'another --out',
            ) from error
        finally:
            lock.close()

    def find(self, key: str) -> Unit | None:
        """Return a complete unit; None if there is none."""
        folder = self.folder / key
        if not (folder / UNIT).is_file():
            return None
        content = json.loads((folder / UNIT).read_text(encoding='utf-8'))
        return Unit(folder, content['figures'], content['episodes'])

    @contextlib.contextmanager
    def begin(self, key: str) -> Iterator[Path]:
        """Yield a temporary folder for a unit; rename it unless the block raises."""
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
        """Write the description of a unit; call it last."""
        write_atomically(folder / UNIT, json.dumps(unit, indent=1))

    def clear_dataset(self) -> None:
        """Delete an incomplete dataset."""
        shutil.rmtree(self.dataset, ignore_errors=True)

    def commit(self) -> None:
        """
        Rename the assembled dataset to its final path, and delete the units.

        :raises RecordingError: if the path exists
        """
        _sync(self.dataset)
        try:
            self.dataset.rename(self.out)
        except OSError as error:
            raise RecordingError(
                'dataset-unwritable',
                f'{self.dataset} cannot be renamed to {self.out} ({error}): choose another --out',
            ) from error
        _sync_one(self.out.parent)
        shutil.rmtree(self.folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Flush a folder and its content to disk."""
    for path in folder.rglob('*'):
        _sync_one(path)
    _sync_one(folder)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
