# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import pytest
import torch

from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.training.checkpointing import StateFile


def parts(folder: Path, count: int) -> list[StateFile]:
    return [StateFile(folder, 'viva', rank, count) for rank in range(count)]


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    state = StateFile(tmp_path, 'viva')
    assert state.read() is None
    state.write(3, {'a': torch.arange(4).view(2, 2).t()}, {'schedule': 's'})
    metadata, tensors = state.read() or ({}, {})
    assert metadata == {'step': '3', 'schedule': 's'}
    assert tensors['a'].tolist() == [[0, 2], [1, 3]]


def test_parts_count_only_when_all_are_there(tmp_path: Path) -> None:
    first, second = parts(tmp_path, 2)
    for step in (2, 4):
        second.write(step, {'a': torch.tensor([10 + step])}, {})  # the first writes the index
        first.write(step, {'a': torch.tensor([step])}, {})
    second.write(6, {'a': torch.tensor([16])}, {})  # killed before the first wrote its part
    for state, expected in ((first, 4), (second, 14)):
        metadata, tensors = state.read() or ({}, {})
        assert metadata['step'] == '4'
        assert tensors['a'].tolist() == [expected]
    assert not list(tmp_path.glob('*-00000002-*'))


def test_parts_of_other_processes_are_refused(tmp_path: Path) -> None:
    for state in reversed(parts(tmp_path, 2)):
        state.write(1, {'a': torch.zeros(1)}, {})
    with pytest.raises(ConfigurationError, match='is of 2 processes, now there are 3: go on with'):
        parts(tmp_path, 3)[0].read()
    with pytest.raises(ConfigurationError, match='was written with --shard: go on as begun'):
        StateFile(tmp_path, 'viva').read()


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    (tmp_path / 'viva.state').write_bytes(b'x' * 20)
    with pytest.raises(RecordingError, match=r'viva\.state cannot be read .*: delete it'):
        StateFile(tmp_path, 'viva').read()


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / '.viva.state.abc.tmp').write_bytes(b'half')
    (tmp_path / '.other.tmp').write_bytes(b'not ours')
    StateFile(tmp_path, 'viva').read()
    assert [path.name for path in tmp_path.iterdir()] == ['.other.tmp']
