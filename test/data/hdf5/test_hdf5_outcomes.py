# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes of HDF5 episodes, and files with several episodes."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.errors import raises
from support.hdf5_episodes import (
    ROWS,
    named,
    write_aloha,
    write_robomimic,
)
from support.in_place import episode, numbers, write_map
from support.lerobot_datasets import NAMES

from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.episode import Annotation, save, sidecar
from viva_ros.data.open import find, identity, open_recording, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule, TopicMap

pytestmark = pytest.mark.fast

RATED = {'fps': 10}


@pytest.mark.parametrize(('rows', 'text'), [
    ([False] * ROWS, 'contradict'), ([True] * 3 + [False] * 9, 'true from frame 0 to 2'),
])  # fmt: skip
def test_outcome_of_rows_contradicts_an_attribute(
    tmp_path: Path, rows: list[bool], text: str
) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes={**RATED, 'success': True}, names=NAMES,
        datasets={'is_success': rows},
    )  # fmt: skip
    recording = open_recording(path)
    assert episode(path).label is None
    assert recording.metadata['viva_outcome_doubt']['known']['attribute success'] is True
    (raw,) = raw_episodes(recording, TopicMap())
    with raises('outcome-doubtful', text):
        Outcomes().label(raw, recording)


def test_outcome_of_rows_is_used(tmp_path: Path) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES,
        datasets={'success': [False] * 11 + [True]},
    )  # fmt: skip
    label = episode(path).label
    assert label is not None and label.success


def test_rewards_are_an_outcome_only_by_a_rule(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / 'lift.hdf5', {'demo_0': 4}) / 'demo_0'
    write_map(tmp_path, named('obs/robot0_joint_pos'))
    recording = open_recording(path)
    assert recording.metadata['viva_columns']['rewards'] == [0.0, 0.0, 0.0, 1.0]
    assert episodes_of(recording)[0].label is None
    write_map(tmp_path, named('obs/robot0_joint_pos', 'label: {column: rewards}\ntask: lift'))
    label = episode(path).label
    assert label is not None and label.success and label.task == 'lift'


@pytest.mark.parametrize(('attributes', 'datasets', 'expected'), [
    ({'success': True}, {}, True), ({'success': 0}, {}, False), ({}, {'success': 1.0}, True),
    ({'is_success': 'failure'}, {}, False), ({'success': 'maybe'}, {}, None),
    ({'success': np.nan}, {}, None), ({'success': True}, {'is_success': False}, None),
    ({}, {}, None),
])  # fmt: skip
def test_outcome_is_parsed_strictly(
    tmp_path: Path, attributes: dict[str, Any], datasets: dict[str, Any], expected: bool | None
) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes={**RATED, **attributes, 'task': 'fold'}, names=NAMES,
        datasets=datasets,
    )  # fmt: skip
    label = episode(path).label
    assert (label.success if label else None) is expected
    if expected is not None:
        assert label is not None and label.task == 'fold'


def test_outcome_in_doubt_is_refused_by_the_import(tmp_path: Path) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes={**RATED, 'success': 'maybe', 'task': 'fold'}, names=NAMES
    )
    recording = open_recording(path)
    (raw,) = raw_episodes(recording, TopicMap())
    with raises('outcome-doubtful', "attribute success is 'maybe'"):
        Outcomes(rule=LabelRule()).label(raw, recording)


def test_labels_of_episodes_in_a_file_are_next_to_it(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / 'lift.hdf5', {'demo_0': 4, 'demo_1': 4}) / 'demo_1'
    write_map(tmp_path, named('obs/robot0_joint_pos', 'task: lift'))
    before = identity(resolve(path))
    assert sidecar(path) == tmp_path / 'lift.hdf5.labels.json'
    save(sidecar(path), {'demo_1': Annotation(True, 'lift')})
    label = episode(path).label
    assert label is not None and label.success and identity(resolve(path)) != before
    assert episode(path.with_name('demo_0')).label is None


def test_robomimic_file_has_an_episode_for_each_demo(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / 'lift.hdf5', {'demo_10': 4, 'demo_2': 5})
    paths = [path / 'demo_2', path / 'demo_10']
    assert find([tmp_path]) == find([path]) == paths
    ref = resolve(paths[1])
    assert (ref.format, ref.dataset, ref.index) == ('hdf5', path, 1)
    write_map(tmp_path, named('obs/robot0_joint_pos'))
    first = episode(paths[1])
    assert first.name == 'demo_10' and numbers(first, 'agentview_image') == [0, 1, 2, 3]
    assert first.joints.positions[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert np.diff(first.joints.stamps).tolist() == [50_000_000] * 3  # 20 Hz
    assert numbers(episode(paths[0]), 'agentview_image') == [4, 5, 6, 7, 8]


def test_robomimic_file_itself_is_no_recording(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / 'lift.hdf5', {'demo_0': 4})
    with raises('hdf5-several', path, 'has 1 episodes', path / 'demo_0'):
        open_recording(path)
    with raises('hdf5-episode', 'no episode demo_7', 'demo_0'):
        open_recording(path / 'demo_7')


def test_member_of_data_without_an_episode_is_refused(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / 'lift.hdf5', {'demo_0': 4, 'demo_1': 4})
    with h5py.File(path, 'a') as file:
        for name in list(file['data/demo_1']):
            del file['data/demo_1'][name]
        file['data/demo_2'] = h5py.ExternalLink('gone.hdf5', '/data/demo_2')
        file['data/demo_3'] = h5py.SoftLink('/gone')
        file['data/notes'] = 1
        file['data'].create_group('demo_4')
    names = ['notes', *(f'demo_{k}' for k in range(5))]
    assert find([path]) == [path / name for name in sorted(names)]
    write_map(tmp_path, named('obs/robot0_joint_pos'))
    assert len(numbers(episode(path / 'demo_0'), 'agentview_image')) == 4
    for name in ('demo_2', 'demo_3'):
        with raises('hdf5-layout', path / name, 'a link that leads to nothing', 'leave it out'):
            open_recording(path / name)
    for name in ('demo_1', 'demo_4', 'notes'):
        with raises('hdf5-layout', path / name, 'leave it out'):
            open_recording(path / name)
