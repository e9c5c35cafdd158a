# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drafts of robot files from recordings."""

import io
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest
import yaml
from support.errors import raises
from support.foreign_bags import MS, BagOfMessages, two_arms
from support.hdf5_episodes import ROWS, raw_images, write_aloha
from support.lerobot_datasets import NAMES, numbered, write_lerobot
from support.video_folders import joints, write_video_folder

from viva_ros.cli import import_
from viva_ros.cli.main import main
from viva_ros.data.conversion.guess import RobotDraft, camera_names, guess, scalar
from viva_ros.data.open import find, open_recording, open_unmapped
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import load_map

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(('topics', 'names'), [
    (['/head/image_raw/compressed', '/left_wrist/image_raw'], ['head', 'left_wrist']),
    (['/cam_high/camera/color/image_rect_raw', '/cam_low/camera/color/image_rect_raw'],
     ['cam_high', 'cam_low']),
    (['/left/cam/image', '/right/cam/image'], ['left_cam', 'right_cam']),
    (['/image_raw'], ['image_raw']),
    (['/left/image_raw/compressed', '/left/image_rect/compressed', '/top/image_raw'],
     ['left_image_raw', 'left_image_rect', 'top']),
    (['/a/image_raw', '/a/image_raw/compressed'], ['a_image_raw', 'a_image_raw_2']),
    (['/0/image'], ['camera_0']),
])  # fmt: skip
def test_cameras_are_named_by_the_parts_that_differ(topics: list[str], names: list[str]) -> None:
    assert list(camera_names(topics).values()) == names


def test_draft_of_a_bag_can_be_imported(tmp_path: Path, capsys: Any) -> None:
    bag = two_arms('/left/joints', '/right/joints', names=(('a', 'b'), ('a', 'b')))
    for k in range(50):
        bag.joints('/leader/joint_states', 40 * MS * k + MS, ['a'], [0.0])
    bag.text('/outcome', 'failure: fell', 1900 * MS)
    path = bag.write(tmp_path / 'bag')
    draft, out = tmp_path / 'robot.yaml', tmp_path / 'set'
    command = ['import', str(path), '--guess', str(draft), '--yes', '--task', 'fold']
    assert main([*command, '--out', str(out)]) == 0
    shown = capsys.readouterr().out
    assert 'left out: commands' in ' '.join(shown.split())
    robot = load_map(draft)
    assert robot.rate == 10 and {n: one.topic for n, one in robot.cameras.items()} == {
        'top': '/top/image/compressed'
    }  # fmt: skip
    (episode,) = episodes_of(open_recording(find([out])[0]))
    assert episode.joints.names == ('left_a', 'left_b', 'right_a', 'right_b')
    assert (episode.label.success, episode.label.failure) == (False, 'fell')


def test_draft_is_written_after_a_yes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = two_arms().write(tmp_path / 'bag')
    draft = tmp_path / 'robot.yaml'
    command = ['import', str(path), '--guess', str(draft)]
    for answer, code in (('n\n', 1), ('', 1), ('y\n', 0)):
        monkeypatch.setattr('sys.stdin', io.StringIO(answer))
        assert main(command) == code
        assert draft.exists() == (code == 0)
    assert main(command) == 2
    assert f'{draft} exists: use it with --map' in capsys.readouterr().err


def test_draft_of_a_dataset_names_features(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', episode_columns={'outcome': ['success', 'failure']})
    (root / 'data/chunk-000/episode_000000.parquet').unlink()  # the second one is looked at
    draft = tmp_path / 'robot.yaml'
    assert main(['import', str(root), '--guess', str(draft), '--yes']) == 0
    robot = load_map(draft)
    assert robot.cameras['top'].topic == 'observation.images.top'
    assert [one.topic for one in robot.joints] == ['observation.state']
    assert robot.label.column == 'outcome'


def test_camera_that_modality_file_lacks_has_that_reason(tmp_path: Path) -> None:
    absent = {'observation.images.absent': {'dtype': 'video', 'shape': [48, 80, 3]}}
    root = write_lerobot(tmp_path / 'set', features=absent)
    (root / 'meta/modality.json').write_text('{"video": {"top": {}}}')
    uses = {row.topic: row.use for row in guess(open_unmapped(find([root])[0])).rows}
    assert uses['observation.images.absent'] == 'left out: meta/modality.json does not list it'
    assert uses['observation.images.top'] == 'camera top'


def test_recording_without_joint_names_has_no_draft(tmp_path: Path) -> None:
    path = two_arms(names=((), ())).write(tmp_path / 'bag')
    with raises('guess-empty', 'no joint states with names', '/joint_states: left out: it has no'):
        guess(open_unmapped(path))


def content(path: Path) -> Any:
    """Return the draft of a recording, parsed."""
    return yaml.safe_load(guess(open_unmapped(path)).text)


def uses(path: Path) -> dict[str, str]:
    """Return the use of each topic in a draft."""
    return {row.topic: row.use for row in guess(open_unmapped(path)).rows}


def bag_of(arms: dict[str, tuple[str, ...]]) -> BagOfMessages:
    """Return a bag with a camera and joints of each topic."""
    bag = BagOfMessages()
    for k in range(20):
        for j, (topic, names) in enumerate(arms.items()):
            bag.joints(topic, 20 * MS * k + (j + 1) * MS, names, [j + k / 1000.0] * len(names))
        if k % 5 == 0:
            bag.image(20 * MS * k + 9 * MS, k)
    return bag


def test_draft_of_hdf5_has_no_velocities_or_actions(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'e.hdf5', attributes={'fps': 10}, names=list(NAMES))
    with h5py.File(path, 'a') as file:
        file['observations/qvel'].attrs['names'] = list(NAMES)
        file['action'].attrs['names'] = list(NAMES)
    assert content(path)['joints'] == [{'feature': 'observations/qpos'}]
    found = uses(path)
    assert found['observations/qpos'] == 'joints' and '/joint_states' not in found
    assert found['observations/qvel'] == found['action'] == 'left out: not the measured positions'


def test_draft_of_lerobot_has_no_velocities(tmp_path: Path) -> None:
    feature = {'dtype': 'float32', 'shape': [4], 'names': list(NAMES)}
    root = write_lerobot(
        tmp_path / 'set', features={'observation.velocity': feature},
        frame_columns={'observation.velocity': [[0.0] * 4] * 21},
    )  # fmt: skip
    assert content(find([root])[0])['joints'] == [{'feature': 'observation.state'}]


def test_draft_of_video_folder_names_columns_once(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'e', {'time': [0.1 * k for k in range(ROWS)],
                                                 **joints(ROWS)})  # fmt: skip
    with raises('guess-empty', 'column time', 'name the joints in the map'):
        guess(open_unmapped(folder))
    folder = write_video_folder(tmp_path / 'f')
    draft, out = tmp_path / 'g.yaml', tmp_path / 'out'
    command = ['import', str(folder), '--guess', str(draft), '--yes', '--success', '--task', 't']
    assert main([*command, '--out', str(out)]) == 0
    assert content(folder)['joints'] == [{'feature': 'table', 'names': list(joints())}]
    (episode,) = episodes_of(open_recording(find([out])[0]))
    assert episode.joints.names == tuple(joints())


def test_draft_of_hdf5_without_names_shows_the_remedy(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'e.hdf5', attributes={'fps': 10})
    with raises('guess-empty', 'has no joints that are clear', 'observations/qpos', 'names: ['):
        guess(open_unmapped(path))


def test_commands_and_velocities_of_a_bag_are_left_out(tmp_path: Path) -> None:
    others = ('/gello/joint_states', '/joint_state_reference', '/teleop/joints', '/joint_velocity')
    bag = bag_of({'/joint_states': ('a', 'b'), **dict.fromkeys(others, ('a', 'b'))})
    path = bag.write(tmp_path / 'bag')
    assert content(path)['joints'] == [{'topic': '/joint_states'}]
    assert all(uses(path)[topic].startswith('left out: ') for topic in others)


@pytest.mark.parametrize(('arms', 'kept', 'left'), [
    ({'/right/joint_states': ('c', 'd'), '/joint_states': ('a', 'b', 'c', 'd')},
     [{'topic': '/joint_states'}], '/right/joint_states'),
    ({'/joint_states': ('a', 'b'), '/arm/joint_states': ('a', 'b')},
     [{'topic': '/arm/joint_states'}], '/joint_states'),
])  # fmt: skip
def test_topic_with_joints_of_another_is_left_out(
    tmp_path: Path, arms: dict[str, tuple[str, ...]], kept: list[Any], left: str
) -> None:
    path = bag_of(arms).write(tmp_path / 'bag')
    assert content(path)['joints'] == kept
    assert uses(path)[left].startswith(f'left out: {kept[0]["topic"]} has its joints')


def test_prefix_is_the_shortest_run_of_parts_of_one_topic(tmp_path: Path) -> None:
    topics = [f'/{side}/{part}/joint_states' for side in ('left', 'right')
              for part in ('arm', 'hand')]  # fmt: skip
    path = bag_of(dict.fromkeys(topics, ('a', 'b'))).write(tmp_path / 'bag')
    prefixes = [one['prefix'] for one in content(path)['joints']]
    assert prefixes == ['left_arm_', 'left_hand_', 'right_arm_', 'right_hand_']


def test_raw_images_replace_compressed_ones_that_fail(tmp_path: Path) -> None:
    bag = bag_of({'/joint_states': ('a', 'b')})
    types: Any = bag._types
    image = np.ascontiguousarray(numbered(5))
    height, width = image.shape[:2]
    for k in range(4):
        bag._add('/side/image_raw', types['sensor_msgs/msg/Image'](
            bag._header(100 * MS * k + MS), height, width, 'rgb8', 0, 3 * width, image.reshape(-1)
        ), 100 * MS * k + MS)  # fmt: skip
    broken = types['sensor_msgs/msg/CompressedImage'](
        bag._header(2 * MS), 'jpeg', np.array([1, 2], np.uint8)
    )
    bag._add('/side/image_raw/compressed', broken, 2 * MS)
    path = bag.write(tmp_path / 'bag')
    assert content(path)['cameras']['side'] == {'topic': '/side/image_raw'}
    assert uses(path)['/side/image_raw/compressed'].startswith('left out: ')


def test_two_images_of_one_camera_are_both_drafted(tmp_path: Path) -> None:
    bag = bag_of({'/joint_states': ('a', 'b')})
    jpeg = cv2.imencode('.jpg', np.ascontiguousarray(numbered(5)))[1].reshape(-1)
    topics = ['/left/image_raw/compressed', '/left/image_rect/compressed']
    for topic in topics:
        message = bag._types['sensor_msgs/msg/CompressedImage'](bag._header(MS), 'jpeg', jpeg)
        bag._add(topic, message, MS)
    cameras = content(bag.write(tmp_path / 'bag'))['cameras']
    assert cameras['left_image_raw'] == {'topic': topics[0]}
    assert cameras['left_image_rect'] == {'topic': topics[1]}


@pytest.mark.parametrize('text', ['cam, front', 'on', '1', '1_', 'a: b', '#x', '{y}', 'é', "it's"])
def test_scalar_is_read_as_the_same_text(text: str) -> None:
    assert yaml.safe_load(f'{{topic: {scalar(text)}, other: 1}}') == {'topic': text, 'other': 1}


def test_draft_quotes_features_with_punctuation(tmp_path: Path) -> None:
    images = {f'observations/images/{name}': raw_images(ROWS) for name in ('cam, front', 'on')}
    path = write_aloha(
        tmp_path / 'e.hdf5', attributes={'fps': 10}, names=list(NAMES), datasets=images
    )
    draft = tmp_path / 'g.yaml'
    assert main(['import', str(path), '--guess', str(draft), '--yes']) == 0
    robot = load_map(draft)
    assert robot.cameras['on'].topic == 'observations/images/on'
    assert 'observations/images/cam, front' in [one.topic for one in robot.cameras.values()]


def test_invalid_draft_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = two_arms().write(tmp_path / 'bag')
    bad = RobotDraft({'a b': 'topic: /x'}, [('topic: /y', ('a',))], rate=10)
    monkeypatch.setattr(import_, 'guess', lambda recording: bad)
    assert main(['import', str(path), '--guess', str(tmp_path / 'g.yaml'), '--yes']) == 2
    assert 'a b' in capsys.readouterr().err
    assert [one.name for one in tmp_path.iterdir()] == ['bag']


def test_label_is_a_topic_with_a_word_of_outcomes(tmp_path: Path) -> None:
    bag = bag_of({'/joint_states': ('a', 'b')})
    bag.text('/successor_pose', 'x', 5 * MS)
    path = bag.write(tmp_path / 'bag')
    assert 'label' not in content(path) and '/successor_pose' not in uses(path)
    bag.text('/episode/verdict', 'success', 6 * MS)
    assert content(bag.write(tmp_path / 'other'))['label'] == {'topic': '/episode/verdict'}


def test_numbers_that_may_be_joints_are_shown(tmp_path: Path) -> None:
    bag = two_arms(steps=range(20))
    for k in range(20):
        bag.numbers('/grippers', [0.1, 0.2], 40 * MS * k)
        bag.numbers('/arm/commands', [0.1, 0.2], 40 * MS * k)
    rows = guess(open_unmapped(bag.write(tmp_path / 'bag'))).rows
    uses = {row.topic: row.use for row in rows}
    assert uses['/grippers'] == 'left out: name its numbers with "field" if it has joint positions'
    assert uses['/arm/commands'] == 'left out: commands, no measured positions'
