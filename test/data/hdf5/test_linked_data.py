# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 episodes whose data are behind links, in other files, or in three dimensions."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from support.errors import raises
from support.hdf5_episodes import ROWS, named, numbers_of, states, write_aloha, write_robomimic
from support.lerobot_datasets import NAMES

from viva_ros.data.open import find, identity, open_recording, open_unmapped, resolve
from viva_ros.data.segmentation import episodes_of

pytestmark = pytest.mark.fast

RATED = {'fps': 10}
QPOS = 'observations/qpos'
STATE = 'obs/robot0_joint_pos'


def shown(path: Path) -> tuple[list[int], list[float]]:
    """Return the numbers that the frames of an episode show, and those of its joints."""
    (one,) = episodes_of(open_recording(path))
    (camera,) = one.cameras.values()
    return numbers_of(camera.images), one.joints.positions[:, 0].tolist()


def as_recorded(first: int, rows: int) -> tuple[list[int], list[float]]:
    numbers = range(first, first + rows)
    return list(numbers), [float(one) for one in numbers]


def test_linked_groups_of_one_file_are_read(tmp_path: Path) -> None:
    path = write_robomimic(tmp_path / 'set.hdf5', {'demo_0': 8, 'demo_1': 6})
    with h5py.File(path, 'a') as file:
        file.move('data/demo_1/obs', '/shared')
        file['data/demo_1/obs'] = h5py.SoftLink('/shared')
        file['data/demo_1/same'] = h5py.SoftLink('/shared')
    (tmp_path / 'viva_map.yaml').write_text(named(STATE))
    assert [shown(one) for one in find([path])] == [as_recorded(0, 8), as_recorded(8, 6)]
    notes = open_unmapped(path / 'demo_1').notes
    assert [note for note in notes if 'group same is left out' in note]


def test_links_that_lead_back_are_left_out(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        file['observations/up'] = h5py.SoftLink('/')
        file['observations/again'] = file['observations']  # a second name, without a link
        file['alias'] = h5py.SoftLink('/observations/images')
    assert shown(path) == as_recorded(0, ROWS)
    notes = ' '.join(open_unmapped(path).notes)
    for name in ('observations/up', 'observations/again', 'alias'):
        assert f'group {name} is left out: it is a link to a group that is read' in notes


def test_linked_file_is_part_of_the_identity(tmp_path: Path) -> None:
    other = write_robomimic(tmp_path / 'other.hdf5', {'demo_0': 6})
    path = tmp_path / 'set.hdf5'
    with h5py.File(path, 'w') as file:
        file['data/demo_0'] = h5py.ExternalLink('other.hdf5', '/data/demo_0')
        file['data'].attrs['fps'] = 20
    (tmp_path / 'viva_map.yaml').write_text(named(STATE))
    assert shown(path / 'demo_0') == as_recorded(0, 6)
    before = identity(resolve(path / 'demo_0'))
    with h5py.File(other, 'a') as file:
        file[f'data/demo_0/{STATE}'][...] += 1.0
    assert identity(resolve(path / 'demo_0')) != before
    other.unlink()
    with raises('hdf5-layout', path / 'demo_0', 'a link that leads to nothing'):
        open_recording(path / 'demo_0')


def test_virtual_data_that_are_missing_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / 'joints.hdf5', 'w') as file:
        file['qpos'] = states(ROWS)
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED)
    rows = h5py.VirtualLayout((ROWS, 4), float)
    rows[:] = h5py.VirtualSource('joints.hdf5', 'qpos', (ROWS, 4))
    with h5py.File(path, 'a') as file:
        del file[QPOS]
        file.create_virtual_dataset(QPOS, rows).attrs['names'] = list(NAMES)
    assert shown(path) == as_recorded(0, ROWS)
    before = identity(resolve(path))
    with h5py.File(tmp_path / 'joints.hdf5', 'a') as file:
        file['qpos'][0] = 9.0
    assert identity(resolve(path)) != before
    (tmp_path / 'joints.hdf5').unlink()  # h5py reads zeros now
    with raises('hdf5-link', path, QPOS, 'missing', 'next to it'):
        open_recording(path)


def test_numbers_in_a_raw_file_are_left_out(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        external = [(str(tmp_path / 'raw.bin'), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset('extra', (ROWS, 2), float, external=external)
    assert f'dataset extra is left out: it has its numbers in {tmp_path / "raw.bin"}' in ' '.join(
        open_recording(path).notes
    )


def test_joints_of_each_arm_are_named_as_the_error_says(tmp_path: Path) -> None:
    arms = states(ROWS).reshape(ROWS, 2, 2)
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, datasets={
        QPOS: arms, 'clouds': np.zeros((ROWS, 20, 3)),
    })  # fmt: skip
    with raises('dataset-state', f'{QPOS} is rows x 2 x 2', 'with 2 names each') as error:
        episodes_of(open_recording(path))
    text = str(error.value)
    remedy = text[text.index('joints: ') : text.rindex('"')]
    for names in ('left_waist, left_grip', 'right_waist, right_grip'):
        remedy = remedy.replace('names: [...]', f'names: [{names}]', 1)
    (tmp_path / 'viva_map.yaml').write_text(remedy)
    (one,) = episodes_of(open_recording(path))
    assert set(one.joints.names) == set(NAMES)
    column = one.joints.names.index('right_waist')
    np.testing.assert_array_equal(one.joints.positions[:, column], arms[:, 1, 0])
    assert 'clouds is left out: it is 12 x 20 x 3' in ' '.join(open_unmapped(path).notes)


@pytest.mark.parametrize('form', ['chunks', 'whole', 'virtual'])
@pytest.mark.parametrize('key', [QPOS, 'observations/images/top'])
def test_rows_that_were_never_written_are_refused(tmp_path: Path, form: str, key: str) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        attributes, rows = dict(file[key].attrs), file[key][()]
        del file[key]
        shape, half = rows.shape, ROWS // 2
        if form == 'virtual':
            with h5py.File(tmp_path / 'part.h5', 'w') as part:
                part['rows'] = rows[:half]
            layout = h5py.VirtualLayout(shape, rows.dtype)
            layout[:half] = h5py.VirtualSource('part.h5', 'rows', rows[:half].shape)
            made = file.create_virtual_dataset(key, layout, fillvalue=0)
        elif form == 'chunks':
            made = file.create_dataset(key, shape, rows.dtype, chunks=(1, *shape[1:]))
            made[:half] = rows[:half]
        else:
            made = file.create_dataset(key, shape, rows.dtype)
        made.attrs.update(attributes)
    with raises('hdf5-rows', key, 'never written'):
        shown(path)


def test_outcome_that_was_never_written_is_unknown(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        file.create_dataset('success', (), bool)
        file.create_dataset('is_success', (ROWS,), bool, chunks=(1,))
    assert episodes_of(open_recording(path))[0].label is None


def test_encoded_images_of_any_name_are_cameras_by_a_map(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        images = file['observations/images/top'][()]
        rows = file.create_dataset('observations/front', (ROWS,), h5py.vlen_dtype(np.uint8))
        for row, one in enumerate(images):
            rows[row] = cv2.imencode('.png', one[..., ::-1])[1]
        del file['observations/images']
    (tmp_path / 'viva_map.yaml').write_text('cameras: {top: {path: observations/front}}\n')
    assert shown(path) == as_recorded(0, ROWS)
