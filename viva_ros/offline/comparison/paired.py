# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How much a contender differs from ViVa on the same episodes.

Intervals of two contenders may overlap though one is better on nearly every episode: drawing the
episodes once for both takes out what is hard for everyone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from viva_ros.core.metrics import auroc, bootstrap_interval
from viva_ros.core.observation import Array
from viva_ros.core.progress_metrics import corrected_order
from viva_ros.offline.figures import IN_TIME
from viva_ros.offline.progress_figures import tries
from viva_ros.offline.trials import FAILURE, MENDED, SUCCESS, Result

SEED: Final = 0

Number = Callable[[Result], float]


def found_in_time(one: Result) -> float:
    """1 where a failure is detected before its evidence or soon after, else 0."""
    delay = one.trial.delay
    return float(delay is not None and delay <= IN_TIME)


#: Figures that are means over the episodes of a group.
MEANS: Final[Mapping[str, tuple[str, Number]]] = {
    'spearman': (SUCCESS, lambda one: one.order),
    'true_order': (SUCCESS, lambda one: one.true_order),
    'in_time': (FAILURE, found_in_time),
    'tpr': (FAILURE, lambda one: float(one.trial.detection is not None)),
    'false_alarms': (SUCCESS, lambda one: float(bool(one.alarms))),
}
#: All figures that ``differences`` gives.
PAIRED: Final = frozenset({*MEANS, 'auroc', 'retry_voc'})


def differences(
    ours: Sequence[Result], theirs: Sequence[Result], draws: int = 1000
) -> dict[str, dict[str, float]]:
    """
    Give figures of theirs less those of ours, with 95 % intervals over episodes drawn again.

    :param ours: of ViVa; theirs: of another, of the same episodes in the same order
    :raises ValueError: if the episodes are others
    """
    if [one.name for one in ours] != [one.name for one in theirs]:
        raise ValueError('two contenders were judged on other episodes, must be the same')
    pairs = list(zip(ours, theirs, strict=True))
    found = {}
    for key, (group, number) in MEANS.items():
        gains = np.array([number(b) - number(a) for a, b in pairs if a.group == group])
        found[key] = _mean(gains[np.isfinite(gains)], draws)
    judgeable = [
        (a.final, b.final, a.success) for a, b in pairs
        if a.group in (SUCCESS, FAILURE, MENDED) and np.isfinite((a.final, b.final)).all()
    ]  # fmt: skip
    tried = [[corrected_order(parts) for parts in tries(results)] for results in (ours, theirs)]
    gains = np.array(tried[1]) - np.array(tried[0])
    found['retry_voc'] = _mean(gains[np.isfinite(gains)], draws)
    found['auroc'] = _auroc(np.array(judgeable, dtype=np.float64).reshape(-1, 3), draws)
    return found


def _mean(gains: Array, draws: int) -> dict[str, float]:
    return _interval(lambda rows: float(gains[rows].mean()), len(gains), draws)


def _auroc(finals: Array, draws: int) -> dict[str, float]:
    def gain(rows: Array) -> float:
        ours, theirs, success = finals[rows].T
        return auroc(theirs, success > 0) - auroc(ours, success > 0)

    return _interval(gain, len(finals), draws)


def _interval(gain: Callable[[Array], float], count: int, draws: int) -> dict[str, float]:
    value = gain(np.arange(count)) if count else math.nan
    if math.isnan(value):
        return {'value': value, 'low': value, 'high': value, 'episodes': count}
    low, high = bootstrap_interval(gain, count, seed=SEED, draws=draws)
    return {'value': value, 'low': low, 'high': high, 'episodes': count}
