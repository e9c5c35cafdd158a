# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from viva_ros.core.errors import ConfigurationError
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.conversion.resample import grid, held, measure, moments
from viva_ros.data.conversion.topic_map import ImportLimits, load_map, map_for, numbers
from viva_ros.data.episode import Frames, Joints
from viva_ros.data.messages import Definition, deserialise
from viva_ros.data.recording import Recording, Track

MS = 1_000_000  # ns


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('cameras: {}', 'rate is None, must be a whole number of Hz from 1 to 1000'),
        ('rate: 12.5', 'rate is 12.5, must be a whole number'),
        ('rate: true', 'rate is True'),
        ('rate: 10\ncamera: {}', "the map has 'camera', may have rate, cameras, joints"),
        ('rate: 10\ncameras: [a]', r"cameras is \['a'\], must be a mapping"),
        ('rate: 10\ncameras: {a b: /a}', "camera is 'a b', must be a name of letters"),
        ('rate: 10\njoints: [{names: [a]}]', r'joints\[0\].topic is None'),
        ('rate: 10\njoints: [{topic: /a, field: x}]', 'names is {}, must be a list of names'),
        ('rate: 10\njoints: {topic: /a, names: [a, a]}', "joint is 'a', must be named once"),
        ('rate: 10\njoints: [{topic: /a, names: [a]}, {topic: /b, names: [a]}]', "joint is 'a'"),
        ('rate: 10\nlimits: {max_gap: -1}', 'limits.max_gap is -1, must be a number from 0'),
        ('rate: 10\nlimits: {min_readable: 2}', 'limits.min_readable is 2, must be .* to 1'),
        ('rate: 10\nlimits: {gap: 1}', "limits has 'gap', may have max_gap, max_skew"),
        ('rate: 10\nstamp: now', "stamp is 'now', must be header or received"),
        ('rate: [', 'cannot be read'),
    ],
)
def test_a_wrong_map_is_refused_with_key_value_and_what_is_allowed(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / 'map.yaml').write_text(text)
    with pytest.raises(ConfigurationError, match=rf'map\.yaml.*{complaint}'):
        load_map(tmp_path / 'map.yaml')


def test_the_nearest_map_above_a_bag_is_its_map(tmp_path: Path) -> None:
    bag = tmp_path / 'lab/monday/bag'
    bag.mkdir(parents=True)
    assert map_for(bag) is None
    (tmp_path / 'lab/viva_map.yaml').write_text('rate: 5')
    assert map_for(bag).rate == 5
    (tmp_path / 'lab/monday/viva_map.yaml').write_text('rate: 7')
    assert map_for(bag).rate == 7


MESSAGE = SimpleNamespace(
    left=SimpleNamespace(position=np.arange(9.0)),
    motors=[SimpleNamespace(q=float(n), pair=[n, -n]) for n in range(4)],
    grip=0.25,
)


@pytest.mark.parametrize(
    ('path', 'expected'),
    [
        ('left.position[0:3]', [0, 1, 2]),
        ('left.position[-2:]', [7, 8]),
        ('left.position[4]', [4]),
        ('motors[1:3].q', [1, 2]),
        ('motors[0:2].pair', [0, 0, 1, -1]),
        ('motors[3].q', [3]),
        ('grip', [0.25]),
    ],
)
def test_a_path_leads_to_numbers(path: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers(MESSAGE, path), expected)


@pytest.mark.parametrize('path', ['left.positions', 'motors[9].q', 'left..position', 'grip[', '.'])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match='field'):
        numbers(MESSAGE, path)


def take(camera: list[int], joints: list[int]) -> RawEpisode:
    """Build an episode of one camera and one joint from stamps in ms."""
    frames = Frames(np.array(camera) * MS, [])
    states = Joints(np.array(joints) * MS, ('a',), np.zeros((len(joints), 1)))
    return RawEpisode('t', Path('t'), {'head': frames}, (states,), None)


def test_moments_do_not_drift_and_end_with_the_last() -> None:
    # A third of a second has no whole number of ns; each moment is rounded by itself.
    assert moments(10, 10 + 2_000_000_000, 3).tolist() == [
        10, 333_333_343, 666_666_677, 1_000_000_010, 1_333_333_343, 1_666_666_677, 2_000_000_010,
    ]  # fmt: skip
    assert moments(5, 4, 10).tolist() == []


def test_the_newest_stamp_that_is_not_later_is_held() -> None:
    stamps = np.array([0, 100, 200]) * MS
    assert held(stamps, np.array([0, 99, 100, 150, 400]) * MS).tolist() == [0, 0, 1, 1, 2]


def test_jitter_of_a_camera_of_the_same_rate_repeats_no_frame() -> None:
    camera = [0, 102, 199, 301, 398, 503, 600]  # 10 Hz and up to 3 ms of jitter
    at = grid(take(camera, list(range(0, 700, 10))), 10)
    # From 0 ms on, the frames at 102 and 301 ms would be missed; 12.5 ms later none is.
    assert at[0] == 12_500_000
    assert held(np.array(camera) * MS, at).tolist() == [0, 1, 2, 3, 4, 5]


def test_figures_name_gap_rate_skew_and_repeated_frames() -> None:
    one = take([0, 100, 200, 600, 700], list(range(0, 701, 20)))
    figures = measure(one, np.arange(0, 701, 100) * MS, ImportLimits(max_gap=0.5, max_skew=0.2))
    head = figures.streams['head']
    # Four intervals in 0.7 s; 200, 300, 400 and 500 ms hold the frame of 200 ms.
    assert (head.rate, head.gap, head.repeated) == (5.714, 0.4, round(3 / 7, 4))
    assert figures.skew == 0.3
    assert [reason[:38] for reason in figures.refused] == [
        'inputs of one frame are 0.300 s apart,'
    ]


def test_a_type_that_a_bag_does_not_define_is_read_by_the_files_of_the_map(tmp_path: Path) -> None:
    folder = tmp_path / 'acme_msgs/msg'
    folder.mkdir(parents=True)
    (folder / 'Hand.msg').write_text('Finger[2] fingers\n')
    (folder / 'Finger.msg').write_text('float32 angle\n')
    cdr = b'\x00\x01\x00\x00' + np.array([0.5, -1.5], np.float32).tobytes()
    track = Track('/hand', 'acme_msgs/msg/Hand', [1], [cdr], Definition('ros2msg', ''))
    recording = Recording(tmp_path, {'/hand': track}, {}, ())
    (_, message) = with_definitions(recording, tmp_path).messages('hand')[0]
    assert [finger.angle for finger in message.fingers] == [0.5, -1.5]


def test_a_recorded_definition_goes_before_ours_as_that_may_have_changed() -> None:
    old = Definition('ros2msg', 'float32 value\n')
    message = deserialise(
        'viva_ros/msg/Value', b'\x00\x01\x00\x00' + np.float32(0.25).tobytes(), old
    )
    assert message.value == 0.25
    assert not hasattr(message, 'progress')
