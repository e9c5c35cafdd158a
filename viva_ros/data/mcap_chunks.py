# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages of an MCAP file that stay on disk until they are looked at.

Pictures are most of a recording: of them only the beginning, which has the stamp, and the place of
their chunk are kept; small messages are kept whole.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.records import Chunk, Message
from mcap.stream_reader import breakup_chunk

from viva_ros.core.errors import RecordingError

LARGE: Final = 2048  # bytes: longer messages stay on disk
HEAD: Final = 12  # bytes up to and with the stamp of a header
OPENED: Final = 4  # chunks kept, a few MB each
Place = tuple[int, int]  # offset of the chunk in the file, number of the message in it


class Chunks:
    """The chunks of one file, a few of them opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: OrderedDict[int, list[bytes]] = OrderedDict()

    def message(self, place: Place) -> bytes:
        """
        Give the bytes of a message.

        :raises RecordingError: if they are no longer there
        """
        offset, number = place
        if offset not in self._opened:
            self._opened[offset] = self._open(offset)
            if len(self._opened) > OPENED:
                self._opened.popitem(last=False)
        self._opened.move_to_end(offset)
        return self._opened[offset][number]

    def _open(self, offset: int) -> list[bytes]:
        try:
            with self._path.open('rb') as file:
                file.seek(offset)
                stream = ReadDataStream(file)
                stream.read1()
                stream.read8()
                records = breakup_chunk(Chunk.read(stream))
        except (OSError, McapError, ValueError) as error:
            raise RecordingError(
                f'recording {self._path} has changed since it was opened ({error}): open it again'
            ) from error
        return [record.data for record in records if isinstance(record, Message)]


class MessageData(Sequence[bytes]):
    """The messages of one topic, in the order of the file."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._messages: list[bytes | Place] = []
        self.heads: list[bytes] = []

    def add(self, data: bytes, place: Place | None) -> None:
        """Append a message; with a place it may stay on disk."""
        large = place is not None and len(data) > LARGE
        self._messages.append(place if large and place is not None else data)
        self.heads.append(bytes(data[:HEAD]))

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        message = self._messages[index]
        return message if isinstance(message, bytes) else self._chunks.message(message)
