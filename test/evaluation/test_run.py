# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from viva_ros.core.observation import Observation
from viva_ros.evaluation.run import TimeCounter


def observed(seconds: float) -> Observation:
    return Observation({}, {}, {'joint_states': round(seconds * 1e9)})


def test_time_counter_value_is_elapsed_over_mean_duration(worth_engine) -> None:
    counter = TimeCounter(worth_engine.info, 8.0)
    values = [counter.estimate(observed(100.0 + at)).value for at in (0.0, 2.0, 16.0)]
    assert values == pytest.approx([0.0, 0.25, 2.0])


def test_overdue_time_counter_falls(worth_engine) -> None:
    counter = TimeCounter(worth_engine.info, 8.0, overdue=True)
    counter.estimate(observed(5.0))
    # 4 s of 8 s, in tenths: all of ten mean durations are known values, in [-1, 0].
    assert counter.estimate(observed(9.0)).value == pytest.approx(-0.05)
    assert counter.estimate(observed(5.0 + 79.0)).value == pytest.approx(-0.9875)
    assert counter.estimate(observed(500.0)).value == -1.0


def test_time_counter_has_engine_inputs_and_own_fingerprint(worth_engine) -> None:
    info = TimeCounter(worth_engine.info, 8.0).info
    assert info.cameras == worth_engine.info.cameras
    assert info.fingerprint != worth_engine.info.fingerprint
