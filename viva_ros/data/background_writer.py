# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A recording that is written by a thread: whoever gives it messages never waits for the disk."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from viva_ros.core.errors import RecordingError
from viva_ros.data.bag.writer import RecordingWriter


class BackgroundWriter:
    """
    The calls of a ``RecordingWriter``, which return at once and are done in their order.

    After an error the file is discarded, ``error`` is set, and further calls do nothing.
    """

    def __init__(self, path: Path) -> None:
        """Begin; whether the file can be made is known later."""
        self.path = path
        self.error: Exception | None = None
        self.remark = ''  # what ``then`` of close has returned
        self._put = self._written = 0  # bytes
        self._calls: SimpleQueue[Callable[[RecordingWriter], Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name='viva_recording', daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether all is written and closed, or discarded."""
        return not self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """Bytes that are not yet written."""
        return 0 if self.done else self._put - self._written

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
        self._put += len(cdr)

        def write(writer: RecordingWriter) -> None:
            writer.write_cdr(topic, type_name, cdr, log_time)
            self._written += len(cdr)

        self._calls.put(write)

    def close(self, then: Callable[[Path], str] = lambda _: '') -> None:
        """
        Finish the file and give it its name.

        :param then: called in the thread with the path; returns a remark
        """

        def finish(writer: RecordingWriter) -> None:
            writer.close()
            self.remark = then(self.path)

        self._calls.put(finish)
        self._calls.put(None)

    def discard(self) -> None:
        """Give up: leave no file."""
        self._calls.put(RecordingWriter.discard)
        self._calls.put(None)

    def join(self, timeout: float) -> bool:
        """Wait until all is written; False if that takes longer than the timeout, s."""
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
