# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of one engine over many judged episodes."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from viva_ros.core.detection import detection
from viva_ros.core.metrics import auroc, bootstrap_interval
from viva_ros.offline.progress_figures import progress_figures
from viva_ros.offline.trials import (
    FAILURE,
    MENDED,
    RETRY,
    SUCCESS,
    Result,
    modes,
    of_group,
    of_mode,
)  # fmt: skip

BOOTSTRAP_SEED: Final = 0
# After the evidence, s. In a failed episode the arms go on beyond the end of a successful one, so
# that in the end they tell every failure: only what is found before counts as seen.
IN_TIME: Final = 1.5


def figures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Any]:
    """
    Give all figures of one engine.

    :param camera_only: modes that only a camera can see
    """
    good = of_group(results, SUCCESS)
    judged = [*good, *of_group(results, FAILURE)]
    judgeable = [r for r in (*judged, *of_group(results, MENDED)) if math.isfinite(r.final)]
    return {
        'spearman': _over(good, lambda rs: _mean([r.order for r in rs])),
        'true_order': _over(good, lambda rs: _mean([r.true_order for r in rs])),
        'spearman_lowest': min((r.order for r in good), default=math.nan),
        'auroc': _over(judgeable, outcome_auroc),
        'in_time': _over(of_group(results, FAILURE), in_time),
        'tpr': _over(of_group(results, FAILURE), lambda rs: detection([r.trial for r in rs]).tpr),
        'false_alarms': _over(good, lambda rs: 1.0 - detection([r.trial for r in rs]).tnr),
        'detection': asdict(detection([r.trial for r in judged])),
        'failures': {m: _row(of_mode(results, m)) for m in modes(results, FAILURE)},
        'camera_only': _row([r for r in of_group(results, FAILURE) if r.mode in camera_only]),
        'arms': _row([r for r in of_group(results, FAILURE) if r.mode not in camera_only]),
        'mended': {m: _quiet(of_mode(results, m, MENDED)) for m in modes(results, MENDED)},
        'retries': {
            'succeeded': _quiet([r for r in of_group(results, RETRY) if r.success]),
            'failed': _quiet([r for r in of_group(results, RETRY) if not r.success]),
        },
        **progress_figures(results),
    }


def by_task(
    results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Give the figures of everyone at each task; nothing where there is but one."""
    tasks = sorted({one.task for rows in results.values() for one in rows})
    if len(tasks) < 2:
        return {}
    return {
        task: {
            name: figures([one for one in rows if one.task == task], camera_only)
            for name, rows in results.items()
        }
        for task in tasks
    }


def outcome_auroc(results: Sequence[Result]) -> float:
    """How well the final value tells successes from failures."""
    return auroc([r.final for r in results], [r.success for r in results])


def in_time(results: Sequence[Result]) -> float:
    """Share of failures detected before their evidence or soon after; NaN without failures."""
    delays = [r.trial.delay for r in results]
    return _mean([float(delay is not None and delay <= IN_TIME) for delay in delays])


def _over(results: Sequence[Result], figure: Callable[[list[Result]], float]) -> dict[str, float]:
    """Give a figure, with its interval over episodes drawn again."""
    value = figure(list(results)) if results else math.nan
    if math.isnan(value):
        return {'value': value, 'low': value, 'high': value, 'episodes': len(results)}
    low, high = bootstrap_interval(
        lambda drawn: figure([results[i] for i in drawn]), len(results), seed=BOOTSTRAP_SEED,
        draws=200,
    )  # fmt: skip
    return {'value': value, 'low': low, 'high': high, 'episodes': len(results)}


def _row(results: Sequence[Result]) -> dict[str, float]:
    found = detection([r.trial for r in results])
    return {
        'episodes': found.failures, 'detected': found.tpr, 'in_time': in_time(results),
        'delay_median': found.delay_median, 'delay_p90': found.delay_p90,
    }  # fmt: skip


def _quiet(results: Sequence[Result]) -> dict[str, float]:
    return {
        'episodes': len(results),
        'alarmed': _mean([float(bool(r.alarms)) for r in results]),
        'spearman': _mean([r.order for r in results]),
        'true_order': _mean([r.true_order for r in results]),
    }


def _mean(numbers: Sequence[float]) -> float:
    """Mean of those that are there."""
    known = [number for number in numbers if math.isfinite(number)]
    return float(np.mean(known)) if known else math.nan
