# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from viva_ros.core.detection.forecast_residual import (
    ForecastResidual,
    ForecastResidualRule,
    scaled_rms,
)
from viva_ros.core.detection.reference import LEAST, Reference, StatisticScale
from viva_ros.core.detection.rules import Details, Proprioception, RuleBank, RuleSettings, Sample

S = 1_000_000_000
NAMES = ('waist', 'elbow')


def joints(
    waist: float, elbow: float, forecast: tuple[float, float] | None = None, horizon: float = 1.0
) -> Proprioception:
    positions = None if forecast is None else np.array(forecast)
    return Proprioception(NAMES, np.array([waist, elbow]), positions, horizon)


def test_residual_is_forecast_minus_measured_joints() -> None:
    residuals = ForecastResidual(gap=1.0)
    assert residuals.update(0, joints(0.0, 0.0, (0.5, 0.2))) is None
    assert residuals.update(S // 2, joints(0.1, 0.0, (0.7, 0.2))) is None
    found = residuals.update(S, joints(0.3, 0.3))
    assert found == pytest.approx([0.2, 0.1])  # |.3 - .5|, |.3 - .2|


def test_residual_interpolates_between_forecasts() -> None:
    residuals = ForecastResidual(gap=1.0)
    residuals.update(0, joints(0.0, 0.0, (0.4, 0.0)))
    residuals.update(S // 2, joints(0.0, 0.0, (0.8, 0.0)))
    # due at 1.0 and 1.5 s: at 1.25 s it is half-way, .6
    assert residuals.update(5 * S // 4, joints(0.0, 0.0)) == pytest.approx([0.6, 0.0])


@pytest.mark.parametrize('horizon', [math.inf, math.nan, -1.0, 0.0])
def test_invalid_horizon_yields_no_residual(horizon: float) -> None:
    residuals = ForecastResidual(gap=1.0)
    assert residuals.update(0, joints(0.0, 0.0, (0.5, 0.2), horizon)) is None
    assert residuals.update(S, joints(0.3, 0.3)) is None


def test_gap_between_forecasts_yields_no_residual() -> None:
    residuals = ForecastResidual(gap=1.0)
    residuals.update(0, joints(0.0, 0.0, (0.4, 0.0)))
    residuals.update(3 * S, joints(0.0, 0.0, (0.8, 0.0)))
    assert residuals.update(7 * S // 2, joints(0.0, 0.0)) is None  # due at 1 and 4 s


def test_change_of_joints_resets_the_forecasts() -> None:
    residuals = ForecastResidual(gap=1.0)
    residuals.update(0, joints(0.0, 0.0, (0.4, 0.0)))
    assert residuals.update(S // 2, None) is None
    assert residuals.update(S, joints(0.0, 0.0)) is None
    residuals.update(2 * S, joints(0.0, 0.0, (0.4, 0.0)))
    other = Proprioception(('wrist', 'elbow'), np.zeros(2), None, 1.0)
    assert residuals.update(3 * S, other) is None


def test_scaled_rms_divides_by_the_usual_residual() -> None:
    # .2 / .1 = 2 and .4 / .4 = 1: sqrt((4 + 1) / 2)
    assert scaled_rms(np.array([0.2, 0.4]), np.array([0.1, 0.4])) == pytest.approx(2.5**0.5)
    assert scaled_rms(np.array([0.2, 9.0]), np.array([0.1, math.nan])) == pytest.approx(2.0)
    assert math.isnan(scaled_rms(np.array([0.2]), np.array([math.nan])))


def test_scale_of_a_joint_has_a_lower_limit() -> None:
    assert Reference(joints={'waist': 1e-6}).scales(NAMES)[0] == LEAST
    assert math.isnan(Reference(joints={'waist': 1e-6}).scales(NAMES)[1])


def test_statistic_is_the_mean_over_a_full_window() -> None:
    settings = RuleSettings(forecast_residual_window=1.0, debounce=0.0)
    bank = RuleBank(settings, Reference(joints={'waist': 0.1, 'elbow': 0.1}))
    found = []
    for step in range(9):  # the forecast is .2 too large for both joints: twice the usual residual
        details = Details(joints=joints(0.0, 0.0, (0.2, 0.2)))
        found.append(bank.update(step * S // 4, 0.5, details)['forecast_residual'].statistic)
    assert all(math.isnan(one) for one in found[:8])  # residuals from 1 s, a full window at 2 s
    assert found[8] == pytest.approx(2.0)


def test_without_reference_no_residual_is_judged() -> None:
    bank = RuleBank(RuleSettings(forecast_residual_window=0.5))
    for step in range(20):
        details = Details(joints=joints(0.0, 0.0, (9.0, 9.0)))
        reading = bank.update(step * S // 4, 0.5, details)['forecast_residual']
    assert math.isnan(reading.statistic)


def test_statistic_scale_depends_on_progress() -> None:
    norm = StatisticScale((0.5,), (1.0, 2.0), (0.5, 0.25))
    assert norm.measure(2.0, 0.2) == 2.0  # (2 - 1) / .5
    assert norm.measure(2.5, 0.5) == 2.0  # (2.5 - 2) / .25
    with pytest.raises(ValueError, match='1 edges need 2 parts'):
        StatisticScale((0.5,), (1.0,), (1.0,))
    with pytest.raises(ValueError, match='must be above 0'):
        StatisticScale((), (1.0,), (0.0,))


def test_text_names_the_joint_with_the_largest_residual() -> None:
    rule = ForecastResidualRule(
        RuleSettings(), Reference(joints={'waist': 0.02, 'elbow': 0.2})
    )  # fmt: skip
    assert rule.farthest() is None
    rule.update(sample(0, joints(0.0, 0.0, (0.1, 0.3))))
    assert rule.farthest() is None  # no forecast for this stamp
    rule.update(sample(S, joints(0.0, 0.0, (0.0, 0.0))))
    assert rule.farthest() == ('waist', pytest.approx(0.1))  # 5 times its scale, the other 1.5
    text = rule.explain(3.2, 2.5)
    assert text.endswith('as in successes, threshold 2.5; largest: waist, 0.100')
    rule.reset()
    assert rule.farthest() is None


def sample(stamp: int, joints: Proprioception) -> Sample:
    return Sample(stamp, 0.5, done=False, warm=True, details=Details(joints=joints))
