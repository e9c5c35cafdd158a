# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of videos and a table of joints: columns, rows, frames, rates, outcomes, refusals."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.errors import raises
from support.in_place import assert_equal_episodes, episode, numbers, write_map
from support.lerobot_datasets import FPS, NAMES, number_of, numbered, write_lerobot
from support.video_folders import ROWS, joints, write_uneven_video, write_video_folder

from viva_ros.cli.main import main
from viva_ros.data.conversion.annotations import Outcomes
from viva_ros.data.conversion.raw_episode import raw_episodes
from viva_ros.data.lerobot.video import VideoImages, encode
from viva_ros.data.open import find, identity, open_recording, open_unmapped, resolve
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.video_folder import read_rows
from viva_ros.robot.topic_map import TopicMap, load_map

pytestmark = pytest.mark.fast

TIMES = [0.1 * k for k in range(ROWS)]


@pytest.mark.parametrize('table', ['joints.csv', 'joints.parquet'])
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv', '.mov', '.avi'])
def test_frame_i_is_at_row_i(tmp_path: Path, table: str, suffix: str) -> None:
    videos = {f'top{suffix}': ROWS, 'cam-left.v1.mp4': ROWS}
    folder = write_video_folder(
        tmp_path / 'ep', {'timestamp': TIMES, **joints()}, table, videos=videos
    )
    assert find([tmp_path]) == find([folder]) == [folder]
    one = episode(folder)
    assert list(one.cameras) == ['cam_left_v1', 'top'] and one.joints.names == NAMES
    assert numbers(one) == one.joints.positions[:, 0].tolist() == list(range(ROWS))
    assert one.joints.stamps.tolist() == [10**9 + k * 10**8 for k in range(ROWS)]
    assert one.name == 'ep' and one.label is None


def test_avi_file_with_reordered_frames_is_refused(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep', videos={})
    with av.open(str(folder / 'top.avi'), 'w') as out:
        stream: Any = out.add_stream('libx264', rate=FPS, options={'bf': '2'})
        stream.height, stream.width = numbered(0).shape[:2]
        stream.pix_fmt = 'yuv420p'
        for k in range(ROWS):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(k), format='rgb24')))
        out.mux(stream.encode(None))
    command = f'ffmpeg -i {folder / "top.avi"} {folder / "top.mp4"}'
    with raises('video-untimed', folder / 'top.avi', 'B-frames', command):
        episode(folder)


def test_each_subfolder_is_an_episode(tmp_path: Path) -> None:
    folders = [write_video_folder(tmp_path / name) for name in ('ep.1', 'ep.2')]
    encode(tmp_path / 'overview.mp4', [np.zeros((48, 80, 3), np.uint8)], 10)
    (tmp_path / 'summary.csv').write_text('a,b\n1,2\n')
    assert find([tmp_path]) == folders
    assert [episode(one).name for one in folders] == ['ep.1', 'ep.2']


def test_folder_of_other_recordings_is_no_episode(tmp_path: Path) -> None:
    root = write_lerobot(tmp_path / 'set')
    write_video_folder(root / 'videos/chunk-000/extra')
    assert all(resolve(path).format == 'lerobot' for path in find([root]))
    assert resolve(root / 'videos/chunk-000/extra').format == 'bag'
    folder = write_video_folder(tmp_path / 'bags')
    (folder / 'run.mcap').touch()
    assert find([folder]) == [folder / 'run.mcap']
    outcomes = write_video_folder(tmp_path / 'outcomes')
    (outcomes / 'joints.csv').write_text('file,success\nrun.mcap,1\n')
    with raises('recordings-missing', 'folders with videos and a table'):
        find([outcomes])


def test_two_tables_are_refused(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    (folder / 'other.csv').write_text('a\n1\n')
    with raises('video-folder-tables', folder, 'joints.csv, other.csv', 'move the others'):
        open_recording(folder)


def test_incomplete_episode_beside_others_is_refused(tmp_path: Path) -> None:
    folders = [write_video_folder(tmp_path / f'ep{k}') for k in range(3)]
    (folders[1] / 'joints.csv').unlink()
    (folders[2] / 'top.mp4').unlink()
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta/summary.csv').write_text('a\n1\n')
    assert find([tmp_path]) == folders
    assert episode(folders[0]).name == 'ep0'
    with raises('video-folder-tables', folders[1], 'no table', 'move the folder'):
        open_recording(folders[1])
    with raises('video-folder-videos', folders[2], 'joints.csv and no video', 'move the folder'):
        open_recording(folders[2])


def test_videos_that_are_no_cameras_have_notes(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    (folder / 'left').mkdir()
    encode(folder / 'left/left.mp4', [np.zeros((48, 80, 3), np.uint8)], 10)
    (folder / 'wrist.webm').touch()
    recording = open_recording(folder)
    assert list(recording.cameras) == ['top']
    assert recording.notes == (
        'video wrist.webm is left out: it is no .mp4, .mkv, .avi, .mov',
        'video left/left.mp4 is left out: it is in a subfolder',
    )


@pytest.mark.parametrize('frames', [11, 13])
def test_other_number_of_frames_is_refused(tmp_path: Path, frames: int) -> None:
    folder = write_video_folder(tmp_path / 'ep', videos={'top.mp4': ROWS, 'low.mp4': frames})
    with raises('video-folder-frames', 'low.mp4', f'{frames} frames', '12 rows', 'leave it out'):
        open_recording(folder)


def test_cameras_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep', videos={'top.mp4': ROWS, 'top.mkv': ROWS})
    with raises('video-folder-camera-twice', 'top.mkv and top.mp4', 'rename one'):
        open_recording(folder)


def test_depth_video_is_no_camera(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep', videos={'top.mp4': ROWS, 'top_depth.mp4': 3})
    recording = open_recording(folder)
    assert list(recording.cameras) == ['top']
    assert recording.notes == ('video top_depth.mp4 is left out: it is a depth map',)


def test_rows_are_sorted_by_frame_index(tmp_path: Path) -> None:
    order = [3, 0, 1, 2, *range(4, ROWS)]
    columns = {name: [values[k] for k in order] for name, values in joints().items()}
    one = episode(write_video_folder(tmp_path / 'ep', {'frame_index': order, **columns}))
    assert one.joints.positions[:, 0].tolist() == list(range(ROWS))


@pytest.mark.parametrize(('columns', 'code', 'named'), [
    ({'frame_index': [0, *range(11)]}, 'joint-table-frame-index', ['12 rows', '0 to 11']),
    ({'episode_index': [0] * 11 + [1]}, 'joint-table-episodes', ['2 episodes', 'split it']),
])  # fmt: skip
def test_rows_of_another_episode_are_refused(
    tmp_path: Path, columns: Mapping[str, Any], code: str, named: list[str]
) -> None:
    folder = write_video_folder(tmp_path / 'ep', {**columns, **joints()})
    with raises(code, folder / 'joints.csv', *named):
        open_recording(folder)


@pytest.mark.parametrize(
    ('text', 'named'),
    [
        (b'a' + b',' * 3_000_000 + b'\n', '10000 columns'),
        (b'a,"' + b'b' * 100_000 + b'\n' + b'",' * 1_500_000, '10000 columns'),
        (b'"' + b'a' * 200_000 + b'"\n1\n', 'first line'),
        (b'a' * 2_000_000, 'first line'),
        (b','.join(b'c%d' % k for k in range(9000)) + b'\n' + b'\n' * 6000, '50000000'),
    ],
    ids=['commas', 'quoted', 'long_name', 'no_line', 'values'],
)  # fmt: skip
def test_table_of_text_above_the_limits_is_refused(
    tmp_path: Path, text: bytes, named: str
) -> None:
    """The library ends the process where it gets no memory for millions of columns."""
    path = tmp_path / 'j.csv'
    path.write_bytes(text)
    with raises('joint-table-unreadable', path, named):
        read_rows(path)


def test_column_twice_is_refused(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    (folder / 'joints.csv').write_text('a,b,a\n1,2,3\n')
    with raises('joint-table-column-twice', folder / 'joints.csv', "'a'", 'rename'):
        open_recording(folder)


@pytest.mark.parametrize('name', ['joints.csv', 'joints.parquet'])
def test_damaged_table_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_video_folder(tmp_path / 'ep', table=name)
    (folder / name).write_text('a,b\n1,2\n1,2,3\n')
    with raises('joint-table-unreadable', folder / name, 'correct it'):
        open_recording(folder)


@pytest.mark.parametrize(('column', 'values', 'text'), [
    ('note', ['ok'] * ROWS, "column note has 'ok' in row 0, no number"),
    ('wrist', ['1.5'] * 7 + ['-'] * 5, "column wrist has '-' in row 7, no number"),
    ('wrist', [1.5] * 7 + [None] * 5, 'column wrist has no number in row 7'),
    ('open', [True] * ROWS, 'column open has True in row 0'),
    ('action_x', [0.0] * ROWS, 'column action_x may be no joint position'),
])  # fmt: skip
def test_doubtful_column_needs_a_map(
    tmp_path: Path, column: str, values: list[Any], text: str
) -> None:
    folder = write_video_folder(tmp_path / 'ep', {column: values, **joints()})
    with raises('dataset-state', text, '[{feature: table, names: [left_waist, left_grip, ...]}]'):
        episode(folder)
    write_map(folder, f'joints: [{{feature: table, names: [{", ".join(NAMES)}]}}]')
    assert episode(folder).joints.names == NAMES
    write_map(folder, 'joints: [{path: table, names: {left_grip: grip}}]')
    assert episode(folder).joints.names == ('grip',)


def test_table_without_joints_has_a_remedy_without_a_map(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    table = folder / 'joints.csv'
    table.write_text(table.read_text().replace(',', ' '))
    with raises('dataset-state', "has '0 0.1 0.2 0.3' in row 0", 'separated by commas'):
        episode(folder)


def test_missing_value_in_a_named_joint_is_never_filled(tmp_path: Path, capsys: Any) -> None:
    columns = {'wrist': [1.5] * 7 + [None] * 5, 'note': ['ok'] * ROWS}
    folder = write_video_folder(tmp_path / 'ep', columns)
    topic_map = write_map(folder, 'joints: [{feature: table, names: [wrist]}]')
    assert np.isnan(episode(folder).joints.positions[:, 0]).tolist() == [False] * 7 + [True] * 5
    options = ['--map', str(topic_map), '--out', str(tmp_path / 'out'), '--success']
    assert main(['import', str(folder), *options]) != 0
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'positions are not finite (wrist 5 times): correct the joint driver' in shown


CLOCKS = [
    'timestamp_ns', 'timestamps', 'stamp', 'header.stamp.secs', 'time', 't', 'recordTime'
]  # fmt: skip


@pytest.mark.parametrize('column', CLOCKS)
def test_time_in_an_unknown_column_needs_a_rate(tmp_path: Path, column: str) -> None:
    folder = write_video_folder(tmp_path / 'ep', {column: TIMES, **joints()})
    named = f'joints: [{{feature: table, names: [{", ".join(NAMES)}]}}]'
    write_map(folder, named)
    with raises('source-rate-missing', f'column {column} may have the times', 'source_rate'):
        open_recording(folder)
    write_map(folder, f'{named}\nsource_rate: 10')
    assert episode(folder).joints.stamps[1] == 1_100_000_000


@pytest.mark.parametrize('column', [
    'step', 'frame', 'id', 'left_waist_vel', 'j1_velocity', 'qvel_1', 'joint1_effort', 'ee_x',
    'gripper_force', 'target_j1', 'cmd_j1', 'goal_j1', 'jointVelocity', 'TCP_x', 'index_mcp',
    'successful', 'label', 'outcome', 'Unnamed: 0',
])  # fmt: skip
def test_column_with_a_word_of_no_position_needs_a_map(tmp_path: Path, column: str) -> None:
    columns = {column: TIMES, 'done': [0] * ROWS, **joints()}
    folder = write_video_folder(tmp_path / 'ep', columns)
    with raises('dataset-state', f'column {column}, done may be no', 'names: [left_waist, left'):
        episode(folder)
    write_map(folder, f'joints: [{{feature: table, names: [{", ".join(NAMES)}]}}]')
    assert episode(folder).joints.names == NAMES


def test_second_clock_needs_a_rate(tmp_path: Path) -> None:
    columns = {'timestamp': TIMES, 'time_ns': list(range(ROWS)), **joints()}
    folder = write_video_folder(tmp_path / 'ep', columns)
    with raises('source-rate-missing', 'timestamp and time_ns may have the times', 'source_rate'):
        open_recording(folder)


def test_known_column_may_have_spaces_and_capitals(tmp_path: Path) -> None:
    folder = write_video_folder(
        tmp_path / 'ep',
        {' Timestamp': [0.2 * k for k in range(ROWS)], 'Success ': [0] * ROWS, **joints()},
        fps=30,
    )
    one = episode(folder)
    assert one.joints.names == NAMES and one.joints.stamps[1] == 1_200_000_000
    assert one.label is not None and not one.label.success


@pytest.mark.parametrize(('header', 'code', 'text'), [
    ('a,,b', 'joint-table-column-unnamed', 'no name for column 2'),
    ('a, ,b', 'joint-table-column-unnamed', 'no name for column 2'),
    ('a,b,a ', 'joint-table-column-twice', "'a'"),
    ('a,success,Success', 'joint-table-column-twice', 'success and Success'),
])  # fmt: skip
def test_columns_need_different_names(
    tmp_path: Path, header: str, code: str, text: str
) -> None:  # fmt: skip
    folder = write_video_folder(tmp_path / 'ep')
    (folder / 'joints.csv').write_text(f'{header}\n1,2,3\n')
    with raises(code, folder / 'joints.csv', text, 'delete'):
        open_recording(folder)


def test_rate_is_that_of_all_videos(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep', videos={'top.mp4': ROWS, 'low.mkv': ROWS}, fps=30)
    stamps = episode(folder).joints.stamps
    assert stamps.tolist() == [10**9 + round(k * 10**9 / 30) for k in range(ROWS)]
    encode(folder / 'low.mkv', [np.zeros((48, 80, 3), np.uint8)] * ROWS, 25)
    with raises('source-rate-missing', 'low.mkv 25 Hz, top.mp4 30 Hz', 'source_rate'):
        open_recording(folder)
    topic_map = write_map(folder, 'source_rate: 20')
    assert np.diff(episode(folder).joints.stamps).tolist() == [50_000_000] * (ROWS - 1)
    (raw,) = raw_episodes(open_unmapped(folder), load_map(topic_map))
    assert np.diff(raw.joints[0].stamps).tolist() == [50_000_000] * (ROWS - 1)


def test_uneven_video_has_no_rate(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    write_uneven_video(folder / 'top.mp4', [0.1 * k + 0.03 * (k > 5) for k in range(ROWS)])
    with raises('source-rate-missing', 'top.mp4 has no constant frame rate', 'source_rate'):
        open_recording(folder)


@pytest.mark.parametrize('times', [[20 * k for k in range(ROWS)], [None, *TIMES[1:]]])
def test_doubtful_timestamps_need_a_rate(tmp_path: Path, times: list[Any]) -> None:
    folder = write_video_folder(tmp_path / 'ep', {'timestamp': times, **joints()})
    with raises('source-rate-missing', 'timestamp', 'source_rate'):
        open_recording(folder)


@pytest.mark.parametrize(('columns', 'expected'), [
    ({'success': [1] * ROWS}, True), ({'next.success': [False] * 11 + [True]}, True),
    ({'success': ['failure'] * ROWS}, False), ({'success': ['maybe'] * ROWS}, None),
    ({'success': [1.0] * 11 + [None]}, None), ({'success': [1] * 11 + [0]}, None),
    ({'success': [1] * ROWS, 'is_success': [0] * ROWS}, None),
])  # fmt: skip
def test_outcome_is_parsed_strictly(
    tmp_path: Path, columns: Mapping[str, Any], expected: bool | None
) -> None:
    task = {'task': ['fold'] * ROWS}
    folder = write_video_folder(tmp_path / 'ep', {**columns, **task, **joints()})
    recording = open_recording(folder)
    label = episodes_of(recording)[0].label
    assert (label.success if label else None) is expected
    if len(columns) == 2:
        known = recording.metadata['viva_outcome_doubt']['known']
        assert known == {'success': True, 'is_success': False}
    if expected is None:
        (raw,) = raw_episodes(recording, TopicMap())
        with raises('outcome-doubtful', 'success'):
            Outcomes().label(raw, recording)
    else:
        assert label is not None and label.task == 'fold'


def test_identity_changes_with_each_file(tmp_path: Path) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    found = [identity(resolve(folder))]
    write_map(folder, 'task: fold')
    found.append(identity(resolve(folder)))
    write_uneven_video(folder / 'top.mp4', [0.1 * k for k in range(ROWS)])
    found.append(identity(resolve(folder)))
    assert len({repr(one) for one in found}) == 3


def test_opening_decodes_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_video_folder(tmp_path / 'ep')
    decoded: list[int] = []
    own = VideoImages._decode

    def counted(self: VideoImages, number: int) -> Any:
        decoded.append(number)
        return own(self, number)

    monkeypatch.setattr(VideoImages, '_decode', counted)
    images = episode(folder).cameras['top'].images
    assert decoded == []
    assert [number_of(image) for image in pickle.loads(pickle.dumps(images))] == list(range(ROWS))
    assert decoded == list(range(ROWS))


@pytest.mark.medium
def test_import_equals_reading_in_place(tmp_path: Path) -> None:
    source = tmp_path / 'raw'
    for number in (0, 1):
        columns = {'success': [number] * ROWS, 'note': ['ok'] * ROWS, **joints()}
        write_video_folder(source / f'ep_{number}', columns)
    named = f'joints: [{{feature: table, names: [{", ".join(NAMES)}]}}]'
    topic_map = write_map(source, f'task: fold\ncameras: {{head: {{path: top.mp4}}}}\n{named}')
    out = tmp_path / 'set'
    assert main(['import', str(source), '--map', str(topic_map), '--out', str(out)]) == 0
    imported, in_place = find([out]), find([source])
    assert len(imported) == len(in_place) == 2
    for new, old in zip(imported, in_place, strict=True):
        one, other = episode(new), episode(old)
        assert_equal_episodes(one, other, 'head')
        assert one.joints.names == NAMES and len(one.joints.stamps) == ROWS


@pytest.mark.medium
@pytest.mark.parametrize('digits', [3, 6])
def test_import_keeps_the_last_row_of_rounded_times(tmp_path: Path, digits: int) -> None:
    times = [round(k / 30, digits) for k in range(ROWS)]
    folder = write_video_folder(tmp_path / 'ep', {'timestamp': times, **joints()})
    out, rate = tmp_path / 'set', ['--rate', '30', '--task', 'fold', '--success']
    assert main(['import', str(folder), *rate, '--out', str(out)]) == 0
    (path,) = find([out])
    one = episode(path)
    assert numbers(one) == one.joints.positions[:, 0].tolist() == list(range(ROWS))


@pytest.mark.parametrize('sign', [';', '\t', '|'])
def test_table_without_commas_is_refused(tmp_path: Path, sign: str) -> None:
    folder = write_video_folder(tmp_path / 'ep', {'timestamp': TIMES, **joints()})
    path = folder / 'joints.csv'
    path.write_text(path.read_text().replace(',', sign))
    with raises('joint-table-separator', path, repr(sign), 'by commas'):
        open_recording(folder)
