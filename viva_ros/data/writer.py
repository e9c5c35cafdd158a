# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Writing a recording: an MCAP file of ROS 2 messages, under its final name only when whole.

It grows as ``.NAME.part``; a process that dies leaves that file, which can still be read as far
as it goes.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mcap.writer import CompressionType, Writer

from viva_ros.core.errors import RecordingError
from viva_ros.data.messages import schema, serialise

CHUNK: Final = 1 << 18  # bytes: what a torn file loses at most


def part_path(path: Path) -> Path:
    """Give the name that a recording has while it grows."""
    return path.with_name(f'.{path.name}.part')


class RecordingWriter:
    """
    Appends messages to one new recording; used by one thread at a time.

    As a context manager it closes the file, or discards it when an exception passes.
    """

    def __init__(self, path: Path) -> None:
        """
        Begin; an existing file of that name stays until ``close``.

        :raises RecordingError: if the file cannot be made, or is being written by someone else
        """
        self.path = path
        self._part = part_path(path)
        self._channels: dict[tuple[str, str], int] = {}
        self._schemas: dict[str, int] = {}
        self._counts: dict[int, int] = {}
        try:
            self._file = open(self._part, 'ab')  # noqa: SIM115, closed in close()
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise RecordingError(
                f'{path} is being written by another process: choose another name'
            ) from error
        except OSError as error:
            raise RecordingError(
                f'{path} cannot be written ({error}): choose another place'
            ) from error
        self._file.truncate(0)
        # JPEG and CDR of floats hardly shrink, and readers without zstd should manage.
        self._writer = Writer(self._file, chunk_size=CHUNK, compression=CompressionType.NONE)
        self._writer.start(profile='ros2', library='viva_ros')

    def write(self, topic: str, type_name: str, message: Any, log_time: int) -> None:
        """Append a message made by ``messages.make``; times in ns."""
        self.write_cdr(topic, type_name, serialise(type_name, message), log_time)

    def write_cdr(self, topic: str, type_name: str, cdr: bytes, log_time: int) -> None:
        """
        Append a serialised message.

        :param topic: absolute, as in '/joint_states'
        :param type_name: as in 'sensor_msgs/msg/JointState'
        :param log_time: when it was received, ns
        :raises RecordingError: if the type is not known, or the disk is full
        """
        channel = self._channel(topic, type_name)
        count = self._counts[channel] = self._counts.get(channel, -1) + 1
        try:
            self._writer.add_message(channel, log_time, cdr, log_time, count)
        except OSError as error:
            raise RecordingError(f'{self.path} cannot be written ({error})') from error

    def metadata(self, name: str, content: Mapping[str, Any]) -> None:
        """Append a metadata record; each entry is stored as JSON."""
        self._writer.add_metadata(name, {key: json.dumps(v) for key, v in content.items()})

    def close(self) -> None:
        """Finish the file and give it its name; twice is once."""
        if self._file.closed:
            return
        try:
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.replace(self.path)
        except OSError as error:
            raise RecordingError(f'{self.path} cannot be written ({error})') from error
        finally:
            self._file.close()

    def discard(self) -> None:
        """Give up: leave no file."""
        if not self._file.closed:
            self._file.close()
            with contextlib.suppress(FileNotFoundError):
                self._part.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if error is None:
            self.close()
        else:
            self.discard()

    def _channel(self, topic: str, type_name: str) -> int:
        if (topic, type_name) not in self._channels:
            if type_name not in self._schemas:
                self._schemas[type_name] = self._writer.register_schema(
                    type_name, 'ros2msg', schema(type_name).encode()
                )
            self._channels[topic, type_name] = self._writer.register_channel(
                topic, 'cdr', self._schemas[type_name]
            )
        return self._channels[topic, type_name]
