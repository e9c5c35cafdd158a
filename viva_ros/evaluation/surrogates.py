# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Surrogate failures: undisturbed successes that are changed from their middle on.

They test a monitor where no failure was recorded, against the same episodes unchanged. They are
no failures: nothing slips, and what a real failure looks like is not shown.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.events import Level
from viva_ros.core.image_checks import FrozenPicture, PictureSettings
from viva_ros.core.observation import Unknown
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.evaluation.perturbations import at_time
from viva_ros.evaluation.results import FAILURE, SUCCESS, Result, group_of, of_mode, result
from viva_ros.evaluation.run import (
    OVERDUE,
    TIME,
    Case,
    Contender,
    cases,
    join_time_baselines,
)
from viva_ros.evaluation.summary import in_time
from viva_ros.metrics.intervals import area, interval, mean, quantile
from viva_ros.scoring.replay import ReplayInput
from viva_ros.scoring.scorer import RATE, estimates, judge, rule_alarms

HOLD: Final = 10.0  # s that a robot stands still
UNTOUCHED: Final = 'unchanged'

Inputs = Sequence[ReplayInput]
#: From the inputs of an episode, the index of the first changed one, and the inputs of another
#: episode of the task, to the changed inputs.
Change = Callable[[Inputs, int, Inputs], list[ReplayInput]]


@dataclass(frozen=True)
class Surrogate:
    """
    One surrogate failure.

    :param expected: what a good monitor does
    """

    name: str
    change: Change
    expected: str


def unchanged(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """Return the inputs."""
    return list(inputs)


def undone(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """Play images and joints backwards from the onset on: the robot undoes its work."""
    back = zip(inputs[onset - 1 :: -1], inputs[onset:], strict=False)  # the shorter one ends it
    return [*inputs[:onset], *(at_time(old, one.stamp) for old, one in back)]


def stopped(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """Hold images and joints for ``HOLD`` s: the robot stands still and does not go on."""
    last = inputs[onset - 1]
    step = round(float(np.median(np.diff([one.stamp for one in inputs]))))
    count = round(HOLD * 1e9 / step)
    return [*inputs[:onset], *(at_time(last, last.stamp + n * step) for n in range(1, count + 1))]


def truncated(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """End the episode at the onset: the task is not done."""
    return list(inputs[:onset])


def swapped(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """Show the images of the other episode from its start; the joints go on."""
    shown = zip(inputs[onset:], other, strict=False)  # the shorter one ends it
    return [*inputs[:onset], *(_with_images(one, first) for one, first in shown)]


def repeated(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """Repeat the last images with new stamps; the joints go on."""
    return [*inputs[:onset], *(_with_images(one, inputs[onset - 1]) for one in inputs[onset:])]


def frozen(inputs: Inputs, onset: int, other: Inputs) -> list[ReplayInput]:
    """Repeat the last images, behind the check for frozen cameras that runs live."""
    checks: dict[str, FrozenPicture] = {}

    def checked(one: ReplayInput) -> ReplayInput:
        seen = one.observation
        if isinstance(seen, Unknown):
            return one
        reasons = []
        for camera, image in seen.images.items():
            check = checks.setdefault(camera, FrozenPicture(PictureSettings()))
            if reason := check.update(one.stamp, memoryview(image.tobytes()), seen.proprio):
                reasons.append(f'{camera}: {reason}')
        return replace(one, observation=Unknown('input', '; '.join(reasons))) if reasons else one

    return [checked(one) for one in repeated(inputs, onset, other)]


SURROGATES: Final = (
    Surrogate(UNTOUCHED, unchanged, 'no alarm; the shares are those of chance'),
    Surrogate('reversed', undone, 'alarm'),
    Surrogate('robot stops', stopped, 'alarm'),
    Surrogate('truncated', truncated, 'lower final value; there is no time for an alarm'),
    Surrogate('images swapped', swapped, 'alarm'),
    Surrogate('images repeated', repeated, 'alarm by the value alone'),
    Surrogate('camera frozen', frozen, 'value unknown, by the check for frozen cameras'),
)


def _with_images(one: ReplayInput, shown: ReplayInput) -> ReplayInput:
    """Return an input with the images of another one."""
    if isinstance(one.observation, Unknown) or isinstance(shown.observation, Unknown):
        return one
    return replace(one, observation=replace(one.observation, images=shown.observation.images))


@dataclass(frozen=True)
class SurrogateResult:
    """
    Values and alarms of one contender on a changed episode.

    :param result: with the onset as cause and evidence of a failure, and the surrogate as mode
    :param unknown: s from the onset to the level UNKNOWN; None without it
    :param rule: of the first alarm from the onset on; '' without one
    """

    result: Result
    unknown: float | None
    rule: str


def measure_surrogates(
    contenders: Sequence[Contender], tasks: Mapping[Path, str], limit: int, rate: float = RATE
) -> dict[str, list[SurrogateResult]]:
    """
    Run all contenders on all surrogates.

    :param tasks: test recording to its task
    :param limit: number of undisturbed successes of each task
    :param rate: rate of the simulated monitor, Hz
    :returns: results by name of the contender
    :raises ConfigurationError: if a task has a single undisturbed success
    """
    infos = {task: engine().info for task, engine in contenders[0].engines.items()}
    found: dict[str, list[SurrogateResult]] = {one.name: [] for one in contenders}
    for task, chosen in sorted(_successes(tasks, limit).items()):
        if len(chosen) < 2:
            raise ConfigurationError(
                'surrogates-few',
                f'task {task} has {len(chosen)} undisturbed success among the test recordings, '
                '--surrogates needs 2, to swap their images: leave it out, or add recordings',
            )
        for case, other in pairs(cases(dict.fromkeys(chosen, task), infos, rate)):
            for surrogate in SURROGATES:
                for one in contenders:
                    found[one.name].append(_judged(surrogate, case, other, one))
    joined = join_time_baselines(
        {name: [one.result for one in rows] for name, rows in found.items()}
    )
    ruled = {**found, TIME: found[OVERDUE]}  # whose alarms the time counter has
    return {
        name: [replace(one, result=row) for one, row in zip(ruled[name], rows, strict=True)]
        for name, rows in joined.items()
    }


def _successes(tasks: Mapping[Path, str], limit: int) -> dict[str, list[Path]]:
    """Return the first ``limit`` undisturbed successes of each task that has any."""
    found: dict[str, list[Path]] = {}
    for path, task in tasks.items():
        label = episodes_of(open_recording(path))[0].label
        if label and group_of(label) == SUCCESS and len(found.get(task, [])) < limit:
            found.setdefault(task, []).append(path)
    return found


def pairs(some: Iterable[Case]) -> Iterator[tuple[Case, Case]]:
    """Yield each episode with the one before it; the first, as the last, with the last one."""
    first = last = None
    for case in some:
        if last is None:
            first = case
        else:
            yield case, last
        last = case
    if first is not None and last is not None and last is not first:
        yield first, last


def _judged(surrogate: Surrogate, case: Case, other: Case, one: Contender) -> SurrogateResult:
    onset = len(case.inputs) // 2
    inputs = surrogate.change(case.inputs, onset, other.inputs)
    samples = list(estimates(inputs, one.engines[case.task]()))
    events = judge(samples, one.calibrations.get(case.task))
    alarms = rule_alarms(events)
    whole = result(case.episode, case.label, samples, alarms, [])
    begin = case.inputs[0].stamp - round(float(whole.times[0]) * 1e9)
    at = case.inputs[onset].stamp
    lost = next((e for e in events if e.level == Level.UNKNOWN and e.stamp >= at), None)
    rule = next((e.kind for e in alarms if e.stamp >= at), '')
    changed = replace(
        whole, mode=surrogate.name, group=FAILURE, success=surrogate.name == UNTOUCHED,
        duration=(inputs[-1].stamp - begin) * 1e-9,
        inject=(at - begin) * 1e-9, manifest=(at - begin) * 1e-9,
    )  # fmt: skip
    return SurrogateResult(changed, None if lost is None else (lost.stamp - at) * 1e-9, rule)


def figures(results: Mapping[str, Sequence[SurrogateResult]]) -> dict[str, Any]:
    """Return the figures by surrogate, then by contender; each with its interval."""
    return {
        surrogate.name: {
            'expected': surrogate.expected,
            'contenders': {name: _figures(surrogate.name, rows) for name, rows in results.items()},
        }
        for surrogate in SURROGATES
    }


def _figures(surrogate: str, rows: Sequence[SurrogateResult]) -> dict[str, Any]:
    mine = [one for one in rows if one.result.mode == surrogate]
    trials = [one.result.trial for one in mine]
    untouched = of_mode([one.result for one in rows], UNTOUCHED)
    ended = [*untouched, *(one.result for one in mine if surrogate != UNTOUCHED)]
    known = [one for one in ended if math.isfinite(one.values[-1])]
    return {
        'episodes': len(mine),
        'in_time': interval(mean([float(in_time(one)) for one in trials], share=True)),
        'rules': dict(Counter(one.rule for one in mine if one.rule).most_common()),
        'detected': interval(mean([float(one.detection is not None) for one in trials], True)),
        'delay_median': interval(
            quantile([math.nan if one.delay is None else one.delay for one in trials], 0.5)
        ),
        'unknown': interval(mean([float(one.unknown is not None) for one in mine], share=True)),
        'unknown_delay': interval(
            quantile([math.nan if one.unknown is None else one.unknown for one in mine], 0.5)
        ),
        'auroc': interval(
            area([float(one.values[-1]) for one in known], [one.success for one in known])
        ),
        'false_alarms': interval(
            mean([float(bool(one.alarms)) for one in untouched], share=True)
        ),
    }  # fmt: skip
