# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags whose recorder was killed: parts without metadata.yaml, or with one that differs."""

import os
import subprocess
from pathlib import Path

import pytest
from mcap.writer import Writer
from support.bag_parts import (
    CAMERA,
    EPOCH,
    JOINTS,
    STEP,
    payload,
    reindex,
    steps,
    write_own,
    write_part,
    write_split,
)
from support.errors import raises

from viva_ros.data.bag import split
from viva_ros.data.bag.reader import read_bag, salvage
from viva_ros.data.bag.split import PartSpan, follows, part_span
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.open import find, identity, open_recording, resolve


@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
def test_parts_in_a_folder_of_their_name_are_one_recording(tmp_path: Path, suffix: str) -> None:
    bag = tmp_path / 'fold_run_07'
    write_split(bag, suffix=suffix)
    assert find([tmp_path]) == [bag]
    assert resolve(bag).path == bag
    recording = open_recording(bag)
    assert recording.path == bag
    assert steps(recording) == steps(recording, CAMERA) == list(range(300))
    track = recording.tracks[CAMERA]
    assert [track.data[n] for n in (0, 99, 100, 299, -1)] == [
        payload(CAMERA, n) for n in (0, 99, 100, 299, 299)
    ]
    assert track.data[98:102] == [payload(CAMERA, n) for n in range(98, 102)]
    assert track.times == [EPOCH + n * STEP for n in range(300)]
    assert (recording.losses, recording.readable, recording.whole) == ((), 1.0, True)


def test_parts_are_joined_in_numeric_order(tmp_path: Path) -> None:
    write_split(tmp_path / 'run', count=12, steps=5)
    assert steps(open_recording(tmp_path / 'run')) == list(range(60))


def test_folder_given_as_relative_path_is_one_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_split(tmp_path / 'run')
    (tmp_path / 'latest').symlink_to('run')
    monkeypatch.chdir(tmp_path / 'run')
    assert len(steps(open_recording(Path('.')))) == 300
    assert len(steps(open_recording(tmp_path / 'latest'))) == 300


def test_single_part_is_the_recording_of_its_folder(tmp_path: Path) -> None:
    (part,) = write_split(tmp_path / 'run', count=1)
    assert find([tmp_path]) == [tmp_path / 'run']
    assert steps(open_recording(tmp_path / 'run')) == steps(open_recording(part))


def test_part_given_by_itself_is_refused(tmp_path: Path) -> None:
    parts = write_split(tmp_path / 'run')
    for part in parts:
        with raises('bag-part', part, 'name the folder', tmp_path / 'run'):
            open_recording(part)


def test_missing_part_is_refused_by_number(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    parts = write_split(bag, count=4)
    parts[2].unlink()
    with raises('bag-parts-missing', bag, 'run_2.mcap', f'"ros2 bag reindex {bag}"'):
        open_recording(bag)
    reindex(bag, 300)
    assert steps(open_recording(bag)) == [*range(200), *range(300, 400)]


@pytest.mark.parametrize('number', ['999999999999', '9' * 200], ids=['large', 'huge'])
def test_part_with_an_endless_number_is_refused_at_once(tmp_path: Path, number: str) -> None:
    bag = tmp_path / 'run'
    parts = write_split(bag, count=2)
    parts[1].rename(bag / f'run_{number}.mcap')
    with raises('bag-parts-missing', bag, f'0 to {number}', 'run_1.mcap'):
        open_recording(bag)


def test_bag_without_its_first_part_is_refused(tmp_path: Path) -> None:
    parts = write_split(tmp_path / 'run', count=2)
    parts[0].unlink()
    with raises('bag-parts-missing', 'run_0.mcap'):
        open_recording(tmp_path / 'run')


@pytest.mark.parametrize(('begin', 'text'), [(160, '1.220 s after'), (80, '0.380 s before')])
def test_parts_that_do_not_follow_each_other_are_refused(
    tmp_path: Path, begin: int, text: str
) -> None:
    bag = tmp_path / 'run'
    write_split(bag, count=1)
    write_part(bag / 'run_1.mcap', range(begin, begin + 100))
    with raises('bag-parts-apart', bag, 'run_1.mcap', text, 'run_0.mcap', '1 s'):
        open_recording(bag)
    for name in 'ab':  # the remedy
        (bag / f'run_{"ab".index(name)}.mcap').rename(bag / f'{name}.mcap')
    assert [steps(open_recording(path))[0] for path in find([bag])] == [0, begin]


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path / 'run', count=2)
    write_part(tmp_path / 'run/run_01.mcap', range(200, 300))
    with raises('bag-parts-twice', 'run_01.mcap, run_1.mcap'):
        open_recording(tmp_path / 'run')


@pytest.mark.parametrize('name', ['other.mcap', 'run_3.db3', 'below/other_0.mcap'])
def test_other_recording_among_the_parts_is_refused(tmp_path: Path, name: str) -> None:
    bag = tmp_path / 'run'
    write_split(bag)
    write_part(bag / name, range(300, 400))
    with raises('bag-parts-mixed', bag, 'another folder'):
        open_recording(bag)
    (bag / name).unlink()
    assert len(steps(open_recording(bag))) == 300


def test_compressed_part_is_refused_until_it_is_decompressed(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    parts = write_split(bag)
    subprocess.run(['zstd', '-q', '--rm', parts[0], '-o', f'{parts[0]}.zstd'], check=True)
    with raises('bag-parts-compressed', bag, 'run_0.mcap.zstd') as caught:
        open_recording(bag)
    command = str(caught.value).split('"')[1]
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert len(steps(open_recording(bag))) == 300


def test_torn_last_part_is_reported(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    parts = write_split(bag, steps=1000)
    os.truncate(parts[2], parts[2].stat().st_size // 2)
    recording = open_recording(bag)
    assert steps(recording)[:2000] == list(range(2000))
    assert len(steps(recording)) < 3000
    assert not recording.whole
    assert 0.5 < recording.readable <= 1.0
    assert 'the file ends early' in recording.losses[0]


def test_unreadable_last_part_is_reported(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    parts = write_split(bag)
    size = parts[2].stat().st_size
    parts[2].write_bytes(bytes(size))
    recording = open_recording(bag)
    assert steps(recording) == list(range(200))
    assert not recording.whole
    assert recording.readable == pytest.approx(2 / 3, abs=0.01)
    assert 'run_2.mcap' in recording.losses[0]


@pytest.mark.parametrize('suffix', ['.mcap', '.db3'])
def test_intact_part_without_messages_is_no_loss(tmp_path: Path, suffix: str) -> None:
    bag = tmp_path / 'run'
    write_split(bag, count=2, suffix=suffix)
    write_part(bag / f'run_2{suffix}', ())
    recording = open_recording(bag)
    assert steps(recording) == list(range(200))
    assert (recording.losses, recording.whole) == ((), True)


def test_parts_in_another_folder_are_refused_with_a_remedy(tmp_path: Path) -> None:
    parts = write_split(tmp_path / 'data', stem='run')
    assert find([tmp_path]) == parts
    for part in parts:
        with raises('bag-part-loose', 'run_*.mcap into a folder called run'):
            open_recording(part)
    (tmp_path / 'data').rename(tmp_path / 'run')
    assert len(steps(open_recording(tmp_path / 'run'))) == 300


@pytest.mark.parametrize(('begin', 'end'), [(0, 100), (50, 150), (300, 400)])
def test_recordings_that_share_a_name_remain_single(tmp_path: Path, begin: int, end: int) -> None:
    paths = [
        write_own(tmp_path / 'data' / f'tray_lift_{300_000 + n}.mcap', range(first, last), False)
        for n, (first, last) in enumerate([(0, 100), (begin, end)])
    ]
    assert find([tmp_path]) == paths
    assert [steps(open_recording(path))[0] for path in paths] == [0, begin]


@pytest.mark.parametrize('folder', ['data', 'tray_lift'])
def test_labelled_recordings_remain_single(tmp_path: Path, folder: str) -> None:
    paths = [
        write_own(tmp_path / folder / f'tray_lift_{300_000 + n}.mcap', range(n * 50, n * 50 + 50))
        for n in range(3)
    ]
    assert find([tmp_path]) == paths
    assert [steps(open_recording(path))[0] for path in paths] == [0, 50, 100]


def test_follows_allows_a_short_pause_and_a_short_overlap() -> None:
    before = PartSpan(EPOCH, EPOCH + 10**10)
    for step, expected in ((1.0, True), (1.001, False), (-0.1, True), (-0.101, False)):
        begin = before.end + round(step * 1e9)
        assert follows(before, PartSpan(begin, begin + 10**10)) == expected
    assert not follows(before, PartSpan(before.end - 10**7, before.end - 10**6))


def test_span_of_torn_file_is_read_from_its_chunks(tmp_path: Path) -> None:
    path = write_own(tmp_path / 'run_0.mcap', range(1000))
    whole = part_span(path)
    assert whole == PartSpan(EPOCH, EPOCH + 999 * STEP, True)
    os.truncate(path, path.stat().st_size // 2)
    torn = part_span(path)
    assert torn is not None
    assert torn.begin == EPOCH
    assert EPOCH + 400 * STEP < torn.end < EPOCH + 500 * STEP


def test_each_file_is_opened_once_for_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write_own(tmp_path / f'a_{n}.mcap', range(n * 99, n * 99 + 5)) for n in range(30)]
    opened = []
    real = split._mcap_span
    monkeypatch.setattr(split, '_mcap_span', lambda *a: opened.append(a[0]) or real(*a))
    for path in paths:
        read_bag(path)
    assert sorted(opened) == sorted(paths)


def test_file_that_the_metadata_does_not_list_is_a_loss(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    write_split(bag)
    reindex(bag, 300)
    assert open_recording(bag).whole
    write_part(bag / 'run_3.mcap', range(300, 400))
    recording = open_recording(bag)
    assert not recording.whole
    assert 'run_3.mcap' in recording.losses[0] and 'ros2 bag reindex' in recording.losses[0]
    reindex(bag, 400)
    assert len(steps(open_recording(bag))) == 400


def test_listed_file_that_is_not_there_is_a_loss(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    parts = write_split(bag)
    reindex(bag, 300)
    parts[1].unlink()
    recording = open_recording(bag)
    assert not recording.whole
    assert recording.readable == pytest.approx(2 / 3)
    text = '; '.join(recording.losses)
    assert 'lists run_1.mcap, not there' in text and 'ros2 bag reindex' in text


@pytest.mark.parametrize('count', [290, 310])
def test_message_count_that_differs_is_a_loss(tmp_path: Path, count: int) -> None:
    bag = tmp_path / 'run'
    write_split(bag)
    reindex(bag, count)
    recording = open_recording(bag)
    assert len(steps(recording)) == 300
    assert not recording.whole
    assert f'there are 600 messages, metadata.yaml counts {2 * count}' in recording.losses[-1]
    assert recording.readable == pytest.approx(min(1.0, 300 / count))


def test_file_of_a_listed_bag_is_refused_by_itself(tmp_path: Path) -> None:
    bag = tmp_path / 'run'
    write_split(bag, count=2)
    for name in ('first', 'second'):
        number = ('first', 'second').index(name)
        (bag / f'run_{number}.mcap').rename(bag / f'{name}.mcap')
    reindex(bag, 200)
    with raises('bag-listed', bag / 'second.mcap', '2 files', bag):
        open_recording(bag / 'second.mcap')


@pytest.mark.parametrize('text', ['', 'rosbag2_bagfile_information: [\n', 'a: 1', '[1]'])
def test_metadata_of_a_killed_recorder_is_refused(tmp_path: Path, text: str) -> None:
    write_split(tmp_path / 'run')
    (tmp_path / 'run/metadata.yaml').write_text(text)
    with raises('bag-metadata', tmp_path / 'run/metadata.yaml', 'ros2 bag reindex'):
        open_recording(tmp_path / 'run')


def test_bag_with_no_readable_part_is_refused(tmp_path: Path) -> None:
    for part in write_split(tmp_path / 'run'):
        part.write_bytes(b'')
    with raises('bag-unreadable', tmp_path / 'run', 'run_1.mcap'):
        open_recording(tmp_path / 'run')


def test_topic_with_two_types_in_two_parts_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path / 'run', count=2)
    part = tmp_path / 'run/run_1.mcap'
    part.unlink()
    with RecordingWriter(part) as writer:
        writer.write_cdr(
            JOINTS, 'sensor_msgs/msg/CompressedImage', payload(CAMERA, 100), EPOCH + 100 * STEP
        )
    with raises('topic-types', JOINTS, 'CompressedImage and sensor_msgs/msg/JointState'):
        open_recording(tmp_path / 'run')


def test_salvage_of_parts_equals_the_intact_reader(tmp_path: Path) -> None:
    write_split(tmp_path / 'run')
    one, other = read_bag(tmp_path / 'run'), salvage(tmp_path / 'run')
    assert list(one.tracks[CAMERA].data) == list(other.tracks[CAMERA].data)
    assert one.tracks[CAMERA].times == other.tracks[CAMERA].times


@pytest.mark.parametrize('name', ['run_0.db3', 'run_1.db3', 'run_1.db3-wal', 'metadata.yaml'])
def test_identity_changes_with_each_file_of_a_bag(tmp_path: Path, name: str) -> None:
    bag = tmp_path / 'run'
    write_split(bag, count=2, steps=5, suffix='.db3')
    (bag / 'run_1.db3-wal').touch()
    reindex(bag, 10)
    before = identity(resolve(bag))
    (bag / 'run_1.db3-shm').write_bytes(b'index')
    assert identity(resolve(bag)) in (before, [before[0], bag.stat().st_size, *before[2:]])
    with (bag / name).open('ab') as file:
        file.write(b' ')
    assert identity(resolve(bag))[2] != before[2]


def test_metadata_given_as_recording_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path / 'run')
    reindex(tmp_path / 'run', 300)
    with raises('bag-metadata-given', tmp_path / 'run/metadata.yaml', 'name the folder'):
        open_recording(tmp_path / 'run/metadata.yaml')


def write_channels(path: Path, kinds: dict[str, str]) -> Path:
    """Write an MCAP file with a channel of one topic for each publisher, in turn."""
    with path.open('wb') as file:
        writer = Writer(file)
        writer.start('ros2', 'test')
        channels = [
            writer.register_channel(JOINTS, 'cdr', writer.register_schema(kind, 'ros2msg', b''))
            for kind in kinds.values()
        ]
        for number in range(30):
            writer.add_message(
                channels[number % len(channels)], EPOCH + number * STEP, payload(JOINTS, number), 0
            )
        writer.finish()
    return path


@pytest.mark.parametrize('read', [open_recording, salvage])
def test_two_channels_of_one_type_are_joined(tmp_path: Path, read) -> None:
    kind = 'sensor_msgs/msg/JointState'
    path = write_channels(tmp_path / 'run.mcap', {'first': kind, 'second': kind})
    assert steps(read(path)) == list(range(30))


@pytest.mark.parametrize('read', [open_recording, salvage])
def test_two_channels_of_two_types_are_refused(tmp_path: Path, read) -> None:
    kinds = {'first': 'sensor_msgs/msg/JointState', 'second': 'std_msgs/msg/String'}
    path = write_channels(tmp_path / 'run.mcap', kinds)
    with raises('topic-types', path, JOINTS, 'JointState and std_msgs/msg/String', 'ros2 bag'):
        read(path)
