# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of one engine over many judged episodes."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from viva_ros.evaluation.results import (
    FAILURE,
    MENDED,
    RETRY,
    SUCCESS,
    Result,
    modes,
    of_group,
    of_mode,
)  # fmt: skip
from viva_ros.evaluation.summary import progress_measures
from viva_ros.metrics.detection import detection
from viva_ros.metrics.intervals import Measure, differences, interval, known_mean, mean
from viva_ros.offline.outcome_figures import (
    IN_TIME,
    detection_measures,
    in_time,
    placebo_figures,
    ranking_measures,
    reliability_figures,
)

__all__ = ['IN_TIME', 'by_task', 'compared', 'figures', 'measures', 'of_all', 'share_in_time']


def figures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Any]:
    """
    Give all figures of one engine.

    :param camera_only: modes that only a camera can see
    """
    failed = of_group(results, FAILURE)
    judged = [*of_group(results, SUCCESS), *failed]
    return {
        **{name: interval(one) for name, one in measures(results, camera_only).items()},
        'spearman_lowest': min((r.order for r in of_group(results, SUCCESS)), default=math.nan),
        'detection': asdict(detection([r.trial for r in judged])),
        'failures': {m: _row(of_mode(results, m)) for m in modes(results, FAILURE)},
        'camera_only': _row([r for r in failed if r.mode in camera_only]),
        'arms': _row([r for r in failed if r.mode not in camera_only]),
        'mended': {m: _quiet(of_mode(results, m, MENDED)) for m in modes(results, MENDED)},
        'retries': {
            'succeeded': _quiet([r for r in of_group(results, RETRY) if r.success]),
            'failed': _quiet([r for r in of_group(results, RETRY) if not r.success]),
        },
        'placebo': placebo_figures(judged),
        'reliability': reliability_figures(results),
    }


def measures(results: Sequence[Result], camera_only: Collection[str]) -> dict[str, Measure]:
    """Give all figures that have an interval, and a difference from those of another engine."""
    good = of_group(results, SUCCESS)
    ended = [*good, *of_group(results, FAILURE), *of_group(results, MENDED)]
    return {
        'spearman': mean([one.order for one in good]),
        'true_order': mean([one.true_order for one in good]),
        **ranking_measures(ended),
        **detection_measures(results, camera_only),
        **progress_measures(results),
    }


def compared(
    ours: Sequence[Result], theirs: Sequence[Result], camera_only: Collection[str]
) -> dict[str, dict[str, float]]:
    """
    Give every figure of theirs less ours, with its interval over the same episodes drawn again.

    :raises ValueError: if the episodes are others
    """
    if [(one.task, one.name) for one in ours] != [(one.task, one.name) for one in theirs]:
        raise ValueError('two contenders were judged on other episodes, must be the same')
    return differences(measures(ours, camera_only), measures(theirs, camera_only))


def of_all(
    results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Give the figures of everyone, with the differences from the first."""
    first = next(iter(results.values()))
    return {
        name: {
            **figures(rows, camera_only),
            'differences': {} if rows is first else compared(first, rows, camera_only),
        }
        for name, rows in results.items()
    }


def by_task(
    results: Mapping[str, Sequence[Result]], camera_only: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Give the figures of everyone at each task; nothing where there is but one."""
    tasks = sorted({one.task for rows in results.values() for one in rows})
    if len(tasks) < 2:
        return {}
    return {
        task: of_all(
            {name: [one for one in rows if one.task == task] for name, rows in results.items()},
            camera_only,
        )
        for task in tasks
    }


def share_in_time(results: Sequence[Result]) -> float:
    """Share of failures detected before their evidence or soon after; NaN without failures."""
    return known_mean([float(in_time(one.trial)) for one in results])


def _row(results: Sequence[Result]) -> dict[str, float]:
    found = detection([r.trial for r in results])
    return {
        'episodes': found.failures, 'detected': found.tpr, 'in_time': share_in_time(results),
        'delay_median': found.delay_median, 'delay_p90': found.delay_p90,
    }  # fmt: skip


def _quiet(results: Sequence[Result]) -> dict[str, float]:
    return {
        'episodes': len(results),
        'alarmed': known_mean([float(bool(r.alarms)) for r in results]),
        'spearman': known_mean([r.order for r in results]),
        'true_order': known_mean([r.true_order for r in results]),
    }
