# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a value does where it is easy to be fooled: the same recordings, changed on purpose.

A check changes what the engine is shown, moment by moment, and when; the judge is the one that
runs live. What a good value does stands beside each.
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
from viva_ros.scoring.replay import Sight
from viva_ros.scoring.scorer import estimates, judge, rule_alarms, series_of

Shown = list[tuple[int, Sight]]  # which moment of the recording, and when it is shown
GREY: Final = 40  # of a covered lens that is not quite dark
PAUSE: Final = 2.0  # s
SEED: Final = 0
UNCHANGED: Final = 'as it was'


@dataclass(frozen=True)
class PerturbationCheck:
    """
    One way to fool a value.

    :param change: gives what is shown of the moments of a recording
    :param good: what a good value does
    :param other_task: whether the engine is asked about another task
    """

    name: str
    change: Callable[[list[Sight]], Shown]
    good: str
    other_task: bool = False


def plain(sights: list[Sight]) -> Shown:
    """Show all as it was."""
    return list(enumerate(sights))


def covered(camera: str, sights: list[Sight]) -> Shown:
    """Show an evenly grey picture of one camera."""
    return [(row, replace(one, seen=_cover(one.seen, camera))) for row, one in enumerate(sights)]


def shuffled(sights: list[Sight]) -> Shown:
    """Show the moments in a random order, at the times of the first order."""
    order = np.random.default_rng(SEED).permutation(len(sights))
    return [(int(row), _at(sights[row], sights[place].stamp)) for place, row in enumerate(order)]


def doubled(sights: list[Sight]) -> Shown:
    """Show every second moment, at twice the speed."""
    first = sights[0].stamp if sights else 0
    return [
        (row, _at(one, first + (one.stamp - first) // 2))
        for row, one in enumerate(sights) if row % 2 == 0
    ]  # fmt: skip


def halved(sights: list[Sight]) -> Shown:
    """Show every moment twice, at half the speed."""
    if len(sights) < 2:
        return plain(sights)
    stamps = np.array([one.stamp for one in sights], dtype=np.int64)
    begins = stamps[0] + 2 * (stamps - stamps[0])
    steps = np.append(np.diff(stamps), stamps[-1] - stamps[-2])
    return [
        (row, _at(one, at))
        for row, (one, begin, step) in enumerate(
            zip(sights, begins.tolist(), steps.tolist(), strict=True)
        )
        for at in (begin, begin + step)
    ]


def paused(sights: list[Sight]) -> Shown:
    """Stand still in the middle."""
    middle = len(sights) // 2
    if middle < 1:
        return plain(sights)
    step = sights[middle].stamp - sights[middle - 1].stamp
    count = round(PAUSE * 1e9 / max(step, 1))
    held = [(middle, _at(sights[middle], sights[middle].stamp + n * step)) for n in range(count)]
    later = [(row, _at(one, one.stamp + count * step))
             for row, one in enumerate(sights) if row >= middle]  # fmt: skip
    return plain(sights)[:middle] + held + later


def checks(cameras: Sequence[str], tasks: int) -> Iterator[PerturbationCheck]:
    """Yield all checks for an engine with these cameras and so many tasks."""
    yield PerturbationCheck(UNCHANGED, plain, 'the figures to compare with')
    for camera in cameras:
        yield PerturbationCheck(f'{camera} covered', partial(covered, camera),
                    'knows less: the order suffers, the value does not rise')  # fmt: skip
    if tasks > 1:
        yield PerturbationCheck(
            'wrong task', plain, 'falls: this is not that task', other_task=True
        )
    yield PerturbationCheck(
        'frames shuffled', shuffled, 'follows what it sees, not the time that it was told'
    )
    yield PerturbationCheck(
        'twice the speed', doubled, 'is the same at each moment; no more alarms'
    )
    yield PerturbationCheck(
        'half the speed', halved, 'is the same at each moment; may alarm: no progress'
    )
    yield PerturbationCheck('a pause of 2 s', paused, 'stays where it is')


def measure_checks(
    one: Contender, tasks: Mapping[Path, str], limit: int
) -> dict[str, dict[str, Any]]:
    """
    Measure what one contender does.

    :param limit: recordings of each task and outcome
    :returns: by check: rank correlation with true progress and with the time shown, change of the
        value from what it was (mean over moments), alarmed shares of successes and of failures
    """
    infos = {task: engine().info for task, engine in one.engines.items()}
    cameras = next(iter(infos.values())).cameras
    found: dict[str, list[dict[str, float]]] = {}
    wanted = list(checks(cameras, len(one.engines)))
    for case in cases(_some(tasks, limit), infos):
        base: dict[int, float] = {}
        for check in wanted:
            row = _measure(check, case, one, base)
            found.setdefault(check.name, []).append(row)
    return {check.name: {'good': check.good, **_summary(found[check.name])} for check in wanted}


def _some(tasks: Mapping[Path, str], limit: int) -> dict[Path, str]:
    """Pick as many undisturbed successes as failures of each task, by name."""
    taken: dict[tuple[str, str], int] = {}
    picked = {}
    for path, task in tasks.items():
        label = episodes_of(open_recording(path))[0].label
        key = task, group_of(label) if label else ''
        if key[1] in (SUCCESS, FAILURE) and taken.get(key, 0) < limit:
            taken[key] = taken.get(key, 0) + 1
            picked[path] = task
    return picked


def _measure(
    check: PerturbationCheck, case: Case, one: Contender, base: dict[int, float]
) -> dict[str, float]:
    shown = check.change(case.sights)
    rows = [row for row, _ in shown]
    engine = _asked(check, case.task, one)
    samples = list(estimates([sight for _, sight in shown], engine))
    values = series_of(samples).values
    if check.name == UNCHANGED:
        base.update(zip(rows, values.tolist(), strict=True))
    progress = true_progress(np.array([case.sights[row].stamp for row in rows]), case.moments)
    alarms = rule_alarms(judge(samples, one.calibrations.get(case.task)))
    return {
        'success': float(case.label.success),
        'order': _order(values, progress),
        'time_order': _order(values, np.arange(len(values), dtype=np.float64)),
        'change': known_mean(values - np.array([base.get(row, np.nan) for row in rows])),
        'alarmed': float(bool(alarms)),
    }


def _asked(check: PerturbationCheck, task: str, one: Contender) -> Engine:
    if not check.other_task:
        return one.engines[task]()
    return next(engine() for other, engine in one.engines.items() if other != task)


def _summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    well = [row for row in rows if row['success'] == 1.0]
    badly = [row for row in rows if row['success'] == 0.0]

    def over(some: Sequence[Mapping[str, float]], key: str, share: bool = False) -> Any:
        return interval(mean([row[key] for row in some], share))

    return {
        'episodes': len(rows),
        'order': over(well, 'order'),
        'time_order': over(well, 'time_order'),
        'change_in_successes': over(well, 'change'),
        'change_in_failures': over(badly, 'change'),
        'false_alarms': over(well, 'alarmed', share=True),
        'detected': over(badly, 'alarmed', share=True),
    }


def _order(values: Array, against: Array) -> float:
    known = np.isfinite(values) & np.isfinite(against)
    return spearman(values[known], against[known]) if known.sum() > 1 else float('nan')


def _cover(seen: Observation | Unknown, camera: str) -> Observation | Unknown:
    if isinstance(seen, Unknown):
        return seen
    grey = np.full_like(seen.images[camera], GREY)
    return replace(seen, images={**seen.images, camera: grey})


def _at(one: Sight, stamp: int) -> Sight:
    """Show at another time; the stamps of the inputs move along, for who counts time by them."""
    if isinstance(one.seen, Unknown):
        return replace(one, stamp=stamp)
    moved = {name: at + stamp - one.stamp for name, at in one.seen.stamps.items()}
    return replace(one, stamp=stamp, seen=replace(one.seen, stamps=moved))
