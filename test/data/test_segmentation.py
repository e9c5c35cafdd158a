# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.errors import raises
from support.foreign_bags import MS, two_arms

from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.episode import Label
from viva_ros.data.messages import header, joint_state, jpeg_image, make
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import ValueMessage
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import Span, episodes_of, spans, stored_label, with_attempts
from viva_ros.engine.image_decoding import decode_jpeg

EPOCH, FRAME = 1_000_000_000_000, 50_000_000  # ns


def test_simulated_recording_is_one_episode_with_its_label(small: Path) -> None:
    (episode,) = episodes_of(open_recording(small))
    assert episode.name == 'small'
    assert episode.label == Label('tray_lift', False, 'slip', 3, {'manifest': 0.1})
    assert episode.joints.names == ('a', 'b')
    np.testing.assert_allclose(episode.joints.positions[3], [0.3, -1.0])
    assert episode.joints.stamps[3] == EPOCH + 3 * FRAME


def test_images_are_decoded_on_access_as_in_the_monitor(small: Path, picture) -> None:
    frames = episodes_of(open_recording(small))[0].cameras['head']
    assert len(frames.images) == len(frames.stamps) == 6
    np.testing.assert_array_equal(frames.images[2], decode_jpeg(picture(2)))
    np.testing.assert_array_equal(frames.images[1:][-1], decode_jpeg(picture(5)))


def test_raw_images_are_read(tmp_path: Path) -> None:
    message = make(
        'sensor_msgs/msg/Image', header=header(EPOCH), height=1, width=1, encoding='bgr8',
        is_bigendian=0, step=3, data=np.array([1, 2, 3], np.uint8),
    )  # fmt: skip
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        writer.write('/head/image_raw', 'sensor_msgs/msg/Image', message, EPOCH)
        state = joint_state(EPOCH, ['a'], np.zeros(1))
        writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, EPOCH)
    (episode,) = episodes_of(open_recording(tmp_path / 'r.mcap'))
    assert episode.cameras['head'].images[0].tolist() == [[[3, 2, 1]]]


def test_stamps_are_sorted_and_unique(tmp_path: Path, picture) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        for arrival, number in enumerate((2, 0, 1, 1)):
            stamp = EPOCH + number
            state = joint_state(stamp, ['a'], np.array([float(number)]))
            writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, EPOCH + arrival)
            image = jpeg_image(stamp, 'head', picture(number))
            topic = '/head/image_raw/compressed'
            writer.write(topic, 'sensor_msgs/msg/CompressedImage', image, EPOCH + arrival)
    (episode,) = episodes_of(open_recording(tmp_path / 'r.mcap'))
    assert episode.joints.positions[:, 0].tolist() == [0.0, 1.0, 2.0]
    frames = episode.cameras['head']
    assert frames.stamps.tolist() == [EPOCH, EPOCH + 1, EPOCH + 2]
    np.testing.assert_array_equal(frames.images[2], decode_jpeg(picture(2)))


def test_joints_are_matched_by_name_in_every_message(tmp_path: Path, fill) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        fill(writer, frames=1)
        state = joint_state(EPOCH + 1, ['b', 'a'], np.array([5.0, 6.0]))
        writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, EPOCH + 1)
    joints = episodes_of(open_recording(tmp_path / 'r.mcap'))[0].joints
    assert joints.names == ('a', 'b')
    assert joints.positions[1].tolist() == [6.0, 5.0]


def test_joint_names_that_change_are_refused(tmp_path: Path, fill) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        fill(writer, frames=1)
        state = joint_state(EPOCH + 1, ['c'], np.zeros(1))
        writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, EPOCH + 1)
    with raises('joints-disjoint', 'r.mcap', 'joints a, b, c have no time in common'):
        episodes_of(open_recording(tmp_path / 'r.mcap'))


def test_recording_without_cameras_is_refused_with_its_topics(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / 'r.mcap') as writer:
        state = joint_state(EPOCH, ['a'], np.zeros(1))
        writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, EPOCH)
    with raises('cameras-missing', 'r.mcap', 'but /joint_states', 'viva_map.yaml'):
        episodes_of(open_recording(tmp_path / 'r.mcap'))


def truth(stamp: int, **known: Any) -> Any:
    fields: dict[str, Any] = {
        'header': header(stamp), 'episode_id': '', 'task': 'tray_lift', 'seed': 9,
        'failure': 'slip', 'phase': '', 'attempt': 1, 'progress': 0.0, 'success': False,
        'failed': False, 'done': False, 'inject_time': math.nan, 'visible_time': math.nan,
        'manifest_time': math.nan, 'time': 0.0,
    }  # fmt: skip
    return make('viva_ros/msg/GroundTruth', **{**fields, **known})


def live(path: Path, fill: Callable[..., None], done: bool = True) -> None:
    """Write two episodes of three frames; the second fails 0.06 s after its start."""
    with RecordingWriter(path) as writer:
        fill(writer)
        for number, name in ((0, 'first'), (0, 'first'), (3, 'second')):
            text = make('std_msgs/msg/String', data=name)
            writer.write('/episode', 'std_msgs/msg/String', text, EPOCH + number * FRAME - 1)
        moments = (
            (2, {'success': True, 'failure': 'none', 'done': True, 'time': 0.1}),
            (5, {'done': done, 'time': 0.11, 'manifest_time': 0.06}),
        )
        for number, known in moments:
            stamp = EPOCH + number * FRAME
            kind = 'viva_ros/msg/GroundTruth'
            writer.write('/ground_truth', kind, truth(stamp, **known), stamp)


def test_live_recording_is_split_by_published_episode_ids(tmp_path: Path, fill) -> None:
    live(tmp_path / 'r.mcap', fill)
    first, second = episodes_of(open_recording(tmp_path / 'r.mcap'))
    assert (first.name, second.name) == ('r:first', 'r:second')
    assert [len(e.cameras['head'].stamps) for e in (first, second)] == [3, 3]
    assert [len(e.joints.stamps) for e in (first, second)] == [3, 3]
    assert first.label == Label('tray_lift', True, 'none', 9, {})


@pytest.mark.parametrize('between', ['b', ''])
def test_episode_id_that_comes_again_is_refused(tmp_path: Path, between: str) -> None:
    bag = two_arms()
    for k, name in enumerate(('a', between, 'a')):
        bag.text('/episode', name, 500 * MS * k)
    recording = open_recording(bag.write(tmp_path / 'bag'))
    with raises('episode-id-reused', "'a' twice"):
        spans(recording)


def test_label_times_start_at_the_first_frame(tmp_path: Path, fill) -> None:
    live(tmp_path / 'r.mcap', fill)
    label = episodes_of(open_recording(tmp_path / 'r.mcap'))[1].label
    assert label is not None
    # Its start is 0.11 s before frame 5, which is 0.10 s after frame 3, its first frame.
    assert label.times == {'manifest': pytest.approx(0.06 - 0.01, abs=1e-6)}
    assert not label.success


def test_unfinished_episode_has_no_label(tmp_path: Path, fill) -> None:
    live(tmp_path / 'r.mcap', fill, done=False)
    assert episodes_of(open_recording(tmp_path / 'r.mcap'))[1].label is None


def executed(*flags: bool) -> list[ValueMessage]:
    """Return a value each second, with whether the robot executes the task."""
    return [
        ValueMessage(
            second, second * 10**9, 0.1, True, '', '', 'fold', 'e', '', {}, executing=flag
        )
        for second, flag in enumerate(flags)
    ]


DONE = Label('fold', True, times={'inject': 1.5})
WHOLE = Span('e', 0, 60 * 10**9)


def test_pause_after_an_accepted_retry_is_the_way_home() -> None:
    published = executed(False, True, True, False, False, True, True, False)
    found = with_attempts(DONE, published, [2 * 10**9], WHOLE, 10**9)
    assert found is not None
    assert found.times == {'inject': 1.5, 'retry': 2.0, 'attempt': 4.0}
    assert with_attempts(None, published, [2 * 10**9], WHOLE, 0) is None


def test_pause_without_a_retry_does_not_split_an_attempt() -> None:
    stop = executed(True, True, False, True, True)
    assert with_attempts(DONE, stop, [], WHOLE, 0) == DONE
    assert with_attempts(DONE, stop, [4 * 10**9], WHOLE, 0) == DONE  # after the pause
    # A retry at 1 s, home at 3 s; the stop at 5 s belongs to the second attempt.
    both = executed(True, True, False, True, True, False, True)
    found = with_attempts(DONE, both, [10**9], WHOLE, 0)
    assert found is not None
    assert found.times == {'inject': 1.5, 'retry': 2.0, 'attempt': 3.0}


@pytest.mark.parametrize('flags', [(True, True), (False, False, True, True), (True, False), ()])
def test_single_execution_has_no_retry(flags: tuple[bool, ...]) -> None:
    assert with_attempts(DONE, executed(*flags), [0], WHOLE, 0) == DONE


def test_stored_attempt_times_are_kept() -> None:
    stored = Label('fold', True, times={'attempt': 3.2})
    assert with_attempts(stored, executed(True, False, True), [0], WHOLE, 0) == stored


def test_label_without_outcome_is_refused(tmp_path: Path) -> None:
    recording = Recording(tmp_path / 'one.mcap', {}, {'viva_episode': {'task': 'fold'}}, ())
    with raises('label-incomplete', 'one.mcap', 'success'):
        stored_label(recording)


@pytest.mark.parametrize(
    'change',
    [
        {'task': 5}, {'task': None}, {'failure': True}, {'failure': 3}, {'seed': '1'},
        {'seed': 1.5}, {'seed': True}, {'times': {'visible': '3'}}, {'times': {'visible': True}},
        {'times': {'visible': math.nan}}, {'times': {'visible': math.inf}},
        {'marks': [['a', '1', 'b']]}, {'marks': [['a', True, 'b']]}, {'marks': [[5, 1, 'b']]},
        {'marks': [['a', 1.0, None]]}, {'marks': [['a', math.inf, 'b']]}, {'marks': [['a', 1.0]]},
    ],
)  # fmt: skip
def test_label_with_a_value_of_another_type_is_refused(change: dict[str, Any]) -> None:
    content = {
        'task': 'fold', 'success': True, 'failure': 'none', 'seed': 1, 'times': {'visible': 3},
        'marks': [['a', 1, 'b']],
    }  # fmt: skip
    assert stored_label(Recording(Path('a'), {}, {'viva_episode': content}, ())).task == 'fold'
    recording = Recording(Path('a'), {}, {'viva_episode': content | change}, ())
    with raises('label-unreadable', 'a', 'record it again'):
        stored_label(recording)
