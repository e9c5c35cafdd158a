# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 episodes of other recorders: layouts, rows, rates, outcomes, images and refusals."""

import json
import multiprocessing
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.errors import raises
from support.hdf5_episodes import (
    ROWS,
    jpeg,
    keep_open,
    named,
    numbers_of,
    put_jpeg,
    raw_images,
    write_aloha,
    write_cobot_magic,
    write_robomimic,
    write_robomind,
)
from support.lerobot_datasets import NAMES, number_of

from viva_ros.cli.main import main
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.episode import Annotation, Episode, save, sidecar
from viva_ros.data.hdf5.file import DatasetReader
from viva_ros.data.open import find, identity, open_recording, open_unmapped, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule, TopicMap, load_map

pytestmark = pytest.mark.fast

RATED = {'fps': 10}
QPOS = 'observations/qpos'


def episode(path: Path) -> Episode:
    (one,) = episodes_of(open_recording(path))
    return one


def numbers(one: Episode, camera: str = 'top') -> list[int]:
    """Return the numbers that the frames show; the joints have the number of their row."""
    return [number_of(image) for image in one.cameras[camera].images]


def write_map(folder: Path, text: str) -> Path:
    (folder / 'viva_map.yaml').write_text(text)
    return folder / 'viva_map.yaml'


def test_file_of_each_suffix_is_found(tmp_path: Path) -> None:
    first, second = write_aloha(tmp_path / 'a.hdf5'), write_aloha(tmp_path / 'b/c.h5')
    assert find([tmp_path]) == [first, second] and find([first]) == [first]
    other = write_aloha(tmp_path / 'other.data', attributes=RATED)
    assert resolve(other).format == 'hdf5' and open_recording(other).cameras


@pytest.mark.parametrize('form', ['raw', 'jpeg', 'padded'])
def test_images_of_each_form_are_at_their_rows(tmp_path: Path, form: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', form=form, attributes=RATED, names=NAMES)
    one = episode(path)
    assert numbers(one) == one.joints.positions[:, 0].tolist() == list(range(ROWS))
    assert one.joints.names == NAMES and one.label is None
    assert one.joints.stamps.tolist() == [10**9 + k * 10**8 for k in range(ROWS)]
    red, _, blue = one.cameras['top'].images[0][1, 40].astype(int)
    assert red > 150 and blue < 80


@pytest.mark.parametrize('form', ['raw', 'jpeg'])
def test_colour_order_of_the_map_exchanges_channels(tmp_path: Path, form: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', form=form, attributes=RATED)
    write_map(tmp_path, named(QPOS, 'cameras:\n  top: {path: observations/images/top, '
              'color_order: bgr}'))  # fmt: skip
    red, _, blue = episode(path).cameras['top'].images[0][1, 40].astype(int)
    assert red < 80 and blue > 150


def test_names_are_never_made_up(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED)
    with raises('dataset-state', f'{QPOS} has 4 columns without names', f'{{path: {QPOS}, names',
                'with 4 names'):  # fmt: skip
        episode(path)
    write_map(tmp_path, named(QPOS))
    assert episode(path).joints.names == NAMES


@pytest.mark.parametrize(('names', 'text'), [
    (['waist', 'grip'] * 2, 'has grip, waist twice'), (['waist'], 'has 4 columns and 1 names'),
    (['', 'b', 'c', 'd'], 'has an empty name'), (['a', ' ', 'c', 'd'], 'has an empty name'),
    (['a', 'a ', 'b', 'c'], 'has a twice'),
])  # fmt: skip
def test_unusable_names_are_refused(tmp_path: Path, names: list[str], text: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=names)
    with raises('dataset-state', text, 'with 4 names'):
        episode(path)


def test_spaces_around_names_are_removed(tmp_path: Path) -> None:
    names = [f' {name} ' for name in NAMES]
    assert episode(write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=names)).joints.names \
        == NAMES  # fmt: skip


def test_wrong_number_of_names_in_the_map_is_refused(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED)
    write_map(tmp_path, f'joints: [{{path: {QPOS}, names: [waist, grip]}}]')
    with raises('joint-field-size', 'has 4 numbers', '2 names'):
        open_recording(path)


def test_file_without_any_rate_needs_one_in_the_map(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5')
    with raises('source-rate-missing', path, 'no timestamps and no rate', 'source_rate', QPOS):
        open_recording(path)
    topic_map = write_map(tmp_path, named(QPOS))
    with raises('source-rate-missing', 'set "source_rate" in the map'):
        raw_episodes(open_unmapped(path), load_map(topic_map))
    topic_map = write_map(tmp_path, named(QPOS, 'source_rate: 12.5'))
    (raw,) = raw_episodes(open_unmapped(path), load_map(topic_map))
    expected = [10**9 + k * 80_000_000 for k in range(ROWS)]
    assert raw.joints[0].stamps.tolist() == raw.cameras['top'].stamps.tolist() == expected
    assert episode(path).joints.stamps.tolist() == expected


def test_rate_of_the_map_is_used_with_a_note(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED)
    write_map(tmp_path, named(QPOS, 'source_rate: 20'))
    recording = open_recording(path)
    assert episodes_of(recording)[0].joints.stamps[1] == 1_050_000_000
    assert 'rate of the recording is 10 Hz: source_rate 20 Hz of the map is used' in \
        recording.notes  # fmt: skip


def test_contradicting_rates_are_refused(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes={'fps': 50, 'frequency': 30})
    with raises('source-rate-missing', 'fps 50 Hz and frequency 30 Hz', 'source_rate'):
        open_recording(path)


SECONDS = np.arange(ROWS) * 0.02


@pytest.mark.parametrize(('values', 'first'), [
    (SECONDS, 10**9), (SECONDS + 1.7e9, 1_700_000_000 * 10**9),
    ((np.arange(ROWS) * 20_000_000).astype(np.int64), 10**9),
    (1_700_000_000_000_000_001 + np.arange(ROWS) * 20_000_000, 1_700_000_000_000_000_001),
])  # fmt: skip
def test_unit_of_timestamps_is_found(tmp_path: Path, values: Any, first: int) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', names=NAMES, datasets={'timestamp': values})
    stamps = episode(path).joints.stamps
    assert abs(int(stamps[0]) - first) < 300  # ns, of float64
    np.testing.assert_allclose(np.diff(stamps), 20_000_000, atol=600)


@pytest.mark.parametrize(('values', 'text'), [
    (np.arange(ROWS) * 20, 'rows are 20 apart'), (np.arange(ROWS), 'rows are 1 apart'),
    (np.arange(ROWS) * 20_000.0, 'rows are 20000 apart'),
    (np.r_[SECONDS[:-1], np.nan], 'timestamp of row 11 is nan'),
    (SECONDS[:-1], 'timestamp has 11 rows of 1, observations/qpos 12'),
])  # fmt: skip
def test_doubtful_timestamps_need_a_rate(tmp_path: Path, values: Any, text: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', datasets={'timestamp': values}, attributes=RATED)
    with raises('source-rate-missing', text, 'source_rate'):
        open_recording(path)
    write_map(tmp_path, named(QPOS, 'source_rate: 50'))
    assert np.diff(episode(path).joints.stamps).tolist() == [20_000_000] * (ROWS - 1)


def test_unit_attribute_of_timestamps_decides(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', names=NAMES, datasets={
        'observations/timestamp': np.arange(ROWS) * 20,
    })  # fmt: skip
    with h5py.File(path, 'a') as file:
        file['observations/timestamp'].attrs['unit'] = 'ms'
    assert np.diff(episode(path).joints.stamps).tolist() == [20_000_000] * (ROWS - 1)
    with h5py.File(path, 'a') as file:
        file['observations/timestamp'].attrs['unit'] = 'ticks'
    with raises('source-rate-missing', "'ticks'", 'must be one of s'):
        open_recording(path)


def test_frame_index_stamps_without_a_rate_are_refused(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', datasets={'timestamp': SECONDS})
    write_map(tmp_path, named(QPOS, 'stamp: frame_index'))
    with raises('frame-index-rate', path, 'source_rate'):
        open_recording(path)
    write_map(tmp_path, named(QPOS, 'stamp: frame_index\nsource_rate: 10'))
    assert episode(path).joints.stamps[1] == 1_100_000_000


@pytest.mark.parametrize(('key', 'rows'), [(QPOS, 11), ('observations/images/low', 13)])
def test_other_number_of_rows_is_refused(tmp_path: Path, key: str, rows: int) -> None:
    values = np.zeros((rows, 4)) if key == QPOS else raw_images(rows)
    path = write_aloha(tmp_path / 'a.hdf5', datasets={key: values}, attributes=RATED, names=NAMES)
    images = 'observations/images/' + ('top' if key == QPOS else 'low')
    own, reference = (12, 11) if key == QPOS else (13, 12)
    with raises('hdf5-rows', f'{images} has {own} rows', f'{QPOS} {reference}'):
        episode(path)


def test_unused_dataset_may_have_other_rows(tmp_path: Path) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', datasets={'gains': np.ones((3, 4))}, attributes=RATED, names=NAMES
    )
    assert numbers(episode(path)) == list(range(ROWS))
    write_map(tmp_path, named('gains'))
    with raises('hdf5-rows', 'gains has 3 rows', f'{QPOS} 12'):
        open_recording(path)


def test_cobot_magic_depth_is_no_camera(tmp_path: Path) -> None:
    path = write_cobot_magic(tmp_path / 'a.hdf5')
    topic_map = write_map(tmp_path, named(QPOS, 'source_rate: 30'))
    recording = open_recording(path)
    assert list(recording.cameras) == ['top']
    assert 'dataset observations/images_depth/top is left out: it is a depth map' in \
        recording.notes  # fmt: skip
    write_map(tmp_path, f'{topic_map.read_text()}\ncameras: {{d: observations/images_depth/top}}')
    with raises('camera-depth', 'observations/images_depth/top'):
        open_recording(path)


def test_image_of_another_shape_is_left_out(tmp_path: Path) -> None:
    planes = np.zeros((ROWS, 3, 48, 80), np.uint8)
    path = write_aloha(
        tmp_path / 'a.hdf5', datasets={'observations/images/side': planes}, attributes=RATED
    )
    recording = open_recording(path)
    assert list(recording.cameras) == ['top']
    assert any('12 x 3 x 48 x 80 of uint8' in note for note in recording.notes)


def test_robomind_episode_has_task_and_cameras(tmp_path: Path) -> None:
    path = write_robomind(tmp_path / 'trajectory.hdf5')
    write_map(tmp_path, named('puppet/joint_position', 'source_rate: 10'))
    recording = open_recording(path)
    assert list(recording.cameras) == ['camera_top']
    assert recording.metadata['viva_task']['task'] == 'fold the towel'
    assert numbers(episode(path), 'camera_top') == list(range(ROWS))


def test_state_in_several_datasets_is_named_by_a_map(tmp_path: Path) -> None:
    path = write_robomind(tmp_path / 'a.hdf5', state='puppet/arm_joint_position')
    with h5py.File(path, 'a') as file:
        file['puppet/hand_joint_position'] = np.ones((ROWS, 1))
        file.attrs['fps'] = 10
    with raises('dataset-state', 'puppet/arm_joint_position (4), puppet/hand_joint_position (1)'):
        episode(path)
    write_map(
        tmp_path, 'joints:\n - {path: puppet/arm_joint_position, names: [a, b, c, d]}\n'
        ' - {path: puppet/hand_joint_position, names: [hand]}',
    )  # fmt: skip
    assert episode(path).joints.names == ('a', 'b', 'c', 'd', 'hand')


@pytest.mark.parametrize('key', ['wrench', 'eef_pose', 'imu', 'velocities', 'currents', 'other'])
def test_unknown_numbers_with_names_need_a_map(tmp_path: Path, key: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED)
    with h5py.File(path, 'a') as file:
        file.move(QPOS, f'observations/{key}')
        file[f'observations/{key}'].attrs['names'] = list(NAMES)
        del file['observations/qvel'], file['action']
    with raises('dataset-state', 'no dataset is known', f'observations/{key} (4)', 'in the map'):
        episode(path)
    write_map(tmp_path, named(f'observations/{key}'))
    assert episode(path).joints.names == NAMES


@pytest.mark.parametrize('other', [
    'puppet/joint_position', 'obs/robot1_joint_pos', 'observations/gripper_qpos', 'state'
])  # fmt: skip
def test_second_known_state_needs_a_map(tmp_path: Path, other: str) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES, datasets={other: np.ones((ROWS, 1))}
    )
    remedy = (f'{{path: {QPOS}, names: [...]}}', f'{{path: {other}, names: [...]}}')
    with raises('dataset-state', 'several', f'{other} (1)', *remedy):
        episode(path)
    own = f'{{path: {QPOS}, names: [{", ".join(NAMES)}]}}'
    write_map(tmp_path, f'joints: [{own}, {{path: {other}, names: [hand]}}]')
    assert episode(path).joints.names == (*NAMES, 'hand')


def test_cameras_of_one_clean_name_need_a_map(tmp_path: Path) -> None:
    pair = ('observations/images/cam-l', 'observations/images/cam_l')
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES,
        datasets={key: raw_images(ROWS, 100 * k) for k, key in enumerate(pair, 1)},
    )  # fmt: skip
    recording = open_recording(path)
    assert list(recording.cameras) == ['top']
    for key in pair:
        assert f"dataset {key} is left out: two would be camera 'cam_l'; name it in a map" in \
            recording.notes  # fmt: skip
    write_map(tmp_path, f'cameras: {{left: {{path: {pair[0]}}}, right: {{path: {pair[1]}}}}}')
    one = episode(path)
    assert numbers(one, 'left')[0] == 100 and numbers(one, 'right')[0] == 200


@pytest.mark.parametrize('key', [
    'observations/tactile/left', 'observations/normals/top', 'observations/images/top_mask',
    'observations/images/segmentation', 'observations/images/topNormals',
])  # fmt: skip
def test_pictures_without_colours_are_no_cameras(tmp_path: Path, key: str) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES, datasets={key: raw_images(ROWS)}
    )
    recording = open_recording(path)
    assert list(recording.cameras) == ['top']
    assert any(note.startswith(f'dataset {key} is left out') for note in recording.notes)


def test_images_without_a_word_of_a_picture_can_be_named(tmp_path: Path) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES, datasets={'left': raw_images(ROWS, 7)}
    )
    write_map(tmp_path, 'cameras: {left: {path: left}}')
    assert numbers(episode(path), 'left')[0] == 7


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


@pytest.mark.parametrize(('key', 'values'), [
    ('observations/time', np.arange(ROWS) * 0.1), ('observations/ts', np.zeros((ROWS, 2))),
    ('timestamp_ns', 10**18 + np.arange(ROWS) * 10**8),
    ('timestamp', [f'12:00:{k}'.encode() for k in range(ROWS)]),
])  # fmt: skip
@pytest.mark.parametrize('datasets', [{}, {'observations/timestamp': np.arange(ROWS) * 0.1}])
def test_unknown_clock_needs_a_rate(
    tmp_path: Path, key: str, values: Any, datasets: dict[str, Any]
) -> None:
    path = write_aloha(
        tmp_path / 'a.hdf5', attributes=RATED, names=NAMES, datasets={**datasets, key: values}
    )
    with raises('source-rate-missing', *datasets, f'{key} may have the times', 'source_rate'):
        open_recording(path)
    write_map(tmp_path, 'source_rate: 20')
    assert np.diff(episode(path).joints.stamps).tolist() == [50_000_000] * (ROWS - 1)


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


@pytest.mark.parametrize('link', [h5py.SoftLink('/gone'), h5py.ExternalLink('gone.hdf5', '/a')])
def test_broken_link_in_an_episode_is_refused(tmp_path: Path, link: Any) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        file['observations/images/wrist'] = link
    with raises('hdf5-link', path, 'observations/images/wrist', 'leave it out'):
        open_recording(path)


def test_each_dataset_that_is_left_out_has_a_note(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES, datasets={
        'complex': np.zeros(ROWS, complex), 'texts': [b'a'] * ROWS, 'cube': np.zeros((ROWS, 2, 4)),
        'parts': np.zeros(ROWS, dtype=[('a', 'f4')]),
    })  # fmt: skip
    with h5py.File(path, 'a') as file:
        file['empty'] = h5py.Empty('f')
        file['linked'] = h5py.SoftLink('/observations')
    text = '\n'.join(open_recording(path).notes)
    for key in ('dataset complex', 'dataset texts', 'dataset cube', 'dataset parts',
                'dataset empty', 'group linked'):  # fmt: skip
        assert f'{key} is left out' in text


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


def test_identity_changes_with_the_file_and_the_map(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5')
    found = [identity(resolve(path))]
    write_map(tmp_path, 'source_rate: 10')
    found.append(identity(resolve(path)))
    with h5py.File(path, 'a') as file:
        file[QPOS][0, 0] = 3.0
    found.append(identity(resolve(path)))
    assert len({json.dumps(one) for one in found}) == 3


@pytest.mark.parametrize('damage', [
    lambda path: path.write_bytes(path.read_bytes()[:3000]), lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(2048)),
])  # fmt: skip
def test_damaged_file_is_refused(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    path = write_aloha(tmp_path / 'a.hdf5')
    damage(path)
    assert find([tmp_path]) == [path]
    with raises('hdf5-unreadable', f'HDF5 file {path}', 'leave it out'):
        open_recording(path)


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'weights.h5', 'w') as file:
        file.create_group('layers')
    with raises('hdf5-layout', tmp_path / 'weights.h5', 'layers', QPOS):
        open_recording(tmp_path / 'weights.h5')


@pytest.mark.parametrize('content', [b'', b'\xff\xd8\xff no image', jpeg(3)[:200]])
def test_damaged_image_is_refused_on_access(tmp_path: Path, content: bytes) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        del file['observations/images/top']
        put_jpeg(file, 'observations/images/top', [*(jpeg(k) for k in range(ROWS - 1)), content])
    images = episode(path).cameras['top'].images
    assert number_of(images[10]) == 10
    with raises('hdf5-image', path, 'image 11 of /observations/images/top', 'leave'):
        _ = images[11]


def test_file_that_is_being_written_is_read(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    context = multiprocessing.get_context('spawn')
    opened, finish = context.Event(), context.Event()
    recorder = context.Process(target=keep_open, args=(path, opened, finish))
    recorder.start()
    try:
        assert opened.wait(60.0)
        with pytest.raises(BlockingIOError):  # it has a lock
            h5py.File(path, 'r', locking=True)
        assert numbers(episode(path)) == list(range(ROWS))
    finally:
        finish.set()
        recorder.join()


def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_aloha(tmp_path / 'a.hdf5')
    monkeypatch.setitem(sys.modules, 'h5py', None)
    assert find([tmp_path]) == [path]
    with raises('hdf5-library-missing', path, 'needs h5py', 'run: '):
        open_recording(path)


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_worker_process_opens_the_file_for_itself(tmp_path: Path, start: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', form='jpeg', attributes=RATED, names=NAMES)
    images = episode(path).cameras['top'].images
    assert number_of(images[3]) == 3  # the handle is open
    assert numbers_of(pickle.loads(pickle.dumps(images))) == list(range(ROWS))
    with multiprocessing.get_context(start).Pool(1) as pool:
        assert pool.apply(numbers_of, (images,)) == list(range(ROWS))
    assert number_of(images[4]) == 4


def test_opening_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'a.hdf5'
    rows, height, width = 200, 240, 320
    with h5py.File(path, 'w') as file:
        file.attrs['fps'] = 10
        file[QPOS] = np.zeros((rows, 4))
        file[QPOS].attrs['names'] = list(NAMES)
        shape = (rows, height, width, 3)  # 46 MB, all zero: no chunk is written
        file.create_dataset('observations/images/top', shape, np.uint8, chunks=(1, *shape[1:]))
    read: list[str] = []
    own = DatasetReader.read

    def counted(self: DatasetReader, selection: Any = ()) -> Any:
        read.append(self.key)
        return own(self, selection)

    monkeypatch.setattr(DatasetReader, 'read', counted)
    tracemalloc.start()
    try:
        images = episode(path).cameras['top'].images
        assert read == [f'/{QPOS}']
        assert all(image.shape == (height, width, 3) for image in images)
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()
    assert read.count('/observations/images/top') == rows


@pytest.mark.medium
def test_import_equals_reading_in_place(tmp_path: Path) -> None:
    source = tmp_path / 'aloha'
    for number in (0, 1):
        write_aloha(source / f'episode_{number}.hdf5', form='padded', rows=ROWS + number,
                    attributes={'success': bool(number)})  # fmt: skip
    action = 'action: [{path: action, names: [a, b, c, d]}]'
    topic_map = write_map(source, named(QPOS, f'source_rate: 10\ntask: fold\n{action}'))
    out = tmp_path / 'set'
    assert main(['import', str(source), '--map', str(topic_map), '--out', str(out)]) == 0
    imported, in_place = find([out]), find([source])
    assert len(imported) == len(in_place) == 2
    for new, old in zip(imported, in_place, strict=True):
        one, other = episode(new), episode(old)
        assert numbers(one) == numbers(other) == list(range(len(one.joints.stamps)))
        assert one.joints.names == other.joints.names == NAMES
        np.testing.assert_allclose(one.joints.positions, other.joints.positions, atol=1e-6)
        np.testing.assert_array_equal(one.joints.stamps, other.joints.stamps)
        assert one.label is not None and other.label is not None
        assert (one.label.task, one.label.success) == (other.label.task, other.label.success)
    assert open_recording(imported[0]).metadata['viva_data_set']['fps'] == 10.0
