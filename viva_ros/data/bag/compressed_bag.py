# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Bags that rosbag2 has compressed by file or by message, read without trust in their sizes.

Whole files are decompressed into the temporary folder, as long as they leave as much space there
as they take: several processes that do so at once cannot fill a disk either. A file may become
``RATIO`` times as large, or ``CHUNK_LIMIT``. A message is decompressed up to ``MESSAGE_LIMIT``.
"""

import json
import os
import shlex
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import remedy
from viva_ros.core.foreign_text import shown
from viva_ros.core.input_limits import MESSAGE_LIMIT
from viva_ros.core.regular_file import open_regular
from viva_ros.data.bag.database import delete_folder
from viva_ros.data.bag.decompression import (
    FRAME_HEAD,
    DamageError,
    collected,
    expanded_limit,
    zstd_parts,
    zstd_size,
)
from viva_ros.data.bag.metadata import (
    CONTENT,
    METADATA,
    compression_of,
    listed_files,
    read_metadata,
)

SUFFIXES: Final = ('.zstd', '.zst')


class BagSizeError(RecordingError):
    """A compressed bag, or a message of it, is larger than the limit."""


class UncompressedBag:
    """
    A bag without the compression of rosbag2.

    :ivar path: of the bag itself; of a compressed one, a temporary folder that is deleted with
        this object
    """

    def __init__(self, path: Path) -> None:
        """
        Decompress the files of a bag, if they are compressed as a whole.

        :raises BagSizeError: if they are too large, or cannot be written
        :raises ValueError: if its metadata or its files are damaged
        """
        self.path, self._bag, self._is_by_message = path, path, False
        content = read_metadata(path) if (path / METADATA).is_file() else {}
        mode = compression_of(content)
        if not mode:
            return
        if mode not in ('file', 'message') or content.get('compression_format') != 'zstd':
            raise ValueError('its compression must be zstd, by file or by message')
        self._is_by_message = mode == 'message'
        try:
            folder = Path(tempfile.mkdtemp(prefix='viva_bag_'))
            delete = weakref.finalize(self, delete_folder, folder, os.getpid())
            self.path = folder / path.name
            try:
                self.path.mkdir()
                self._fill(content)
            except BaseException:
                delete()
                raise
        except OSError as error:
            raise BagSizeError(
                'bag-temporary',
                f'bag {path} is compressed by {mode}, and cannot be read through the temporary '
                f'folder {tempfile.gettempdir()} ({error}): {remedy(error)}; TMPDIR sets it',
            ) from error

    def message(self, topic: str, data: bytes) -> bytes:
        """
        Return a message as it was recorded.

        :raises BagSizeError: if it is above the limit
        :raises DamageError: if it cannot be decompressed, or is not as long as it declares
        """
        if not self._is_by_message:
            return data
        size = zstd_size(data)
        found = b'' if size is not None and size > MESSAGE_LIMIT else \
            collected(data, 'zstd', MESSAGE_LIMIT if size is None else size)  # fmt: skip
        largest = max(size or 0, len(found))
        if largest > MESSAGE_LIMIT:
            more = '' if size == largest else 'more than '
            raise BagSizeError(
                'bag-message-size',
                f'bag {self._bag}: a message of {shown(topic)} has {more}'
                f'{min(largest, size or MESSAGE_LIMIT)} bytes decompressed, at most '
                f'{MESSAGE_LIMIT} are read: no sensor of a robot has such messages; check where '
                'the bag comes from, and leave it out',
            )
        if size is not None and len(found) != size:
            raise DamageError(f'a message of {shown(topic)} has not the {size} bytes it declares')
        return found

    def _fill(self, content: Mapping[str, Any]) -> None:
        """Fill the temporary folder: decompressed files, or links, and metadata for them."""
        names, written = [], 0
        for file in listed_files(self._bag, content):
            name = file.name
            if not self._is_by_message:
                name = file.stem if file.suffix in SUFFIXES else name
                if name in names:
                    raise DamageError(f'two of its files decompress to {shown(name)}')
                written += self._unpack(file, name, written)
            names.append(name)
        if self._is_by_message:
            for other in self._bag.iterdir():
                if other.is_file() and other.name != METADATA:
                    (self.path / other.name).symlink_to(other.resolve())
        plain = {**content, 'relative_file_paths': names, 'compression_mode': '',
                 'compression_format': ''}  # fmt: skip
        text = json.dumps({CONTENT: plain}, ensure_ascii=False)  # is YAML; texts are quoted
        (self.path / METADATA).write_text(text, encoding='utf-8')

    def _unpack(self, file: Path, name: str, before: int) -> int:
        """
        Decompress a file.

        :param before: bytes of the files before it
        :returns: its bytes
        """
        try:
            stored = open_regular(file)
        except OSError as error:
            raise DamageError(f'{file.name} cannot be read ({error})') from error
        size = 0
        with stored, (self.path / name).open('wb') as out:
            largest = expanded_limit(os.fstat(stored.fileno()).st_size)
            declared = zstd_size(stored.read(FRAME_HEAD))
            self._check(file, declared or 0, largest, before, 0)
            stored.seek(0)
            for part in zstd_parts(stored):
                self._check(file, size + len(part), largest, before, size)
                size += out.write(part)
        if declared is not None and size < declared:
            raise DamageError(f'{file.name} has {size} bytes, it declares {declared}')
        return size

    def _check(self, file: Path, size: int, largest: int, before: int, written: int) -> None:
        """
        Check the size of a decompressed file.

        :param size: as far as it is known, bytes
        :param largest: by the size of the compressed file
        :param before: bytes of the files before it, which are written
        :param written: of these bytes
        """
        free = shutil.disk_usage(self.path).free + before + written
        if size <= largest and 2 * (before + size) <= free:
            return
        new = self._bag.with_name(f'{self._bag.name}_decompressed') / self._bag.name
        command = f'mkdir -p {shlex.quote(str(new))} && ' + shlex.join(
            ['zstd', '-d', str(file), '-o', str(new / file.stem)]
        )
        is_large = size > largest
        reason = f'at most {largest} are read of a compressed file of its size' if is_large else (
            f'and with the others must leave as much space as they take, of {free} bytes in '
            f'{tempfile.gettempdir()}'
        )  # fmt: skip
        space = '' if is_large else 'set TMPDIR to a folder on a larger disk, or '
        raise BagSizeError(
            'bag-file-size',
            f'bag {self._bag}: {file.name} has at least {size} bytes decompressed, {reason}: '
            f'{space}decompress it by "{command}", likewise its other files, and use {new}',
        )
