# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Gain of retries: the simulated robot without retries, and with retries of several triggers.

An episode has at most one retry. Up to its first alarm an episode does not depend on the detector,
so the recording contains the time of the retry; from then on the episode is simulated. The random
trigger has the same number of retries, at times drawn uniformly over all episodes. The time-out is
a calibrated alarm on the elapsed time. 'At the end' retries each failed episode when it is over:
it knows the outcome, which a robot without a check of success does not.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

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
DRAWS: Final = 10  # repetitions of the random trigger
ALARM, TIME_OUT, AT_END = 'viva retry', 'time-out', 'at the end'
RANDOM: Final = 'random'
END: Final = math.inf  # time of a retry after the end of the episode

Players = Callable[[Callable[['Try'], 'Ending'], Sequence['Try']], Iterable['Ending']]


class Ending(NamedTuple):
    """Outcome of an episode, and its duration with the retry, s."""

    success: bool
    seconds: float


@dataclass(frozen=True)
class Try:
    """An episode with one retry at time ``at``, s since its start; END: after its failure."""

    task: str
    seed: int
    failure: str
    at: float

    @property
    def key(self) -> str:
        """Return the key in the file of known outcomes."""
        return f'{self.task} {self.seed} {self.failure} {self.at:.3f}'


def play(one: Try, robot: Callable[[RecordJob], SimulatedRecorder] = start) -> Ending:
    """Simulate an episode with its retry, without images."""
    simulation = robot(RecordJob(one.task, one.seed, one.failure, Path()))
    try:
        while not simulation.done and simulation.time < one.at:
            simulation.step()
        if not simulation.done or (one.at == END and not simulation.truth().success):
            simulation.retry()
        while not simulation.done:
            simulation.step()
        return Ending(bool(simulation.truth().success), simulation.time)
    finally:
        simulation.close()


def play_all(tries: Iterable[Try], known: Path, players: Players = map) -> dict[str, Ending]:
    """
    Simulate the episodes with unknown ending, and store the endings; a second run continues.

    :param known: JSON file of endings
    :param players: a function like ``map``, such as that of a process pool
    """
    stored = json.loads(known.read_text()) if known.exists() else {}
    outcomes = {key: Ending(*ending) for key, ending in stored.items()}
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


def at_end(watched: Sequence[Watched]) -> list[Try | None]:
    """Return a retry after the end of each failed episode."""
    return [None if one.case.label.success else _at(one, END) for one in watched]


def worth(
    watched: Sequence[Watched], timed: Sequence[Watched], known: Path, players: Players = map
) -> dict[str, Any]:
    """
    Compare no retries with retries by alarms, at random, by a time-out and after failures.

    :param watched: alarms of the shipped detector; only first attempts of simulations are used
    :param timed: alarms of the time-out in the same episodes
    """
    mine = [one for one in watched if _is_first(one)]
    arms = {
        ALARM: ours(mine),
        TIME_OUT: ours([one for one in timed if _is_first(one)]),
        AT_END: at_end(mine),
    }
    count = sum(one is not None for one in arms[ALARM])
    for draw in range(DRAWS):
        arms[f'{RANDOM} {draw}'] = at_random(mine, count, draw)
    outcomes = play_all((one for arm in arms.values() for one in arm if one), known, players)
    plain = [Ending(one.case.label.success, one.case.duration) for one in mine]
    ends = {
        name: np.array(
            [p if t is None else outcomes[t.key] for p, t in zip(plain, arm, strict=True)],
            dtype=np.float64,
        )
        for name, arm in arms.items()
    }
    retried = {name: sum(one is not None for one in arm) for name, arm in arms.items()}
    return _figures(np.array(plain, dtype=np.float64), ends, retried)


def _is_first(one: Watched) -> bool:
    return one.case.group != RETRY and one.case.seed is not None


def _figures(
    plain: Array, ends: Mapping[str, Array], retried: Mapping[str, int]
) -> dict[str, Any]:
    """
    Return the figures of all triggers.

    :param plain: success and duration of each episode without a retry, (N, 2)
    :param ends: the same with the retries of each trigger
    """
    viva, n = ends[ALARM], len(plain)
    chance = np.mean([end for name, end in ends.items() if name.startswith(RANDOM)], axis=0)

    def gain(over: Array) -> dict[str, float]:
        more = (viva - over)[:, 0]
        low, high = bootstrap_interval(lambda drawn: more[drawn].mean(axis=1), n, seed=0)
        return {'gain': float(more.mean()), 'low': low, 'high': high}

    def arm(end: Array, count: int) -> dict[str, float]:
        hours = float(end[:, 1].sum()) / 3600.0
        return {
            **share(int(end[:, 0].sum()), n), 'retries': count,
            'seconds': float(end[:, 1].mean()),
            'successes_per_hour': float(end[:, 0].sum()) / hours,
        }  # fmt: skip

    return {
        'episodes': n, 'retries': retried[ALARM], 'budget': 1, 'draws': DRAWS,
        'no retry': arm(plain, 0),
        **{name: arm(end, retried[name]) for name, end in ends.items()},
        'random, mean': {
            'share': float(chance[:, 0].mean()), 'seconds': float(chance[:, 1].mean()),
            'successes_per_hour': float(3600.0 * chance[:, 0].sum() / chance[:, 1].sum()),
            'low': min(float(ends[f'{RANDOM} {draw}'][:, 0].mean()) for draw in range(DRAWS)),
            'high': max(float(ends[f'{RANDOM} {draw}'][:, 0].mean()) for draw in range(DRAWS)),
        },
        'viva over random': gain(chance), 'viva over none': gain(plain),
        'viva over time-out': gain(ends[TIME_OUT]), 'viva over at the end': gain(ends[AT_END]),
        'spoilt': int(((plain[:, 0] == 1.0) & (viva[:, 0] == 0.0)).sum()),
    }  # fmt: skip
