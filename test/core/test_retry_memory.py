# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from viva_ros.core.errors import VivaError
from viva_ros.core.retry_memory import RetryMemory

DAY = 1_000_000.0


def kept(path: Path, *days: float) -> RetryMemory:
    """A memory of another process, which has noted retries at these times of the day."""
    memory = RetryMemory(path / 'folder' / 'retries.json')
    for day in days:
        memory.note(day)
    return RetryMemory(memory.path)


def test_without_a_file_nothing_is_recalled_and_none_is_made(tmp_path: Path) -> None:
    memory = kept(tmp_path)
    assert memory.recall(DAY, 50.0) == []
    assert not memory.path.exists()


def test_what_another_process_has_noted_comes_back_in_steady_time(tmp_path: Path) -> None:
    memory = kept(tmp_path, DAY, DAY + 100.0)
    assert memory.recall(DAY + 110.0, 50.0) == [-60.0, 40.0]  # 110 s and 10 s ago


def test_what_is_an_hour_old_is_forgotten_in_memory_and_file(tmp_path: Path) -> None:
    memory = kept(tmp_path, DAY, DAY + 100.0)
    assert memory.recall(DAY + 3600.0, 0.0) == [-3500.0]
    memory.note(DAY + 3600.0)
    assert '1000000.0' not in memory.path.read_text()
    assert RetryMemory(memory.path).recall(DAY + 3600.0, 0.0) == [-3500.0, 0.0]


def test_a_clock_put_back_makes_a_retry_young_not_forgotten(tmp_path: Path) -> None:
    memory = kept(tmp_path, DAY)
    assert memory.recall(DAY - 86_400.0, 7.0) == [7.0]
    memory.note(DAY - 86_400.0)
    assert RetryMemory(memory.path).recall(DAY - 86_400.0 + 30.0, 40.0) == [10.0, 10.0]


@pytest.mark.parametrize('content', ['', '{', '[]', '{"format": "viva_ros retries 0"}'])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'retries.json'
    path.write_text(content)
    with pytest.raises(VivaError, match=r'retries\.json .*they count as spent'):
        RetryMemory(path).recall(DAY, 0.0)
    RetryMemory(path).note(DAY)  # and it is mended
    assert RetryMemory(path).recall(DAY, 0.0) == [0.0]
