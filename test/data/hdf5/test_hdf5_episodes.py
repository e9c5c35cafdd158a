# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layouts of HDF5 episodes of other recorders: cameras, joints and names."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.errors import raises
from support.hdf5_episodes import (
    ROWS,
    named,
    raw_images,
    write_aloha,
    write_cobot_magic,
    write_robomind,
)
from support.in_place import episode, numbers, write_map
from support.lerobot_datasets import NAMES

from viva_ros.data.open import find, open_recording, resolve

pytestmark = pytest.mark.fast

RATED = {'fps': 10}
QPOS = 'observations/qpos'


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


@pytest.mark.parametrize('images', [
    raw_images(ROWS).transpose(0, 3, 1, 2), raw_images(ROWS).astype(np.float32),
    np.repeat(raw_images(ROWS)[..., :1], 4, axis=3),
])  # fmt: skip
def test_images_of_another_form_are_refused_with_their_form(tmp_path: Path, images: Any) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        del file['observations/images/top']
        file['observations/images/top'] = images
    form = 'a camera is rows x height x width x 3 of uint8'
    with raises('cameras-missing', path, 'observations/images/top: it is 12 x', form):
        episode(path)
    write_map(tmp_path, 'cameras: {top: {path: observations/images/top}}')
    with raises('topic-left-out', path, 'cameras.top of the map', form, 'convert it'):
        episode(path)
