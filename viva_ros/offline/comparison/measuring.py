# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figures of one contender: how good its values are, and what they cost."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.ablation.budget import Budget
from benchmarks.ablation.entries import TIME, TIME_TITLE, chosen
from benchmarks.ablation.measure import values_of
from benchmarks.ablation.packs import file_of
from benchmarks.ablation.train import material
from viva_ros.cli.evaluate import camera_only
from viva_ros.evaluation.results import Result
from viva_ros.model import checkpoint
from viva_ros.offline.comparison.judging import Judged, durations, elapsed, judged
from viva_ros.offline.comparison.training import CHECKPOINT, folder_of, open_module, parameters
from viva_ros.offline.figures import figures


@dataclass(frozen=True)
class Measured:
    """
    What came out for one contender.

    :param figures: for the record
    :param results: of the test recordings of all tasks, in order
    """

    figures: dict[str, Any]
    results: list[Result]


def examine(budget: Budget, name: str) -> Measured:
    """Calibrate, test and describe one contender."""
    if name == TIME:
        return examine_time(budget)
    (entry,) = chosen([name])
    found = values_of(budget, name)
    module, fingerprint = open_module(entry, budget, material(budget))
    schedule = budget.schedule(entry)
    content = checkpoint.read_description(folder_of(budget, name) / CHECKPOINT)
    tested = judged(budget, fingerprint, lambda seen: found[file_of(budget, seen.path).stem])
    told = {
        'title': entry.title, 'fingerprint': fingerprint, 'parameters': parameters(module),
        'steps': schedule.steps, 'batch': schedule.batch,
        'seconds': content['provenance']['seconds'],
        **measured(tested),
    }  # fmt: skip
    return Measured(told, tested.everything)


def examine_time(budget: Budget) -> Measured:
    """Measure a clock: its values rise with time, its alarm is a time-out."""
    lasting = durations(budget)
    found = judged(
        budget, 'time counter', partial(elapsed, lasting),
        alarming=partial(elapsed, lasting, sign=-1.0),
    )  # fmt: skip
    told = {'title': TIME_TITLE, 'parameters': 0, 'steps': 0, 'batch': 0, 'seconds': 0.0,
            **measured(found)}  # fmt: skip
    return Measured(told, found.everything)


def measure(budget: Budget, name: str) -> dict[str, Any]:
    """Give the figures alone."""
    return examine(budget, name).figures


def measured(found: Judged) -> dict[str, Any]:
    """Give the figures over all test recordings, and over those of each task."""
    return {
        'all': figures(found.everything, camera_only()),
        'tasks': {task: figures(rows, camera_only()) for task, rows in found.results.items()},
        'thresholds': {
            task: {kind: limit.alarm for kind, limit in one.thresholds.items()}
            for task, one in found.calibrations.items()
        },
    }
