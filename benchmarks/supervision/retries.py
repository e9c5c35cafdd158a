# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Gain of retries: the simulated robot without retries, with random retries, and with alarm retries.

An episode has at most one retry. Up to its first alarm an episode does not depend on the detector,
so the recording contains the time of the retry; from then on the episode is simulated. The random
baseline has the same number of retries, at times drawn uniformly over all episodes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.supervision.detectors import Watched
from benchmarks.supervision.metrics import share
from viva_ros.console.progress import bar
from viva_ros.core.files import write_atomically
from viva_ros.core.observation import Array
from viva_ros.evaluation.results import RETRY
from viva_ros.metrics.ranking import bootstrap_interval
from viva_ros.sim.recording import RecordJob, SimulatedRecorder, start

LATENCY: Final = 0.1  # s, from the stamp of the value to the retry
DRAWS: Final = 2  # repetitions of the random trigger

Players = Callable[[Callable[['Try'], bool], Sequence['Try']], Iterable[bool]]


@dataclass(frozen=True)
class Try:
    """An episode with one retry at time ``at``, s since the start of the episode."""

    task: str
    seed: int
    failure: str
    at: float

    @property
    def key(self) -> str:
        """Return the key in the file of known outcomes."""
        return f'{self.task} {self.seed} {self.failure} {self.at:.3f}'


def play(one: Try, robot: Callable[[RecordJob], SimulatedRecorder] = start) -> bool:
    """Simulate an episode with its retry, without images; return its outcome."""
    simulation = robot(RecordJob(one.task, one.seed, one.failure, Path()))
    try:
        while not simulation.done and simulation.time < one.at:
            simulation.step()
        if not simulation.done:
            simulation.retry()
        while not simulation.done:
            simulation.step()
        return bool(simulation.truth().success)
    finally:
        simulation.close()


def play_all(tries: Iterable[Try], known: Path, players: Players = map) -> dict[str, bool]:
    """
    Simulate the episodes with unknown outcome, and store the outcomes; a second run continues.

    :param known: JSON file of outcomes
    :param players: a function like ``map``, such as that of a process pool
    """
    outcomes: dict[str, bool] = json.loads(known.read_text()) if known.exists() else {}
    waiting = [one for one in dict.fromkeys(tries) if one.key not in outcomes]
    ends = bar(players(play, waiting), 'retries', len(waiting))
    for one, end in zip(waiting, ends, strict=True):
        outcomes[one.key] = end
        write_atomically(known, json.dumps(outcomes))
    return outcomes


def ours(watched: Sequence[Watched]) -> list[Try | None]:
    """Return the retry of each episode: at its first alarm; None without one."""
    return [_at(one, one.times[0] + LATENCY) if one.alarms else None for one in watched]


def at_random(watched: Sequence[Watched], count: int, seed: int) -> list[Try | None]:
    """Return retries at times drawn uniformly over all episodes, at most one for each episode."""
    generator = np.random.default_rng(seed)
    lengths = np.array([one.case.duration for one in watched], dtype=np.float64)
    drawn = generator.choice(len(watched), size=count, replace=False, p=lengths / lengths.sum())
    times = generator.uniform(size=len(watched)) * lengths
    return [_at(one, float(times[i])) if i in drawn else None for i, one in enumerate(watched)]


def _at(one: Watched, time: float) -> Try:
    label = one.case.label
    return Try(label.task, one.case.seed or 0, label.failure or 'none', round(time, 3))


def worth(watched: Sequence[Watched], known: Path, players: Players = map) -> dict[str, Any]:
    """
    Compare no retries, random retries and alarm retries.

    :param watched: alarms of the shipped detector; only first attempts of simulations are used
    """
    mine = [one for one in watched if one.case.group != RETRY and one.case.seed is not None]
    arms = {'viva retry': ours(mine)}
    count = sum(one is not None for one in arms['viva retry'])
    for draw in range(DRAWS):
        arms[f'random {draw}'] = at_random(mine, count, draw)
    outcomes = play_all((one for arm in arms.values() for one in arm if one), known, players)
    plain = np.array([one.case.label.success for one in mine], dtype=np.float64)
    ends = {
        name: np.array([
            p if t is None else outcomes[t.key] for p, t in zip(plain, arm, strict=True)
        ])
        for name, arm in arms.items()
    }  # fmt: skip
    return _figures(plain, ends, count)


def _figures(plain: Array, ends: Mapping[str, Array], count: int) -> dict[str, Any]:
    viva = ends['viva retry'].astype(np.float64)
    chance = np.mean([end for name, end in ends.items() if name != 'viva retry'], axis=0)
    n = len(plain)

    def gain(over: Array) -> dict[str, float]:
        low, high = bootstrap_interval(lambda drawn: (viva - over)[drawn].mean(axis=1), n, seed=0)
        return {'gain': float((viva - over).mean()), 'low': low, 'high': high}

    return {
        'episodes': n, 'retries': count, 'budget': 1,
        'no retry': share(int(plain.sum()), n),
        **{name: share(int(end.sum()), n) for name, end in ends.items()},
        'viva over random': gain(chance), 'viva over none': gain(plain),
        'spoilt': int(((plain == 1.0) & (viva == 0.0)).sum()),
    }  # fmt: skip
