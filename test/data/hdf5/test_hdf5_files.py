# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HDF5 files that are damaged, written, linked or read by several processes."""

import json
import multiprocessing
import os
import pickle
import shlex
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
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
    write_aloha,
)
from support.in_place import assert_equal_episodes, episode, numbers, write_map
from support.lerobot_datasets import NAMES, number_of

from viva_ros.cli.main import main
from viva_ros.core.errors import RecordingError
from viva_ros.data.hdf5 import layout
from viva_ros.data.hdf5.file import DatasetReader
from viva_ros.data.hdf5.heaps import check_heaps
from viva_ros.data.open import find, identity, open_recording, resolve

pytestmark = pytest.mark.fast

RATED = {'fps': 10}
QPOS = 'observations/qpos'


@pytest.mark.parametrize('link', [h5py.SoftLink('/gone'), h5py.ExternalLink('gone.hdf5', '/a')])
def test_broken_link_in_an_episode_is_refused(tmp_path: Path, link: Any) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', attributes=RATED, names=NAMES)
    with h5py.File(path, 'a') as file:
        file['observations/images/wrist'] = link
    with raises('hdf5-link', path, 'observations/images/wrist', 'leave it out'):
        open_recording(path)


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


#: Reads all images of a file in a worker process while the file is open here.
WORKER = """
import multiprocessing, sys
from pathlib import Path
from support.hdf5_episodes import numbers_of
from support.in_place import episode
from support.lerobot_datasets import number_of

if __name__ == '__main__':
    images = episode(Path(sys.argv[2])).cameras['top'].images
    assert number_of(images[3]) == 3
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        print(*pool.apply(numbers_of, (images,)))
    assert number_of(images[4]) == 4
"""


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_worker_process_opens_the_file_for_itself(tmp_path: Path, start: str) -> None:
    """In a process of its own: a fork beside the threads of other tests may hang."""
    path = write_aloha(tmp_path / 'a.hdf5', form='jpeg', attributes=RATED, names=NAMES)
    (tmp_path / 'worker.py').write_text(WORKER)
    found = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')])
    done = subprocess.run(
        [sys.executable, tmp_path / 'worker.py', start, path],
        env={**os.environ, 'PYTHONPATH': found}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(row) for row in range(ROWS)]


def test_pickled_images_open_the_file_again(tmp_path: Path) -> None:
    path = write_aloha(tmp_path / 'a.hdf5', form='jpeg', attributes=RATED, names=NAMES)
    images = episode(path).cameras['top'].images
    assert number_of(images[3]) == 3  # the handle is open
    assert numbers_of(pickle.loads(pickle.dumps(images))) == list(range(ROWS))


def test_opening_reads_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'a.hdf5'
    rows, height, width = 200, 240, 320
    with h5py.File(path, 'w') as file:
        file.attrs['fps'] = 10
        file[QPOS] = np.zeros((rows, 4))
        file[QPOS].attrs['names'] = list(NAMES)
        shape = (1, height, width, 3)  # 46 MB in all
        images = file.create_dataset(
            'observations/images/top', (rows, *shape[1:]), np.uint8, chunks=shape, compression=1
        )
        for row in range(rows):
            images[row] = 0
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
        assert_equal_episodes(one, other)
        assert one.joints.names == NAMES
    assert open_recording(imported[0]).metadata['viva_data_set']['fps'] == 10.0


def test_remedy_for_other_groups_makes_their_episodes(tmp_path: Path) -> None:
    path = tmp_path / 'set.h5'
    with h5py.File(path, 'w') as file:
        for number in (2, 10):
            group = file.create_group(f'traj_{number}')
            group['obs/agent/qpos'] = np.full((3, 4), float(number))
            group['obs/cam/rgb'] = np.full((3, 8, 8, 3), number, np.uint8)
    (tmp_path / 'viva_map.yaml').write_text(
        f'source_rate: 10\njoints: [{{path: obs/agent/qpos, names: [{", ".join(NAMES)}]}}]\n'
    )
    with raises('hdf5-groups', path, 'traj_10, traj_2') as error:
        open_recording(path)
    command = shlex.split(str(error.value).partition(' with python3 ')[2])
    subprocess.run([sys.executable, *command], check=True)
    found = find([tmp_path / 'set.episodes.hdf5'])
    assert [one.name for one in found] == ['episode_2', 'episode_10']
    assert [episode(one).joints.positions[0, 0] for one in found] == [2.0, 10.0]


@pytest.mark.parametrize(('content', 'text'), [
    ('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n', 'git lfs pull'),
    ('<!DOCTYPE html><html>', 'web page'),
])  # fmt: skip
def test_file_of_another_format_is_named(tmp_path: Path, content: str, text: str) -> None:
    path = tmp_path / 'a.hdf5'
    path.write_text(content)
    with raises('hdf5-unreadable', f'HDF5 file {path}', text):
        open_recording(path)


def test_heap_that_does_not_end_is_refused(tmp_path: Path):
    path = write_aloha(tmp_path / 'x.hdf5', 3, 'jpeg')
    content = bytearray(path.read_bytes())
    heap = content.rfind(b'GCOL')
    check_heaps(path)
    free = heap + 16
    while content[free]:  # the free object, the last one, has the number 0
        free += 16 + -(-int.from_bytes(content[free + 8 : free + 16], 'little') // 8) * 8
    assert int.from_bytes(content[free + 8 : free + 16], 'little') == heap + 4096 - free
    content[free + 8 : free + 16] = bytes(8)
    path.write_bytes(content)
    with raises('hdf5-unreadable', 'a free object of its heap at byte', 'has no size'):
        DatasetReader(path, 'observations/images/top').read(0)


def test_heaps_that_overlap_are_refused(tmp_path: Path) -> None:
    def words(*numbers: int) -> bytes:
        return b''.join(number.to_bytes(8, 'little') for number in numbers)

    path, count = tmp_path / 'one.hdf5', 2000
    size = 32 * count + 16 * count  # heads, then objects that each head leads to
    heads = [b'GCOL\x01\x00\x00\x00' + words(size, 1, 32 * (count - 1 - k)) for k in range(count)]
    path.write_bytes(b''.join(heads) + words(1, 0) * (count - 1) + words(1, size))
    with pytest.raises(ValueError, match='overlaps with others'):
        check_heaps(path)


@pytest.mark.parametrize('place', ['', 'observations', 'a/b'])
def test_episode_with_too_many_members_is_refused(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, 'MEMBER_LIMIT', 100)
    opened: list[str] = []
    member = layout.member
    monkeypatch.setattr(
        layout, 'member', lambda group, name: [opened.append(name), member(group, name)][1]
    )
    path = tmp_path / 'one.hdf5'
    with h5py.File(path, 'w') as file:
        for k in range(101):
            file.create_group(f'{place}/part_{k}_of' if place else f'part_{k}_of')
    with raises('hdf5-members', path, 'groups and datasets', 'at most 100', 'leave it out'):
        open_recording(path)
    assert len(opened) < 10


def test_episode_with_too_many_attributes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, 'MEMBER_LIMIT', 100)
    path = tmp_path / 'one.hdf5'
    with h5py.File(path, 'w') as file:
        file['observations/qpos'] = np.zeros((5, 2))
        for k in range(101):
            file.attrs[f'a{k}'] = k
    with raises('hdf5-members', path, 'has 101 attributes', 'at most 100'):
        open_recording(path)


def test_file_with_too_many_episodes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, 'EPISODE_LIMIT', 100)
    path = tmp_path / 'many.hdf5'
    with h5py.File(path, 'w') as file:
        for k in range(101):
            file.create_group(f'data/demo_{k}')
    (found,) = find([path])
    with raises('hdf5-episodes', path, 'has 101 members', 'at most 100 episodes', 'divide it'):
        open_recording(found)


def test_episodes_of_a_file_are_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, listed = tmp_path / 'many.hdf5', []
    with h5py.File(path, 'w') as file:
        for k in range(20):
            file[f'data/demo_{k}/actions'] = np.zeros((3, 2))
    original = layout.episode_groups
    monkeypatch.setattr(
        layout, 'episode_groups', lambda file: [listed.append(1), original(file)][1]
    )
    for one in find([path]):
        with suppress(RecordingError):
            open_recording(one)
    assert len(listed) == 1
    assert [resolve(one).index for one in find([path])] == list(range(20))
