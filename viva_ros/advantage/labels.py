# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From scored episodes to advantages: seconds to steps, thresholds by task, the table written."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from viva_ros.advantage.estimator import Effect, effect, indicator, n_step_advantage, threshold
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.observation import Array
from viva_ros.data.conversion.annotations import outcome_at
from viva_ros.scoring.smoothing import smooth_average, smooth_median
from viva_ros.scoring.store import ScoredEpisode, filled

NONE, AVERAGE, MEDIAN = 'none', 'average', 'median'
RATES_ALIKE: Final = 0.05  # share by which control rates may differ and be called one


@dataclass(frozen=True)
class Recipe:
    """
    How advantages are made.

    :param steps: N, in control steps; None where horizon is given
    :param horizon: N, s; None where steps is given
    :param charge_time: with the longest episode of the task in place of the episode's own length
    :param smoothing: NONE, AVERAGE (its time constant is ``window``) or MEDIAN (its width)
    :param window: s
    :param share: of steps that are positive, for each task
    :param drop: share of steps at which a policy is to learn without the indicator
    """

    steps: int | None
    horizon: float | None
    charge_time: bool
    smoothing: str
    window: float
    share: float
    drop: float
    seed: int


@dataclass(frozen=True)
class Advantages:
    """
    Of one episode; arrays go over its frames.

    :param filled: values, interpolated between those that were asked for
    :param plain: advantages of these
    :param final: of the smoothed values; the same without smoothing
    """

    episode: ScoredEpisode
    task: str
    filled: Array
    plain: Array
    final: Array

    @property
    def free(self) -> Array:
        """Return the advantages of the policy alone: those that count for the threshold."""
        return self.final[~self.episode.corrected]


def horizon_of(episodes: Sequence[ScoredEpisode], recipe: Recipe) -> float:
    """
    Return N in seconds.

    :raises ConfigurationError: if steps last longer in one recording than in another, or if the
        rate of none is known
    """
    if recipe.steps is None:
        assert recipe.horizon is not None  # one of both is given
        return recipe.horizon
    rates = sorted(one.entry['control_rate'] for one in episodes if one.entry['control_rate'])
    if not rates:
        raise ConfigurationError('no recording tells its control rate: give --horizon in seconds')
    if rates[-1] > rates[0] * (1.0 + RATES_ALIKE):
        raise ConfigurationError(
            f'control rates are {rates[0]:.3g} to {rates[-1]:.3g} Hz, so {recipe.steps} steps are '
            'not one time: give --horizon in seconds'
        )
    return recipe.steps / float(np.median(rates))


def period_of(episode: ScoredEpisode) -> float:
    """Return the time between frames, s; for a single frame so little that N is past its end."""
    spans = np.diff(episode.stamps)
    return float(spans.mean()) * 1e-9 if spans.size else 1e-9


def compute(
    episodes: Sequence[ScoredEpisode], tasks: Sequence[str], recipe: Recipe
) -> list[Advantages]:
    """
    Return the advantages of episodes with an outcome.

    :param tasks: of each episode
    :raises ConfigurationError: if N is shorter than the time between two values
    """
    horizon = horizon_of(episodes, recipe)
    longest: dict[str, float] = {}
    for one, task in zip(episodes, tasks, strict=True):
        longest[task] = max(longest.get(task, 0.0), _duration(one))
    return [
        _of_episode(one, task, horizon, longest[task], recipe)
        for one, task in zip(episodes, tasks, strict=True)
    ]


def _duration(episode: ScoredEpisode) -> float:
    """Return T steps in s."""
    return len(episode.stamps) * period_of(episode)


def _of_episode(
    one: ScoredEpisode, task: str, horizon: float, longest: float, recipe: Recipe
) -> Advantages:
    period, count = period_of(one), len(one.stamps)
    values = filled(one.values, one.asked)
    check_spacing(one, horizon, period)
    scale = max(longest / period, float(count)) if recipe.charge_time else None
    success, steps = bool(one.entry['success']), horizon / period
    plain = n_step_advantage(values, success, steps, scale)
    smoothed = smooth(values, recipe, period)
    return Advantages(
        one, task, values, plain, n_step_advantage(smoothed, success, steps, scale)
    )  # fmt: skip


def check_spacing(one: ScoredEpisode, horizon: float, period: float) -> None:
    """Refuse a horizon within which there is no second value: it would compare a line's points."""
    gaps = np.diff(np.flatnonzero(one.asked))
    usual = float(np.median(gaps)) * period if gaps.size else 0.0
    if horizon < usual * (1.0 - 1e-6):
        raise ConfigurationError(
            f'N is {horizon:.3g} s, but {one.name} has a value every {usual:.3g} s: give more '
            '--steps, or score at a higher --rate'
        )


def smooth(values: Array, recipe: Recipe, period: float) -> Array:
    """Smooth values as the recipe says."""
    if recipe.smoothing == AVERAGE:
        return smooth_average(values, recipe.window / period)
    if recipe.smoothing == MEDIAN:
        return smooth_median(values, round(recipe.window / period / 2.0))
    return values


def thresholds(found: Sequence[Advantages], share: float) -> dict[str, float]:
    """Return eps of each task; NaN where nothing is known."""
    by_task: dict[str, list[Array]] = {}
    for one in found:
        by_task.setdefault(one.task, []).append(one.free)
    return {task: threshold(np.concatenate(parts), share) for task, parts in by_task.items()}


def effects(found: Sequence[Advantages]) -> dict[str, Effect]:
    """Return what smoothing did, by task."""
    tasks = sorted({one.task for one in found})
    return {
        task: effect([one.plain for one in found if one.task == task],
                     [one.final for one in found if one.task == task])
        for task in tasks
    }  # fmt: skip


def indicators(one: Advantages, eps: Mapping[str, float]) -> Array:
    """Return 1 or 0 for each frame; NaN where it is not known."""
    return indicator(one.final, eps[one.task], one.episode.corrected)


Key = tuple[str, int]


def key_of(episode: ScoredEpisode) -> Key:
    """Name an episode as the files do."""
    return episode.name, int(episode.entry['episode'])


def with_outcomes(episodes: Sequence[ScoredEpisode], path: Path) -> list[ScoredEpisode]:
    """
    Set outcomes as a file says; the others keep theirs.

    :raises ConfigurationError: on a line that cannot be understood, or names no episode given
    """
    known = {key_of(one) for one in episodes}
    said: dict[Key, bool] = {}
    for where, row in _rows(path, ('recording', 'success')):
        success = outcome_at(where, row['success'])
        said[_key(where, row, known)] = success
    return [
        replace(one, entry={**one.entry, 'success': said.get(key_of(one), one.entry['success'])})
        for one in episodes
    ]


def with_corrections(episodes: Sequence[ScoredEpisode], path: Path) -> list[ScoredEpisode]:
    """
    Add the spans of a file to those that are known.

    :raises ConfigurationError: on a span that cannot be understood, names no episode given, or
        does not lie in it
    """
    by_key = {key_of(one): one for one in episodes}
    held = {key: one.corrected.copy() for key, one in by_key.items()}
    for where, row in _rows(path, ('recording', 'begin', 'end')):
        key = _key(where, row, set(by_key))
        stamps = by_key[key].stamps
        seconds = np.round((stamps - stamps[0]) * 1e-9, 9)
        begin, end = _span(where, row, float(seconds[-1]))
        inside = (seconds >= begin) & (seconds <= end)
        if not inside.any():
            raise ConfigurationError(f'{where}: no frame lies in {begin:g} to {end:g} s')
        held[key] |= inside
    return [replace(one, corrected=np.asarray(held[key_of(one)])) for one in episodes]


def _span(where: str, row: Mapping[str, str], last: float) -> tuple[float, float]:
    try:
        begin, end = float(row['begin']), float(row['end'])
    except ValueError as error:
        raise ConfigurationError(f'{where}: {error}: begin and end are seconds') from error
    if not (0.0 <= begin < end and begin <= last and math.isfinite(end)):
        raise ConfigurationError(
            f'{where}: span is {begin:g} to {end:g} s, must begin before it ends and within the '
            f'{last:.2f} s of the episode'
        )
    return begin, end


def _key(where: str, row: Mapping[str, str], known: set[Key]) -> Key:
    name = row['recording'].strip()
    theirs = sorted(number for other, number in known if other == name)
    text = (row.get('episode') or '').strip()
    number = text or (str(theirs[0]) if len(theirs) == 1 else '')
    if not theirs or not number.isdecimal() or int(number) not in theirs:
        which = f'episode {text!r} of ' if text or len(theirs) > 1 else ''
        there = f'it has episodes {theirs}' if theirs else f'there are {_some(known)}'
        raise ConfigurationError(
            f'{where}: {which}recording {name!r} is not among those given; {there}'
        )
    return name, int(number)


def _some(known: set[Key]) -> str:
    names = sorted({name for name, _ in known})
    return ', '.join(names[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield each row and its place."""
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigurationError(
                    f'{path} lacks the columns {", ".join(missing)}; the first line must name '
                    f'{", ".join(columns)}'
                )
            for row in reader:
                where = f'{path}, line {reader.line_num}'
                if any(row[name] is None for name in columns):
                    raise ConfigurationError(f'{where}: has fewer columns than the first line')
                yield where, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f'{path} cannot be read as CSV ({error})') from error
