# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import torch
from support.errors import raises

from viva_ros.training.checkpointing import StateFile


def parts(folder: Path, count: int) -> list[StateFile]:
    return [StateFile(folder, 'viva', rank, count) for rank in range(count)]


def test_state_is_read_as_written(tmp_path: Path) -> None:
    state = StateFile(tmp_path, 'viva')
    assert state.read() is None
    state.write(3, {'a': torch.arange(4).view(2, 2).t()}, {'schedule': 's'})
    metadata, tensors = state.read() or ({}, {})
    assert metadata == {'step': '3', 'schedule': 's'}
    assert tensors['a'].tolist() == [[0, 2], [1, 3]]


def test_sharded_state_is_valid_once_all_parts_exist(tmp_path: Path) -> None:
    first, second = parts(tmp_path, 2)
    for step in (2, 4):
        second.write(step, {'a': torch.tensor([10 + step])}, {})
        first.write(step, {'a': torch.tensor([step])}, {})  # writes the index too
    second.write(6, {'a': torch.tensor([16])}, {})  # killed before the first wrote its part
    for state, expected in ((first, 4), (second, 14)):
        metadata, tensors = state.read() or ({}, {})
        assert metadata['step'] == '4'
        assert tensors['a'].tolist() == [expected]
    assert not list(tmp_path.glob('*-00000002-*'))


def test_state_of_other_process_count_is_refused(tmp_path: Path) -> None:
    for state in reversed(parts(tmp_path, 2)):
        state.write(1, {'a': torch.zeros(1)}, {})
    with raises('state-processes-differ', '2 processes', 'are 3', 'continue with 2', '--out'):
        parts(tmp_path, 3)[0].read()
    with raises('state-shard-differs', 'viva.state.json', 'with --shard', '--out'):
        StateFile(tmp_path, 'viva').read()


def test_damaged_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'viva.state').write_bytes(b'x' * 20)
    with raises('state-unreadable', tmp_path / 'viva.state', 'delete it'):
        StateFile(tmp_path, 'viva').read()


def test_temporary_files_of_killed_process_are_deleted(tmp_path: Path) -> None:
    (tmp_path / '.viva.state.abc.tmp').write_bytes(b'half')
    (tmp_path / '.other.tmp').write_bytes(b'not ours')
    StateFile(tmp_path, 'viva').read()
    assert [path.name for path in tmp_path.iterdir()] == ['.other.tmp']


def test_process_that_writes_nothing_copies_nothing(tmp_path: Path) -> None:
    class NoCopy:
        def contiguous(self) -> torch.Tensor:
            raise AssertionError('copied')

    StateFile(tmp_path, 'viva', rank=1).write(3, {'a': NoCopy()}, {})  # type: ignore[dict-item]
    assert not list(tmp_path.iterdir())
