# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Writing a recording: an MCAP file of ROS 2 messages, renamed to its final name when complete.

It is written as ``.NAME.part``; a killed process leaves that file, and its messages can be read.
Channels and the metadata record ``rosbag2`` are those of rosbag2's MCAP storage, so that
``ros2 bag play`` publishes each topic with its recorded QoS.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from mcap._chunk_builder import ChunkBuilder
from mcap.records import Channel, Schema
from mcap.writer import CompressionType, Writer

from viva_ros.core.errors import RecordingError
from viva_ros.core.file_lock import ExclusiveLock
from viva_ros.data.messages import schema, serialise, type_hash

CHUNK: Final = 1 << 18  # bytes; the maximum loss of a truncated file
QOS: Final = 'offered_qos_profiles'  # keys of a channel's metadata, as rosbag2 names them
HASH: Final = 'topic_type_hash'
#: Of rosbag2's metadata; its QoS policies are numbers, which Humble and later read.
ROSBAG2_VERSION: Final = 8


def part_path(path: Path) -> Path:
    """Return the path of a recording while it is written."""
    return path.with_name(f'.{path.name}.part')


class RepeatingWriter(Writer):
    """
    Writes MCAP, with all schemas and channels at the begin of each chunk.

    A damaged chunk then takes its own messages only: each chunk can be read without the others.
    The format allows it: a record that is there again must be equal.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Start a file, see ``mcap.writer.Writer``."""
        super().__init__(*arguments, **options)
        # Writer has no public access to its chunk; a test reads the chunks that result.
        self._chunk: ChunkBuilder = self._Writer__chunk_builder  # type: ignore[attr-defined]
        self._described: list[Schema | Channel] = []

    def register_schema(self, name: str, encoding: str, data: bytes) -> int:
        """Register a schema, and repeat it in each chunk from now on."""
        self._repeat()
        number = int(super().register_schema(name, encoding, data))
        self._described.append(Schema(id=number, name=name, encoding=encoding, data=data))
        return number

    def register_channel(
        self, topic: str, message_encoding: str, schema_id: int,
        metadata: dict[str, str] | None = None,
    ) -> int:  # fmt: skip
        """Register a channel, and repeat it in each chunk from now on."""
        self._repeat()
        about = dict(metadata or {})
        number = int(super().register_channel(topic, message_encoding, schema_id, about))
        self._described.append(
            Channel(
                id=number, topic=topic, message_encoding=message_encoding, schema_id=schema_id,
                metadata=about,
            )
        )  # fmt: skip
        return number

    def add_message(self, *arguments: Any, **options: Any) -> None:
        """Append a message, in a new chunk behind all schemas and channels."""
        self._repeat()
        super().add_message(*arguments, **options)

    def _repeat(self) -> None:
        if self._chunk.count:
            return
        for record in self._described:
            if isinstance(record, Schema):
                self._chunk.add_schema(record)
            else:
                self._chunk.add_channel(record)


class RecordingWriter:
    """
    Appends messages to a new recording; for one thread at a time.

    As a context manager it closes the file, or discards it after an exception.
    """

    def __init__(self, path: Path) -> None:
        """
        Create the file; an existing file of this name stays until ``close``.

        :raises RecordingError: if the file cannot be created, or another process writes it
        """
        self.path = path
        self._part = part_path(path)
        self._channels: dict[tuple[str, str], int] = {}
        self._schemas: dict[str, int] = {}
        self._counts: dict[int, int] = {}
        self._described: dict[str, dict[str, str]] = {}
        self._span: tuple[int, int] | None = None
        try:
            self._file = open(self._part, 'ab')  # noqa: SIM115, closed in close()
        except OSError as error:
            raise RecordingError(
                'recording-unwritable',
                f'{path} cannot be written ({error}): choose another folder',
            ) from error
        self._lock = self._locked()
        self._file.truncate(0)
        # JPEG and CDR of floats hardly compress, and readers need no zstd.
        self._writer = RepeatingWriter(
            self._file, chunk_size=CHUNK, compression=CompressionType.NONE, enable_data_crcs=True
        )
        self._writer.start(profile='ros2', library='viva_ros')

    def _locked(self) -> ExclusiveLock:
        try:
            return ExclusiveLock(self._file, self._part)
        except BlockingIOError as error:
            self._file.close()
            raise RecordingError(
                'recording-locked',
                f'{self.path} is being written by another process ({error}): choose another name',
            ) from error
        except OSError as error:
            self._file.close()
            raise RecordingError(
                'recording-lock',
                f'{self.path} cannot be locked: {error}; or choose another name',
            ) from error

    def describe(self, topic: str, metadata: Mapping[str, str]) -> None:
        """
        Set the metadata of a topic's channel; no effect after the first message of the topic.

        :param topic: absolute, such as '/joint_states'
        :param metadata: ``QOS`` and ``HASH``, as far as known
        """
        if topic not in {name for name, _ in self._channels}:
            self._described[topic] = dict(metadata)

    def write(self, topic: str, type_name: str, message: Any, log_time: int) -> None:
        """Append a message from ``messages.make``; receive time in ns."""
        self.write_cdr(topic, type_name, serialise(type_name, message), log_time)

    def write_cdr(self, topic: str, type_name: str, cdr: bytes, log_time: int) -> None:
        """
        Append a serialised message.

        :param topic: absolute, such as '/joint_states'
        :param type_name: such as 'sensor_msgs/msg/JointState'
        :param log_time: receive time, ns
        :raises RecordingError: if the type is unknown, or the disk is full
        """
        channel = self._channel(topic, type_name)
        count = self._counts.get(channel, 0)
        self._counts[channel] = count + 1
        first, last = self._span or (log_time, log_time)
        self._span = min(first, log_time), max(last, log_time)
        try:
            self._writer.add_message(channel, log_time, cdr, log_time, count)
        except OSError as error:
            raise RecordingError(
                'recording-unwritable', f'{self.path} cannot be written ({error})'
            ) from error

    def metadata(self, name: str, content: Mapping[str, Any]) -> None:
        """Append a metadata record; each entry is stored as JSON."""
        self._writer.add_metadata(name, {key: json.dumps(v) for key, v in content.items()})

    def close(self) -> None:
        """Finish and rename the file; a second call has no effect."""
        if self._file.closed:
            return
        try:
            self._writer.add_metadata('rosbag2', {'serialized_metadata': self._rosbag2_metadata()})
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.replace(self.path)
        except OSError as error:
            raise RecordingError(
                'recording-unwritable', f'{self.path} cannot be written ({error})'
            ) from error
        finally:
            self._lock.release()
            self._file.close()

    def discard(self) -> None:
        """Stop and delete the file."""
        if not self._file.closed:
            self._file.close()
            with contextlib.suppress(FileNotFoundError):
                self._part.unlink()
            self._lock.release()

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
            # Without a publisher's hash, that of the written definition.
            metadata = {HASH: type_hash(type_name)} | self._described.get(topic, {})
            self._described[topic] = metadata
            self._channels[topic, type_name] = self._writer.register_channel(
                topic, 'cdr', self._schemas[type_name], metadata
            )
        return self._channels[topic, type_name]

    def _rosbag2_metadata(self) -> str:
        """Return rosbag2's description of the bag: JSON, which is YAML too."""
        first, last = self._span or (0, 0)
        content = {
            'version': ROSBAG2_VERSION, 'storage_identifier': 'mcap',
            'duration': {'nanoseconds': last - first},
            'starting_time': {'nanoseconds_since_epoch': first},
            'message_count': sum(self._counts.values()),
            'topics_with_message_count': [
                self._rosbag2_topic(topic, type_name, channel)
                for (topic, type_name), channel in self._channels.items()
            ],
            'compression_format': '', 'compression_mode': '',
            'relative_file_paths': [], 'files': [],  # the file may be renamed
            'custom_data': {}, 'ros_distro': os.environ.get('ROS_DISTRO', ''),
        }  # fmt: skip
        return json.dumps(content)

    def _rosbag2_topic(self, topic: str, type_name: str, channel: int) -> dict[str, Any]:
        described = self._described[topic]
        return {
            'topic_metadata': {
                'name': topic, 'type': type_name, 'serialization_format': 'cdr',
                'offered_qos_profiles': described.get(QOS, ''),
                'type_description_hash': described[HASH],
            },
            'message_count': self._counts[channel],
        }  # fmt: skip


class BackgroundWriter:
    """
    A ``RecordingWriter`` in a thread; calls are queued and return at once.

    After an error the file is discarded, ``error`` is set, and further calls have no effect.
    """

    def __init__(self, path: Path) -> None:
        """Start the thread, which creates the file; ``error`` is set if it cannot."""
        self.path = path
        self.error: Exception | None = None
        self.remark = ''  # the result of ``then`` in ``close``
        self._queued = self._written = 0  # bytes
        self._calls: SimpleQueue[Callable[[RecordingWriter], Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name='viva_recording', daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether the file is closed or discarded."""
        return not self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """Bytes in the queue."""
        return 0 if self.done else self._queued - self._written

    def describe(self, topic: str, metadata: Mapping[str, str]) -> None:
        """Set the metadata of a topic's channel."""
        self._calls.put(lambda writer: writer.describe(topic, metadata))

    def metadata(self, name: str, content: Mapping[str, Any]) -> None:
        """Append a metadata record."""
        self._calls.put(lambda writer: writer.metadata(name, content))

    def write_cdr(self, topic: str, type_name: str, cdr: bytes, log_time: int) -> None:
        """Append a serialised message."""
        if self.done:
            return
        self._queued += len(cdr)

        def write(writer: RecordingWriter) -> None:
            writer.write_cdr(topic, type_name, cdr, log_time)
            self._written += len(cdr)

        self._calls.put(write)

    def close(self, then: Callable[[Path], str] = lambda _: '') -> None:
        """
        Finish and rename the file.

        :param then: called in the thread with the path; returns ``remark``
        """

        def finish(writer: RecordingWriter) -> None:
            writer.close()
            self.remark = then(self.path)

        self._calls.put(finish)
        self._calls.put(None)

    def discard(self) -> None:
        """Stop and delete the file."""
        self._calls.put(RecordingWriter.discard)
        self._calls.put(None)

    def join(self, timeout: float) -> bool:
        """Wait until the file is closed; return False after the timeout, s."""
        self._thread.join(timeout)
        return self.done

    def _run(self) -> None:
        try:
            writer = RecordingWriter(self.path)
        except RecordingError as error:
            self.error = error
            return
        try:
            while (call := self._calls.get()) is not None:
                call(writer)
        except Exception as error:  # the owner reports it
            self.error = error
            writer.discard()
