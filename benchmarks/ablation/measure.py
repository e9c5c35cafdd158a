# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates of each contender on all packed recordings, their figures and their cost."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.ablation import values
from benchmarks.ablation.budget import PARTS, Budget
from benchmarks.ablation.engine import ModuleEngine, estimates
from benchmarks.ablation.entries import TIME, TIME_TITLE, entry_of
from benchmarks.ablation.packs import (
    Given,
    Moments,
    Pack,
    file_of,
    info_of,
    load,
    load_moments,
)
from benchmarks.ablation.train import (
    MOTION,
    describe,
    is_trained,
    material,
    open_module,
    parameters,
)
from benchmarks.ablation.values import Estimated, Estimates
from viva_ros.calibration.data import is_undisturbed
from viva_ros.calibration.fit import WARN_ALPHA, calibrate
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.observation import Observation
from viva_ros.data.open import open_recording
from viva_ros.data.recorded_messages import truth
from viva_ros.data.segmentation import episodes_of
from viva_ros.evaluation.results import Result, result
from viva_ros.evaluation.run import LATEST
from viva_ros.evaluation.summary import figures
from viva_ros.model import checkpoint
from viva_ros.model.viva import ViVa
from viva_ros.scoring.scorer import RATE, ScoredSample, judge, rule_alarms, series_of
from viva_ros.sim.tasks.registry import camera_only

ROUNDS: Final = 40
STEPS: Final = 5
KEPT: Final = ('value', 'progress', 'success')
WARM: Final = 3


Wanted = Mapping[str, Moments]  # by ``name_of``


def wanted(budget: Budget) -> dict[str, Moments]:
    """Return the moments of the calibration and test recordings, which must be packed."""
    paths = [path for part in PARTS for path in budget.paths(part)]
    return {name_of(budget, path): load_moments(file_of(budget, path), path) for path in paths}


def name_of(budget: Budget, path: Path) -> str:
    """Return the name of a recording in a file of estimates."""
    return path.relative_to(budget.recordings).with_suffix('').as_posix()


def missing(budget: Budget, key: str, of: Wanted) -> list[str]:
    """
    Return the recordings that a training has no estimates of.

    :raises ConfigurationError: if there are estimates of another plan
    """
    found = current(budget, key)
    kept = {} if found is None else found.recordings
    return [name for name, seen in of.items() if name not in kept or not kept[name].is_of(seen)]


def current(budget: Budget, key: str) -> Estimates | None:
    """
    Return the estimates of a training; None without any, or of other weights than those here.

    :raises ConfigurationError: if they are of another plan
    """
    file = values_file(budget, key)
    if not file.is_file():
        return None
    found = values.read(file)
    plan, was = budget.begun(), found.about['plan']
    changed = [name for name in sorted({*plan, *was}) if plan.get(name) != was.get(name)]
    if changed:
        before, now = ({name: one.get(name) for name in changed} for one in (was, plan))
        raise ConfigurationError(
            'compare-values',
            f'{file} has estimates of {before}, this run has {now}: choose another --values',
        )
    if is_trained(budget, key) and describe(budget, key)['sha256'] != found.about['weights']:
        return None
    return found


def estimate_all(budget: Budget, key: str) -> None:
    """
    Estimate all moments of the calibration and test recordings, unless that is done.

    Estimates of other recordings by the same weights are kept.
    """
    of = wanted(budget)
    lacking = missing(budget, key, of)
    if not lacking:
        return
    shared = material(budget)
    module, fingerprint = open_module(key, budget, shared)
    before = current(budget, key)
    found = {} if before is None else dict(before.recordings)
    for name in lacking:
        seen = load(file_of(budget, of[name].path), of[name].path)
        given = estimates(module, seen, shared.config.tasks.index(seen.moments.task))
        kept = {output: given[output] for output in KEPT if output in given}
        found[name] = Estimated(seen.moments.identities, kept)
    content = describe(budget, key)
    about = {
        'training': key, 'plan': budget.begun(), 'fingerprint': fingerprint,
        'weights': content['sha256'], 'parameters': parameters(module),
        'seconds': content['provenance']['seconds'],
    }  # fmt: skip
    values.write(values_file(budget, key), Estimates(about, found))


def values_file(budget: Budget, key: str) -> Path:
    """Return the file of the estimates of one training."""
    return (budget.values or budget.out / 'values') / f'{key}.npz'


def latencies(budget: Budget, names: Sequence[str], rounds: int = ROUNDS) -> dict[str, float]:
    """
    Time single estimates on decoded, resized images: one thread, all contenders in turn.

    :returns: median of each, s
    """
    torch.set_num_threads(1)
    shared = material(budget)
    path = budget.paths('test')[0]
    seen = load(file_of(budget, path), path)
    base = checkpoint.read(budget.shared / MOTION).model
    engines = {}
    for name in names:
        module = (
            open_module(name, budget, shared)[0] if is_trained(budget, name)
            else entry_of(name)[0].build(shared).module.eval()  # as fast with other weights
        )  # fmt: skip
        info = info_of(base, '', 'pytorch')
        engines[name] = ModuleEngine(module, info, seen.moments.task)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(WARM + rounds):
        observation = observe(seen, turn % len(seen.images), base)
        for name, engine in engines.items():
            begin = time.perf_counter()
            engine.estimate(observation)
            times[name].append(time.perf_counter() - begin)
    return {name: float(np.median(spent[WARM:])) for name, spent in times.items()}


def step_times(budget: Budget, names: Sequence[str], rounds: int = STEPS) -> dict[str, float]:
    """
    Time the loss and its gradient for all contenders in turn, one thread.

    The wall time of the training depends on the load of the machine, so it is not compared.

    :returns: median of each, s of processor time a step
    """
    torch.set_num_threads(1)
    shared = material(budget)
    built = {}
    for name in names:
        entry, _ = entry_of(name)
        built[name] = entry.build(shared), budget.schedule(entry)
    generator = torch.Generator().manual_seed(budget.seed)
    times: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(1 + rounds):
        for name, (contender, schedule) in built.items():
            begin = time.process_time()
            contender.loss(schedule.batch, generator)['total'].backward()
            times[name].append(time.process_time() - begin)
    return {name: float(np.median(spent[1:])) for name, spent in times.items()}


def observe(seen: Pack, row: int, model: ViVa) -> Observation:
    """Return one moment of a pack as an observation."""
    config = model.config
    images = dict(zip(config.cameras, seen.images[row], strict=True))
    joints = dict(zip(config.joint_names, map(float, seen.proprio[row]), strict=True))
    return Observation(images, joints, {'joint_states': int(seen.moments.stamps[0])})


Outputs = Callable[[Moments], Given]


@dataclass(frozen=True)
class Judged:
    """
    Results of one contender.

    :param results: of the test recordings, by task
    """

    results: Mapping[str, list[Result]]
    calibrations: Mapping[str, Calibration]

    @property
    def everything(self) -> list[Result]:
        """Return the results of all tasks, in order."""
        return [one for rows in self.results.values() for one in rows]


def moments(budget: Budget, part: str) -> Iterator[Moments]:
    """Read the moments of the recordings of a part."""
    return (load_moments(file_of(budget, path), path) for path in budget.paths(part))


def judged(
    budget: Budget, fingerprint: str, outputs: Outputs, alarming: Outputs | None = None
) -> Judged:
    """
    Calibrate and test one contender.

    :param outputs: at the moments of a recording that have an observation
    :param alarming: outputs for the alarms; default: ``outputs``
    """
    alarming = alarming or outputs
    thresholds = calibrated(budget, fingerprint, alarming)
    results: dict[str, list[Result]] = {task: [] for task in thresholds}
    for seen in moments(budget, 'test'):
        recording = open_recording(seen.path)
        episode = episodes_of(recording)[0]
        assert episode.label is not None  # packs exist only for recordings with an outcome
        samples = seen.samples(alarming(seen))
        alarms = rule_alarms(judge(samples, thresholds[seen.task]))
        if alarming is not outputs:
            samples = seen.samples(outputs(seen))
        ground_truth = truth(recording)
        found = result(episode, episode.label, samples, alarms, ground_truth)
        results[seen.task].append(found)
    return Judged(results, thresholds)


def calibrated(budget: Budget, fingerprint: str, outputs: Outputs) -> dict[str, Calibration]:
    """Set the thresholds of each task."""
    scored: dict[str, list[list[ScoredSample]]] = {}
    for seen in moments(budget, 'calibration'):
        if any(
            is_undisturbed(episode.label) for episode in episodes_of(open_recording(seen.path))
        ):
            scored.setdefault(seen.task, []).append(seen.samples(outputs(seen)))
    return {
        task: calibrate(
            [series_of(samples) for samples in rows], RuleSettings(), engine=fingerprint,
            task=task, rate=RATE, alpha=budget.alpha, warn_alpha=max(budget.alpha, WARN_ALPHA),
            source=f'{len(rows)} successes',
        )
        for task, rows in scored.items()
    }  # fmt: skip


def durations(budget: Budget) -> dict[str, float]:
    """Return the mean length of the undisturbed successes among the calibration recordings, s."""
    spans: dict[str, list[float]] = {}
    for seen in moments(budget, 'calibration'):
        if any(
            is_undisturbed(episode.label) for episode in episodes_of(open_recording(seen.path))
        ):
            span = float(seen.stamps[-1] - seen.stamps[0]) * 1e-9
            spans.setdefault(seen.task, []).append(span)
    return {task: float(np.mean(rows)) for task, rows in spans.items()}


def elapsed(durations: Mapping[str, float], seen: Moments, sign: float = 1.0) -> Given:
    """
    Return the values of a clock: elapsed time over the mean duration.

    :param sign: -1 for a falling value, whose floor is a time-out, as ``TimeCounter``
    """
    known = np.array([not reason for reason in seen.reasons])
    spent = (seen.stamps[known] - seen.stamps[0]) * 1e-9 / durations[seen.task]
    return {'value': spent if sign > 0.0 else np.maximum(-spent / LATEST, -1.0)}


@dataclass(frozen=True)
class Measured:
    """
    Results of one contender.

    :param figures: entry of the result file
    :param results: of the test recordings of all tasks, in order
    """

    figures: dict[str, Any]
    results: list[Result]


def examine(budget: Budget, name: str) -> Measured:
    """Calibrate and evaluate one contender."""
    if name == TIME:
        return examine_time(budget)
    entry, _ = entry_of(name)
    found = values.read(values_file(budget, name))
    schedule, about = budget.schedule(entry), found.about
    tested = judged(
        budget, about['fingerprint'],
        lambda seen: found.recordings[name_of(budget, seen.path)].given,
    )  # fmt: skip
    row = {
        'title': entry.title, 'fingerprint': about['fingerprint'],
        'parameters': about['parameters'], 'steps': schedule.steps, 'batch': schedule.batch,
        'seconds': about['seconds'], **measured(tested),
    }  # fmt: skip
    return Measured(row, tested.everything)


def examine_time(budget: Budget) -> Measured:
    """Evaluate a clock: its value rises with time, its alarm is a time limit."""
    lasting = durations(budget)
    found = judged(
        budget, 'time counter', partial(elapsed, lasting),
        alarming=partial(elapsed, lasting, sign=-1.0),
    )  # fmt: skip
    row = {'title': TIME_TITLE, 'parameters': 0, 'steps': 0, 'batch': 0, 'seconds': 0.0,
           **measured(found)}  # fmt: skip
    return Measured(row, found.everything)


def measured(found: Judged) -> dict[str, Any]:
    """Return the figures over all test recordings, and for each task."""
    cameras_alone = camera_only()
    return {
        'all': figures(found.everything, cameras_alone),
        'tasks': {task: figures(rows, cameras_alone) for task, rows in found.results.items()},
        'thresholds': {
            task: {kind: limit.alarm for kind, limit in one.thresholds.items()}
            for task, one in found.calibrations.items()
        },
    }
