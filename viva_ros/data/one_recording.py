# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The guard of one recording: a fault in it refuses this recording by name, and no other.

Parsers and decoders raise errors of any type for damaged or hostile content. What reads one
recording, in place or for an import, runs in ``one_recording``.
"""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from viva_ros.core.errors import RecordingError, VivaError
from viva_ros.core.foreign_text import shown, shown_traceback
from viva_ros.core.memory import is_lack_of_memory

FAULT: Final = 'recording-fault'
TRACEBACKS: Final = 'VIVA_TRACEBACKS'  # environment variable: print where an error arose
T = TypeVar('T')
logger = logging.getLogger(__name__)


@contextmanager
def one_recording(path: Path, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """
    Turn any error of a library in this block into the refusal of one recording.

    :param but: errors that are no fault of the recording, such as those of a full disk
    :raises RecordingError: naming the recording and the error; errors of this package and a lack
        of memory are raised unchanged
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (VivaError, *but)) or is_lack_of_memory(error):
            raise
        logger.debug('recording %s', shown(path), exc_info=True)
        if os.environ.get(TRACEBACKS):
            print(shown_traceback(), file=sys.stderr)
        raise RecordingError(
            'recording-fault',
            f'recording {path} cannot be read ({type(error).__name__}: {shown(error)}): leave it '
            f'out, or copy it from the original; {TRACEBACKS}=1 prints where the error arose',
        ) from error


def each_of_recording(path: Path, items: Iterable[T]) -> Iterator[T]:
    """
    Yield items that are read from one recording on access, such as its images.

    An error of what consumes them is no fault of the recording.

    :raises RecordingError: see ``one_recording``
    """
    found = iter(items)
    while True:
        with one_recording(path):
            try:
                item = next(found)
            except StopIteration:
                return
        yield item


def naming(path: Path, error: VivaError) -> str:
    """Return the text of an error with the recording, which one of a map or labels lacks."""
    return f'{error}' if f'{path}' in f'{error}' else f'{path}: {error}'
