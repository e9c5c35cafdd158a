# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.errors import raises

from viva_ros.core.image_checks import PictureSettings
from viva_ros.data.bag.reader import with_definitions
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.conversion.resample import grid, measure, moments
from viva_ros.data.episode import Frames, Joints
from viva_ros.data.joint_groups import held
from viva_ros.data.messages import Definition, deserialise
from viva_ros.data.recording import Recording, Track
from viva_ros.robot.field_path import numbers, overlap
from viva_ros.robot.topic_map import NAME, ImportLimits, load_map, map_file

MS = 1_000_000  # ns


@pytest.mark.parametrize(
    ('text', 'code', 'named'),
    [
        ('rate: 0', 'map-value', ['rate is 0', 'from 1 to 1000']),
        ('rate: 12.5', 'map-value', ['rate is 12.5']),
        ('rate: true', 'map-value', ['rate is True']),
        ('rate: 10\ncamera: {}', 'map-key', ["the map has 'camera'", 'rate, cameras, joints']),
        ('rate: 10\ncameras: [a]', 'map-value', ["cameras is ['a']", 'a mapping']),
        ('rate: 10\ncameras: {a b: /a}', 'map-value', ["camera is 'a b'"]),
        ('rate: 10\njoints: [{names: [a]}]', 'map-value', ['joints[0].topic is None']),
        ('rate: 10\njoints: [{topic: /a, field: x}]', 'map-value', ['names is {}']),
        ('joints: {topic: /a, names: {j1: , j2: b}}', 'map-value', ['names is None']),
        ('joints: {topic: /a, names: [a, true]}', 'map-value', ['names is True']),
        ('joints: {topic: /a, names: {1: a, "1": b}}', 'map-value', ["joint is '1'", 'once']),
        ('joints: {topic: /a, names: [1, "1"]}', 'map-value', ["joint is '1'", 'once']),
        ('joints: {topic: /a, names: [[a]]}', 'map-value', ["names is ['a']"]),
        ('rate: 10\njoints: {topic: /a, names: [a, a]}', 'map-value', ["joint is 'a'", 'once']),
        (
            'rate: 10\njoints: [{topic: /a, names: [a]}, {topic: /b, names: [a]}]',
            'map-value',
            ["joint is 'a'"],
        ),
        ('rate: 10\nlimits: {max_gap: 0}', 'map-value', ['limits.max_gap is 0', 'above 0']),
        ('rate: 10\nlimits: {max_gap: .inf}', 'map-value', ['max_gap is inf', 'a finite number']),
        ('rate: 10\nlimits: {max_skew: .inf}', 'map-value', ['max_skew is inf', 'from 0 on']),
        ('rate: 10\nlimits: {max_skew: -1}', 'map-value', ['max_skew is -1', 'from 0 on']),
        ('rate: 10\nlimits: {frozen_after: .inf}', 'map-value', ['frozen_after is inf']),
        ('rate: 10\nlimits: {saturated_above: 256}', 'map-value', ['is 256', 'at most 255']),
        ('rate: 10\nlimits: {black_below: -1}', 'map-value', ['black_below is -1', 'from 0 on']),
        ('rate: 10\nlimits: {max_joint_speed: 0}', 'map-value', ['default is 0', 'above 0']),
        ('rate: 10\nlimits: {max_joint_speed: {a: .inf}}', 'map-value', ['speed.a is inf']),
        ('rate: 10\nlimits: {min_readable: 2}', 'map-value', ['min_readable is 2', 'to 1']),
        ('rate: 10\nlimits: {gap: 1}', 'map-key', ["limits has 'gap'", 'max_gap, max_skew']),
        ('rate: 10\nstamp: now', 'map-value', ["stamp is 'now'", 'header or received']),
        ('source_rate: 0', 'map-value', ['source_rate is 0', 'above 0, at most 1000']),
        ('source_rate: true', 'map-value', ['source_rate is True']),
        ('source_rate: .nan', 'map-value', ['source_rate is nan']),
        ('joints: [{topic: /a, path: a/b}]', 'map-value', ['"feature" or a "path"']),
        ('cameras: {a: /x, b: x}', 'camera-source-twice', ['cameras a and b']),
        (
            'joints: [{topic: /a, prefix: l_}, {topic: /a, prefix: r_}]',
            'joint-source-twice',
            ['read twice'],
        ),
        (
            'joints: [{topic: /a, field: "b[0:7]", names: [c]}, '
            '{topic: a, field: "msg.b[0:7]", names: [d]}]',
            'joint-field-twice',
            ['fields b[0:7] and b[0:7] of /a', 'such as b[0:7] and b[7:14]'],
        ),
        (
            'joints: [{topic: /a, names: [b]}, {topic: /a, field: "position[2]", names: [c]}]',
            'joint-name-and-place',
            ['/a', 'by name and by place (field position[2])', 'each a "field"'],
        ),
        ('label: {frames: some}', 'map-value', ["'some'", 'all or any or last']),
        ('label: {true: [yes], false: [yes]}', 'map-words', ['without overlap']),
        ('label: {path_contains: {success: ok}}', 'map-value', ['path_contains']),
        ('cameras: {a: {topic: /a, color_order: gbr}}', 'map-image-options', ['gbr']),
        ('rate: [', 'map-unreadable', []),
        ('rate: 010', 'map-unreadable', ['010', 'quotes']),
        ('limits: {max_gap: 1e3}', 'map-unreadable', ['1e3', '1.0e+3']),
        ('cameras: {on: /a}', 'map-value', ['camera is True']),
        ('cameras: {a: {topic: on}}', 'map-value', ['topic is True', 'a text']),
        ('joints: {topic: 12, names: [a]}', 'map-value', ['topic is 12', 'a text']),
        ('definitions: no', 'map-value', ['definitions is False', 'a text']),
        ('limits: {max_joint_speed: {on: 1}}', 'map-value', ['max_joint_speed is True']),
        ('label: {path_contains: {success: yes, failure: a}}', 'map-value', ['success is True']),
    ],
)
def test_invalid_map_is_refused_with_key_and_value(
    tmp_path: Path, text: str, code: str, named: list[str]
) -> None:
    (tmp_path / 'map.yaml').write_text(text)
    with raises(code, 'map.yaml', *named):
        load_map(tmp_path / 'map.yaml')


@pytest.mark.timeout(60)  # minutes with what is quadratic
def test_thousands_of_names_and_sources_are_checked_at_once(tmp_path: Path) -> None:
    path = tmp_path / NAME
    names = ', '.join(f'j{k}' for k in range(40_000))
    path.write_text(f'joints: [{{topic: /a, names: [{names}, j39999]}}]')
    with raises('map-value', 'j39999', 'named once'):
        load_map(path)
    path.write_text(f'joints: [{", ".join(f"{{topic: /t{k}}}" for k in range(20_000))}]')
    with raises('map-value', 'joints is', '20000 entries', 'at most'):
        load_map(path)


def test_source_may_be_a_path_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / 'map.yaml'
    path.write_text(
        'source_rate: 12.5\ncameras: {top: {path: observations/images/top}}\n'
        'joints: [{path: observations/qpos, names: [a, b]}]'
    )
    found = load_map(path)
    assert found.source_rate == 12.5 and found.cameras['top'].topic == 'observations/images/top'
    assert found.joints[0].topic == 'observations/qpos' and found.joints[0].path == ''


def test_nearest_map_above_a_bag_is_used(tmp_path: Path) -> None:
    bag = tmp_path / 'lab/monday/bag'
    bag.mkdir(parents=True)
    assert map_file(bag, 3) is None
    (tmp_path / 'lab/viva_map.yaml').write_text('rate: 5')
    assert load_map(map_file(bag, 3)).rate == 5
    (tmp_path / 'lab/monday/viva_map.yaml').write_text('rate: 7')
    assert load_map(map_file(bag, 3)).rate == 7


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
def test_field_path_returns_numbers(path: str, expected: list[float]) -> None:
    np.testing.assert_array_equal(numbers(MESSAGE, path), expected)


@pytest.mark.parametrize(
    ('path', 'code'),
    [
        ('left.positions', 'field-missing'),
        ('motors[9].q', 'field-missing'),
        ('left..position', 'field-syntax'),
        ('grip[', 'field-syntax'),
        ('grip[0-7]', 'field-syntax'),
        ('grip[-]', 'field-syntax'),
        ('grip[:-]', 'field-syntax'),
        ('.', 'field-syntax'),
        ('left', 'field-not-number'),
    ],
)
def test_invalid_field_path_is_refused(path: str, code: str) -> None:
    with raises(code, f'field {path!r}'):
        numbers(MESSAGE, path)


def raw_episode(camera: list[int], joints: list[int]) -> RawEpisode:
    """Return an episode of one camera and one joint from stamps in ms."""
    frames = Frames(np.array(camera) * MS, [])
    states = Joints(np.array(joints) * MS, ('a',), np.zeros((len(joints), 1)))
    return RawEpisode('t', Path('t'), {'head': frames}, (states,), None)


def test_grid_times_do_not_drift() -> None:
    # A third of a second has no whole number of ns; each grid time is rounded separately.
    assert moments(10, 10 + 2_000_000_000, 3).tolist() == [
        10, 333_333_343, 666_666_677, 1_000_000_010, 1_333_333_343, 1_666_666_677, 2_000_000_010,
    ]  # fmt: skip
    assert moments(5, 4, 10).tolist() == []


def test_hold_uses_newest_stamp_that_is_not_later() -> None:
    stamps = np.array([0, 100, 200]) * MS
    assert held(stamps, np.array([0, 99, 100, 150, 400]) * MS).tolist() == [0, 0, 1, 1, 2]


def test_grid_avoids_repeated_frames_of_a_jittering_camera() -> None:
    camera = [0, 102, 199, 301, 398, 503, 600]  # 10 Hz and up to 3 ms of jitter
    at = grid(raw_episode(camera, list(range(0, 700, 10))), 10)
    # A grid from 0 ms drops the frames at 102 and 301 ms; one from 12.5 ms drops none.
    assert at[0] == 12_500_000
    assert held(np.array(camera) * MS, at).tolist() == [0, 1, 2, 3, 4, 5]


def test_figures_have_gap_rate_skew_and_repeated_frames() -> None:
    episode = raw_episode([0, 100, 200, 600, 700], list(range(0, 701, 20)))
    figures = measure(
        episode, np.arange(0, 701, 100) * MS, ImportLimits(max_gap=0.5, max_skew=0.2)
    )
    head = figures.streams['head']
    # Four intervals in 0.7 s; 200, 300, 400 and 500 ms hold the frame of 200 ms.
    assert (head.rate, head.gap, head.repeated) == (5.714, 0.4, round(3 / 7, 4))
    assert figures.skew == 0.3
    assert [reason[:38] for reason in figures.refused] == [
        'inputs of one frame are 0.300 s apart,'
    ]


def test_type_without_definition_is_read_with_files_of_map(tmp_path: Path) -> None:
    folder = tmp_path / 'acme_msgs/msg'
    folder.mkdir(parents=True)
    (folder / 'Hand.msg').write_text('Finger[2] fingers\n')
    (folder / 'Finger.msg').write_text('float32 angle\n')
    cdr = b'\x00\x01\x00\x00' + np.array([0.5, -1.5], np.float32).tobytes()
    track = Track('/hand', 'acme_msgs/msg/Hand', [1], [cdr], Definition('ros2msg', ''))
    recording = Recording(tmp_path, {'/hand': track}, {}, ())
    (_, message) = with_definitions(recording, tmp_path).messages('hand')[0]
    assert [finger.angle for finger in message.fingers] == [0.5, -1.5]


def test_recorded_definition_precedes_that_of_the_package() -> None:
    old = Definition('ros2msg', 'float32 value\n')
    message = deserialise(
        'viva_ros/msg/Value', b'\x00\x01\x00\x00' + np.float32(0.25).tobytes(), old
    )
    assert message.value == 0.25
    assert not hasattr(message, 'progress')


def test_limits_of_images_replace_those_of_the_monitor(tmp_path: Path) -> None:
    (tmp_path / 'map.yaml').write_text(
        'limits: {black_below: 0, uniform_below: 2, saturated_above: 250}\n'
    )
    limits, own = load_map(tmp_path / 'map.yaml').limits, PictureSettings(black_below=1.0)
    assert limits.pictures(own) == PictureSettings(0.0, 250.0, 2.0)
    assert ImportLimits().pictures(own) == own
    assert limits.figures['uniform_below'] == 2.0


@pytest.mark.parametrize(
    ('one', 'other', 'expected'),
    [
        ('a[0:7]', 'a[0:7]', True),
        ('a[0:7]', 'a[7:14]', False),
        ('a[0:7]', 'a[6]', True),
        ('a[7:]', 'a[:7]', False),
        ('a', 'a[3]', True),
        ('a', 'b', False),
        ('m[0:3].q', 'm[2].q', True),
        ('m[0:3].q', 'm[2].dq', False),
        ('a[-1]', 'a[-1]', True),
        ('a[-1]', 'a[0:3]', False),
    ],
)
def test_fields_with_numbers_in_common_are_found(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is expected
