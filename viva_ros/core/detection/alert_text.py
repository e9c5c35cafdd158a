# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a rule's crossing means, for a person."""

from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.events import DROP, FORESIGHT, NO_RISE, SLOPE, STALL


def explain(
    kind: str, statistic: float, threshold: float, settings: RuleSettings,
    farthest: tuple[str, float] | None = None,
) -> str:  # fmt: skip
    """
    Say for a person what a rule's crossing means.

    :param farthest: joint, and how far it is from where it was foreseen, rad or m
    """
    if kind == DROP:
        return (
            f'value fell by {statistic:.2f} within {settings.drop_window:g} s, '
            f'threshold {threshold:.2f}'
        )
    if kind == NO_RISE:
        return (
            f'value changed by {-statistic:+.2f} in {settings.no_rise_window:g} s, '
            f'at least {-threshold:+.2f} is expected'
        )
    if kind == STALL:
        return (
            f'value gained less than {settings.stall_gain:g} in {statistic:.1f} s, '
            f'successes never took longer than {threshold:.1f} s'
        )
    if kind == SLOPE:
        return f'value is {statistic:.2f} behind its usual rise, threshold {threshold:.2f}'
    if kind == FORESIGHT:
        most = f'; most of all {farthest[0]}, by {farthest[1]:.3f}' if farthest else ''
        return (
            f'joints are {statistic:.1f} times as far from where they were foreseen as usual, '
            f'threshold {threshold:.1f}{most}'
        )
    return f'success is rated {-statistic:.2f}, below the floor of {-threshold:.2f}'
