# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest
from support.errors import raises
from support.slides import slide_episode

from viva_ros.data.episode import Episode, Frames, Joints
from viva_ros.training.dataset import cut, nearest

CAMERAS, JOINTS = ('head', 'left_wrist'), ('right_waist', 'left_waist')


def test_nearest_of_two_equally_near_stamps_is_the_earlier() -> None:
    stamps = np.array([0, 10, 20], dtype=np.int64)
    wanted = np.array([-5, 4, 5, 6, 15, 16, 99], dtype=np.int64)
    assert nearest(stamps, wanted).tolist() == [0, 0, 0, 1, 1, 2, 2]


def test_single_stamp_is_always_nearest() -> None:
    assert nearest(np.array([7]), np.array([0, 7, 9])).tolist() == [0, 0, 0]


def test_moments_have_the_stamps_of_the_first_camera() -> None:
    moments = cut(slide_episode(1, frames=4), CAMERAS, JOINTS, (32, 32), 0.1)
    assert moments.stamps.tolist() == [0, 100_000_000, 200_000_000, 300_000_000]
    assert moments.images.shape == (4, 2, 32, 32, 3)
    # 16 joint samples; joint 'left_waist' is k / 15 at 20 ms k, frames are 5 samples apart.
    assert moments.proprio[:, 1].tolist() == pytest.approx([0.0, 5 / 15, 10 / 15, 1.0])


def test_joints_follow_the_given_order() -> None:
    moments = cut(slide_episode(1, frames=4), CAMERAS, JOINTS, (32, 32), 0.1)
    assert moments.proprio[1].tolist() == pytest.approx([np.sin(1.0), 1 / 3])


def test_future_is_one_horizon_later_or_the_last_state() -> None:
    moments = cut(slide_episode(1, frames=4), CAMERAS, JOINTS, (32, 32), 0.14)  # 7 samples
    assert moments.future[:, 1].tolist() == pytest.approx([7 / 15, 12 / 15, 1.0, 1.0])


@pytest.mark.parametrize(('success', 'expected'), [
    (True, [0.75, 0.5, 0.25, 0.0]), (False, [1.75, 1.5, 1.25, 1.0]),
])  # fmt: skip
def test_returns_count_down_over_all_frames(success: bool, expected: list[float]) -> None:
    episode = slide_episode(1, frames=4, success=success)
    assert cut(episode, CAMERAS, JOINTS, (32, 32), 0.1).returned.tolist() == expected
    # With every second frame, returns still count all frames.
    halved = cut(episode, CAMERAS, JOINTS, (32, 32), 0.1, every=2)
    assert halved.returned.tolist() == expected[::2]


def with_times(success: bool = True, **times: float) -> Episode:
    episode = slide_episode(1, frames=9, success=success)
    assert episode.label is not None
    return replace(episode, label=replace(episode.label, times=times))


def test_joined_episode_is_labelled_attempt_by_attempt() -> None:
    # Frames each 0.1 s: the robot gives up at 0.2 s and is home at 0.5 s.
    moments = cut(with_times(retry=0.2, attempt=0.5), CAMERAS, JOINTS, (32, 32), 0.1, every=2)
    assert moments.returned.tolist() == [1.5, 1.5, 1.0, 0.5, 0.0]
    assert moments.failed.tolist() == [True, False, False, False, False]


def test_retry_alone_begins_with_the_way_home() -> None:
    moments = cut(with_times(attempt=0.5), CAMERAS, JOINTS, (32, 32), 0.1)
    assert moments.returned.tolist() == [2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0]
    assert not moments.failed.any()


@pytest.mark.parametrize('times', [{'attempt': 0.9}, {'retry': 0.5, 'attempt': 0.2}])
def test_attempt_times_outside_the_episode_are_refused(times: dict[str, float]) -> None:
    with raises('label-attempt-range', '0.80 s', 'must be ascending and within the'):
        cut(with_times(**times), CAMERAS, JOINTS, (32, 32), 0.1)


def test_each_view_is_the_frame_nearest_in_time() -> None:
    episode = slide_episode(1, frames=3)
    grey = [np.full((32, 32, 3), level, dtype=np.uint8) for level in (10, 20)]
    late = Frames(np.array([40_000_000, 160_000_000]), grey)
    episode = replace(episode, cameras={**episode.cameras, 'left_wrist': late})
    moments = cut(episode, CAMERAS, JOINTS, (32, 32), 0.1)
    assert moments.images[:, 1, 0, 0, 0].tolist() == [10, 10, 20]


def test_missing_joint_states_are_replaced_by_the_nearest() -> None:
    episode = slide_episode(1, frames=3)
    joints = Joints(np.array([0, 190_000_000]), ('left_waist', 'right_waist'), np.eye(2))
    moments = cut(replace(episode, joints=joints), CAMERAS, JOINTS, (32, 32), 0.1)
    assert moments.proprio[:, 1].tolist() == [1.0, 0.0, 0.0]


def test_incomplete_episode_is_refused() -> None:
    with raises('episode-channel-missing', 'episode_000001', 'third, elbow', 'leave it out'):
        cut(slide_episode(1), ('head', 'third'), ('elbow',), (32, 32), 0.1)
    with raises('episode-outcome-missing', 'episode_000001', 'label it'):
        cut(replace(slide_episode(1), label=None), CAMERAS, JOINTS, (32, 32), 0.1)
