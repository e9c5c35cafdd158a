# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Estimates of each contender on all packed recordings, stored on disk, and their cost."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ablation.budget import PARTS, Budget
from benchmarks.ablation.engine import ModuleEngine, estimates
from benchmarks.ablation.entries import TIME, TIME_TITLE, entry_of
from benchmarks.ablation.packs import (
    Given,
    Moments,
    Pack,
    file_of,
    info_of,
    is_newer,
    load,
    load_moments,
)
from benchmarks.ablation.train import (
    CHECKPOINT,
    MOTION,
    folder_of,
    material,
    open_module,
    parameters,
)
from viva_ros.calibration.data import is_undisturbed
from viva_ros.calibration.fit import WARN_ALPHA, calibrate
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration
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


def estimate_all(budget: Budget, name: str) -> None:
    """
    Estimate all moments of the calibration and test recordings.

    Estimates of packs and weights that have not changed since are kept, also of other parts.
    """
    found = current_values(budget, name)
    paths = [path for part in PARTS for path in budget.paths(part)]
    missing = [path for path in paths if file_of(budget, path).stem not in found]
    if not missing:
        return
    shared = material(budget)
    module, _ = open_module(name, budget, shared)
    for path in missing:
        seen = load(file_of(budget, path), path)
        given = estimates(module, seen, shared.config.tasks.index(seen.moments.task))
        found[file_of(budget, path).stem] = {key: given[key] for key in KEPT if key in given}
    columns = {f'{stem}/{key}': v for stem, given in found.items() for key, v in given.items()}
    target = values_file(budget, name)
    temporary = target.with_suffix('.part.npz')
    np.savez(temporary, **columns)  # type: ignore[arg-type]
    temporary.replace(target)


def current_values(budget: Budget, name: str) -> dict[str, dict[str, NDArray[np.floating]]]:
    """Read the estimates, as ``values_of``, that are newer than the weights and their packs."""
    target = values_file(budget, name)
    if not is_newer(target, folder_of(budget, name) / CHECKPOINT / checkpoint.WEIGHTS):
        return {}
    packs = budget.shared / 'packs'
    return {
        stem: given for stem, given in values_of(budget, name).items()
        if (packs / f'{stem}.npz').is_file() and is_newer(target, packs / f'{stem}.npz')
    }  # fmt: skip


def values_file(budget: Budget, name: str) -> Path:
    """Return the file of the estimates of one contender."""
    return folder_of(budget, name) / 'values.npz'


def values_of(budget: Budget, name: str) -> dict[str, dict[str, NDArray[np.floating]]]:
    """Read the estimates: by the stem of the file of a pack, then by output."""
    found: dict[str, dict[str, NDArray[np.floating]]] = {}
    with np.load(values_file(budget, name), allow_pickle=False) as content:
        for key in content.files:
            stem, _, output = key.rpartition('/')
            found.setdefault(stem, {})[output] = content[key]
    return found


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
        module, mark = open_module(name, budget, shared)
        info = info_of(base, mark, 'pytorch')
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


Values = Callable[[Moments], Given]


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
    budget: Budget, fingerprint: str, values: Values, alarming: Values | None = None
) -> Judged:
    """
    Calibrate and test one contender.

    :param values: outputs at the moments of a recording that have an observation
    :param alarming: outputs for the alarms; default: ``values``
    """
    alarming = alarming or values
    thresholds = calibrated(budget, fingerprint, alarming)
    results: dict[str, list[Result]] = {task: [] for task in thresholds}
    for seen in moments(budget, 'test'):
        recording = open_recording(seen.path)
        episode = episodes_of(recording)[0]
        assert episode.label is not None  # packs exist only for recordings with an outcome
        samples = seen.samples(alarming(seen))
        alarms = rule_alarms(judge(samples, thresholds[seen.task]))
        if alarming is not values:
            samples = seen.samples(values(seen))
        ground_truth = truth(recording)
        found = result(episode, episode.label, samples, alarms, ground_truth)
        results[seen.task].append(found)
    return Judged(results, thresholds)


def calibrated(budget: Budget, fingerprint: str, values: Values) -> dict[str, Calibration]:
    """Set the thresholds of each task."""
    scored: dict[str, list[list[ScoredSample]]] = {}
    for seen in moments(budget, 'calibration'):
        if any(
            is_undisturbed(episode.label) for episode in episodes_of(open_recording(seen.path))
        ):
            scored.setdefault(seen.task, []).append(seen.samples(values(seen)))
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
    found = values_of(budget, name)
    module, fingerprint = open_module(name, budget, material(budget))
    schedule = budget.schedule(entry)
    content = checkpoint.read_description(folder_of(budget, name) / CHECKPOINT)
    tested = judged(budget, fingerprint, lambda seen: found[file_of(budget, seen.path).stem])
    row = {
        'title': entry.title, 'fingerprint': fingerprint, 'parameters': parameters(module),
        'steps': schedule.steps, 'batch': schedule.batch,
        'seconds': content['provenance']['seconds'],
        **measured(tested),
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
