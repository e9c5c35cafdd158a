# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES
from viva_ros.core.detection.thresholds import Threshold
from viva_ros.core.events import Event, Level
from viva_ros.core.events import kinds as event_kinds

THRESHOLDS = {
    'drop': Threshold(0.1, 0.2),
    'no_rise': Threshold(-0.1, 0.0),
    'floor': Threshold(0.3, 0.5),
}
COOL_DOWN = DetectorSettings().alarm.cool_down

VALUES = st.one_of(
    st.floats(-1, 1), st.sampled_from([-0.9, 0.0, 0.9]), st.none(),
    st.sampled_from([-1.5, 7.0, math.inf, -math.inf]),
)  # fmt: skip
STEPS = st.one_of(st.integers(1, 400_000_000), st.integers(1, 3_000_000_000))
SERIES = st.lists(
    st.tuples(STEPS, VALUES, st.sampled_from(['a', 'a', 'a', 'a', 'b'])), max_size=120
)


def replay(series: list[tuple[int, float | None, str]]) -> list[tuple[int, list[Event], Level]]:
    detector, stamp, result = Detector(DetectorSettings(), THRESHOLDS), 10**18, []
    for step, value, episode in series:
        stamp += step
        events = detector.update(stamp, value, 'reason', episode)
        result.append((stamp, events, detector.level))
    return result


def flapping(period: int) -> list[tuple[int, float | None, str]]:
    return [(200_000_000, 0.9 if i // period % 2 else -0.9, 'a') for i in range(600)]


@settings(max_examples=300)
@given(SERIES)
def test_no_two_alarms_are_within_the_cool_down(series) -> None:
    alarms = [
        event.stamp
        for _, events, _ in replay(series)
        for event in events
        if event.kind in RULES and event.level == Level.ALARM
    ]
    gaps = [later - earlier for earlier, later in pairwise(alarms)]
    assert all(gap >= COOL_DOWN * 1e9 for gap in gaps)


def test_flapping_value_alarms_once_per_cool_down_at_most() -> None:
    for period in (1, 2, 3, 5, 10, 20):
        alarms = [e for _, es, _ in replay(flapping(period)) for e in es if e.level == Level.ALARM]
        assert len(alarms) <= 120 / COOL_DOWN + 1
    assert any(e.level == Level.ALARM for _, es, _ in replay(flapping(5)) for e in es)


@settings(max_examples=200)
@given(SERIES)
def test_unknown_sample_raises_no_rule_event(series) -> None:
    for (_, events, _), (_, value, _) in zip(replay(series), series, strict=True):
        if value is None:
            assert {event.kind for event in events} <= {'unknown', 'episode_start'}


@given(st.lists(st.integers(1, 2_000_000_000), max_size=60))
def test_series_of_unknown_values_never_alarms(steps) -> None:
    for _, events, level in replay([(step, None, 'a') for step in steps]):
        assert level in (Level.OK, Level.UNKNOWN)
        assert all(event.level < Level.WARN for event in events)


@settings(max_examples=100)
@given(SERIES)
def test_replay_is_deterministic_and_float32_safe(series) -> None:
    rounded = [
        (step, None if value is None else float(np.float32(value)), episode)
        for step, value, episode in series
    ]
    assert repr(replay(series)) == repr(replay(series)) == repr(replay(rounded))


@settings(max_examples=200)
@given(SERIES)
def test_every_event_is_consistent(series) -> None:
    for stamp, events, level in replay(series):
        for event in events:
            assert event.kind in event_kinds()
            assert event.stamp == stamp
            assert event.onset <= stamp
            assert event.text
            if event.kind in RULES:
                assert event.statistic > event.threshold
            else:
                assert math.isnan(event.statistic)
        if events:
            assert events[-1].level == level


@settings(max_examples=100)
@given(st.lists(st.tuples(STEPS, st.floats(-1, 1)), min_size=1, max_size=80))
def test_detector_after_time_jump_equals_a_new_detector(samples) -> None:
    used, fresh = (
        Detector(DetectorSettings(), THRESHOLDS),
        Detector(DetectorSettings(), THRESHOLDS),
    )
    used.update(2 * 10**18, 0.9)
    used.update(2 * 10**18 + 200_000_000, -0.9)
    stamp = 10**18
    for index, (step, value) in enumerate(samples):
        stamp += step
        first, second = used.update(stamp, value), fresh.update(stamp, value)
        if index:
            assert repr(first) == repr(second)
    assert repr(used.readings) == repr(fresh.readings)
