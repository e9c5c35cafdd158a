# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Drafts of robot files from recordings."""

import io
from pathlib import Path
from typing import Any

import pytest
from support.errors import raises
from support.foreign_bags import MS, two_arms
from support.lerobot_datasets import write_lerobot

from viva_ros.cli.main import main
from viva_ros.data.conversion.guess import camera_names, guess
from viva_ros.data.open import find, open_recording, open_unmapped
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import load_map

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(('topics', 'names'), [
    (['/head/image_raw/compressed', '/left_wrist/image_raw'], ['head', 'left_wrist']),
    (['/cam_high/camera/color/image_rect_raw', '/cam_low/camera/color/image_rect_raw'],
     ['cam_high', 'cam_low']),
    (['/left/cam/image', '/right/cam/image'], ['left_cam', 'right_cam']),
    (['/image_raw'], ['image_raw']), (['/a/image_raw', '/a/image_raw/compressed'], ['a', 'a']),
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


def test_recording_without_joint_names_has_no_draft(tmp_path: Path) -> None:
    path = two_arms(names=((), ())).write(tmp_path / 'bag')
    with raises('guess-empty', 'no joint states with names', '/joint_states: left out: it has no'):
        guess(open_unmapped(path))
