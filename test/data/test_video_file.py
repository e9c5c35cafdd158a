# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import re
import wave
from pathlib import Path

import pytest
from support.errors import raises
from support.lerobot_datasets import numbered

from viva_ros.core.errors import RecordingError
from viva_ros.data.lerobot.video import VideoImages, encode, index_of
from viva_ros.data.video_file import open_video
from viva_ros.data.video_folder import _is_grey_depth, constant_rate

READERS = [
    open_video,
    index_of,
    constant_rate,
    _is_grey_depth,
    lambda path: VideoImages(path, [0])[0],
]


def damaged(path: Path, change: str) -> Path:
    """Write an H.264 video, and change it without a change of its size."""
    encode(path, map(numbered, range(4)), 10, 'h264')
    data = bytearray(path.read_bytes())
    mdat, avcc = data.index(b'mdat'), data.index(b'avcC')
    size = int.from_bytes(data[mdat - 4 : mdat])
    match change:
        case 'codec':
            data[:] = data.replace(b'avc1', b'zzzz')
        case 'pixel format':
            data[mdat + 4 : mdat - 4 + size] = bytes(size - 8)
            data[avcc + 12 : avcc + 20] = bytes(8)
        case 'type':
            with wave.open(str(path), 'wb') as sound:
                sound.setparams((1, 2, 8000, 80, 'NONE', ''))
                sound.writeframes(bytes(160))
            return path
        case 'metadata':
            data[:] = data.replace(b'Lavf', b'L\xff\xfef')
    path.write_bytes(data)
    return path


@pytest.mark.parametrize('read', READERS)
@pytest.mark.parametrize(
    ('change', 'reason'),
    [('codec', 'no decoder'), ('pixel format', 'no image'), ('type', 'no video stream')],
)
def test_video_without_what_decoding_needs_is_refused(tmp_path, read, change, reason) -> None:
    path = damaged(tmp_path / 'x.mp4', change)
    with raises('video-unreadable', path, reason, 'copy it', of=RecordingError):
        read(path)


@pytest.mark.parametrize('read', READERS)
def test_video_with_metadata_that_are_not_utf8_is_read(tmp_path, read) -> None:
    read(damaged(tmp_path / 'x.mp4', 'metadata'))


def test_every_video_of_others_is_opened_in_one_place() -> None:
    root = Path(__file__).parents[2] / 'viva_ros'
    reading = re.compile(r"av\.open\((?!.*'w')")
    found = {
        str(path.relative_to(root)): count
        for path in root.rglob('*.py') if (count := len(reading.findall(path.read_text())))
    }  # fmt: skip
    assert found == {'data/video_file.py': 1, 'data/lerobot/video.py': 1}  # its own, after writing
