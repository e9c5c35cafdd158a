# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Working folder of an import: a hidden folder next to the dataset.

Each imported recording is a unit, which is written under a temporary name and renamed when
complete. At the end the dataset is renamed to its final path. A killed import resumes from its
units.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from viva_ros.core.errors import RecordingError
from viva_ros.core.file_lock import ExclusiveLock
from viva_ros.core.files import FULL, remedy, sync, write_atomically
from viva_ros.core.json_reader import read_json

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
    """The hidden folder of one dataset; one import at a time, whose processes write units."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(f'.{out.name}.part')
        self.dataset = self.folder / 'dataset'
        self._is_committed = False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """
        Lock the folder.

        :raises RecordingError: if another import has locked it, or it cannot be created
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = open(self.folder / 'lock', 'w')  # noqa: SIM115, closed below
        except OSError as error:
            raise RecordingError(
                'workspace-unwritable',
                f'{self.folder} cannot be created ({error}): {remedy(error)}',
            ) from error
        try:
            lock = self._lock(file)
            try:
                with _writing(self.folder):
                    for leftover in self.folder.glob('*.tmp'):
                        shutil.rmtree(leftover)
                yield
            finally:
                for leftover in self.folder.glob('*.tmp'):  # of processes that were ended
                    shutil.rmtree(leftover, ignore_errors=True)
                lock.release()
        finally:
            file.close()
            if self._is_committed:  # over NFS, an open file cannot be deleted
                shutil.rmtree(self.folder, ignore_errors=True)

    def _lock(self, file: IO[str]) -> ExclusiveLock:
        try:
            return ExclusiveLock(file, self.folder / 'lock')
        except BlockingIOError as error:
            raise RecordingError(
                'workspace-locked',
                f'{self.out} is being written by another import ({error}): wait for its end, or '
                'choose another --out',
            ) from error
        except OSError as error:
            raise RecordingError(
                'workspace-lock',
                f'{self.out} cannot be locked against other imports: {error}; or choose an --out '
                'on a local disk',
            ) from error

    def find(self, key: str) -> Unit | None:
        """Return a complete unit; None if there is none."""
        folder = self.folder / key
        if not (folder / UNIT).is_file():
            return None
        content = read_json(folder / UNIT, finite=False)
        return Unit(folder, content['figures'], content['episodes'])

    def discard(self, key: str) -> None:
        """Delete a unit, if there is one."""
        if (self.folder / key).exists():
            shutil.rmtree(self.folder / key)

    @contextlib.contextmanager
    def begin(self, key: str) -> Iterator[Path]:
        """Yield a temporary folder for a unit; rename it unless the block raises."""
        temporary = self.folder / f'{key}.tmp'
        try:
            with _writing(self.folder):
                temporary.mkdir()
                yield temporary
                _sync(temporary)
                temporary.rename(self.folder / key)
                sync(self.folder)
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
        with _writing(self.dataset):
            _sync(self.dataset)
        try:
            self.dataset.rename(self.out)
        except OSError as error:
            raise RecordingError(
                'dataset-unwritable',
                f'{self.dataset} cannot be renamed to {self.out} ({error}): choose another --out',
            ) from error
        with _writing(self.out.parent):
            sync(self.out.parent)
        self._is_committed = True
        shutil.rmtree(self.folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Flush a folder and its content to disk."""
    for path in folder.rglob('*'):
        sync(path)
    sync(folder)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """
    Name a folder in the errors of its file system; those of a full disk are left to the caller.

    :raises RecordingError: if it cannot be written for another reason
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or error.errno in FULL:
            raise
        raise RecordingError(
            'workspace-failed', f'{folder} cannot be written ({error}): {remedy(error)}'
        ) from error
