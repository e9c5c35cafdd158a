# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import numpy as np
import pytest
from support.errors import raises
from support.recordings import make_label, write_recording

from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import make
from viva_ros.data.open import open_recording
from viva_ros.data.recording import Recording
from viva_ros.scoring.frame_index import Timeline, human_control, timelines
from viva_ros.scoring.jobs import known_episodes

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns


def of_recording(
    recording: Recording, cameras: tuple[str, ...], topic: str = ''
) -> list[Timeline]:
    return timelines(recording, known_episodes(recording), cameras, topic)


def with_topic(source: Path, topic: str, type_name: str, told: list[tuple[float, object]]) -> Path:
    """Copy a recording and add messages at steps."""
    path = source.with_name(f'more_{source.name}')
    with RecordingWriter(path) as writer:
        for name, track in open_recording(source).tracks.items():
            for time, cdr in zip(track.times, track.data, strict=True):
                writer.write_cdr(name, track.type_name, cdr, time)
        for step, data in told:
            writer.write(topic, type_name, make(type_name, data=data), EPOCH + round(step * STEP))
    return path


def test_frames_come_from_first_camera_of_engine(tmp_path: Path) -> None:
    recording = open_recording(
        write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3], label=make_label(success=False))
    )
    (one,) = of_recording(recording, ('wrist', 'head'))
    np.testing.assert_array_equal(one.stamps, EPOCH + np.arange(3) * STEP)
    assert (one.number, one.first, one.control_rate) == (0, 0, pytest.approx(10.0))
    assert one.label is not None and one.label.success is False


def test_announced_episodes_continue_frame_numbers(tmp_path) -> None:
    path = with_topic(
        write_recording(tmp_path / 'r.mcap', [0.1] * 5), '/episode', 'std_msgs/msg/String',
        [(0, 'a'), (2, 'b'), (2.5, 'b')],
    )  # fmt: skip
    found = of_recording(open_recording(path), ('head',))
    assert [(one.number, one.id, one.first, len(one.stamps)) for one in found] == [
        (0, 'a', 0, 2), (1, 'b', 2, 3),
    ]  # fmt: skip


def test_recording_without_joints_has_frames_without_rate(tmp_path: Path) -> None:
    source = open_recording(write_recording(tmp_path / 'r.mcap', [0.1, 0.2]))
    with RecordingWriter(tmp_path / 'less.mcap') as writer:
        track = source.tracks['/head/image_raw/compressed']
        for time, cdr in zip(track.times, track.data, strict=True):
            writer.write_cdr(track.topic, track.type_name, cdr, time)
    (one,) = of_recording(open_recording(tmp_path / 'less.mcap'), ('head', 'wrist'))
    assert (len(one.stamps), one.label) == (2, None)
    assert math.isnan(one.control_rate)


def test_bool_topic_defines_correction_intervals(tmp_path: Path) -> None:
    told = [(0, False), (1, True), (1.5, True), (2, False), (3.5, True)]
    path = with_topic(
        write_recording(tmp_path / 'r.mcap', [0.1] * 5), '/held', 'std_msgs/msg/Bool', told
    )
    (one,) = of_recording(open_recording(path), ('head',), 'held')
    assert one.corrections == (pytest.approx((0.1, 0.2)), pytest.approx((0.35, 0.4)))
    (other,) = of_recording(open_recording(path), ('head',))
    assert other.corrections == ()


def test_correction_topic_of_other_type_is_refused(tmp_path: Path) -> None:
    told = [(1, 'yes')]
    path = with_topic(
        write_recording(tmp_path / 'r.mcap', [0.1]), '/held', 'std_msgs/msg/String', told
    )
    with raises('corrections-topic-type', path, '/held', 'std_msgs/msg/String'):
        human_control(open_recording(path), '/held')
