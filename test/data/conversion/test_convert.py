# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from support.foreign_bags import still_scene, two_arms
from support.foreign_robot import write_bag

from viva_ros.cli.main import main
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import ImportEmptyError, import_all
from viva_ros.data.conversion.raw_episode import RawEpisode, raw_episodes
from viva_ros.data.open import find, open_recording, open_unmapped
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule, load_map

EPOCH = 1_700_000_000_000_000_000  # ns; the second camera is 2 ms late, the axes come at 50 Hz
OUTCOME = Outcomes(rule=LabelRule(topic='/acme/outcome'))


def refused(report: dict, name: str) -> str:
    (row,) = [row for row in report['episodes'] if row['name'] == name]
    return '; '.join(row['refused'])


def one(tmp_path: Path, bag: Path, topic_map, outcomes: Outcomes = OUTCOME) -> str:
    """Import a good bag and another one; return the reasons to refuse the other."""
    report = import_all([tmp_path / 'good', bag], topic_map, outcomes, tmp_path / 'set')
    assert not refused(report, 'good')
    return refused(report, bag.stem)


def test_episode_has_newest_frame_and_joints_at_each_grid_time(
    tmp_path: Path, foreign_map
) -> None:
    bag = write_bag(tmp_path / 'bag', seconds=2.0)
    import_all([bag], foreign_map, OUTCOME, tmp_path / 'set')
    (path,) = find([tmp_path / 'set'])
    episode, original = episodes_of(open_recording(path))[0], open_unmapped(bag)
    # All streams have messages from 0.002 to 2.000 s: 1.998 s at 15 Hz are 29 steps, 30 frames.
    stamps = EPOCH + 2_000_000 + np.round(np.arange(30) * 1e9 / 15).astype(np.int64)
    assert np.abs(episode.joints.stamps - stamps).max() <= 1
    assert set(episode.cameras) == {'top', 'side'}
    axes = [m.position for _, m in original.messages('acme/axes')]
    row = episode.joints.names.index('arm_east_axis_3')
    held = [axes[int((stamp - EPOCH) // 20_000_000)][8] for stamp in stamps]
    np.testing.assert_allclose(episode.joints.positions[:, row], held, rtol=1e-6)
    assert episode.joints.names[-2:] == ('west_gripper', 'east_gripper')
    assert (episode.label.task, episode.label.success) == ('lift_block', True)


def test_import_has_the_identities_of_the_bag_in_place(
    tmp_path: Path, map_file: Path, foreign_map
) -> None:
    bag = write_bag(tmp_path / 'bags/a')
    import_all([bag], foreign_map, OUTCOME, tmp_path / 'set')
    imported = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0]
    shutil.copy(map_file, bag.parent / 'viva_map.yaml')
    in_place = episodes_of(open_recording(bag))[0]
    assert imported.identity != in_place.identity
    assert len(in_place.identities) == 2  # the whole and its opening
    assert in_place.identities < imported.identities


def test_imported_images_differ_only_by_the_codec(tmp_path: Path, foreign_map) -> None:
    import_all([write_bag(tmp_path / 'bag')], foreign_map, OUTCOME, tmp_path / 'set')
    shown = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0].cameras['side']
    original = open_unmapped(tmp_path / 'bag').tracks['/acme/side/image/compressed']
    recorded = original.pictures(range(60))
    for index in (59, 0, 31, 30, 32):  # not in order
        error = np.abs(shown.images[index].astype(int) - recorded[index]).mean()
        other = np.abs(shown.images[index].astype(int) - recorded[(index + 20) % 60]).mean()
        assert error < 2.5 < other


def test_only_the_episode_beyond_a_limit_is_refused(
    tmp_path: Path, map_file: Path, capsys
) -> None:
    bags = tmp_path / 'bags'
    bags.mkdir()
    write_bag(bags / 'a')
    write_bag(bags / 'b', change={'silent': ('side', 1.0, 2.0)})
    write_bag(bags / 'c', success=False)
    out = tmp_path / 'set'
    assert main(['import', str(bags), '--map', str(map_file), '--out', str(out)]) == 2
    assert f'{out}: 2 episodes, 1 refused' in capsys.readouterr().out
    report = json.loads((out / 'viva/import.json').read_text())
    # The last frame before the gap is at 1.0 s, the next at 2.0 s.
    assert refused(report, 'b').startswith('side is silent for 1.000 s, at most 0.5 s is allowed')
    labels = [episodes_of(open_recording(path))[0].label for path in find([out])]
    assert [label.success for label in labels] == [True, False]


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'resized': ('top', 2.0)}, 'top at stamp 1700000002.000 s is 40 x 32 pixels, before 80'),
        ({'torn': ('side', 2.0)}, 'has no end marker: it is truncated'),
        ({'nan': ('west_axis_2', 1.5)}, 'positions are not finite (arm_west_axis_2 1 times)'),
        ({'silent': ('top', -1.0, 0.6)}, 'top is silent for 0.600 s'),
        (
            {'silent': ('top', 3.3, 9.0)},
            'top is silent for 0.735 s',  # from 3.267 s to 4.002 s
        ),
        ({'silent': ('top', -1.0, 9.0)}, 'top has no messages'),
    ],
)
def test_invalid_stream_is_refused_by_name(tmp_path: Path, foreign_map, change, reason) -> None:
    write_bag(tmp_path / 'good')
    assert reason in one(tmp_path, write_bag(tmp_path / 'bad', change=change), foreign_map)


@pytest.mark.parametrize(
    ('silent', 'note'),
    [
        (('top', 2.0, 9.0), 'the last 2.1 s are left out: top has no message there'),
        (('side', -1.0, 1.5), 'the first 1.5 s are left out: side has no message there'),
    ],
)
def test_end_without_messages_within_the_limits_is_noted(
    tmp_path: Path, map_file: Path, silent, note: str
) -> None:
    map_file.write_text(re.sub(r'max_gap: [\d.]+', 'max_gap: 3.0', map_file.read_text()))
    bag, out = write_bag(tmp_path / 'bag', change={'silent': silent}), tmp_path / 'set'
    report = import_all([bag], load_map(map_file), OUTCOME, out)
    notes = report['episodes'][0]['notes']
    assert [one for one in notes if 'left out' in one] == [note]


@pytest.mark.parametrize(
    ('edit', 'reason'),
    [
        (('west_axis_1:', 'west_axis_9:'), 'lacks joint west_axis_9, it has west_axis_1, west_'),
        (('/acme/top/', '/acme/front/'), 'lacks topic /acme/front/image/compressed (cameras.top'),
        (('left.opening', 'middle.opening'), "field 'middle.opening[0:1]' is not in acme_msgs"),
        (('[west_gripper]', '[west_gripper, wrist]'), 'has 1 numbers, the map has 2 names'),
    ],
)
def test_map_mismatch_error_lists_recorded_names(
    tmp_path: Path, map_file: Path, edit, reason: str
) -> None:
    map_file.write_text(map_file.read_text().replace(*edit))
    bag, out = write_bag(tmp_path / 'bag'), tmp_path / 'set'
    with pytest.raises(ImportEmptyError) as caught:
        import_all([bag], load_map(map_file), OUTCOME, out)
    assert caught.value.code == 'import-empty' and str(out) in str(caught.value)
    assert not out.exists()
    assert reason in caught.value.rows[0]['refused'][0]


def test_bag_without_outcome_is_refused_with_remedies(tmp_path: Path, foreign_map) -> None:
    write_bag(tmp_path / 'good')
    bag = write_bag(tmp_path / 'unlabelled', outcome=None)
    reason = one(tmp_path, bag, foreign_map)
    assert 'has no outcome on topic /acme/outcome: set --labels FILE.csv' in reason


def test_outcome_of_table_precedes_that_of_topic(tmp_path: Path, map_file: Path) -> None:
    write_bag(tmp_path / 'bags/a')
    write_bag(tmp_path / 'bags/b')
    table = tmp_path / 'labels.csv'
    table.write_text('file,success,failure,task\na,no,slip,\nb,yes,,stack\n')
    arguments = ['--map', str(map_file), '--out', str(tmp_path / 'set'), '--labels', str(table)]
    assert main(['import', str(tmp_path / 'bags'), *arguments]) == 0
    labels = [episodes_of(open_recording(path))[0].label for path in find([tmp_path / 'set'])]
    assert [(x.task, x.success, x.failure) for x in labels] == [
        ('lift_block', False, 'slip'), ('stack', True, None),
    ]  # fmt: skip


def test_invalid_outcome_in_table_is_reported_with_its_line(
    tmp_path: Path, map_file: Path, capsys
) -> None:
    table = tmp_path / 'labels.csv'
    table.write_text('file,success\na,yes\nb,perhaps\n')
    arguments = ['--map', str(map_file), '--out', str(tmp_path / 'set'), '--labels', str(table)]
    assert main(['import', str(write_bag(tmp_path / 'a')), *arguments]) == 2
    shown = capsys.readouterr().err
    assert "labels.csv, line 3: success is 'perhaps', must be one of true" in shown


def test_string_topic_has_outcome_and_failure(tmp_path: Path, foreign_map) -> None:
    write_bag(tmp_path / 'bag', success=False, outcome='std_msgs/msg/String')
    import_all([tmp_path / 'bag'], foreign_map, OUTCOME, tmp_path / 'set')
    label = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0].label
    assert (label.success, label.failure) == (False, 'fell')


def test_truncated_bag_is_imported_only_above_min_readable(tmp_path: Path, map_file: Path) -> None:
    write_bag(tmp_path / 'good')
    bag = write_bag(tmp_path / 'torn', success=False)
    base = next(bag.glob('*.db3'))
    base.write_bytes(base.read_bytes()[: base.stat().st_size * 6 // 10])
    recording = open_unmapped(bag)
    assert 0.3 < recording.readable < 0.8
    assert len(recording.losses) == 1
    outcome = Outcomes(success=False, task='lift_block')
    shown = one(tmp_path, bag, load_map(map_file), Outcomes(success=True, task='lift_block'))
    assert f'{recording.readable:.1%} of the file can be read' in shown
    map_file.write_text(map_file.read_text().replace('0.5', '0.9, min_readable: 0.2'))
    report = import_all([bag], load_map(map_file), outcome, tmp_path / 'part')
    assert not refused(report, 'torn')
    assert 20 < report['episodes'][0]['frames'] < 50


def test_file_without_end_is_refused_at_min_readable_1(tmp_path: Path, map_file: Path) -> None:
    robot = {'change': {'raw': 'side'}, 'size': (160, 200)}  # several chunks of 1 MB
    map_file.write_text(map_file.read_text().replace('side/image/compressed', 'side/image'))
    write_bag(tmp_path / 'good', **robot)
    bag = write_bag(tmp_path / 'whole', plugin=StoragePlugin.MCAP, **robot)
    bare, content = tmp_path / 'bare.mcap', next(bag.glob('*.mcap')).read_bytes()
    bare.write_bytes(content[: len(content) * 7 // 10])
    recording = open_unmapped(bare)
    assert (recording.whole, 0.0 < recording.readable <= 1.0) == (False, True)
    reason = one(tmp_path, bare, load_map(map_file), Outcomes(success=True, task='lift_block'))
    assert 'the file ends early' in reason


def test_invalid_bag_is_refused_by_name(tmp_path: Path, foreign_map) -> None:
    write_bag(tmp_path / 'good')
    wrong = tmp_path / 'wrong.db3'
    wrong.write_bytes(b'not a database at all' * 50)
    reason = one(tmp_path, wrong, foreign_map)
    assert 'wrong.db3 (1050 bytes) has no readable messages' in reason
    assert 'is it a rosbag2 file?' in reason


def test_empty_bag_is_refused(tmp_path: Path, foreign_map) -> None:
    write_bag(tmp_path / 'good')
    bag = write_bag(tmp_path / 'empty')
    with sqlite3.connect(next(bag.glob('*.db3'))) as base:
        base.execute('DELETE FROM messages')
    assert 'has no messages' in one(tmp_path, bag, foreign_map)


def test_episode_of_another_image_size_is_refused(tmp_path: Path, foreign_map) -> None:
    write_bag(tmp_path / 'good')
    bag = write_bag(tmp_path / 'wide', size=(64, 96))
    assert "cameras {'side': (64, 96), 'top': (64, 96)}" in one(
        tmp_path, bag, foreign_map
    ).replace("{'top': (64, 96), 'side': (64, 96)}", "{'side': (64, 96), 'top': (64, 96)}")


def test_recording_that_changes_during_its_import_is_refused(
    tmp_path: Path, foreign_map, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bag(tmp_path / 'bag')

    def appended(*arguments: Any) -> list[RawEpisode]:
        found = raw_episodes(*arguments)
        with (path / 'metadata.yaml').open('a') as file:
            file.write('# written by another process\n')
        return found

    monkeypatch.setattr('viva_ros.data.conversion.convert.raw_episodes', appended)
    with pytest.raises(ImportEmptyError) as caught:
        import_all([path], foreign_map, Outcomes(success=True), tmp_path / 'out')
    assert caught.value.rows[0]['codes'] == ['recording-changed']
    monkeypatch.undo()
    report = import_all([path], foreign_map, Outcomes(success=True), tmp_path / 'out')
    assert [row['refused'] for row in report['episodes']] == [[]]


def test_some_covered_images_are_imported_with_a_note(tmp_path: Path) -> None:
    path = two_arms().write(tmp_path / 'bag')  # the first image is black
    text = 'rate: 10\ntask: fold\ncameras: {top: /top/image/compressed}\n'
    (tmp_path / 'map.yaml').write_text(text)
    outcomes = Outcomes(success=True)
    report = import_all([path], load_map(tmp_path / 'map.yaml'), outcomes, tmp_path / 'out')
    (note,) = report['episodes'][0]['notes']
    assert '1 images of top are unknown live, the first: top at stamp' in note
    assert 'covered: contrast 0 of 255' in note


def test_covered_camera_is_refused_unless_the_map_allows_it(tmp_path: Path) -> None:
    path = still_scene(0).write(tmp_path / 'bag')
    text = 'rate: 10\ntask: fold\ncameras: {top: /top/image/compressed}\nlimits:\n' \
           '  frozen_after: 5\n'  # fmt: skip
    (tmp_path / 'map.yaml').write_text(text)
    outcomes = Outcomes(success=True)
    with pytest.raises(ImportEmptyError) as caught:
        import_all([path], load_map(tmp_path / 'map.yaml'), outcomes, tmp_path / 'out')
    assert caught.value.rows[0]['codes'] == ['image-implausible']
    (reason,) = caught.value.rows[0]['refused']
    assert 'none of the 40 images of top is plausible, the first: top at stamp' in reason
    assert 'covered: contrast 0 of 255' in reason and 'set "uniform_below" in "limits"' in reason
    (tmp_path / 'map.yaml').write_text(f'{text}  uniform_below: 0\n')
    report = import_all([path], load_map(tmp_path / 'map.yaml'), outcomes, tmp_path / 'out')
    assert (report['episodes'][0]['refused'], report['episodes'][0]['notes']) == ([], [])


def test_still_scene_is_imported_below_frozen_after(tmp_path: Path) -> None:
    path = still_scene().write(tmp_path / 'bag')
    outcomes = Outcomes(success=True)
    text = 'rate: 10\ntask: fold\ncameras: {top: /top/image/compressed}\n'
    (tmp_path / 'map.yaml').write_text(text)
    with pytest.raises(ImportEmptyError) as caught:
        import_all([path], load_map(tmp_path / 'map.yaml'), outcomes, tmp_path / 'out')
    assert caught.value.rows[0]['codes'] == ['image-frozen']
    assert '"frozen_after" (s) in "limits" of the map' in caught.value.rows[0]['refused'][0]
    (tmp_path / 'map.yaml').write_text(f'{text}limits: {{frozen_after: 5}}\n')
    report = import_all([path], load_map(tmp_path / 'map.yaml'), outcomes, tmp_path / 'out')
    assert [row['refused'] for row in report['episodes']] == [[]]


def test_camera_below_max_skew_rate_is_refused(tmp_path: Path, foreign_map) -> None:
    write_bag(tmp_path / 'good')
    bag = write_bag(tmp_path / 'slow', rate=4.0)
    # At 4 Hz a frame is held for up to 0.25 s; the grid of 15 Hz meets it 0.2 s or more late.
    reason = one(tmp_path, bag, foreign_map)
    assert 's apart, at most 0.2 s is allowed (max_skew)' in reason


def test_bare_file_with_raw_images_of_odd_size_is_imported(tmp_path: Path, map_file: Path) -> None:
    map_file.write_text(map_file.read_text().replace('top/image/compressed', 'top/image'))
    bag = write_bag(tmp_path / 'bag', change={'raw': 'top'}, size=(63, 81))
    bare = tmp_path / 'bare.db3'
    shutil.copyfile(next(bag.glob('*.db3')), bare)
    import_all([bare], load_map(map_file), OUTCOME, tmp_path / 'set')
    episode = episodes_of(open_recording(tmp_path / 'set/episode_000000'))[0]
    recorded = open_unmapped(bag).tracks['/acme/top/image'].pictures(range(60))
    assert episode.cameras['top'].images[10].shape == (63, 81, 3)
    assert np.abs(episode.cameras['top'].images[10].astype(int) - recorded[10]).mean() < 2.0


def test_mcap_and_sqlite_bags_are_imported_equally(tmp_path: Path, foreign_map) -> None:
    bags = [write_bag(tmp_path / 'lite'), write_bag(tmp_path / 'mcap', plugin=StoragePlugin.MCAP)]
    assert [path.suffix for path in (tmp_path / 'mcap').iterdir() if path.stem == 'mcap']
    import_all(bags, foreign_map, OUTCOME, tmp_path / 'set')
    one, other = (episodes_of(open_recording(path))[0] for path in find([tmp_path / 'set']))
    np.testing.assert_array_equal(one.joints.positions, other.joints.positions)
    np.testing.assert_array_equal(one.cameras['top'].images[31], other.cameras['top'].images[31])


def test_repeated_import_changes_nothing_and_another_is_refused(
    tmp_path: Path, map_file: Path, capsys
) -> None:
    bag, out = write_bag(tmp_path / 'bag'), tmp_path / 'set'
    command = ['import', str(bag), '--map', str(map_file), '--out', str(out)]
    assert main(command) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob('*')}
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob('*')} == before
    assert main([*command, '--failure']) == 2
    assert 'exists already, from other recordings' in capsys.readouterr().err


def test_bag_with_a_map_in_its_folder_is_read_through_the_map(
    tmp_path: Path, map_file: Path
) -> None:
    write_bag(tmp_path / 'bags/one', success=False)
    map_file.rename(tmp_path / 'bags/viva_map.yaml')
    (path,) = find([tmp_path / 'bags'])
    (episode,) = episodes_of(open_recording(path))
    assert set(episode.cameras) == {'top', 'side'}
    assert len(episode.cameras['top'].stamps) == 61
    assert episode.joints.positions.shape == (200, 14)  # the grippers begin 0.5 ms after the axes
    assert episode.label.success is False
