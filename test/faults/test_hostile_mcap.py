# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile MCAP files: the loss told is the loss had, and nothing is invented."""

import random
from collections import Counter
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap.writer import CompressionType
from rosbags.highlevel import AnyReader
from support.hostile_mcap import (
    KINDS,
    check_damaged,
    chunks,
    content_of,
    messages,
    write_foreign,
    write_own,
)

from viva_ros.data.messages import typestore
from viva_ros.data.open import open_unmapped
from viva_ros.data.recording import Recording

FILES = {
    'own': write_own,
    'zstd': write_foreign,
    'lz4': lambda path: write_foreign(path, CompressionType.LZ4),
    'none': lambda path: write_foreign(path, CompressionType.NONE),
}


@pytest.fixture(scope='module', params=FILES)
def intact(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, Recording, Path]:
    """Return bytes and content of a file, and a folder for damaged ones."""
    folder = tmp_path_factory.mktemp('mcap')
    path = FILES[request.param](folder / 'whole.mcap')
    return path.read_bytes(), open_unmapped(path), folder


def damage(folder: Path, content: bytes) -> Path:
    """Write a damaged file under a new name, as readers keep some content by name."""
    path = folder / f'{len(list(folder.iterdir()))}.mcap'
    path.write_bytes(content)
    return path


def test_intact_file_has_all_messages(intact: tuple[bytes, Recording, Path]) -> None:
    _, whole, _ = intact
    assert content_of(whole) == Counter(messages(40)) and whole.losses == ()


@pytest.mark.parametrize('seed', range(5))
def test_flipped_bits_invent_nothing_and_hide_no_loss(
    intact: tuple[bytes, Recording, Path], seed: int
) -> None:
    content, whole, folder = intact
    drawn = random.Random(seed)
    for _ in range(15):
        data = bytearray(content)
        for _ in range(drawn.choice((1, 1, 1, 2, 3))):
            place = drawn.randrange(len(data))
            if drawn.random() < 0.7:
                data[place] ^= 1 << drawn.randrange(8)
            else:
                data[place] = drawn.randrange(256)
        path = damage(folder, bytes(data))
        check_damaged(path, whole)


@pytest.mark.parametrize('where', ['head', 'records'])
def test_damaged_chunk_takes_only_its_own_messages(
    intact: tuple[bytes, Recording, Path], where: str
) -> None:
    content, whole, folder = intact
    for begin, end in chunks(content):
        data = bytearray(content)
        data[begin + 3 if where == 'head' else (begin + end) // 2] ^= 1
        found = open_unmapped(damage(folder, bytes(data)))
        missing = Counter(topic for topic, _, _ in (content_of(whole) - content_of(found)))
        assert missing.total() < 40 and found.lost == dict(missing)
        assert not content_of(found) - content_of(whole)


def test_first_chunk_without_summary_loses_its_own_messages(tmp_path: Path) -> None:
    content = write_own(tmp_path / 'own.mcap').read_bytes()
    whole = open_unmapped(tmp_path / 'own.mcap')
    places = chunks(content)
    data = bytearray(content[: places[-1][1]])  # as a killed recorder leaves it
    data[sum(places[0]) // 2] ^= 1
    found = open_unmapped(damage(tmp_path, bytes(data)))
    assert set(found.tracks) == set(KINDS)
    assert check_damaged(found.path, whole) == 'lossy'
    assert found.lost['/joint_states'] > 0 and found.lost.keys() <= KINDS.keys()


def test_messages_of_an_unknown_channel_count_as_lost(tmp_path: Path) -> None:
    content = write_foreign(tmp_path / 'other.mcap', CompressionType.NONE).read_bytes()
    places = chunks(content)
    value = next(k for k, (begin, end) in enumerate(places) if b'/value' in content[begin:end])
    data = bytearray(content[: places[-1][1]])
    data[sum(places[value]) // 2] ^= 1
    found = open_unmapped(damage(tmp_path, bytes(data)))
    assert '/value' not in found.tracks
    later = sum(
        content[begin:end].count(b'\x00\x01\x00\x00', 0) > 0 for begin, end in places[value + 1 :]
    )
    assert later and found.lost[''] >= 10, 'those of the damaged chunk and of all later ones'
    assert any('of an unknown topic' in one for one in found.losses)


def test_each_chunk_of_own_files_has_all_definitions(tmp_path: Path) -> None:
    path = write_own(tmp_path / 'own.mcap')
    content = path.read_bytes()
    places = chunks(content)
    assert len(places) > 5
    for begin, end in places[len(places) // 2 + 1 :]:
        for topic, kind in KINDS.items():
            assert topic.encode() in content[begin:end] and kind.encode() in content[begin:end]


def test_repeated_definitions_are_read_by_other_readers(tmp_path: Path) -> None:
    path = write_own(tmp_path / 'own.mcap')
    with path.open('rb') as file:
        reader = make_reader(file, validate_crcs=True)
        theirs = Counter((c.topic, m.log_time, m.data) for _, c, m in reader.iter_messages())
        summary = reader.get_summary()
    assert theirs == Counter(messages(40))
    assert summary is not None and len(summary.channels) == len(summary.schemas) == len(KINDS)
    with AnyReader([path], default_typestore=typestore()) as other:
        found = Counter((c.topic, time, bytes(data)) for c, time, data in other.messages())
    assert found == Counter(messages(40))
