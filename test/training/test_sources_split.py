# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

from support.errors import raises

from viva_ros.training.sources import split


def touch(folder: Path, count: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f'episode_{seed:06d}.mcap' for seed in range(count)]
    paths += [folder / f'episode_{seed:06d}_retry.mcap' for seed in range(0, count, 4)]
    for path in paths:
        path.touch()
    return sorted(paths)


def test_split_file_defines_the_parts(tmp_path: Path) -> None:
    parts = {'train': ['a.mcap', 'c.mcap'], 'validation': ['b.mcap'], 'test': ['d.mcap']}
    (tmp_path / 'split.json').write_text(json.dumps(parts))
    found = split(tmp_path)
    assert [path.name for path in found['train']] == ['a.mcap', 'c.mcap']
    assert [path.name for path in found['validation']] == ['b.mcap']


def test_subfolder_train_is_the_only_part_read(tmp_path: Path) -> None:
    train = touch(tmp_path / 'train', 100)
    touch(tmp_path / 'test', 10)
    found = split(tmp_path)
    assert sorted(found['train'] + found['validation']) == train
    assert 3 <= len(found['validation']) <= 20  # 8 % of 125


def test_hash_split_leaves_calibration_and_test_parts(tmp_path: Path) -> None:
    everything = touch(tmp_path, 200)
    found = split(tmp_path)
    used = len(found['train']) + len(found['validation'])
    assert 0.6 * len(everything) < used < 0.8 * len(everything)


def test_retry_is_in_the_part_of_its_episode(tmp_path: Path) -> None:
    touch(tmp_path, 200)
    found = split(tmp_path)
    seeds = {part: {path.name[:14] for path in paths} for part, paths in found.items()}
    assert not seeds['train'] & seeds['validation']
    unused = {path.name[:14] for path in tmp_path.glob('*.mcap')
              if path not in found['train'] and path not in found['validation']}  # fmt: skip
    assert not unused & (seeds['train'] | seeds['validation'])


def test_split_is_deterministic(tmp_path: Path) -> None:
    touch(tmp_path, 50)
    assert split(tmp_path) == split(tmp_path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with raises('training-recordings-missing', tmp_path, 'viva record'):
        split(tmp_path)


def test_unreadable_split_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'split.json').write_text('{')
    with raises('split-unreadable', tmp_path / 'split.json'):
        split(tmp_path)


def test_tasks_in_subfolders_are_split_independently(tmp_path: Path) -> None:
    train = touch(tmp_path / 'train' / 'tray_lift', 100)
    train += touch(tmp_path / 'train' / 'cube_transfer', 100)
    touch(tmp_path / 'test' / 'tray_lift', 10)
    found = split(tmp_path)
    assert sorted(found['train'] + found['validation']) == sorted(train)
    held = [{p.name[:14] for p in found['validation'] if p.parent.name == task}
            for task in ('tray_lift', 'cube_transfer')]  # fmt: skip
    assert all(held)
    assert held[0] != held[1]  # the same seeds, drawn for each task
    kept = {(p.parent.name, p.name[:14]) for p in found['train']}
    assert not kept & {(p.parent.name, p.name[:14]) for p in found['validation']}


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / 'elsewhere', 20)
    (tmp_path / 'r' / 'train').mkdir(parents=True)
    (tmp_path / 'r' / 'train' / 'slide').symlink_to(tmp_path / 'elsewhere')
    assert len(split(tmp_path / 'r')['train']) > 10


def test_folder_of_test_recordings_is_refused(tmp_path: Path) -> None:
    touch(tmp_path / 'test', 100)
    with raises('training-recordings-missing', tmp_path):
        split(tmp_path)
