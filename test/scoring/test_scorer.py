# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path

import numpy as np
import pytest
from support.recordings import RISING, write_recording

from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration, Threshold
from viva_ros.core.events import Event, Level
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.messages import header, make, to_time
from viva_ros.data.open import open_recording
from viva_ros.scoring.scorer import estimates, look, score

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns


def calibration() -> Calibration:
    """Alarm where the value falls by more than 0.3, or does not rise by 0.05 in 4 s."""
    thresholds = {'drop': Threshold(0.2, 0.3), 'no_rise': Threshold(-0.1, -0.05)}
    return Calibration(
        '0123456789abcdef', 'tray_lift', 60, 0.1, 0.3, 59, (0.9, 0.99), RuleSettings(),
        thresholds, '',
    )  # fmt: skip


def values(path: Path, engine, rate: float = 10.0) -> list[float]:
    recording = open_recording(path)
    return [s.value for s in estimates(look(recording, engine.info, rate), engine)]


def test_each_synchronised_set_of_inputs_gives_a_value(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3])
    assert values(path, worth_engine) == [0.1, 0.2, 0.3]


def test_at_a_lower_rate_the_newest_is_taken(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.0, 0.1, 0.2, 0.3, 0.4])
    assert values(path, worth_engine, rate=5.0) == [0.0, 0.2, 0.4]


def test_a_rate_above_the_cameras_gives_each_set_once(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3])
    assert values(path, worth_engine, rate=50.0) == [0.1, 0.2, 0.3]


def test_what_the_engine_refuses_is_unknown_with_its_reason(tmp_path, worth_engine) -> None:
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [0.5, 1.5])), worth_engine, 'tray_lift'
    )
    assert math.isnan(scores.samples[1].value)
    assert scores.samples[1].reason == 'worth is 1.5, at most 1 is allowed'


def test_a_camera_that_was_not_recorded_is_missing_by_name(tmp_path, worth_engine) -> None:
    source = open_recording(write_recording(tmp_path / 'r.mcap', [0.5, 0.6]))
    with RecordingWriter(tmp_path / 'less.mcap') as writer:
        for topic in ('/joint_states', '/head/image_raw/compressed'):
            track = source.tracks[topic]
            for time, cdr in zip(track.times, track.data, strict=True):
                writer.write_cdr(topic, track.type_name, cdr, time)
    scores = score(open_recording(tmp_path / 'less.mcap'), worth_engine, 'tray_lift')
    assert [sample.reason for sample in scores.samples] == ['nothing received on wrist'] * 2


def test_scoring_twice_gives_the_same(tmp_path: Path, worth_engine) -> None:
    recording = open_recording(write_recording(tmp_path / 'r.mcap', RISING))
    one, two = (score(recording, worth_engine, 'tray_lift', calibration()) for _ in range(2))
    np.testing.assert_array_equal(one.series.values, two.series.values)
    assert [repr(event) for event in one.events] == [repr(event) for event in two.events]


def test_a_rising_value_raises_no_alarm_and_a_fall_does(tmp_path, worth_engine) -> None:
    quiet = score(
        open_recording(write_recording(tmp_path / 'a.mcap', RISING)),
        worth_engine,
        'tray_lift',
        calibration(),
    )
    assert quiet.alarms == []
    falls = [*RISING, *[0.0] * 20]  # from 0.68 down to 0 after 6 s
    scores = score(
        open_recording(write_recording(tmp_path / 'b.mcap', falls)),
        worth_engine,
        'tray_lift',
        calibration(),
    )
    (alarm,) = scores.alarms
    assert alarm.kind == 'drop'
    # Smoothed (0.4 s) it has fallen by 0.3 after 0.3 s, and 0.3 s later that has held.
    assert 6.3 < (alarm.stamp - EPOCH) * 1e-9 < 7.2


def test_without_a_calibration_nothing_alarms(tmp_path: Path, worth_engine) -> None:
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [*RISING, *[-1.0] * 30])),
        worth_engine,
        'tray_lift',
    )
    assert scores.alarms == []


def test_the_recorded_choice_of_inputs_is_used_again(tmp_path: Path, worth_engine) -> None:
    said = {1: 0.2, 3: 0.4}
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3, 0.4], said)
    scores = score(open_recording(path), worth_engine, 'tray_lift')
    assert [sample.stamp for sample in scores.samples] == [EPOCH + STEP, EPOCH + 3 * STEP]
    assert [sample.value for sample in scores.samples] == [0.2, 0.4]
    assert [sample.episode for sample in scores.samples] == ['e1', 'e1']
    assert scores.difference == pytest.approx(0.0, abs=1e-7)  # float32 against float64


def test_the_pictures_are_those_of_the_recorded_stamps(tmp_path: Path, worth_engine) -> None:
    everything = write_recording(tmp_path / 'a.mcap', [0.1, 0.2, 0.3])
    values(everything, worth_engine)
    all_seen, worth_engine.pictures = worth_engine.pictures, []
    score(
        open_recording(write_recording(tmp_path / 'b.mcap', [0.1, 0.2, 0.3], {2: 0.3})),
        worth_engine,
        'tray_lift',
    )
    assert worth_engine.pictures == [all_seen[2]]
    assert len(set(all_seen)) == 3


def test_a_published_unknown_is_taken_over(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2], {0: 0.1, 1: math.nan})
    scores = score(open_recording(path), worth_engine, 'tray_lift')
    assert math.isnan(scores.samples[1].value)
    assert scores.samples[1].reason == 'head is 0.70 s old'
    assert scores.difference == pytest.approx(0.0, abs=1e-7)


def test_a_value_that_the_engine_no_longer_gives_differs_without_end(tmp_path, worth_engine):
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [1.5], {0: 0.4})),
        worth_engine,
        'tray_lift',
    )
    assert (scores.lost, scores.difference) == (0, math.inf)


def test_a_value_that_differs_from_the_published_one_is_reported(tmp_path, worth_engine) -> None:
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [0.1], {0: 0.4})),
        worth_engine,
        'tray_lift',
    )
    assert scores.difference == pytest.approx(0.3)


def test_where_the_recorder_missed_an_input_the_judge_goes_by_what_was_said(
    tmp_path: Path, worth_engine
) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1], {0: 0.1})
    source = open_recording(path)
    with RecordingWriter(tmp_path / 'less.mcap') as writer:
        for topic, track in source.tracks.items():
            kept = zip(track.times, track.data, strict=True) if topic != '/joint_states' else ()
            for time, cdr in kept:
                writer.write_cdr(topic, track.type_name, cdr, time)
        state = source.tracks['/joint_states']
        writer.write_cdr('/other/joint_state', state.type_name, state.data[0], 0)
    scores = score(open_recording(tmp_path / 'less.mcap'), worth_engine, 'tray_lift')
    assert (scores.lost, scores.difference) == (1, None)
    assert math.isnan(scores.samples[0].value)
    assert [event.kind for event in scores.events] == ['episode_start']
    assert scores.samples[0].judged == pytest.approx(0.1)
    assert scores.samples[0].reason == f'joint_states has no message at {EPOCH}'


def test_published_alarms_are_kept_beside_ours(tmp_path: Path, worth_engine) -> None:
    source = open_recording(write_recording(tmp_path / 'r.mcap', [0.1], {0: 0.1}))
    event = Event(Level.ALARM, 'drop', EPOCH, EPOCH - 5, 0.1, 0.4, 0.3, 'e1', 'fell')
    message = make(
        'viva_ros/msg/Alert', header=header(event.stamp), level=3, kind='drop', value=0.1,
        statistic=0.4, threshold=0.3, episode_id='e1', onset=to_time(event.onset), text='fell',
        retries=0, retry_budget=2, session_id=1, alpha=0.05,
        window_stamps=[], window_values=np.zeros(0, np.float32),
        window_statistics=np.zeros(0, np.float32),
    )  # fmt: skip
    with RecordingWriter(tmp_path / 'more.mcap') as writer:
        for topic, track in source.tracks.items():
            for time, cdr in zip(track.times, track.data, strict=True):
                writer.write_cdr(topic, track.type_name, cdr, time)
        writer.write('/alert', 'viva_ros/msg/Alert', message, EPOCH)
    scores = score(open_recording(tmp_path / 'more.mcap'), worth_engine, 'tray_lift')
    assert scores.alarms_said is not None
    (said,) = scores.alarms_said
    assert (said.kind, said.level, said.onset) == ('drop', Level.ALARM, EPOCH - 5)
    assert scores.alarms == []
