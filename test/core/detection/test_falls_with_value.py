# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics that fall by the rise of the value."""

import pytest

from viva_ros.core.detection.rules import RULES


@pytest.mark.parametrize(
    ('rule', 'statistic', 'smoothed', 'expected'),
    [
        ('drop', 0.3, 0.5, True),
        ('no_rise', -0.1, 0.5, True),
        ('floor', -0.5, 0.5, True),
        ('floor', -0.7, 0.5, False),  # of a probability of success
        ('stall', 0.0, 0.0, False),  # equal to minus the value by chance
        ('slope', 0.0, 0.0, False),
        ('forecast_residual', 0.0, 0.0, False),
    ],
)
def test_rule_falls_with_the_value(
    rule: str, statistic: float, smoothed: float, expected: bool
) -> None:
    assert RULES[rule].falls_with_value(statistic, smoothed) is expected
