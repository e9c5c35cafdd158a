# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Datasets of other tools: names, versions, features, and cross-checks of rows and frames."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.in_place import numbers, write_map
from support.lerobot_datasets import FPS, KEY, NAMES, number_of, numbered, write_lerobot

from viva_ros.cli.main import main
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.episode import Episode
from viva_ros.data.lerobot.metadata import flat_names, is_depth, open_dataset
from viva_ros.data.open import find, identity, open_recording, open_unmapped, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import load_map

pytestmark = pytest.mark.fast


def episodes(root: Path) -> list[Episode]:
    return [episodes_of(open_recording(path))[0] for path in find([root])]


def change_info(root: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path = root / 'meta/info.json'
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))
    return root


@pytest.mark.parametrize('names', [
    list(NAMES), [list(NAMES)], {'motors': list(NAMES)}, {'left': list(NAMES[:2]),
    'right': list(NAMES[2:])}, {name: k for k, name in enumerate(NAMES)},
    {'left': {'names': list(NAMES[:2])}, 'right': [[*NAMES[2:]]]},
    {str(k): NAMES[k] for k in (3, 0, 2, 1)},
])  # fmt: skip
def test_names_are_read_in_each_form(names: Any) -> None:
    assert tuple(flat_names(names)) == NAMES


@pytest.mark.parametrize(
    'names', [None, {}, [], {'a': 0, 'b': 2}, {'a': 1.5}, {'0': 'a', '2': 'b'}]
)
def test_names_of_no_known_form_are_none(names: Any) -> None:
    assert flat_names(names) == []


@pytest.mark.parametrize('version', ['v2.0', 'v2.1', 'v3.0', 'v3.1'])
def test_dataset_of_each_version_has_frame_i_at_row_i(tmp_path: Path, version: str) -> None:
    first, second = episodes(write_lerobot(tmp_path / 'set', version=version, names=[[*NAMES]]))
    assert numbers(first) == list(range(12)) and numbers(second) == list(range(12, 21))
    assert first.joints.names == NAMES
    assert second.joints.positions[:, 0].tolist() == [float(k) for k in range(12, 21)]
    assert first.label is None and first.faults == ()


@pytest.mark.parametrize('rate', [8.0, 13.0])
def test_real_timestamps_keep_frame_i_at_row_i(tmp_path: Path, rate: float) -> None:
    root = write_lerobot(
        tmp_path / 'set', version='v3.0', timestamps=lambda _, n: np.arange(n) / rate
    )
    for episode, begin in zip(episodes(root), (0, 12), strict=True):
        assert numbers(episode) == [begin + k for k in range(len(episode.joints.stamps))]
        steps = np.diff(episode.joints.stamps) * 1e-9
        np.testing.assert_allclose(steps, 1.0 / rate, atol=1e-6)  # float32


@pytest.mark.parametrize('version', ['v2.1', 'v3.0'])
@pytest.mark.parametrize(('shown', 'frames'), [
    (lambda n: range(11) if n == 0 else range(12, 21), 11),
    (lambda n: [*range(12), 500, 501] if n == 0 else range(12, 21), 14),
])  # fmt: skip
def test_other_number_of_frames_than_rows_is_refused(
    tmp_path: Path, version: str, shown: Callable[[int], Any], frames: int
) -> None:
    root = write_lerobot(tmp_path / 'set', version=version, shown=shown)
    found, rows = (frames, 12) if version == 'v2.1' else (frames + 9, 21)
    with raises('video-frames-differ', f'{found} frames', f'{rows} rows', 'leave it out'):
        open_recording(root / 'episode_000000')
    if version == 'v2.1':  # a file of its own
        assert numbers(episodes_of(open_recording(root / 'episode_000001'))[0])[0] == 12


def test_pointer_into_another_episode_is_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', version='v3.0', begins=[0.0, 1.3])
    assert numbers(episodes_of(open_recording(root / 'episode_000000'))[0]) == list(range(12))
    with raises('video-pointer', 'episode 1 begins at frame 13.0', 'at frame 12'):
        open_recording(root / 'episode_000001')


def test_pointer_that_is_no_number_is_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', version='v3.0', begins=[math.nan, 1.2])
    with raises('video-pointer', 'episode 0 begins at frame nan'):
        open_recording(root / 'episode_000000')


def test_rows_in_another_order_are_sorted_by_frame_index(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    path = root / 'data/chunk-000/episode_000000.parquet'
    table = pq.read_table(path)
    pq.write_table(table.take(pa.array([3, 0, 1, 2, *range(4, 12)])), path)
    assert episodes(root)[0].joints.positions[:, 0].tolist() == [float(k) for k in range(12)]


@pytest.mark.parametrize(('rows', 'code', 'text'), [
    ([*range(11)], 'dataset-length', 'has 11 rows'),
    ([*range(11), 10], 'dataset-frame-index', '0 to 10, 11 different ones, must be 0 to 11'),
])  # fmt: skip
def test_lost_or_repeated_rows_are_refused(
    tmp_path: Path, rows: list[int], code: str, text: str
) -> None:
    root = write_lerobot(tmp_path / 'set')
    path = root / 'data/chunk-000/episode_000000.parquet'
    pq.write_table(pq.read_table(path).take(pa.array(rows)), path)
    with raises(code, 'episode 0', text):
        open_recording(root / 'episode_000000')


def test_rows_of_another_episode_are_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', lengths=(9, 9))
    first, second = (root / f'data/chunk-000/episode_00000{k}.parquet' for k in (0, 1))
    first.write_bytes(second.read_bytes())
    with raises('dataset-foreign-rows', first, 'rows of episode 1', 'episode 0 alone'):
        open_recording(root / 'episode_000000')


@pytest.mark.parametrize('end', [20, 2**62])
def test_wrong_index_in_the_dataset_is_refused(tmp_path: Path, end: int) -> None:
    root = write_lerobot(tmp_path / 'set', version='v3.0')
    path = root / 'meta/episodes/chunk-000/file-000.parquet'
    rows = pq.read_table(path).to_pylist()
    rows[1] |= {'dataset_from_index': 11, 'dataset_to_index': end}
    pq.write_table(pa.Table.from_pylist(rows), path)
    with raises('dataset-index', f'rows 11 to {end - 1}', 'but 12 to 20'):
        open_recording(root / 'episode_000001')


def test_statistics_of_another_episode_are_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    own = {'min': [0.0, 0.1, 0.2, 0.3], 'max': [11.0, 11.1, 11.2, 11.3], 'count': [12]}
    lines = [{'episode_index': 0, 'stats': {'observation.state': own}}]
    path = root / 'meta/episodes_stats.jsonl'
    path.write_text(json.dumps(lines[0]) + '\n')
    assert numbers(episodes(root)[0])[0] == 0
    own['max'][2] = 15.0
    path.write_text(json.dumps(lines[0]) + '\n')
    with raises('dataset-statistics', '11.2 as max of observation.state[2]', 'statistics 15'):
        open_recording(root / 'episode_000000')


def test_names_twice_are_refused_and_named_by_a_map(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', names=['waist', 'grip'] * 2)
    with raises('dataset-state', 'has grip, waist twice', '"joints: [{feature: observation.'):
        episodes(root)
    write_map(root, f'joints: [{{feature: observation.state, names: [{", ".join(NAMES)}]}}]')
    assert episodes(root)[0].joints.names == NAMES


@pytest.mark.parametrize('names', [None, ['state'], ['motors']])
def test_names_are_never_made_up(tmp_path: Path, names: Any) -> None:
    root = write_lerobot(tmp_path / 'set', names=names)
    with raises('dataset-state', 'has 4 numbers', 'with 4 names in their order'):
        episodes(root)


def test_state_under_another_name_is_found(tmp_path: Path) -> None:
    assert episodes(write_lerobot(tmp_path / 'set', state='state'))[0].joints.names == NAMES
    assert episodes(write_lerobot(tmp_path / 'own', state='qpos'))[0].joints.names == NAMES


def test_state_in_several_features_is_named_by_a_map(tmp_path: Path) -> None:
    grips = [[float(k)] for k in range(21)]
    arms = {'observation.states.arm': {'dtype': 'float32', 'shape': [2], 'names': ['l', 'r']}}
    hands = {'observation.states.hand': {'dtype': 'float32', 'shape': [1], 'names': None}}
    root = write_lerobot(
        tmp_path / 'set', state='', features=arms | hands, frame_columns={
            'observation.states.arm': [[k + 0.5, -k] for k in range(21)],
            'observation.states.hand': grips,
        },
    )  # fmt: skip
    with raises('dataset-state', 'observation.states.arm (2), observation.states.hand (1)'):
        episodes(root)
    write_map(
        root, 'joints:\n - {feature: observation.states.arm, prefix: arm_}\n'
        ' - {feature: observation.states.hand, names: [hand]}',
    )  # fmt: skip
    found = episodes(root)[1].joints
    assert found.names == ('arm_l', 'arm_r', 'hand')
    assert found.positions[0].tolist() == [12.5, -12.0, 12.0]


@pytest.mark.parametrize(('cell', 'shape'), [(lambda k: k, [1]), (lambda k: [k, -k], [2])])
def test_integers_are_named_by_a_map(
    tmp_path: Path, cell: Callable[[int], Any], shape: list[int]
) -> None:
    key, tokens = 'observation.gripper', 'observation.tokens'
    features = {key: {'dtype': 'int64', 'shape': shape, 'names': None},
                tokens: {'dtype': 'int64', 'shape': [8], 'names': None}}  # fmt: skip
    root = write_lerobot(tmp_path / 'set', features=features, frame_columns={
        key: [cell(k) for k in range(21)], tokens: [[7] * (k % 5) for k in range(21)],
    })  # fmt: skip
    names = ['grip', 'other'][: shape[0]]
    write_map(root, f'joints:\n - {{feature: observation.state}}\n'
                    f' - {{feature: {key}, names: {names}}}')  # fmt: skip
    found = episodes(root)[1].joints
    assert found.names == (*NAMES, *names)
    assert found.positions[3, 4:].tolist() == [15.0, -15.0][: shape[0]]


@pytest.mark.parametrize(('key', 'feature'), [
    ('observation.images.top', {'shape': [48, 80, 3], 'info': {'is_depth_map': True}}),
    ('observation.images.top', {'shape': [48, 80, 3], 'video_info': {'video.is_depth_map': True}}),
    ('observation.images.top', {'shape': [48, 80, 1]}),
    ('observation.images.top', {'shape': [1, 48, 80]}),
    ('observation.images.top', {'shape': [48, 80, 3], 'info': {'video.pix_fmt': 'gray12le'}}),
    ('observation.images.top_depth', {'shape': [48, 80, 3]}),
])  # fmt: skip
def test_depth_feature_is_no_camera(key: str, feature: dict[str, Any]) -> None:
    assert is_depth(key, feature)
    plain = {'shape': [48, 80, 3], 'info': {'is_depth_map': False, 'video.pix_fmt': 'yuv420p'}}
    assert not is_depth('observation.images.top', plain)


def test_depth_camera_is_left_out_with_a_note(tmp_path: Path) -> None:
    depth = {'dtype': 'video', 'shape': [48, 80, 1], 'info': {'is_depth_map': True}}
    root = write_lerobot(tmp_path / 'set', features={'observation.images.far': depth})
    recording = open_recording(root / 'episode_000000')
    assert list(recording.cameras) == ['top']
    assert recording.notes == ('feature observation.images.far is left out: it is a depth map',)


@pytest.mark.parametrize('key', ['observation.wrench', 'reward_vec', 'observation.imu'])
def test_vector_that_is_no_state_is_not_taken(tmp_path: Path, key: str) -> None:
    other = {key: {'dtype': 'float32', 'shape': [2], 'names': ['fx', 'fy']}}
    columns = {key: [[0.5, 1.5]] * 21}
    root = write_lerobot(tmp_path / 'a', state='', features=other, frame_columns=columns)
    with raises('dataset-state', 'no feature is known to be the joint positions', f'{key} (2)'):
        episodes(root)
    root = write_lerobot(tmp_path / 'b', features=other, frame_columns=columns)
    change_info(root, lambda info: info['features']['observation.state'].update(dtype='int32'))
    with raises('dataset-state', "observation.state has the type 'int32', must be float"):
        episodes(root)


@pytest.mark.parametrize('key', ['joint_states', 'value', 'episode', 'robot/alert'])
def test_feature_with_the_name_of_our_topic_changes_nothing(tmp_path: Path, key: str) -> None:
    other = {key: {'dtype': 'float32', 'shape': [2], 'names': ['x', 'y']}}
    columns = {key: [[9.0, 9.0]] * 21}
    root = write_lerobot(tmp_path / 'set', features=other, frame_columns=columns)
    first = episodes(root)[0]
    assert first.joints.names == NAMES and first.joints.positions.max() < 12.0


def test_repeated_timestamp_is_a_fault(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 0.2, 0.4, 0.5]
    root = write_lerobot(tmp_path / 'set', lengths=(6,), timestamps=lambda *_: times)
    faults = ' '.join(episodes(root)[0].faults)
    assert '1 rows of top have the timestamp of another: set "stamp: frame_index"' in faults
    assert main(['import', str(root), '--out', str(tmp_path / 'out'), '--success']) == 2
    write_map(root, 'stamp: frame_index')
    assert numbers(episodes(root)[0]) == list(range(6))


def test_timestamp_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', timestamps=lambda _, n: np.r_[0.0, np.nan, 2.0:n])
    write_map(root, 'stamp: frame_index')
    with raises('dataset-timestamp', 'timestamp of row 1 is nan', 'record or convert it again'):
        open_recording(root / 'episode_000000')


def test_rows_without_frame_index_are_sorted_by_index(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    path = root / 'data/chunk-000/episode_000001.parquet'
    table = pq.read_table(path).drop(['frame_index'])
    pq.write_table(table.take(pa.array([3, 0, 1, 2, *range(4, 9)])), path)
    assert episodes(root)[1].joints.positions[:, 0].tolist() == [float(k) for k in range(12, 21)]


def test_cameras_with_one_clean_name_are_named_by_a_map(tmp_path: Path) -> None:
    same = {'observation.images.to-p': {'dtype': 'video', 'shape': [48, 80, 3]}}
    root = write_lerobot(tmp_path / 'set', features={
        **same, 'observation.images.to_p': {'dtype': 'video', 'shape': [48, 80, 3]}
    })  # fmt: skip
    recording = open_recording(root / 'episode_000000')
    assert list(recording.cameras) == ['top'] and len(recording.notes) == 2
    assert "two would be camera 'to_p'; name it in a map" in recording.notes[0]
    write_map(root, 'cameras: {a: {feature: observation.images.to_p}}')
    with raises('video-unreadable', 'observation.images.to_p', 'it does not exist'):
        numbers_of = episodes_of(open_recording(root / 'episode_000000'))[0].cameras['a']
        _ = numbers_of.images[0]


def test_left_out_camera_of_a_shared_file_is_named_by_a_map(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', version='v3.0')
    other = {'observation.images.far': {'dtype': 'video', 'shape': [48, 80, 3]}}
    change_info(root, lambda info: info['features'].update(other))
    (root / 'meta/modality.json').write_text('{"video": {"top": {}}}')
    assert list(open_recording(root / 'episode_000001').cameras) == ['top']
    write_map(root, 'cameras: {a: {feature: observation.images.far}}')
    with raises('dataset-video-place', 'observation.images.far', 'no chunk and file index'):
        _ = episodes(root)[0].cameras['a'].images[0]
    file = root / 'meta/episodes/chunk-000/file-000.parquet'
    table = pq.read_table(file)
    for name in (one for one in table.column_names if one.startswith(f'videos/{KEY}/')):
        table = table.append_column(name.replace(KEY, 'observation.images.far'), table[name])
    pq.write_table(table, file)  # read again, without a change of info.json
    video = root / 'videos/observation.images.far/chunk-000/file-000.mp4'
    shutil.copytree(root / 'videos' / KEY, video.parents[1])
    shown = [number_of(image) for image in episodes(root)[1].cameras['a'].images]
    assert shown == list(range(12, 21))
    before = identity(resolve(root / 'episode_000001'))
    video.write_bytes(video.read_bytes() + b'more')
    assert identity(resolve(root / 'episode_000001')) != before


@pytest.mark.parametrize('cell', [None, b'', {'path': 'images/none.png'}, {'bytes': b''}])
def test_image_cell_that_is_no_image_refuses_its_episode(
    tmp_path: Path, cell: Any, capsys: Any
) -> None:
    png = cv2.imencode('.png', numbered(1))[1].tobytes()
    cells: list[Any] = [{'bytes': png, 'path': None}] * 21
    cells[4] = cell if not isinstance(cell, dict) else {'bytes': None, 'path': None, **cell}
    if cell == b'':
        cells = [png] * 4 + [b''] + [png] * 16
    feature = {'observation.images.far': {'dtype': 'image', 'shape': [48, 80, 3]}}
    root = write_lerobot(
        tmp_path / 'set', features=feature, frame_columns={'observation.images.far': cells}
    )
    assert main(['import', str(root), '--out', str(tmp_path / 'out'), '--success']) == 2
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'refused' in shown and '1 episodes, 1 refused' in shown and 'image 4' in shown


def test_picture_in_a_file_of_its_own_is_part_of_the_identity(tmp_path: Path) -> None:
    (tmp_path / 'set').mkdir()
    paths = []
    for number in range(21):
        paths.append(tmp_path / f'set/{number}.png')
        cv2.imwrite(str(paths[-1]), numbered(number))
    cells = [{'bytes': None, 'path': path.name} for path in paths]
    feature = {'observation.images.far': {'dtype': 'image', 'shape': [48, 80, 3]}}
    root = write_lerobot(
        tmp_path / 'set', features=feature, frame_columns={'observation.images.far': cells}
    )
    refs = [resolve(root / f'episode_00000{k}') for k in (0, 1)]
    before = [identity(ref) for ref in refs]
    cv2.imwrite(str(paths[3]), numbered(99))
    changed = [identity(ref) != old for ref, old in zip(refs, before, strict=True)]
    assert changed == [True, False]


def test_contradiction_is_refused_with_a_rule_too(tmp_path: Path, capsys: Any) -> None:
    root = write_lerobot(
        tmp_path / 'set', episode_columns={'success': [True, True]},
        frame_columns={'next.success': [False] * 21},
    )  # fmt: skip
    (tmp_path / 'map.yaml').write_text('label: {path_contains: {success: set, failure: bad}}')
    command = ['import', str(root), '--map', str(tmp_path / 'map.yaml')]
    assert main([*command, '--out', str(tmp_path / 'out')]) == 2
    assert 'contradict each other' in capsys.readouterr().out


def test_modality_file_names_cameras_and_joints(tmp_path: Path) -> None:
    absent = {'dtype': 'video', 'shape': [48, 80, 3]}
    root = write_lerobot(
        tmp_path / 'set', names=None, features={'observation.images.absent': absent}
    )
    (root / 'meta/modality.json').write_text(json.dumps({
        'state': {'right_arm': {'start': 2, 'end': 4}, 'left_arm': {'start': 0, 'end': 2}},
        'video': {'top': {'original_key': KEY}},
    }))  # fmt: skip
    (first, _) = episodes(root)
    assert first.joints.names == ('left_arm_0', 'left_arm_1', 'right_arm_0', 'right_arm_1')
    assert numbers(first) == list(range(12))


@pytest.mark.timeout(60)  # gigabytes and minutes for names of each number
@pytest.mark.parametrize(
    'parts', [{'a': [0, 2_000_000_000]}, {'a': [0, 2_000_000_000], 'b': [2_000_000_000, 4]}]
)
def test_endless_part_of_a_modality_file_has_no_names(
    tmp_path: Path, parts: dict[str, list[int]]
) -> None:
    root = write_lerobot(tmp_path / 'set', names=None)
    state = {name: {'start': begin, 'end': end} for name, (begin, end) in parts.items()}
    (root / 'meta/modality.json').write_text(json.dumps({'state': state}))
    with raises('dataset-state', '4 numbers without names'):
        episodes(root)


def test_blank_lines_are_skipped_and_broken_ones_named(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    path = root / 'meta/episodes.jsonl'
    path.write_text(path.read_text() + '\n\n')
    assert len(episodes(root)) == 2
    path.write_text(path.read_text() + '{"episode_index": \n')
    with raises('dataset-unreadable', 'episodes.jsonl, line 5'):
        find([root])


def test_empty_name_is_no_name(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', names=['', *NAMES[1:]])
    with raises('dataset-state', 'has an empty name', '"joints: [{feature: observation.'):
        episodes(root)


def test_episodes_that_are_not_listed_are_told(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', version='v2.1')
    assert open_dataset(root).notes == ()
    lines = root / 'meta/episodes.jsonl'
    lines.write_text(lines.read_text().splitlines()[0] + '\n')
    (note,) = open_recording(find([root])[0]).notes
    assert note.startswith('the dataset has 2 episodes by meta/info.json, and 1 in the table')


def test_episode_listed_twice_is_refused(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    path = root / 'meta/episodes.jsonl'
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + '\n')
    with raises('dataset-unreadable', 'episode 0 is listed 2 times'):
        find([root])


def test_mixed_path_template_is_read(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', lengths=(5, 4))
    change_info(root, lambda info: info.update(
        data_path='data/chunk-{episode_index:03d}/episode_{episode_index:06d}.parquet',
        video_path='videos/chunk-{episode_index:03d}/{video_key}/episode_{episode_index:06d}.mp4',
    ))  # fmt: skip
    first, second = episodes(root)  # all files are in chunk-000
    assert numbers(first) == list(range(5)) and numbers(second) == [5, 6, 7, 8]
    (root / 'data/copy').mkdir()
    same = root / 'data/copy/episode_000001.parquet'
    same.write_bytes((root / 'data/chunk-000/episode_000001.parquet').read_bytes())
    with raises('dataset-file-missing', 'chunk-001/episode_000001.parquet'):
        open_recording(root / 'episode_000001')
    change_info(root, lambda info: info.update(data_path='data/{file_number}.parquet'))
    with raises('dataset-path', 'data_path', '{file_number}', 'episode_index'):
        open_recording(root / 'episode_000000')


def test_missing_files_refuse_their_episode_alone(tmp_path: Path, capsys: Any) -> None:
    root = write_lerobot(tmp_path / 'set', lengths=(5, 5, 5, 5))
    (root / 'data/chunk-000/episode_000001.parquet').unlink()
    for number in (0, 2):
        (root / f'videos/chunk-000/{KEY}/episode_00000{number}.mp4').unlink()
    assert main(['import', str(root), '--out', str(tmp_path / 'out'), '--success']) == 2
    shown = capsys.readouterr().out
    assert '2 episodes (episode_000000, episode_000002): video ' in shown
    assert 'episode_000001.parquet is missing: copy it from the original' in shown
    assert f'{tmp_path / "out"}: 1 episodes, 3 refused' in shown


def test_dataset_is_imported_without_a_map(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set', names=[[*NAMES]])
    assert main(['import', str(root), '--out', str(tmp_path / 'out'), '--success']) == 0
    made = open_dataset(tmp_path / 'out')
    assert (made.fps, made.robot, made.names('observation.state')) == (FPS, 'duo', NAMES)
    assert numbers(episodes(tmp_path / 'out')[1]) == list(range(12, 21))


def test_frame_index_gives_the_times_of_wrong_timestamps(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.2, 0.3, 0.4]
    root = write_lerobot(tmp_path / 'set', lengths=(6,), timestamps=lambda *_: times)
    (episode,) = episodes(root)
    assert 'go back by 0.300 s' in episode.faults[0] and 'frame_index' in episode.faults[0]
    assert main(['import', str(root), '--out', str(tmp_path / 'no'), '--success']) == 2
    write_map(root, 'stamp: frame_index')
    (episode,) = episodes(root)
    assert episode.faults == () and numbers(episode) == list(range(6))
    assert np.diff(episode.joints.stamps).tolist() == [100_000_000] * 5


@pytest.mark.parametrize(('column', 'expected'), [
    (['success', 'failure'], [True, False]), (['True', '0'], [True, False]),
    ([1.0, 0.0], [True, False]), ([float('nan'), None], [None, None]),
    (['perhaps', ''], [None, None]), ([True, False], [True, False]), ([2, -1], [None, None]),
])  # fmt: skip
def test_success_column_is_read_strictly(
    tmp_path: Path, column: list[Any], expected: list[bool | None]
) -> None:
    root = write_lerobot(tmp_path / 'set', episode_columns={'success': column})
    labels = [episode.label for episode in episodes(root)]
    assert [label and label.success for label in labels] == expected


def test_column_and_frames_that_contradict_are_refused(tmp_path: Path, capsys: Any) -> None:
    root = write_lerobot(
        tmp_path / 'set', episode_columns={'success': [True, False]},
        frame_columns={'next.success': [False] * 12 + [False] * 9},
    )  # fmt: skip
    assert episodes(root)[0].label is None
    assert main(['import', str(root), '--out', str(tmp_path / 'out')]) == 2
    shown = capsys.readouterr().out
    assert 'episode_000000: has no clear outcome (sources of its outcome contradict' in shown
    assert episodes(tmp_path / 'out')[0].label.success is False


def test_column_of_the_map_is_the_outcome(tmp_path: Path) -> None:
    root = write_lerobot(
        tmp_path / 'set', frame_columns={'is_good': ['no'] * 5 + ['ok'] * 4 + ['no'] * 12}
    )
    text = 'label: {column: is_good, true: ok, false: no, frames: any}'
    write_map(root, f'{text}\ncameras: {{front: {KEY}}}')
    labels = [episode.label for episode in episodes(root)]
    assert [label.success for label in labels] == [True, False]
    assert list(episodes(root)[0].cameras) == ['front']


def set_timestamps(root: Path, column: pa.Array | None) -> Path:
    path = root / 'data/chunk-000/episode_000000.parquet'
    table = pq.read_table(path).drop_columns(['timestamp'])
    pq.write_table(table if column is None else table.append_column('timestamp', column), path)
    return root / 'episode_000000'


def test_real_times_of_a_clock_keep_their_intervals(tmp_path: Path) -> None:
    times = 1.76e9 + np.arange(12) / 13.0
    path = set_timestamps(write_lerobot(tmp_path / 'set'), pa.array(times))
    steps = np.diff(episodes_of(open_recording(path))[0].joints.stamps) * 1e-9
    np.testing.assert_allclose(steps, 1.0 / 13.0, atol=1e-6)  # float64


def test_timestamps_in_lists_of_one_are_read(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    expected = episodes_of(open_recording(root / 'episode_000000'))[0].joints.stamps
    path = set_timestamps(root, pa.array([[k / FPS] for k in range(12)], pa.list_(pa.float32())))
    assert episodes_of(open_recording(path))[0].joints.stamps.tolist() == expected.tolist()
    set_timestamps(root, pa.array([[k / FPS, 0.0] for k in range(12)]))
    with raises('dataset-timestamp', path, '24 numbers in 12 rows'):
        open_recording(path)


def test_rows_without_timestamps_are_refused(tmp_path: Path) -> None:
    path = set_timestamps(write_lerobot(tmp_path / 'set'), None)
    with raises('dataset-timestamp-missing', path, 'no column timestamp', 'frame_index / fps'):
        open_recording(path)


@pytest.mark.parametrize(('begin', 'step', 'reason'), [
    (1_760_000_000_000_000_000, 100_000_000, 'no seconds'), (0, 100, 'is silent for 100.000 s'),
])  # fmt: skip
def test_timestamps_in_another_unit_have_a_remedy(
    tmp_path: Path, capsys: Any, begin: int, step: int, reason: str
) -> None:
    root = write_lerobot(tmp_path / 'set', lengths=(12,))
    set_timestamps(root, pa.array([begin + k * step for k in range(12)]))
    arguments = ['import', str(root), '--success', '--out', str(tmp_path / 'out')]
    assert main(arguments) == 2
    printed = ' '.join(capsys.readouterr().out.split())
    assert reason in printed and 'set "stamp: frame_index" in the map' in printed
    (tmp_path / 'map.yaml').write_text('stamp: frame_index\n')
    assert main([*arguments, '--map', str(tmp_path / 'map.yaml')]) == 0


def test_episodes_in_another_order_than_their_pictures_are_refused(tmp_path: Path) -> None:
    root = write_lerobot(
        tmp_path / 'set', version='v3.0', lengths=(12, 12), begins=(12 / FPS, 0.0)
    )
    with raises('dataset-video-order', '1 at 0 s, 0 at 1.2 s', 'from_timestamp'):
        open_recording(root / 'episode_000000')


def test_grey_image_of_16_bits_names_a_remedy_of_datasets(tmp_path: Path) -> None:
    png = cv2.imencode('.png', np.full((48, 80), 4000, np.uint16))[1].tobytes()
    cell = {'bytes': png, 'path': None}
    root = write_lerobot(
        tmp_path / 'set',
        features={'observation.images.ir': {'dtype': 'image', 'shape': [48, 80, 3]}},
        frame_columns={'observation.images.ir': [cell] * 21},
    )
    one = episodes_of(open_recording(root / 'episode_000000'))[0]
    with raises('image-damaged', 'depth', 'name the colour cameras', 'convert it to 8 bits'):
        one.cameras['ir'].images[0]


def test_camera_that_a_map_names_is_not_noted_as_left_out(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    (root / 'meta/modality.json').write_text('{"video": {"other": {}}}')
    file = write_map(root, f'cameras: {{a: {{feature: {KEY}}}}}')
    recording = open_unmapped(root / 'episode_000000')
    assert [note for note in recording.notes if KEY in note]
    (one,) = raw_episodes(recording, load_map(file))
    assert not [note for note in one.notes if KEY in note]


@pytest.mark.parametrize('field', ['data[0:2]', 'position[0:2]'])
def test_numbers_of_a_feature_with_names_are_taken_by_place(tmp_path: Path, field: str) -> None:
    root = write_lerobot(tmp_path / 'set')
    source = f"{{feature: observation.state, field: '{field}', names: [a, b]}}"
    write_map(root, f'joints: [{source}]')
    assert episodes(root)[0].joints.positions[1].tolist() == pytest.approx([1.0, 1.1])
    write_map(root, f'joints: [{source.replace("[0:2]", "s")}]')
    with raises('field-missing', 'it has', 'data', 'position'):
        episodes(root)


@pytest.mark.parametrize('file', ['info.json', 'modality.json'])
def test_key_that_is_there_twice_is_refused(tmp_path: Path, file: str) -> None:
    path = write_lerobot(tmp_path / 'set') / 'meta' / file
    content = path.read_text() if path.exists() else '{"video": {}}'
    path.write_text(content.replace('{', '{"video": {}, "video": {}, ', 1))
    with raises('dataset-unreadable', tmp_path / 'set', 'video twice'):
        open_dataset(tmp_path / 'set')
