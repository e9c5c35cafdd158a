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
from viva_ros.scoring.scorer import estimates, replay_for_engine, score

EPOCH, STEP = 1_000_000_000_000, 100_000_000  # ns


def calibration() -> Calibration:
    """Alarm where the value falls by more than 0.3, or does not rise by 0.05 in 4 s."""
    thresholds = {'drop': Threshold(0.2, 0.3), 'no_rise': Threshold(-0.1, -0.05)}
    return Calibration(
        '0123456789abcdef', 'tray_lift', 60, 0.1, 0.3, 59, (0.9, 0.99), RuleSettings(),
        10.0, thresholds, '',
    )  # fmt: skip


def values(path: Path, engine, rate: float = 10.0) -> list[float]:
    recording = open_recording(path)
    return [s.value for s in estimates(replay_for_engine(recording, engine.info, rate), engine)]


def test_each_synchronised_input_set_has_one_value(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3])
    assert values(path, worth_engine) == [0.1, 0.2, 0.3]


def test_rate_below_cameras_uses_newest_inputs(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.0, 0.1, 0.2, 0.3, 0.4])
    assert values(path, worth_engine, rate=5.0) == [0.0, 0.2, 0.4]


def test_rate_above_cameras_uses_each_input_set_once(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3])
    assert values(path, worth_engine, rate=50.0) == [0.1, 0.2, 0.3]


def test_input_error_of_engine_is_unknown_with_reason(tmp_path, worth_engine) -> None:
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [0.9, 1.2])), worth_engine, 'tray_lift'
    )
    assert math.isnan(scores.samples[1].value)
    assert scores.samples[1].reason == 'worth is 1.2, at most 1 is allowed'


def test_camera_missing_in_recording_is_named_in_reason(tmp_path, worth_engine) -> None:
    source = open_recording(write_recording(tmp_path / 'r.mcap', [0.5, 0.6]))
    with RecordingWriter(tmp_path / 'less.mcap') as writer:
        for topic in ('/joint_states', '/head/image_raw/compressed'):
            track = source.tracks[topic]
            for time, cdr in zip(track.times, track.data, strict=True):
                writer.write_cdr(topic, track.type_name, cdr, time)
    scores = score(open_recording(tmp_path / 'less.mcap'), worth_engine, 'tray_lift')
    assert [sample.reason for sample in scores.samples] == ['nothing received on wrist'] * 2


def test_score_of_same_recording_is_repeatable(tmp_path: Path, worth_engine) -> None:
    recording = open_recording(write_recording(tmp_path / 'r.mcap', RISING))
    one, two = (score(recording, worth_engine, 'tray_lift', calibration()) for _ in range(2))
    np.testing.assert_array_equal(one.series.values, two.series.values)
    assert [repr(event) for event in one.events] == [repr(event) for event in two.events]


def test_falling_value_raises_alarm_rising_value_does_not(tmp_path, worth_engine) -> None:
    quiet = score(
        open_recording(write_recording(tmp_path / 'a.mcap', RISING)),
        worth_engine,
        'tray_lift',
        calibration(),
    )
    assert quiet.alarms == []
    falls = [*RISING, *[0.0] * 20]  # from 0.68 to 0 after 6 s
    scores = score(
        open_recording(write_recording(tmp_path / 'b.mcap', falls)),
        worth_engine,
        'tray_lift',
        calibration(),
    )
    (alarm,) = scores.alarms
    assert alarm.kind == 'drop'
    # The smoothed value (0.4 s) falls by 0.3 within 0.3 s; the debounce takes 0.3 s more.
    assert 6.3 < (alarm.stamp - EPOCH) * 1e-9 < 7.2


def test_missing_calibration_raises_no_alarm(tmp_path: Path, worth_engine) -> None:
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [*RISING, *[-1.0] * 30])),
        worth_engine,
        'tray_lift',
    )
    assert scores.alarms == []


def test_inputs_of_recorded_monitor_are_used_again(tmp_path: Path, worth_engine) -> None:
    published = {1: 0.2, 3: 0.4}
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2, 0.3, 0.4], published)
    scores = score(open_recording(path), worth_engine, 'tray_lift')
    assert [sample.stamp for sample in scores.samples] == [EPOCH + STEP, EPOCH + 3 * STEP]
    assert [sample.value for sample in scores.samples] == [0.2, 0.4]
    assert [sample.episode for sample in scores.samples] == ['e1', 'e1']
    assert scores.difference == pytest.approx(0.0, abs=1e-7)  # float32 against float64


def test_images_have_the_recorded_input_stamps(tmp_path: Path, worth_engine) -> None:
    unpublished = write_recording(tmp_path / 'a.mcap', [0.1, 0.2, 0.3])
    values(unpublished, worth_engine)
    expected, worth_engine.pictures = worth_engine.pictures, []
    score(
        open_recording(write_recording(tmp_path / 'b.mcap', [0.1, 0.2, 0.3], {2: 0.3})),
        worth_engine,
        'tray_lift',
    )
    assert worth_engine.pictures == [expected[2]]
    assert len(set(expected)) == 3


def test_published_unknown_value_stays_unknown(tmp_path: Path, worth_engine) -> None:
    path = write_recording(tmp_path / 'r.mcap', [0.1, 0.2], {0: 0.1, 1: math.nan})
    scores = score(open_recording(path), worth_engine, 'tray_lift')
    assert math.isnan(scores.samples[1].value)
    assert scores.samples[1].reason == 'head is 0.70 s old'
    assert scores.difference == pytest.approx(0.0, abs=1e-7)


def test_value_that_engine_refuses_now_differs_by_inf(tmp_path, worth_engine):
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [1.5], {0: 0.4})),
        worth_engine,
        'tray_lift',
    )
    assert (scores.lost, scores.difference) == (0, math.inf)


def test_difference_from_published_value_is_reported(tmp_path, worth_engine) -> None:
    scores = score(
        open_recording(write_recording(tmp_path / 'r.mcap', [0.1], {0: 0.4})),
        worth_engine,
        'tray_lift',
    )
    assert scores.difference == pytest.approx(0.3)


def test_detector_uses_published_value_if_input_is_lost(tmp_path: Path, worth_engine) -> None:
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


def test_published_alarms_are_returned_with_computed_ones(tmp_path: Path, worth_engine) -> None:
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
    assert scores.published_alarms is not None
    (published,) = scores.published_alarms
    assert (published.kind, published.level, published.onset) == ('drop', Level.ALARM, EPOCH - 5)
    assert scores.alarms == []
