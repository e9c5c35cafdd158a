# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The encoders of datasets: times, pictures, key frames, sizes, and the priority of threads."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.errors import raises
from support.video_streams import moving

from viva_ros.data.lerobot import video
from viva_ros.data.lerobot.video import (
    CODEC,
    ENCODERS,
    VideoImages,
    check_codec,
    encode,
    index_of,
    join,
)

pytestmark = pytest.mark.fast
#: Encodes a video; prints the scheduling policies of all threads during and after it.
SCRIPT = """
import json, os, sys, threading, time
import numpy as np
from pathlib import Path
from viva_ros.data.lerobot.video import encode

def policies():
    found = set()
    for thread in os.listdir('/proc/self/task'):
        try:
            found.add(os.sched_getscheduler(int(thread)))
        except ProcessLookupError:
            pass
    return found

seen, ended = set(), threading.Event()
def watch():
    while not ended.wait(0.0005):
        seen.update(policies())

watcher = threading.Thread(target=watch)
watcher.start()
encode(Path(sys.argv[1]), [np.zeros((48, 64, 3), np.uint8)] * 20, 30)
ended.set()
watcher.join()
late = threading.Thread(target=lambda: seen.update(policies()))
late.start()
late.join()
print(json.dumps(sorted(seen | policies())))
"""


@pytest.mark.parametrize('codec', ENCODERS)
def test_video_has_exact_times_and_the_pictures(tmp_path: Path, codec: str) -> None:
    images = [moving(k) for k in range(9)]
    assert encode(tmp_path / 'a.mp4', images, 15, codec) == 9
    index = index_of(tmp_path / 'a.mp4')
    assert [int(time) * index.unit for time in index.times] == [Fraction(k, 15) for k in range(9)]
    every = ENCODERS[codec].key_every
    assert index.keys.tolist() == index.times[::every].tolist()
    decoded = VideoImages(tmp_path / 'a.mp4', range(9))
    for k in (8, 0, 5, 6, 2, 7):  # at random, as in training
        error = np.abs(decoded[k].astype(int) - images[k])
        assert error.mean() < 6, (k, error.mean())


def test_default_codec_has_a_free_encoder() -> None:
    assert CODEC == 'av1' and ENCODERS[CODEC].library == 'libsvtav1'


def test_video_does_not_depend_on_the_number_of_threads(tmp_path: Path, monkeypatch) -> None:
    images = [moving(k) for k in range(9)]
    encode(tmp_path / 'one.mp4', images, 15)
    encoder = ENCODERS['av1']
    options = {**encoder.options, 'svtav1-params': 'pred-struct=1:lp=2'}
    other = video.VideoEncoder('libsvtav1', encoder.key_every, encoder.quality, options)
    monkeypatch.setattr(video, 'ENCODERS', {'av1': other})
    encode(tmp_path / 'two.mp4', images, 15)
    assert (tmp_path / 'one.mp4').read_bytes() == (tmp_path / 'two.mp4').read_bytes()


@pytest.mark.parametrize('codec', ENCODERS)
@pytest.mark.parametrize('size', [(4, 4), (5, 7), (33, 64), (48, 63)])
def test_odd_and_small_sizes_are_kept(tmp_path: Path, codec: str, size: tuple[int, int]) -> None:
    encode(tmp_path / 'a.mp4', [np.full((*size, 3), 90, np.uint8)] * 3, 10, codec)
    for image in VideoImages(tmp_path / 'a.mp4', range(3)):
        assert image.shape == (*size, 3) and np.abs(image.astype(int) - 90).max() <= 3


def test_size_that_av1_lacks_is_refused_and_h264_has_it(tmp_path: Path) -> None:
    image = np.full((2, 3, 3), 90, np.uint8)
    with raises('video-image-size', 'images of 3 x 2 pixels', '4 x 4', '--codec h264'):
        encode(tmp_path / 'a.mp4', [image], 10)
    assert encode(tmp_path / 'b.mp4', [image], 10, 'h264') == 1


def test_missing_encoder_is_refused_with_those_present(monkeypatch) -> None:
    monkeypatch.setattr(av, 'codecs_available', {'libx264'})
    check_codec('h264')
    with raises('video-encoder-missing', 'libsvtav1', 'av1', '--codec h264', 'pip install'):
        check_codec('av1')


@pytest.mark.parametrize('codec', ENCODERS)
def test_episodes_of_other_lengths_are_joined(tmp_path: Path, codec: str) -> None:
    counts = (1, 2, 5)
    parts = [tmp_path / f'{n}.mp4' for n in counts]
    for part, count in zip(parts, counts, strict=True):
        encode(part, [moving(k) for k in range(count)], 10, codec)
    join(parts, counts, tmp_path / 'all.mp4', 10)
    images = VideoImages(tmp_path / 'all.mp4', range(8))
    for at, number in enumerate([0, 0, 1, 0, 1, 2, 3, 4]):
        assert np.abs(images[at].astype(int) - moving(number)).mean() < 6


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may have real-time priority everywhere')
@pytest.mark.medium
def test_encoder_never_has_real_time_priority(tmp_path: Path) -> None:
    line = [sys.executable, '-c', SCRIPT, str(tmp_path / 'a.mp4')]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [os.SCHED_OTHER]
