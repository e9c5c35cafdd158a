# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Open video files of others: the one place that does.

PyAV ends the process when the name of the pixel format of a video without one is read, and has no
decoder object for an unknown codec. Both are refused before a property of the stream is read.
"""

from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from viva_ros.core.errors import RecordingError
from viva_ros.core.input_limits import PIXEL_LIMIT
from viva_ros.core.regular_file import check_regular
from viva_ros.data.file_signature import content_fault


def open_video(path: Path) -> tuple[Any, Any]:
    """
    Open a video file.

    :returns: the container, which the caller closes, and its first video stream, whose decoder,
        size and pixel format are known
    :raises RecordingError: if it cannot be read, or its images are larger than the limit
    """
    try:
        check_regular(path)
        container = av.open(str(path), metadata_errors='replace')
    except (FFmpegError, OSError, ValueError) as error:
        raise unreadable(path, error) from error
    try:
        return container, _checked_stream(path, container)
    except BaseException:
        container.close()
        raise


def _checked_stream(path: Path, container: Any) -> Any:
    if not container.streams.video:
        raise unreadable(path, 'it has no video stream')
    stream = container.streams.video[0]
    context: Any = stream.codec_context
    if context is None:
        raise unreadable(path, 'FFmpeg has no decoder for its codec')
    if context.format is None:
        raise unreadable(path, 'no image can be decoded')
    if context.height * context.width > PIXEL_LIMIT:
        raise RecordingError(
            'video-pixels',
            f'video {path} has images of {context.width} x {context.height} pixels by its header, '
            f'at most {PIXEL_LIMIT} are decoded: convert it, or leave its episodes out',
        )
    return stream


def unreadable(path: Path, reason: Exception | str) -> RecordingError:
    """Return the error of a video that cannot be read."""
    text = 'it does not exist' if isinstance(reason, FileNotFoundError) else (
        content_fault(path) or reason
    )  # fmt: skip
    return RecordingError(
        'video-unreadable',
        f'video {path} cannot be read ({text}): copy it from the original, or leave its episodes '
        'out',
    )
