# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of a file in memory: short messages up to a limit, the last chunks."""

from pathlib import Path

import pytest
from support.picture_streams import STREAMS

from viva_ros.data.bag import salvage
from viva_ros.data.bag.reader import read_bag
from viva_ros.data.bag.salvage import LARGE, OpenedChunks, SmallMessages


def test_short_messages_are_kept_up_to_the_limit(monkeypatch) -> None:
    monkeypatch.setattr(salvage, 'SMALL_LIMIT', 1000)
    small = SmallMessages()
    assert [small.keeps(size) for size in (LARGE + 1, 600, 500, 400, 1)] == [
        False, True, False, True, False
    ]  # fmt: skip


def test_opened_chunks_are_bounded_by_their_bytes(monkeypatch) -> None:
    monkeypatch.setattr(salvage, 'OPENED', 100)
    read: list[int] = []
    chunks = OpenedChunks(lambda offset: (read.append(offset) or offset, 40))
    assert [chunks[offset] for offset in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert read == [1, 2, 3, 2]  # 2 was used least recently when 3 came
    large = OpenedChunks(lambda offset: (read.append(offset) or offset, 400))
    assert large[7] == large[7] == 7
    assert read[4:] == [7]  # the last one is kept, however large it is


@pytest.mark.parametrize('name', ['sqlite', 'chunks', 'no_chunks', 'torn', 'ros1'])
def test_messages_on_disk_equal_those_in_memory(tmp_path: Path, name: str, monkeypatch) -> None:
    suffix, write, _ = STREAMS[name]
    path = tmp_path / f'run{suffix}'
    write(path, 12)
    kept = {topic: list(track.data) for topic, track in read_bag(path).tracks.items()}
    monkeypatch.setattr(salvage, 'SMALL_LIMIT', 500)  # two or three of the joint states
    recording = read_bag(path)
    found = {topic: list(track.data) for topic, track in recording.tracks.items()}
    assert found == kept
    assert len(found['/joint_states']) >= 9
    assert len(list(recording.tracks['/joint_states'].messages())) >= 9
