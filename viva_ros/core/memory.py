# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lack of memory: how libraries report it, and what an operator can do."""

import errno
from typing import Final

NO_MEMORY: Final = -4  # code of cv2.error: StsNoMem
#: In the texts of OSError, RuntimeError and ImportError, in lower case.
TEXTS: Final = (
    'cannot allocate memory', "can't start new thread", 'failed to map segment',
    'memory allocation failed',
)  # fmt: skip
REMEDY: Final = (
    'end other programs, use fewer --processes, or raise the limit of memory (ulimit -v)'
)


def is_lack_of_memory(error: BaseException | None) -> bool:
    """Return whether an error, or one from which it was raised, is a lack of memory."""
    return _origin(error) is not None


def _origin(error: BaseException | None) -> BaseException | None:
    while error is not None and not _is_one(error):
        error = error.__cause__ or error.__context__
    return error


def _is_one(error: BaseException) -> bool:
    if isinstance(error, MemoryError):  # those of numpy, pyarrow and PyAV, too
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    if type(error).__module__ == 'cv2':
        return getattr(error, 'code', None) == NO_MEMORY or 'bad_alloc' in str(error)
    if not isinstance(error, OSError | RuntimeError | ImportError):
        return False
    return any(text in str(error).lower() for text in TEXTS)


def memory_text(error: BaseException) -> str:
    """Return the text on a lack of memory, with a remedy."""
    origin = _origin(error) or error
    reason = ' '.join(str(origin).split()) or type(origin).__name__
    return f'memory does not suffice ({reason}): {REMEDY}'
