# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recording formats of this package and of others."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from support.added_package import write_package
from support.errors import raises

from viva_ros.core.registry import Registry
from viva_ros.data.episode import Stamps
from viva_ros.data.formats import (
    FORMATS,
    WHOLE,
    EpisodeRef,
    RecordingFormat,
    content_hash,
)
from viva_ros.data.messages import header, make, serialise
from viva_ros.data.open import find, identity, open_recording, resolve
from viva_ros.data.recording import Recording, Track, joint_track
from viva_ros.data.segmentation import episodes_of
from viva_ros.scoring.jobs import known_episodes
from viva_ros.scoring.run import plan


def read_toy(ref: EpisodeRef) -> Recording:
    """Read a JSON file with the grey levels of a camera at 10 Hz."""
    levels = json.loads(ref.path.read_text())['levels']
    stamps: Stamps = 10**9 + np.arange(len(levels), dtype=np.int64) * 10**8
    image = 'sensor_msgs/msg/Image'
    data = [
        serialise(image, make(image, header=header(int(stamp)), height=2, width=2,
                              encoding='rgb8', is_bigendian=0, step=6,
                              data=np.full(12, level, dtype=np.uint8)))
        for stamp, level in zip(stamps, levels, strict=True)
    ]  # fmt: skip
    joints = joint_track('/joint_states', stamps, ('a',), np.zeros((len(levels), 1)))
    camera = Track('/head/image_raw', image, stamps.tolist(), data)
    return Recording(ref.path, {'/head/image_raw': camera, '/joint_states': joints}, {}, ())


TOY_FORMAT = RecordingFormat(
    '*.toy files',
    lambda path: [path] if path.suffix == '.toy' else None,
    lambda path: EpisodeRef(path, 'toy') if path.suffix == '.toy' else None,
    read_toy,
)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package with an entry point, and write a recording of its format."""
    site = tmp_path / 'site'
    write_package(site, 'toy_format', FORMATS.group, 'toy = toy_format:FORMAT')
    monkeypatch.syspath_prepend(str(site))
    import toy_format

    toy_format.FORMAT = TOY_FORMAT
    fresh = Registry(FORMATS.kind, FORMATS.group, {
        'lerobot': 'viva_ros.data.lerobot.reader:FORMAT', 'bag': 'viva_ros.data.bag.reader:FORMAT',
    })  # fmt: skip
    monkeypatch.setattr('viva_ros.data.open.FORMATS', fresh)
    path = tmp_path / 'recordings' / 'one.toy'
    path.parent.mkdir()
    path.write_text(json.dumps({'levels': [10, 20, 30]}))
    yield path
    sys.modules.pop('toy_format', None)


def test_format_of_another_package_is_found_and_read(toy: Path) -> None:
    assert find([toy.parent]) == [toy]
    assert resolve(toy) == EpisodeRef(toy, 'toy')
    (episode,) = episodes_of(open_recording(toy))
    assert [int(image[0, 0, 0]) for image in episode.cameras['head'].images] == [10, 20, 30]


def test_folder_of_recordings_is_no_recording(toy: Path) -> None:
    with raises('recording-folder', toy.parent, toy):
        open_recording(toy.parent)


def test_format_of_another_package_is_scored(toy: Path) -> None:
    (job,) = plan([toy.parent], None)
    assert job.ref.format == 'toy'
    assert known_episodes(open_recording(job.path)) is not None
    before = identity(job.ref)
    toy.write_text(json.dumps({'levels': [10, 20, 30, 40]}))
    assert identity(job.ref) != before


def test_identity_changes_with_content_of_equal_size(tmp_path: Path) -> None:
    path, folder = tmp_path / 'a.mcap', tmp_path / 'bag'
    folder.mkdir()
    (folder / 'metadata.yaml').touch()
    inner = folder / 'a.db3'
    for file, recording in ((path, path), (inner, folder)):
        file.write_bytes(b'one')
        stat, before = file.stat(), identity(resolve(recording))
        file.write_bytes(b'two')
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
        assert identity(resolve(recording)) != before
        file.write_bytes(b'one')
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 2 * 10**9))
        assert identity(resolve(recording)) == before  # a copy, or a file that was touched


def test_content_hash_of_large_file_changes_with_blocks_and_time(tmp_path: Path) -> None:
    found = set()
    for name, place in (('a', None), ('b', 0), ('c', WHOLE)):  # in the first and the last block
        path = tmp_path / name
        path.write_bytes(bytes(WHOLE + 1))
        if place is not None:
            with path.open('r+b') as file:
                file.seek(place)
                file.write(b'x')
        for modified in (1, 2):
            os.utime(path, ns=(1, modified))
            found.add(content_hash(path))
    assert len(found) == 6


def test_path_of_a_file_resolves_to_a_bag(tmp_path: Path) -> None:
    assert resolve(tmp_path / 'missing.mcap') == EpisodeRef(tmp_path / 'missing.mcap', 'bag')


def test_duplicate_name_is_refused() -> None:
    registry: Registry[int] = Registry('number', 'viva_ros.no_such_group', {'one': 'math:pi'})
    with raises('registry-name-duplicate', "number 'one'", 'viva_ros.no_such_group', 'uninstall'):
        registry.add('one', 1)


def test_unknown_name_is_refused_with_known_names() -> None:
    registry: Registry[float] = Registry('number', 'viva_ros.no_such_group', {'pi': 'math:pi'})
    assert registry['pi'] == pytest.approx(3.14159, abs=1e-5)
    with raises('registry-name-unknown', "number is 'e'", 'pi'):
        registry['e']
