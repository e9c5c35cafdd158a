# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Contracts of rosetta as robot files."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.foreign_robot import ARMS, write_bag

from viva_ros.cli.import_ import main
from viva_ros.robot.topic_map import TopicMap, load_map

CONTRACT = """\
x-qos: &camera_qos {reliability: best_effort, depth: 5}
robot_type: two_arm_cell
robot_interface: ros2
fps: 20
observations:
  observation.images.overhead:
    channel: {topic: /overhead/image_raw, type: sensor_msgs/msg/Image, qos: *camera_qos}
    align: {strategy: hold, timeline: header}
    apply: [resize: [240, 320]]
  observation.images.wrist.left:
    channel: {topic: /left/wrist/compressed, type: sensor_msgs/msg/CompressedImage}
    align: {strategy: hold, timeline: receive}
    apply: [resize: [240, 320]]
  observation.state:
    - channel: {topic: /left/joint_states, type: sensor_msgs/msg/JointState}
      align: {strategy: hold, timeline: header}
      select: [position.l1, l2]
    - channel: {topic: /grip, type: std_msgs/msg/Float64MultiArray, dtype: float64}
      align: {strategy: hold, timeline: receive}
      select: [left_grip, right_grip]
    - channel: {topic: /base/odom, type: nav_msgs/msg/Odometry}
      align: {strategy: hold, timeline: header}
      select: [pose.pose.position.x]
    - channel: {topic: /pedals, type: sensor_msgs/msg/Joy}
      align: {strategy: hold, timeline: header}
      select: [axes.2]
actions:
  action:
    channel: {topic: /left/commands, type: sensor_msgs/msg/JointState, safety: hold}
    align: {strategy: hold, timeline: header}
    select: [position.l1, position.l2]
teleop:
  events:
    channel: {topic: /joy, type: sensor_msgs/msg/Joy}
    select: {success: buttons.0}
adjunct:
  - channel: {topic: /tf, type: tf2_msgs/msg/TFMessage}
"""
ROBOT = """\
robot: two_arm_cell
rate: 20
cameras:
  overhead: {topic: /overhead/image_raw, stamp: header}
  wrist_left: {topic: /left/wrist/compressed, stamp: received}
joints:
  - {topic: /left/joint_states, names: [l1, l2], stamp: header}
  - {topic: /grip, field: data, names: [left_grip, right_grip], stamp: received}
  - {topic: /base/odom, field: pose.pose.position.x, names: [pose.pose.position.x], stamp: header}
  - {topic: /pedals, field: 'axes[2]', names: [axes.2], stamp: header}
action:
  - {topic: /left/commands, names: [l1, l2], stamp: header}
"""


def load(folder: Path, text: str) -> TopicMap:
    (folder / 'contract.yaml').write_text(text)
    return load_map(folder / 'contract.yaml')


def test_contract_equals_the_robot_file_with_its_meaning(tmp_path: Path) -> None:
    found, expected = load(tmp_path, CONTRACT), load(tmp_path, ROBOT)
    assert found.notes == tuple(
        f'resize of observation.images.{name} is not applied: images keep their size'
        for name in ('overhead', 'wrist.left')
    )
    assert replace(found, text='', notes=()) == replace(expected, text='')
    assert found.text == CONTRACT  # its content is part of the identity of a recording


@pytest.mark.parametrize(
    ('old', 'new', 'part', 'reason'),
    [
        ('select: [position.l1, l2]', 'select: [l1, l2]\n      apply: [rad2deg]', 'rad2deg',
         'values stay as published'),
        ('select: [position.l1, l2]', 'select: [l1]\n      apply: [clamp: {min: 0, max: 1}]',
         'clamp', 'not applied'),
        ('[position.l1, l2]', '[position.l1, velocity.l1]', 'observation.state',
         'selects velocity, only positions'),
        ('strategy: hold, timeline: receive', 'strategy: asof, timeline: receive, tolerance_ms: 9',
         'asof', 'limits: {max_gap'),
        ('type: nav_msgs/msg/Odometry', 'type: acme_msgs/msg/Base', 'observation.state',
         '"field" and "names"'),
        ('dtype: float64}', 'decoder: "acme.codecs:grip"}', 'observation.state', 'a decoder'),
        ('sensor_msgs/msg/Image,', 'acme_msgs/msg/Picture,', 'observation.images.overhead',
         'sensor_msgs/msg/Image'),
        ('teleop:', 'tasks: {task: {channel: {topic: /task}}}\nteleop:', 'tasks',
         'x-viva: {task: ...}'),
        ('teleop:', 'rewards: {next.reward: {channel: {topic: /r}}}\nteleop:', 'rewards',
         'x-viva: {label: ...}'),
        ('teleop:', 'info: {note: {channel: {topic: /n}}}\nteleop:', 'info', 'is not read'),
        ('actions:\n', 'actions:\n  action.base: {}\n', 'action.base', 'only action is read'),
        ('robot_interface: ros2', 'robot_interface: ros3', 'robot_interface', 'must be ros2'),
    ],
)  # fmt: skip
def test_part_without_a_meaning_is_refused_by_name(
    tmp_path: Path, old: str, new: str, part: str, reason: str
) -> None:
    text = CONTRACT.replace(old, new, 1)
    assert text != CONTRACT
    with raises('rosetta-part', 'contract.yaml', f'{part}: ', reason, f'{{ignore: [{part}]}}'):
        load(tmp_path, text)
    assert load(tmp_path, f'{text}x-viva: {{ignore: [{part}]}}\n').rate == 20


def test_all_refused_parts_are_listed_at_once(tmp_path: Path) -> None:
    text = CONTRACT.replace('[position.l1, l2]', '[l1, l2]\n      apply: [rad2deg]')
    with raises('rosetta-part', 'x-viva: {ignore: [signals, rad2deg]}'):
        load(tmp_path, f'{text}signals: {{next.done: {{channel: {{topic: /done}}}}}}\n')


def test_ignored_velocity_leaves_positions(tmp_path: Path) -> None:
    text = CONTRACT.replace('[position.l1, l2]', '[position.l1, velocity.l1]')
    found = load(tmp_path, f'{text}x-viva: {{ignore: [observation.state]}}\n')
    assert found.joints[0].names == {'l1': 'l1'}


def test_own_keys_replace_translated_ones(tmp_path: Path) -> None:
    own = (
        'x-viva:\n  joints: [{topic: /left/joint_states, prefix: left_}]\n  task: stack\n'
        '  limits: {max_gap: 0.2}\n  label: {topic: /success}\n'
    )
    text = CONTRACT.replace('position.l1, l2', 'velocity.l1')
    tasks = 'tasks: {task: {channel: {topic: /task}}}\n'
    found = load(tmp_path, f'{text}{tasks}{own}')
    assert [one.prefix for one in found.joints] == ['left_']
    assert (found.task, found.limits.max_gap, found.label.topic) == ('stack', 0.2, '/success')


def test_ignored_name_that_is_no_part_is_refused(tmp_path: Path) -> None:
    with raises('rosetta-ignore', "'resized'"):
        load(tmp_path, f'{CONTRACT}x-viva: {{ignore: [resized]}}\n')
    with raises('map-key', "'tusk'"):
        load(tmp_path, f'{CONTRACT}x-viva: {{tusk: stack}}\n')
    with raises('rosetta-value', 'observation.state.align is None'):
        load(tmp_path, CONTRACT.replace('      align: {strategy: hold, timeline: header}\n', ''))


@pytest.mark.medium
def test_import_with_a_contract_equals_that_with_a_robot_file(tmp_path: Path, capsys) -> None:
    names = ', '.join(f'position.{name}' for name in ARMS)
    entry = 'align: {strategy: hold, timeline: header}'
    compressed = 'type: sensor_msgs/msg/CompressedImage'
    (tmp_path / 'contract.yaml').write_text(f"""\
robot_type: acme_duo
robot_interface: ros2
fps: 15
observations:
  observation.images.top:
    channel: {{topic: /acme/top/image/compressed, {compressed}}}
    {entry}
    apply: [resize: [32, 32]]
  observation.state:
    channel: {{topic: /acme/axes, type: sensor_msgs/msg/JointState}}
    {entry}
    select: [{names}]
x-viva: {{task: lift_block}}
""")
    (tmp_path / 'robot.yaml').write_text(
        'robot: acme_duo\nrate: 15\ntask: lift_block\n'
        'cameras: {top: /acme/top/image/compressed}\n'
        f'joints: {{topic: /acme/axes, names: [{names.replace("position.", "")}]}}\n'
    )
    write_bag(tmp_path / 'bag', seconds=1.0)
    states = []
    for name in ('contract', 'robot'):
        out = tmp_path / name
        call = [str(tmp_path / 'bag'), '--map', f'{out}.yaml', '--out', str(out), '--success']
        assert main(call) == 0
        table = pq.read_table(out / 'data/chunk-000/file-000.parquet')
        states.append(table['observation.state'].to_pylist())
    assert states[0] == states[1] and len(states[0][0]) == 12
    assert 'resize of observation.images.top is not applied' in capsys.readouterr().out


def test_ignored_source_of_velocities_adds_no_joints(tmp_path: Path) -> None:
    text = CONTRACT.replace('[position.l1, l2]', '[velocity.l1, velocity.l2]')
    found = load(tmp_path, f'{text}x-viva: {{ignore: [observation.state]}}\n')
    assert '/left/joint_states' not in [one.topic for one in found.joints]
    begin, end = text.index('    - channel: {topic: /grip'), text.index('actions:')
    alone = f'{text[:begin]}{text[end:]}x-viva: {{ignore: [observation.state]}}\n'
    with raises('rosetta-joints', 'no positions', 'x-viva: {joints: '):
        load(tmp_path, alone)


def test_all_reasons_of_one_part_are_told(tmp_path: Path) -> None:
    text = CONTRACT.replace('[position.l1, l2]', '[velocity.l1, effort.l1]')
    text = text.replace('dtype: float64}', 'decoder: "acme.codecs:grip"}')
    with raises('rosetta-part', 'selects velocity', 'selects effort', 'has a decoder'):
        load(tmp_path, text)


def test_cameras_of_one_name_are_refused(tmp_path: Path) -> None:
    text = CONTRACT.replace('observation.images.overhead', 'observation.images.wrist_left')
    part = 'observation.images.wrist.left'
    with raises('rosetta-part', part, "would be camera 'wrist_left'", f'{{ignore: [{part}]}}'):
        load(tmp_path, text)
    kept = load(tmp_path, f'{text}x-viva: {{ignore: [{part}]}}\n')
    assert kept.cameras['wrist_left'].topic == '/overhead/image_raw'


@pytest.mark.parametrize(
    ('old', 'new', 'reason'),
    [
        ('resize: [240, 320]', '{resize: [240, 320], clamp: {min: 0, max: 9}}', 'clamp: of'),
        ('select: [axes.2]', 'select: [axes.x]', 'must be axes.N, buttons.N or N'),
        ('select: [axes.2]', 'select: {a: axes.2}', 'must be a list of names'),
    ],
)
def test_unclear_part_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    with raises('rosetta-part', reason):
        load(tmp_path, CONTRACT.replace(old, new, 1))


def test_index_without_array_is_an_axis_of_a_joy(tmp_path: Path) -> None:
    found = load(tmp_path, CONTRACT.replace('select: [axes.2]', 'select: ["2"]'))
    assert (found.joints[-1].path, found.joints[-1].names) == ('axes[2]', {'2': '2'})
