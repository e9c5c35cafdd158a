# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recorded video packets: in place, by import and in a replay."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.errors import raises
from support.video_bags import EPOCH, PERIOD, TOPICS, write_video_bag
from support.video_streams import (
    ENCODERS,
    KEY_EVERY,
    encode,
    moving,
    split_units,
    stream,
    with_b_frames,
)

from viva_ros.cli.main import main
from viva_ros.core.observation import Unknown
from viva_ros.data.conversion.guess import guess
from viva_ros.data.open import find, open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.video_packets import FFMPEG, FOXGLOVE, VIDEO
from viva_ros.robot.topic_map import load_map
from viva_ros.scoring.replay import replay

pytestmark = pytest.mark.fast
AFTER_LOSS = [k for k in range(20) if k != 11]  # packet 11 is missing


def shows(image: np.ndarray, number: int) -> bool:
    near = [np.abs(image.astype(int) - moving(k)).mean() for k in range(20)]
    return int(np.argmin(near)) == number


@pytest.mark.parametrize('kind', VIDEO)
@pytest.mark.parametrize('codec', ENCODERS)
def test_frames_of_a_bag_show_their_numbers(tmp_path: Path, kind: str, codec: str) -> None:
    (episode,) = episodes_of(open_recording(write_video_bag(tmp_path / 'bag', kind, codec)))
    frames = episode.cameras['cam']
    assert frames.stamps.tolist() == [EPOCH + k * PERIOD for k in range(20)]
    assert all(shows(frames.images[k], k) for k in range(20))
    assert not episode.faults and not episode.notes


@pytest.mark.parametrize('codec', ENCODERS)
def test_random_access_equals_sequential_access(tmp_path: Path, codec: str) -> None:
    recording = open_recording(write_video_bag(tmp_path / 'bag', FFMPEG, codec))
    images = recording.cameras['cam'].frames(0, 1 << 62).images
    whole = [np.array(image) for image in images]
    part = images[3:]
    for number in (19, 4, 5, 15, 3, 16, 12):
        np.testing.assert_array_equal(images[number], whole[number])
        np.testing.assert_array_equal(part[number - 3], whole[number])


@pytest.mark.parametrize('kind', VIDEO)
@pytest.mark.parametrize('codec', ENCODERS)
def test_frames_after_a_lost_packet_are_counted(tmp_path: Path, kind: str, codec: str) -> None:
    bag = write_video_bag(tmp_path / 'bag', kind, codec, AFTER_LOSS[2:])
    (episode,) = episodes_of(open_recording(bag))
    frames = episode.cameras['cam']
    numbers = [8, 9, 10, *range(16, 20)]
    assert frames.stamps.tolist() == [EPOCH + k * PERIOD for k in numbers]
    assert all(shows(frames.images[k], number) for k, number in enumerate(numbers))
    (note,) = episode.notes
    assert '10 of 17 packets have no image: 6 x no key frame' in note
    assert '4 x ' in note and 'no image until the next key frame' in note


@pytest.mark.parametrize('kind', VIDEO)
@pytest.mark.parametrize('codec', ['h264', 'h265'])
def test_key_frame_may_have_the_stamp_of_its_parameters(
    tmp_path: Path, kind: str, codec: str
) -> None:
    packets: list[tuple[int, bytes]] = []
    for number, data in enumerate(stream(codec)):
        sets, rest = split_units(codec, data)
        packets += [*((number, one) for one in sets), (number, b''.join(rest))]
    bag = write_video_bag(tmp_path / 'bag', kind, codec, packets=packets)
    (episode,) = episodes_of(open_recording(bag))
    frames = episode.cameras['cam']
    assert len(frames.images) == 20 and not episode.notes
    assert all(shows(frames.images[k], k) for k in (19, 8, 0, 16))
    known = [
        entry for entry in replay(open_recording(bag), ['cam'], ['a', 'b'], 1e9 / PERIOD)
        if not isinstance(entry.observation, Unknown)
    ]  # fmt: skip
    assert len(known) == 20
    for entry in known:
        assert not isinstance(entry.observation, Unknown)
        assert shows(entry.observation.images['cam'], (entry.stamp - EPOCH) // PERIOD)


def test_stream_of_parts_of_pictures_has_no_image(tmp_path: Path) -> None:
    options = {'tune': 'zerolatency', 'x265-params': 'slices=2:log-level=none:ctu=16:keyint=8'}
    whole = encode('libx265', [moving(k, (192, 256)) for k in range(20)], options)
    packets: list[tuple[int, bytes]] = []
    for number, data in enumerate(whole):
        sets, (*rest, last) = split_units('h265', data)
        packets += [(number, b''.join([*sets, *rest])), (number, last)]
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h265', packets=packets)
    frames = open_recording(bag).cameras['cam'].frames(0, 1 << 62)
    assert not frames.stamps.size and 'alignment=au' in frames.lost


def test_streams_of_two_publishers_have_no_image(tmp_path: Path) -> None:
    options = {'tune': 'zerolatency', 'preset': 'ultrafast', 'g': str(KEY_EVERY)}
    other = encode('libx264', [255 - moving(k) for k in range(20)], options)
    packets = [
        (number, data) for number, pair in enumerate(zip(stream('h264'), other, strict=True))
        for data in pair
    ]  # fmt: skip
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h264', packets=packets)
    frames = open_recording(bag).cameras['cam'].frames(0, 1 << 62)
    assert not frames.stamps.size and 'several publishers are on one topic' in frames.lost


def test_camera_without_an_image_is_refused_with_the_reason(tmp_path: Path, capsys: Any) -> None:
    packets = list(enumerate(with_b_frames()))
    bag = write_video_bag(tmp_path / 'bag', FFMPEG, 'h264', packets=packets)
    robot = tmp_path / 'robot.yaml'
    robot.write_text(f'rate: 20\ntask: fold\ncameras: {{cam: {{topic: {TOPICS[FFMPEG]}}}}}\n')
    command = ['import', str(bag), '--map', str(robot), '--success', '--out', str(tmp_path / 'd')]
    assert main(command) == 2
    shown = capsys.readouterr().out
    assert 'set B frames to 0' in shown and 'leave it out' not in shown
    assert main(['doctor', '--robot', str(robot), str(bag)]) == 1
    shown = capsys.readouterr().out
    assert 'set B frames to 0' in shown and 'record it' not in shown


def test_refused_recording_is_imported_once_its_library_is_there(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, robot = write_video_bag(tmp_path / 'bag', FFMPEG, 'h264'), tmp_path / 'robot.yaml'
    robot.write_text(f'rate: 20\ntask: fold\ncameras: {{cam: {{topic: {TOPICS[FFMPEG]}}}}}\n')
    command = ['import', str(bag), '--map', str(robot), '--success', '--out', str(tmp_path / 'd')]
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, 'find_spec', lambda name: None)
        assert main(command) == 2
    assert 'pip install' in ' '.join(capsys.readouterr().out.split())
    assert main(command) == 0


def test_gap_of_a_lost_packet_fails_the_limit(tmp_path: Path, capsys: Any) -> None:
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h264', AFTER_LOSS)
    robot = tmp_path / 'robot.yaml'
    robot.write_text(
        'rate: 10\ncameras: {cam: {topic: /cam/image_raw, transport: foxglove}}\n'
        'limits: {max_gap: 0.2}\ntask: fold\n'
    )
    command = ['import', str(bag), '--map', str(robot), '--success', '--out', str(tmp_path / 'd')]
    assert main(command) != 0
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'cam' in shown and '0.300 s' in shown


def test_bag_with_video_is_guessed_and_imported(tmp_path: Path) -> None:
    bag = write_video_bag(tmp_path / 'bag', FFMPEG, 'h265', text='hevc_nvenc;nv12;bgr8;rgb8')
    draft, out = tmp_path / 'robot.yaml', tmp_path / 'set'
    command = ['import', str(bag), '--guess', str(draft), '--yes', '--task', 'fold', '--success']
    assert main([*command, '--out', str(out)]) == 0
    assert [one.topic for one in load_map(draft).cameras.values()] == [TOPICS[FFMPEG]]
    (episode,) = episodes_of(open_recording(find([out])[0]))
    (frames,) = episode.cameras.values()
    assert len(frames.images) == 20 and all(shows(frames.images[k], k) for k in (0, 7, 8, 19))


def test_video_that_cannot_be_decoded_is_left_out_of_a_draft(tmp_path: Path) -> None:
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h264', text='vp9')
    with raises('guess-empty', "has the format 'vp9'", 'H.264, H.265 or AV1'):
        guess(open_recording(bag))


def test_encoding_of_a_video_camera_is_refused(tmp_path: Path) -> None:
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h264')
    (tmp_path / 'viva_map.yaml').write_text(
        f'cameras: {{cam: {{topic: {TOPICS[FOXGLOVE]}, encoding: jpeg}}}}\n'
    )
    with raises('camera-encoding', 'cam', 'leave it out'):
        open_recording(bag)


def test_color_order_of_a_video_camera_is_applied(tmp_path: Path) -> None:
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h264')
    plain = np.array(episodes_of(open_recording(bag))[0].cameras['cam'].images[0])
    (tmp_path / 'viva_map.yaml').write_text(
        f'cameras: {{cam: {{topic: {TOPICS[FOXGLOVE]}, color_order: bgr}}}}\n'
    )
    recording = open_recording(bag)
    exchanged = episodes_of(recording)[0].cameras['cam'].images[0]
    np.testing.assert_array_equal(exchanged, plain[..., ::-1])
    (first, *_) = replay(recording, ['cam'], ['a', 'b'], 20.0)
    assert not isinstance(first.observation, Unknown)
    np.testing.assert_array_equal(first.observation.images['cam'], exchanged)


def test_received_stamps_apply_to_video(tmp_path: Path) -> None:
    bag = write_video_bag(tmp_path / 'bag', FOXGLOVE, 'h264', range(2, 20))
    (tmp_path / 'viva_map.yaml').write_text(
        f'cameras: {{cam: {{topic: {TOPICS[FOXGLOVE]}, stamp: received}}}}\n'
    )
    (episode,) = episodes_of(open_recording(bag))
    frames = episode.cameras['cam']
    assert frames.stamps.tolist() == [EPOCH + k * PERIOD for k in range(8, 20)]
    assert shows(frames.images[0], 8)


@pytest.mark.parametrize('codec', ENCODERS)
def test_replay_is_unknown_until_the_next_key_frame(tmp_path: Path, codec: str) -> None:
    recording = open_recording(write_video_bag(tmp_path / 'bag', FFMPEG, codec, AFTER_LOSS))
    whole = open_recording(write_video_bag(tmp_path / 'whole', FFMPEG, codec))
    frames = whole.cameras['cam'].frames(0, 1 << 62).images
    known: list[int] = []
    for entry in replay(recording, ['cam'], ['a', 'b'], 1e9 / PERIOD):
        number = (entry.stamp - EPOCH) // PERIOD
        if isinstance(entry.observation, Unknown):
            assert entry.observation.kind == 'input'
            assert 'no image until the next key frame' in entry.observation.reason
            assert 12 <= number <= 16
        else:
            known.append(number)
            np.testing.assert_array_equal(entry.observation.images['cam'], frames[number])
    assert set(range(11)) | set(range(17, 20)) <= set(known)
    assert not set(range(12, 2 * KEY_EVERY)) & set(known)
