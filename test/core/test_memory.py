# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lack of memory is recognised in the errors of each library, and in what wraps them."""

import errno
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.memory import REMEDY, is_lack_of_memory, memory_text

pytestmark = pytest.mark.fast


def opencv(code: int, text: str = 'x') -> Exception:
    error = cv2.error(text)
    error.code = code
    return error


def wrapped() -> Exception:
    """Return the error of an import whose picture does not fit into memory."""
    damaged = InputError('jpeg-damaged', 'JPEG is damaged')
    damaged.__cause__ = opencv(-4, 'Failed to allocate\n 3 bytes')
    found = RecordingError('image-undecodable', 'top: JPEG is damaged')
    found.__cause__ = damaged
    return found


def numpy_error() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, dtype=np.uint8)
    return caught.value


@pytest.mark.parametrize('make', [
    MemoryError, numpy_error, wrapped, lambda: opencv(-4), lambda: cv2.error('std::bad_alloc'),
    lambda: OSError(errno.ENOMEM, 'Cannot allocate memory'),
    lambda: RuntimeError("can't start new thread"),
    lambda: ImportError('libx.so: failed to map segment from shared object'),
    lambda: OSError("Can't read data (memory allocation failed for filter pipeline)"),
])  # fmt: skip
def test_lack_of_memory_is_recognised(make: Callable[[], Exception]) -> None:
    assert is_lack_of_memory(make())
    assert memory_text(make()).endswith(f'): {REMEDY}')


@pytest.mark.parametrize('error', [
    None, ValueError('memory allocation failed'), OSError(errno.ENOSPC, 'No space left'),
    RuntimeError('x'), ImportError('no module'), opencv(-215),
    RecordingError('bag-damaged', 'is damaged'),
])  # fmt: skip
def test_other_errors_are_no_lack_of_memory(error: Exception | None) -> None:
    assert not is_lack_of_memory(error)


def test_text_has_the_first_cause_in_one_line() -> None:
    text = memory_text(wrapped())
    assert 'Failed to allocate 3 bytes' in text and 'damaged' not in text
    assert memory_text(MemoryError()).startswith('memory does not suffice (MemoryError): ')
