# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import platform
from pathlib import Path

import numpy as np
import pytest
from support.recordings import ScriptedRobot

from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import truth
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.manifest import trained_episodes
from viva_ros.engine.resources import engine_folder
from viva_ros.sim.recording import (
    EPOCH,
    RecordJob,
    StoppedError,
    plan,
    record,
    record_episode,
    retry_of,
)


def job(tmp_path: Path, seed: int = 3, failure: str = 'none') -> RecordJob:
    return RecordJob('tray_lift', seed, failure, tmp_path / f'episode_{seed:06d}.mcap')


def test_joints_are_recorded_at_50_hz_cameras_and_truth_at_10(tmp_path: Path) -> None:
    assert record_episode(job(tmp_path), ScriptedRobot) is True
    recording = open_recording(tmp_path / 'episode_000003.mcap')
    counts = {topic: len(track.data) for topic, track in recording.tracks.items()}
    # Step 0 and 30 more; every fifth of them, and step 0, with images.
    assert counts == {
        '/joint_states': 31, '/head/image_raw/compressed': 7, '/wrist/image_raw/compressed': 7,
        '/ground_truth': 7,
    }  # fmt: skip
    (episode,) = episodes_of(recording)
    np.testing.assert_array_equal(np.diff(episode.joints.stamps), 20_000_000)
    np.testing.assert_array_equal(np.diff(episode.cameras['head'].stamps), 100_000_000)
    assert episode.joints.stamps[0] == episode.cameras['head'].stamps[0] == EPOCH


def test_label_has_outcome_and_times(tmp_path: Path) -> None:
    assert record_episode(job(tmp_path, failure='slip'), ScriptedRobot) is False
    label = episodes_of(open_recording(tmp_path / 'episode_000003.mcap'))[0].label
    assert label is not None
    assert (label.task, label.seed) == ('tray_lift', 3)
    assert (label.success, label.failure) == (False, 'slip')
    assert label.times == {'inject': 0.2, 'manifest': 0.4}


def test_equal_seed_gives_an_equal_file(tmp_path: Path) -> None:
    for folder in ('one', 'two'):
        (tmp_path / folder).mkdir()
        record_episode(job(tmp_path / folder), ScriptedRobot)
    one, two = (tmp_path / f / 'episode_000003.mcap' for f in ('one', 'two'))
    assert one.read_bytes() == two.read_bytes()


def test_retry_is_a_separate_episode_with_its_outcome(tmp_path: Path) -> None:
    retry = retry_of(job(tmp_path, failure='slip'), 0.1)
    assert retry.path.name == 'episode_000003_retry.mcap'
    assert record_episode(retry, ScriptedRobot) is True
    recording = open_recording(retry.path)
    label = episodes_of(recording)[0].label
    assert label is not None
    assert (label.failure, label.success) == ('retry_slip', True)
    # The events of the first attempt precede the first frame; the way home takes 4 steps.
    assert label.times == {'attempt': 0.08}
    first = truth(recording)[0]
    assert (first.stamp, first.time, first.attempt) == (EPOCH, 0.0, 2)
    # Evidence at 0.4 s, and the retry 0.1 s later: 25 of 30 steps are over, 10 more follow.
    assert len(recording.messages('joint_states')) == 11


def test_joined_recording_has_failed_attempt_way_home_and_retry(tmp_path: Path) -> None:
    joined = retry_of(job(tmp_path, failure='slip'), 0.1, joined=True)
    assert joined.path.name == 'episode_000003_joined.mcap'
    assert record_episode(joined, ScriptedRobot) is True
    recording = open_recording(joined.path)
    label = episodes_of(recording)[0].label
    assert label is not None
    assert (label.failure, label.success) == ('slip', True)
    # Evidence at 0.4 s, the retry 0.1 s later, the way home 4 steps of 0.02 s.
    assert label.times == {'inject': 0.2, 'manifest': 0.4, 'retry': 0.5, 'attempt': 0.58}
    assert len(recording.messages('joint_states')) == 1 + 25 + 10
    assert [moment.attempt for moment in truth(recording)] == [1, 1, 1, 1, 1, 1, 2, 2]


@pytest.mark.medium
def test_failed_attempt_is_found_in_the_episode_that_joins_it(tmp_path: Path) -> None:
    found = {}
    for one in plan('tray_lift', [2], tmp_path, image_size=(32, 32), joined=True):
        assert record_episode(one) is one.joined
        found[one.joined] = episodes_of(open_recording(one.path))[0]
    (another,) = plan('tray_lift', [3], tmp_path, image_size=(32, 32), successes=True)
    record_episode(another)
    (other,) = episodes_of(open_recording(another.path))
    assert found[False].identity != found[True].identity
    assert len(found[False].identities & found[True].identities) == 1
    assert not other.identities & (found[False].identities | found[True].identities)


@pytest.mark.parametrize(('seed', 'failure'), [(13, 'slip'), (3, 'none')])
def test_joined_recording_without_retry_is_not_kept(
    tmp_path: Path, seed: int, failure: str
) -> None:
    joined = retry_of(job(tmp_path, seed, failure), 0.1, joined=True)
    assert record_episode(joined, ScriptedRobot) is None
    assert os.listdir(tmp_path) == []


def test_refused_retry_is_not_recorded(tmp_path: Path) -> None:
    retry = retry_of(job(tmp_path, seed=13, failure='slip'), 0.1)
    assert record_episode(retry, ScriptedRobot) is None
    assert os.listdir(tmp_path) == []


def test_episode_without_evidence_has_no_retry(tmp_path: Path) -> None:
    assert record_episode(retry_of(job(tmp_path), 0.1), ScriptedRobot) is None


def test_stopped_recording_leaves_no_file_and_closes_the_robot(tmp_path: Path) -> None:
    made = []

    def make(job: RecordJob):
        made.append(ScriptedRobot(job))
        return made[-1]

    with pytest.raises(StoppedError):
        record_episode(job(tmp_path), make, stopped=lambda: made[-1].steps == 12)
    assert os.listdir(tmp_path) == []
    assert made[0].closed


@pytest.mark.skipif(
    platform.machine() != 'x86_64' or int(np.__version__.split('.')[0]) < 2,
    reason='recorded on x86-64 with NumPy 2; the OpenBLAS of NumPy 1.26 rounds otherwise',
)
def test_repeated_recording_of_a_trained_episode_is_known_to_the_engine(tmp_path: Path) -> None:
    # The contacts of this episode amplify what processors round differently.
    one, *_ = plan('tray_lift', [83], tmp_path, image_size=(32, 32), joined=True)
    assert list(record([one], processes=1)) == [one.path]
    (episode,) = episodes_of(open_recording(one.path))
    assert len(episode.identities) == 2  # of the whole and of its opening
    assert episode.identities <= (trained_episodes(engine_folder('', one.task)) or set())
