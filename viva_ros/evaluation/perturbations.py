# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Values under perturbed inputs: covered camera, other task, shuffled frames, other speed, pause.

Each check changes the inputs of the engine or their times, and names the expected behaviour. The
detector is the one that runs live.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.observation import Array, Observation, Unknown
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.api import Engine
from viva_ros.evaluation.results import FAILURE, SUCCESS, group_of, true_progress
from viva_ros.evaluation.run import Case, Contender, cases
from viva_ros.metrics.intervals import interval, known_mean, mean
from viva_ros.metrics.ranking import spearman
from viva_ros.scoring.replay import ReplayInput
from viva_ros.scoring.scorer import RATE, estimates, judge, rule_alarms, series_of

Shown = list[tuple[int, ReplayInput]]  # index in the recording, and input at its new time
GREY: Final = 40  # grey level of a covered lens, not black
PAUSE: Final = 2.0  # s
SEED: Final = 0
UNCHANGED: Final = 'as it was'


@dataclass(frozen=True)
class PerturbationCheck:
    """
    One perturbation.

    :param change: returns the perturbed inputs of a recording
    :param good: expected behaviour of a good value
    :param other_task: whether the engine of another task is used
    """

    name: str
    change: Callable[[list[ReplayInput]], Shown]
    good: str
    other_task: bool = False


def plain(inputs: list[ReplayInput]) -> Shown:
    """Return the inputs unchanged."""
    return list(enumerate(inputs))


def covered(camera: str, inputs: list[ReplayInput]) -> Shown:
    """Replace the images of one camera by uniform grey."""
    return [
        (row, replace(one, observation=_cover(one.observation, camera)))
        for row, one in enumerate(inputs)
    ]


def shuffled(inputs: list[ReplayInput]) -> Shown:
    """Shuffle the inputs; the times stay in order."""
    order = np.random.default_rng(SEED).permutation(len(inputs))
    return [
        (int(row), at_time(inputs[row], inputs[place].stamp)) for place, row in enumerate(order)
    ]


def doubled(inputs: list[ReplayInput]) -> Shown:
    """Return every second input, at twice the speed."""
    first = inputs[0].stamp if inputs else 0
    return [
        (row, at_time(one, first + (one.stamp - first) // 2))
        for row, one in enumerate(inputs) if row % 2 == 0
    ]  # fmt: skip


def halved(inputs: list[ReplayInput]) -> Shown:
    """Return each input twice, at half the speed."""
    if len(inputs) < 2:
        return plain(inputs)
    stamps = np.array([one.stamp for one in inputs], dtype=np.int64)
    begins = stamps[0] + 2 * (stamps - stamps[0])
    steps = np.append(np.diff(stamps), stamps[-1] - stamps[-2])
    return [
        (row, at_time(one, at))
        for row, (one, begin, step) in enumerate(
            zip(inputs, begins.tolist(), steps.tolist(), strict=True)
        )
        for at in (begin, begin + step)
    ]


def paused(inputs: list[ReplayInput]) -> Shown:
    """Repeat the middle input for PAUSE s."""
    middle = len(inputs) // 2
    if middle < 1:
        return plain(inputs)
    step = inputs[middle].stamp - inputs[middle - 1].stamp
    count = round(PAUSE * 1e9 / max(step, 1))
    held = [
        (middle, at_time(inputs[middle], inputs[middle].stamp + n * step)) for n in range(count)
    ]
    later = [(row, at_time(one, one.stamp + count * step))
             for row, one in enumerate(inputs) if row >= middle]  # fmt: skip
    return plain(inputs)[:middle] + held + later


def checks(cameras: Sequence[str], tasks: int) -> Iterator[PerturbationCheck]:
    """Yield the checks for the cameras and the number of tasks of an engine."""
    yield PerturbationCheck(UNCHANGED, plain, 'reference')
    for camera in cameras:
        expected = 'lower rank correlation; no higher value'
        yield PerturbationCheck(f'{camera} covered', partial(covered, camera), expected)
    if tasks > 1:
        yield PerturbationCheck('wrong task', plain, 'lower value', other_task=True)
    yield PerturbationCheck(
        'frames shuffled', shuffled, 'value depends on the images, not on the time'
    )
    yield PerturbationCheck(
        'twice the speed', doubled, 'equal value for equal images; no additional alarms'
    )
    yield PerturbationCheck(
        'half the speed', halved, 'equal value for equal images; alarms for slow progress allowed'
    )
    yield PerturbationCheck('a pause of 2 s', paused, 'constant value')


def measure_checks(
    one: Contender, tasks: Mapping[Path, str], limit: int, rate: float = RATE
) -> dict[str, dict[str, Any]]:
    """
    Run all checks for one contender.

    :param tasks: test recording to its task
    :param limit: number of recordings of each task and outcome
    :param rate: rate of the simulated monitor, Hz
    :returns: by check: rank correlation with true progress and with time, mean change of the
        value, share of successes and of failures with an alarm
    """
    infos = {task: engine().info for task, engine in one.engines.items()}
    cameras = next(iter(infos.values())).cameras
    found: dict[str, list[dict[str, float]]] = {}
    wanted = list(checks(cameras, len(one.engines)))
    for case in cases(_some(tasks, limit), infos, rate):
        base: dict[int, float] = {}
        for check in wanted:
            row = _measure(check, case, one, base)
            found.setdefault(check.name, []).append(row)
    return {check.name: {'good': check.good, **_summary(found[check.name])} for check in wanted}


def _some(tasks: Mapping[Path, str], limit: int) -> dict[Path, str]:
    """Return the first ``limit`` undisturbed successes and failures of each task."""
    counts: dict[tuple[str, str], int] = {}
    picked = {}
    for path, task in tasks.items():
        label = episodes_of(open_recording(path))[0].label
        key = task, group_of(label) if label else ''
        if key[1] in (SUCCESS, FAILURE) and counts.get(key, 0) < limit:
            counts[key] = counts.get(key, 0) + 1
            picked[path] = task
    return picked


def _measure(
    check: PerturbationCheck, case: Case, one: Contender, base: dict[int, float]
) -> dict[str, float]:
    shown = check.change(case.inputs)
    rows = [row for row, _ in shown]
    engine = _engine_of(check, case.task, one)
    samples = list(estimates([entry for _, entry in shown], engine))
    values = series_of(samples).values
    if check.name == UNCHANGED:
        base.update(zip(rows, values.tolist(), strict=True))
    progress = true_progress(np.array([case.inputs[row].stamp for row in rows]), case.moments)
    alarms = rule_alarms(judge(samples, one.calibrations.get(case.task)))
    return {
        'success': float(case.label.success),
        'order': _order(values, progress),
        'time_order': _order(values, np.arange(len(values), dtype=np.float64)),
        'change': known_mean(values - np.array([base.get(row, np.nan) for row in rows])),
        'alarmed': float(bool(alarms)),
    }


def _engine_of(check: PerturbationCheck, task: str, one: Contender) -> Engine:
    if not check.other_task:
        return one.engines[task]()
    return next(engine() for other, engine in one.engines.items() if other != task)


def _summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    successes = [row for row in rows if row['success'] == 1.0]
    failures = [row for row in rows if row['success'] == 0.0]

    def over(some: Sequence[Mapping[str, float]], key: str, share: bool = False) -> Any:
        return interval(mean([row[key] for row in some], share))

    return {
        'episodes': len(rows),
        'order': over(successes, 'order'),
        'time_order': over(successes, 'time_order'),
        'change_in_successes': over(successes, 'change'),
        'change_in_failures': over(failures, 'change'),
        'false_alarms': over(successes, 'alarmed', share=True),
        'detected': over(failures, 'alarmed', share=True),
    }


def _order(values: Array, against: Array) -> float:
    known = np.isfinite(values) & np.isfinite(against)
    return spearman(values[known], against[known]) if known.sum() > 1 else float('nan')


def _cover(observation: Observation | Unknown, camera: str) -> Observation | Unknown:
    if isinstance(observation, Unknown):
        return observation
    grey = np.full_like(observation.images[camera], GREY)
    return replace(observation, images={**observation.images, camera: grey})


def at_time(one: ReplayInput, stamp: int) -> ReplayInput:
    """Return an input at another time; the stamps of its images and joints move with it."""
    if isinstance(one.observation, Unknown):
        return replace(one, stamp=stamp)
    moved = {name: at + stamp - one.stamp for name, at in one.observation.stamps.items()}
    return replace(one, stamp=stamp, observation=replace(one.observation, stamps=moved))
