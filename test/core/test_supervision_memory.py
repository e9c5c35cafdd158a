# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.core.events import Event, Level
from viva_ros.core.supervision_memory import (
    Lock,
    OpenEpisode,
    SupervisionMemory,
    SupervisionRecord,
    steady,
)

DAY = 1_000_000.0
NAN = math.nan
CALL = Event(
    Level.NEEDS_OPERATOR,
    'retry_budget_exhausted',
    5,
    3,
    NAN,
    NAN,
    NAN,
    'a',
    'retry budget used (2 of 2)',
)
EVENT = '{"kind": "drop", "stamp": 5, "onset": 3, "episode": "a", "text": "x"}'
STORED = (
    '{"format": "viva_ros supervision 3", "asked": [1000000.0], '
    f'"operator": {EVENT}, "latched": {EVENT}, '
    '"episode": {"id": "e", "task": "t", "used": 1, "retrying": true, "begun": false}}'
)
LATCH = Event(Level.LATCHED, 'drop', 5, 3, NAN, NAN, NAN, 'a', 'the value fell')


def memory_with(path: Path, *times: float) -> SupervisionMemory:
    """Return a new memory on the file of a process that recorded retries at these times, s."""
    memory = SupervisionMemory(path / 'folder' / 'retries.json')
    for time in times:
        memory.note_retry(time)
    return SupervisionMemory(memory.path)


def test_recall_without_a_file_is_empty(tmp_path: Path) -> None:
    memory = memory_with(tmp_path)
    assert memory.recall(DAY, 20) == SupervisionRecord()
    assert memory.away(DAY) == math.inf
    assert not memory.path.exists()


def test_retries_of_another_process_convert_to_steady_time(tmp_path: Path) -> None:
    requested = memory_with(tmp_path, DAY, DAY + 100.0).recall(DAY + 110.0, 20).asked
    assert steady(requested, DAY + 110.0, 50.0) == [-60.0, 40.0]  # 110 s and 10 s ago


def test_retries_older_than_an_hour_are_dropped(tmp_path: Path) -> None:
    memory = memory_with(tmp_path, DAY, DAY + 100.0)
    assert memory.recall(DAY + 3600.0, 20).asked == (DAY + 100.0,)
    memory.note_retry(DAY + 3600.0)
    assert '1000000.0' not in memory.path.read_text()
    assert len(SupervisionMemory(memory.path).recall(DAY + 3600.0, 20).asked) == 2


def test_clock_set_back_keeps_a_retry_as_recent(tmp_path: Path) -> None:
    memory = memory_with(tmp_path, DAY)
    assert memory.recall(DAY - 86_400.0, 20).asked == (DAY - 86_400.0,)
    memory.note_retry(DAY - 86_400.0)
    requested = SupervisionMemory(memory.path).recall(DAY - 86_400.0 + 30.0, 20).asked
    assert steady(requested, DAY - 86_400.0 + 30.0, 40.0) == [10.0, 10.0]


def test_operator_and_episode_are_recalled(tmp_path: Path) -> None:
    episode = OpenEpisode('e1', 'fold', 1, retrying=True)
    memory = memory_with(tmp_path, DAY)
    memory.recall(DAY, 20)
    memory.change(operator=CALL, episode=episode)
    again = SupervisionMemory(memory.path).recall(DAY, 20)
    assert again.asked == (DAY,) and again.episode == episode
    assert again.operator is not None and again.operator.text == CALL.text
    assert (again.operator.level, again.operator.episode_id) == (Level.NEEDS_OPERATOR, 'a')
    memory.change(operator=None, episode=None)
    assert SupervisionMemory(memory.path).recall(DAY, 20) == SupervisionRecord((DAY,))


def test_time_away_counts_from_keep_alive(tmp_path: Path) -> None:
    memory = memory_with(tmp_path, DAY)
    memory.recall(DAY, 20)
    memory.change(episode=OpenEpisode('e1', 'fold'))
    os.utime(memory.path, (DAY, DAY))
    assert memory.away(DAY + 12.0) == 12.0
    assert memory.away(DAY - 1.0) == math.inf  # the clock was set back
    memory.keep_alive()
    assert memory.path.stat().st_mtime > DAY


def test_file_of_format_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'retries.json'
    path.write_text('{"format": "viva_ros retries 1", "asked": [1000000.0]}')
    assert SupervisionMemory(path).recall(DAY, 20) == SupervisionRecord((DAY,))


@pytest.mark.parametrize(
    ('stored', 'kind'),
    [
        ('retry_budget', 'retry_budget_exhausted'),
        ('retry_blocked', 'retry_suppressed'),
        ('retry_unfinished', 'retry_unfinished'),
    ],
)
def test_renamed_kinds_of_event_are_read(tmp_path: Path, stored: str, kind: str) -> None:
    memory = SupervisionMemory(tmp_path / 'retries.json')
    memory.change(operator=replace(CALL, kind=stored))
    operator = SupervisionMemory(memory.path).recall(DAY, 20).operator
    assert operator is not None and operator.kind == kind


def stored(**changed: object) -> str:
    """Return a file with changed entries; those with a dot are in an object."""
    content = json.loads(STORED)
    for name, value in changed.items():
        place, _, field = name.partition('__')
        content[place] = {**content[place], field: value} if field else value
    return json.dumps(content)


DAMAGED = {
    'empty': '', 'torn': '{', 'list': '[]', 'format': '{"format": "viva_ros retries 0"}',
    'missing': '{"format": "viva_ros supervision 3"}', 'deep': '[' * 9999,
    'operator number': stored(operator=3), 'operator list': stored(operator=['a']),
    'asked object': stored(asked={}), 'asked text': stored(asked=['1e6']),
    'asked true': stored(asked=[True]), 'asked nan': stored(asked=[math.nan]),
    'asked infinite': stored(asked=[math.inf]), 'asked huge': stored(asked=[10**400]),
    'stamp infinite': stored(operator__stamp=math.inf),
    'stamp fraction': stored(latched__stamp=1.5), 'stamp huge': stored(latched__onset=10**30),
    'kind': stored(operator__kind=None), 'text': stored(operator__text=5),
    'used infinite': stored(episode__used=math.inf), 'used negative': stored(episode__used=-1),
    'used text': stored(episode__used='1'), 'retrying text': stored(episode__retrying='false'),
    'id': stored(episode__id=['e']), 'not UTF-8': 'ÿ',
}  # fmt: skip


def test_stored_memory_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'retries.json'
    path.write_text(stored())
    read = SupervisionMemory(path).recall(DAY, 20)
    assert read.episode == OpenEpisode('e', 't', 1, retrying=True)
    assert read.operator is not None and read.latched is not None


@pytest.mark.parametrize('content', DAMAGED.values(), ids=DAMAGED)
def test_damaged_memory_is_renamed_and_spends_the_budget(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'retries.json'
    path.write_text(content, encoding='latin-1')
    memory = SupervisionMemory(path)
    with raises('supervision-memory-damaged', path, 'spent for an hour', 'retries.damaged'):
        memory.recall(DAY, 3)
    assert path.with_suffix('.damaged').read_text('latin-1') == content
    memory.change(latched=LATCH)  # the next write keeps the budget spent
    assert SupervisionMemory(path).recall(DAY, 3) == SupervisionRecord((DAY,) * 3, latched=LATCH)


def test_lock_is_held_by_the_first_until_it_is_freed(tmp_path: Path) -> None:
    first, second = (Lock(tmp_path / 'made' / 's.lock', name) for name in ('1', '2'))
    assert first.take() and first.take()
    assert not second.take()
    first.free()
    assert second.take() and list(second.earlier) == ['1']
    assert not first.take()
    second.free()
    assert first.take() and list(first.earlier) == ['2']  # the own name is left out


def test_lock_holds_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'write', fail)
    first, second = (Lock(tmp_path / 's.lock', name) for name in ('1', '2'))
    assert first.take()
    assert not second.take()


def test_lock_without_a_folder_raises_os_error(tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file'):
        Lock(tmp_path / 'file' / 's.lock', '1').take()
