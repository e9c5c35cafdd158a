# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a detector: false alarms against their bound, detections, delays, rows by mode."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.supervision.detectors import Watched
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.evaluation.results import FAILURE, MENDED, RETRY, SUCCESS
from viva_ros.metrics.detection import detection
from viva_ros.metrics.intervals import UNKNOWN, share_interval

BENIGN = ('pause', 'slow', 'near_miss', 'early_release')  # variations that count as successes


def share(hits: int, count: int) -> dict[str, float]:
    """Return a share with its exact 95 % interval (Clopper & Pearson 1934); NaN if count is 0."""
    low, high = share_interval(hits, count) if count else UNKNOWN
    portion = hits / count if count else math.nan
    return {'hits': hits, 'of': count, 'share': portion, 'low': low, 'high': high}


def measures(
    watched: Sequence[Watched], calibrations: Mapping[str, Calibration]
) -> dict[str, Any]:
    """Return all figures of one detector."""
    groups = {
        group: [one for one in watched if one.case.group == group]
        for group in (SUCCESS, FAILURE, MENDED, RETRY)
    }
    judged = groups[SUCCESS] + groups[FAILURE]
    found = detection([one.trial for one in judged])
    modes = sorted({one.case.label.failure or '' for one in groups[FAILURE]})
    return {
        'alpha': next(iter(calibrations.values())).alpha,
        'promise': {task: promise(one) for task, one in calibrations.items()},
        'false_alarms': share(
            sum(bool(one.alarms) for one in groups[SUCCESS]), len(groups[SUCCESS])
        ),
        'detected': share(
            sum(one.trial.detection is not None for one in groups[FAILURE]), len(groups[FAILURE])
        ),
        'detection': asdict(found),
        'best_twa': detection([one.perfect('manifest') for one in judged]).twa,
        'best_twa_of_causes': detection([one.perfect('inject') for one in judged]).twa,
        'by_task': {task: _task(groups[SUCCESS], task, one) for task, one in calibrations.items()},
        'failures': {mode: _row(_of(groups[FAILURE], mode)) for mode in modes},
        'apart': {
            mode: _quiet(_of(groups[SUCCESS] + groups[MENDED], mode))
            for mode in sorted(
                {one.case.label.failure or '' for one in groups[MENDED]} | {*BENIGN}
            )
        },
        'retries': {
            'succeeded': _rested([one for one in groups[RETRY] if one.case.label.success]),
            'failed': _rested([one for one in groups[RETRY] if not one.case.label.success]),
            'succeeded, judged from the way home on': _quiet(
                [one for one in groups[RETRY] if one.case.label.success]
            ),
            'succeeded, judged from the attempt on': _begun(
                [one for one in groups[RETRY] if one.case.label.success]
            ),
        },
    }


def _task(successes: Sequence[Watched], task: str, calibration: Calibration) -> dict[str, Any]:
    """Return the false alarms of a task with the range of their bound."""
    low, high = calibration.coverage
    own = _quiet([one for one in successes if one.case.label.task == task])
    return {**own, 'promised_low': 1.0 - high, 'promised_high': 1.0 - low}


def promise(calibration: Calibration) -> dict[str, Any]:
    """Return the bound on false alarms of a calibration."""
    low, high = calibration.coverage
    return {
        'episodes': calibration.episodes, 'shaping': calibration.shaping,
        'false_alarms_low': 1.0 - high, 'false_alarms_high': 1.0 - low,
        'false_alarms_per_hour': calibration.alarms_per_hour,
        'thresholds': {kind: one.alarm for kind, one in calibration.thresholds.items()},
    }  # fmt: skip


def _of(watched: Sequence[Watched], mode: str) -> list[Watched]:
    return [one for one in watched if one.case.label.failure == mode]


def _row(watched: Sequence[Watched]) -> dict[str, Any]:
    found = detection([one.trial for one in watched])
    first = [one.alarms[0].kind for one in watched if one.alarms]
    return {
        'episodes': found.failures, 'detected': found.tpr, 'delay_median': found.delay_median,
        'delay_p90': found.delay_p90, 'by': {kind: first.count(kind) for kind in sorted({*first})},
    }  # fmt: skip


def _quiet(watched: Sequence[Watched]) -> dict[str, Any]:
    return share(sum(bool(one.alarms) for one in watched), len(watched))


def _rested(watched: Sequence[Watched]) -> dict[str, Any]:
    return share(sum(bool(one.rested) for one in watched), len(watched))


def _begun(watched: Sequence[Watched]) -> dict[str, Any]:
    """Return the share with an alarm in the attempt, of the retries with a known begin of it."""
    known = [one.begun for one in watched if one.begun is not None]
    return share(sum(bool(alarms) for alarms in known), len(known))
