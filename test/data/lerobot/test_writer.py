# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layout of a written dataset; LeRobot itself has read one."""

import json
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from support.errors import raises
from support.foreign_robot import write_bag

from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.convert import import_all
from viva_ros.data.lerobot import layout, stats
from viva_ros.data.lerobot.video import VideoImages, index_of
from viva_ros.data.open import find, open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.robot.topic_map import LabelRule, load_map
from viva_ros.scoring.replay import replay

OUTCOME = Outcomes(rule=LabelRule(topic='/acme/outcome'))


@pytest.fixture
def dataset(tmp_path: Path, foreign_map) -> Path:
    bags = [
        write_bag(tmp_path / f'bags/b{n}', seconds=2.0 + n, seed=n, success=n != 1)
        for n in range(3)
    ]
    import_all(bags, foreign_map, OUTCOME, tmp_path / 'set')
    return tmp_path / 'set'


def test_dataset_has_the_files_of_version_3(dataset: Path) -> None:
    files = {str(p.relative_to(dataset)) for p in dataset.rglob('*') if p.is_file()}
    assert files == {
        'meta/info.json', 'meta/stats.json', 'meta/tasks.parquet',
        'meta/episodes/chunk-000/file-000.parquet', 'data/chunk-000/file-000.parquet',
        'videos/observation.images.top/chunk-000/file-000.mp4',
        'videos/observation.images.side/chunk-000/file-000.mp4',
        'viva/import.json', 'viva/map.yaml',
    }  # fmt: skip
    info = json.loads((dataset / 'meta/info.json').read_text())
    assert info['codebase_version'] == 'v3.0'
    # 1.998, 2.998 and 3.998 s at 15 Hz: 29, 44 and 59 steps.
    assert (info['fps'], info['total_episodes'], info['total_frames']) == (15, 3, 30 + 45 + 60)
    assert info['features']['observation.state']['names'][-1] == 'east_gripper'
    assert info['features']['observation.images.top']['shape'] == [64, 80, 3]


def test_episode_table_has_frame_indices_and_times(dataset: Path) -> None:
    rows = pq.read_table(dataset / 'meta/episodes/chunk-000/file-000.parquet').to_pylist()
    assert [(r['dataset_from_index'], r['dataset_to_index']) for r in rows] == [
        (0, 30), (30, 75), (75, 135),
    ]  # fmt: skip
    ends = [r['videos/observation.images.side/to_timestamp'] for r in rows]
    assert ends == pytest.approx([30 / 15, 75 / 15, 135 / 15])
    assert [r['success'] for r in rows] == [True, False, True]
    assert rows[1]['viva/start_stamp'] == 1_700_000_000_002_000_000
    frames = pq.read_table(dataset / 'data/chunk-000/file-000.parquet').to_pydict()
    assert frames['index'] == list(range(135))
    assert frames['frame_index'][30:32] == [0, 1]
    assert frames['timestamp'][74] == pytest.approx(44 / 15)
    assert len(frames['observation.state'][0]) == 14


def test_task_table_has_pandas_index(dataset: Path) -> None:
    table = pq.read_table(dataset / 'meta/tasks.parquet')
    assert table.to_pydict() == {'task_index': [0], 'task': ['lift_block']}
    assert json.loads(table.schema.metadata[b'pandas'])['index_columns'] == ['task']


def test_video_has_frequent_key_frames_and_no_b_frames(
    dataset: Path,
) -> None:
    with av.open(str(dataset / 'videos/observation.images.top/chunk-000/file-000.mp4')) as video:
        stream = video.streams.video[0]
        packets = [
            (round(one.pts * stream.time_base * 15), one.pts == one.dts, one.is_keyframe)
            for one in video.demux(stream) if one.dts is not None
        ]  # fmt: skip
    assert [place for place, _, _ in packets] == list(range(135))
    assert all(in_order for _, in_order, _ in packets)
    keys = [place for place, _, is_key in packets if is_key]
    assert max(np.diff(keys)) <= 4
    assert {0, 30, 75} <= set(keys)


@pytest.mark.medium
def test_dataset_of_several_files_equals_that_of_one(
    tmp_path: Path, dataset: Path, foreign_map, monkeypatch
) -> None:
    monkeypatch.setattr(layout, 'VIDEO_LIMIT', 0.04)
    monkeypatch.setattr(layout, 'DATA_LIMIT', 0.004)
    monkeypatch.setattr(layout, 'FILES_PER_CHUNK', 2)
    bags = sorted((tmp_path / 'bags').iterdir())
    import_all(bags, foreign_map, OUTCOME, tmp_path / 'split')
    names = {p.name for p in (tmp_path / 'split/data').rglob('*.parquet')}
    assert names == {'file-000.parquet', 'file-001.parquet'}
    assert (tmp_path / 'split/data/chunk-001/file-000.parquet').is_file()
    for whole, split in zip(find([dataset]), find([tmp_path / 'split']), strict=True):
        one, other = episodes_of(open_recording(whole))[0], episodes_of(open_recording(split))[0]
        np.testing.assert_array_equal(one.joints.positions, other.joints.positions)
        for camera in one.cameras:
            np.testing.assert_array_equal(
                one.cameras[camera].images[7], other.cameras[camera].images[7]
            )


def test_dataset_episode_gives_observations_as_in_live_operation(dataset: Path) -> None:
    (path, *_) = find([dataset])
    recording = open_recording(path)
    names = episodes_of(recording)[0].joints.names
    seen = list(replay(recording, ('side', 'top'), names, 10.0))
    assert len(seen) == 20  # of 1.933 s at 10 Hz
    observation = seen[5].observation
    assert set(observation.images) == {'side', 'top'}
    assert set(observation.proprio) == set(names)


def test_dataset_of_version_2_1_is_read_with_outcomes(old_lerobot_dataset: Path) -> None:
    first, second = (episodes_of(open_recording(path))[0] for path in find([old_lerobot_dataset]))
    assert first.joints.names == ('left_waist', 'left_grip', 'right_waist')
    np.testing.assert_allclose(second.joints.positions[3], [0.3, -0.6, 1.0], rtol=1e-6)
    assert [first.label.success, second.label.success] == [True, False]
    assert first.label.task == 'open the jar'
    for index in (24, 3, 4, 0):
        row = second.cameras['cam_high'].images[index][20, :, 0]
        assert int(np.flatnonzero(row > 130)[0]) == 2 * index


def test_dataset_is_imported_with_renamed_joints_and_actions(
    tmp_path: Path, old_lerobot_dataset: Path
) -> None:
    path = tmp_path / 'map.yaml'
    path.write_text(
        'rate: 10\ncameras: {front: observation.images.cam_high}\n'
        'joints: [{topic: observation.state, names: {left_grip: grip, left_waist: waist}}]\n'
        'action: [{topic: action}]\n'
    )
    import_all(find([old_lerobot_dataset]), load_map(path), Outcomes(), tmp_path / 'set')
    frames = pq.read_table(tmp_path / 'set/data/chunk-000/file-000.parquet').to_pydict()
    np.testing.assert_allclose(frames['observation.state'][3], [-0.6, 0.3], rtol=1e-6)
    np.testing.assert_allclose(frames['action'][3], [1.3, 0.4, 1.0], rtol=1e-6)
    episode = episodes_of(open_recording(tmp_path / 'set/episode_000001'))[0]
    assert list(episode.cameras) == ['front']
    assert (len(episode.joints.stamps), episode.label.success) == (25, False)


def test_dataset_of_unknown_version_is_refused(old_lerobot_dataset: Path) -> None:
    info = old_lerobot_dataset / 'meta/info.json'
    info.write_text(info.read_text().replace('v2.1', 'v1.6'))
    with raises('dataset-version', old_lerobot_dataset, 'v1.6', 'must be v2.x or v3.x'):
        find([old_lerobot_dataset])


def test_truncated_video_is_refused_by_name(dataset: Path) -> None:
    path = dataset / 'videos/observation.images.top/chunk-000/file-000.mp4'
    content = path.read_bytes()
    for length, code in ((len(content) // 2, 'video-frames-differ'), (100, 'video-unreadable')):
        path.write_bytes(content[:length])
        with raises(code, path, 'out'):
            open_recording(dataset / 'episode_000002')


def test_frame_behind_the_end_of_a_video_is_refused(dataset: Path) -> None:
    path = dataset / 'videos/observation.images.top/chunk-000/file-000.mp4'
    assert len(index_of(path)) == 135
    with raises('video-unreadable', path):
        _ = VideoImages(path, [135])[0]


def test_aggregated_statistics_equal_those_of_all_rows() -> None:
    rows = [np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[10.0, 4.0]])]
    found = stats.aggregate([stats.of_rows(part) for part in rows])
    # Columns 0, 2, 10 and 1, 1, 4: means 4 and 2, variances (16 + 4 + 36) / 3 and (1 + 1 + 4) / 3.
    np.testing.assert_allclose(found['mean'], [4.0, 2.0])
    np.testing.assert_allclose(found['std'], [np.sqrt(56 / 3), np.sqrt(2.0)])
    np.testing.assert_allclose([found['min'], found['max']], [[0.0, 1.0], [10.0, 4.0]])
    assert found['count'].tolist() == [3]
