# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos of LeRobot datasets that other encoders wrote."""

from pathlib import Path
from typing import Any

import av
import pytest
from support.lerobot_datasets import FPS, KEY, number_of, numbered, write_lerobot

from viva_ros.cli.main import main
from viva_ros.data.lerobot.thread_priority import without_real_time
from viva_ros.data.open import find, open_recording
from viva_ros.data.segmentation import episodes_of

LENGTHS = (12, 9)
ENCODERS: dict[str, dict[str, str]] = {  # key frames are rare, and H.264 and H.265 have B frames
    'libx264': {'bf': '3', 'g': '250', 'crf': '20'},
    'libx265': {'bf': '3', 'g': '250', 'crf': '20', 'x265-params': 'log-level=none'},
    'libsvtav1': {'g': '250', 'crf': '20', 'preset': '12'},
}
POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'


def encode_again(path: Path, encoder: str, numbers: range) -> None:
    """Replace a video by one of another encoder that shows numbers."""
    with av.open(path, 'w') as file:
        stream: Any = file.add_stream(encoder, rate=FPS, options=ENCODERS[encoder])
        stream.width, stream.height, stream.pix_fmt = 80, 48, 'yuv420p'
        with without_real_time():
            stream.codec_context.open()
        for number in numbers:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format='rgb24')))
        file.mux(stream.encode())


@pytest.mark.parametrize('encoder', ENCODERS)
def test_video_of_each_codec_has_frame_i_at_row_i(tmp_path: Path, encoder: str) -> None:
    root = write_lerobot(tmp_path / 'set', LENGTHS, version='v3.0')
    (video,) = root.glob('videos/**/*.mp4')
    encode_again(video, encoder, range(sum(LENGTHS)))
    (second,) = episodes_of(open_recording(find([root])[1]))
    images = second.cameras['top'].images
    backwards = [number_of(images[row]) for row in reversed(range(LENGTHS[1]))]
    assert backwards == list(reversed(range(LENGTHS[0], sum(LENGTHS))))


@pytest.mark.parametrize('file', [
    'data/chunk-000/episode_000001.parquet', f'videos/chunk-000/{KEY}/episode_000001.mp4',
])  # fmt: skip
def test_pointer_in_place_of_a_file_refuses_its_episode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    root = write_lerobot(tmp_path / 'set', LENGTHS)
    (root / file).write_bytes(POINTER)
    assert main(['import', str(root), '--out', str(tmp_path / 'out'), '--success']) == 2
    shown = capsys.readouterr().out
    assert 'git lfs pull' in shown
    assert f'{tmp_path / "out"}: 1 episodes, 1 refused' in shown
