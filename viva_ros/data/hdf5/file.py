# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
HDF5 files, read without locks: the file may be on a network drive, or be written by a recorder.

Datasets are read on access. Each process opens the file for itself: a handle is never pickled.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import ConfigurationError, InputError, RecordingError
from viva_ros.core.input_limits import CHUNK_LIMIT, PIXEL_LIMIT
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Array, Image
from viva_ros.core.regular_file import check_regular
from viva_ros.data.file_signature import content_fault
from viva_ros.data.hdf5.heaps import check_heaps
from viva_ros.data.images import decode_stored

MAGIC: Final = b'\x89HDF\r\n\x1a\n'
SUFFIXES: Final = ('.hdf5', '.h5')
READ_ERRORS: Final = (OSError, RuntimeError, KeyError, TypeError, ValueError)
CHUNKS: Final = 32 << 20  # bytes of decompressed chunks kept for each dataset


def is_hdf5(path: Path) -> bool:
    """Return whether a path is an HDF5 file, by its suffix or its first bytes."""
    if not path.is_file():
        return False
    if path.suffix in SUFFIXES:
        return True
    return _has_magic(path)


def _has_magic(path: Path) -> bool:
    try:
        with path.open('rb') as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_file(path: Path) -> Any:
    """
    Open a file for reading, as an ``h5py.File``.

    :raises ConfigurationError: if h5py is not installed
    :raises RecordingError: if it cannot be opened
    """
    try:
        import h5py
    except ImportError as error:
        raise ConfigurationError(
            'hdf5-library-missing',
            f'{path} is an HDF5 file, which needs h5py ({error}): {remedy(["h5py"])}',
        ) from error
    try:
        check_regular(path)
        return h5py.File(path, 'r', locking=False, rdcc_nbytes=CHUNKS)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> RecordingError:
    """Return the error for a file that is damaged or truncated, or of another format."""
    is_other = path.is_file() and not _has_magic(path)
    reason = (content_fault(path) if is_other else '') or f'{type(error).__name__}: {error}'
    return RecordingError(
        'hdf5-unreadable',
        f'HDF5 file {path} cannot be read ({reason}): copy it from the original, or leave it out',
    )


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """
    Open a file for the block.

    :raises RecordingError: also for what h5py raises in the block
    """
    with open_file(path) as file:
        try:
            yield file
        except READ_ERRORS as error:
            raise unreadable(path, error) from error


def check_dataset(dataset: Any) -> None:
    """
    Check the sizes that a dataset declares, before any of it is read.

    A file of some bytes can declare terabytes: what was never written is read as zeros, and a
    compressed chunk is decompressed as a whole.

    :raises ValueError: if a chunk or a row is above the limit, or all rows together are and are no
        images, or if reading would not end
    """
    if dataset.dtype.kind == 'O':
        sizes = dataset.file.id.get_create_plist().get_sizes()
        check_heaps(Path(dataset.file.filename), sizes[1])
    row = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    if max(row, chunk) > CHUNK_LIMIT:
        raise ValueError(
            f'{dataset.name} has rows of {row} bytes in chunks of {chunk}, at most {CHUNK_LIMIT} '
            'bytes are read at once'
        )
    if dataset.ndim == 4 and math.prod(dataset.shape[1:3]) > PIXEL_LIMIT:
        raise ValueError(
            f'{dataset.name} has images of {dataset.shape[2]} x {dataset.shape[1]} pixels, at '
            f'most {PIXEL_LIMIT} pixels are read'
        )
    if dataset.ndim < 3 and dataset.dtype.kind in 'iufb' and dataset.dtype.itemsize > 1:
        values = math.prod(dataset.shape)
        if values * 8 > CHUNK_LIMIT:
            raise ValueError(
                f'{dataset.name} has {values} numbers, at most {CHUNK_LIMIT // 8} are read'
            )


def read_all(group: Any, name: str) -> Any:
    """
    Return the content of a dataset of a group.

    :raises ValueError: if it is above the limits
    """
    check_dataset(group[name])
    return group[name][()]


class DatasetReader:
    """
    One dataset of a file, opened on first access in each process.

    :param key: full path of the dataset in the file
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self._dataset: Any = None
        self._process = 0

    def read(self, selection: Any = ()) -> Any:
        """
        Return a selection, all of it by default.

        :raises RecordingError: if it cannot be read
        """
        if self._process != os.getpid():
            self._dataset, self._process = None, os.getpid()
        try:
            if self._dataset is None:
                dataset = open_file(self.path)[self.key]
                check_dataset(dataset)
                self._dataset = dataset
            return self._dataset[selection]
        except READ_ERRORS as error:
            raise unreadable(self.path, error) from error

    def __reduce__(self) -> tuple[Any, ...]:  # an open file cannot be pickled
        return type(self), (self.path, self.key)


class Hdf5Rows(Sequence[Array]):
    """
    The rows of a numeric dataset, (N,) or (N, D), read when they are iterated.

    :param count: N
    """

    def __init__(self, reader: DatasetReader, count: int) -> None:
        self._reader, self._count = reader, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        return self._all()[index]

    def __iter__(self) -> Iterator[Array]:
        return iter(self._all())

    def _all(self) -> Array:
        rows = np.asarray(self._reader.read(), dtype=np.float64)
        return rows.reshape(self._count, -1)


class Hdf5Images(Sequence[Image]):
    """
    The images of a camera, each read and decoded on access.

    Raw images, (N, H, W, 3), are RGB. Encoded ones are N files in JPEG or PNG, of their own
    lengths or padded with zeros. ``compress_len`` is not used: the order of its cameras is not
    recorded, and the zeros are found without it.

    :param count: N
    """

    def __init__(self, reader: DatasetReader, count: int, is_encoded: bool) -> None:
        self._reader, self._count, self._is_encoded = reader, count, is_encoded

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(self._count)[index]]
        row = range(self._count)[index]
        cell = self._reader.read(row)
        if not self._is_encoded:
            return np.asarray(cell, dtype=np.uint8)
        content = cell if isinstance(cell, bytes) else np.asarray(cell).tobytes()
        content = content.rstrip(b'\x00')
        if not content:
            raise self._undecodable(row, 'it is empty')
        try:
            return decode_stored(content)
        except InputError as error:
            raise self._undecodable(row, error) from error

    def _undecodable(self, row: int, reason: object) -> RecordingError:
        return RecordingError(
            'hdf5-image',
            f'{self._reader.path}: image {row} of {self._reader.key} cannot be decoded '
            f'({reason}): leave the recording out',
        )

    def __iter__(self) -> Iterator[Image]:
        return (self[row] for row in range(self._count))
