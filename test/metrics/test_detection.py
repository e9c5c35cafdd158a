# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from viva_ros.metrics.detection import Trial, detection, placebo

TRIALS = [
    Trial(True, 10.0, (5.0,), inject=3.0, manifest=4.0),  # detected at half, 1 s late
    Trial(True, 10.0, (1.0, 2.5), inject=2.0, manifest=4.0),  # 1.0 is before the cause
    Trial(True, 10.0, (), inject=2.0, manifest=4.0),
    Trial(True, 10.0, (1.0,), inject=2.0, manifest=4.0),  # a false alarm is no detection
    Trial(False, 1800.0, ()),
    Trial(False, 1800.0, (7.0, 20.0)),
]


def test_detection_metrics_by_hand() -> None:
    found = detection(TRIALS)
    assert (found.failures, found.successes) == (4, 2)
    assert found.tpr == 2 / 4
    assert found.tnr == 1 / 2
    assert found.balanced_accuracy == 0.5
    assert found.relative_delay == pytest.approx((0.5 + 0.25) / 2)
    assert found.delay_median == pytest.approx((1.0 - 1.5) / 2)
    assert found.delay_p90 == pytest.approx(-1.5 + 0.9 * 2.5)
    # 1/2 [((1 - .5) + (1 - .25)) / 4 + 1/2]
    assert found.twa == pytest.approx(0.5 * (1.25 / 4 + 0.5))
    assert found.false_alarms_per_hour == pytest.approx(2.0)  # in 2 x half an hour


def test_metrics_of_an_empty_set_are_nan() -> None:
    assert math.isnan(detection(TRIALS[4:]).tpr)
    assert math.isnan(detection(TRIALS[:4]).tnr)
    assert math.isnan(detection(TRIALS[2:3]).delay_median)


def test_alarm_at_the_time_of_the_cause_is_a_detection() -> None:
    assert Trial(True, 10.0, (2.0,), inject=2.0).detection == 2.0


def test_success_has_no_detection() -> None:
    assert TRIALS[5].detection is None
    assert TRIALS[5].delay is None


def test_placebo_keeps_the_number_of_alarms() -> None:
    random = placebo(TRIALS, seed=1)
    assert sum(len(trial.alarms) for trial in random) == 6
    assert all(0.0 <= t <= trial.duration for trial in random for t in trial.alarms)
    assert [trial.failed for trial in random] == [trial.failed for trial in TRIALS]
    assert random == placebo(TRIALS, seed=1) != placebo(TRIALS, seed=2)


def test_placebo_alarms_are_proportional_to_duration() -> None:
    trials = [Trial(False, 30.0, tuple(np.zeros(400))), Trial(True, 10.0, ())]
    first, second = (trial.alarms for trial in placebo(trials, seed=0))
    assert len(first) == pytest.approx(300, abs=30)  # standard error 8.7
    assert np.mean(first) == pytest.approx(15.0, abs=1.5)  # standard error .5
    assert np.mean(second) == pytest.approx(5.0, abs=0.9)  # standard error .3
