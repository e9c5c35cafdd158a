# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Advantages of scored episodes: form of V, units of N, thresholds, outcomes, corrections."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from viva_ros.advantage.estimator import (
    FAILED,
    Effect,
    effect,
    expected_value,
    indicator,
    n_step_advantage,
    terminal_return,
    threshold,
)
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.observation import Array
from viva_ros.core.outcome import outcome_at
from viva_ros.core.regular_file import open_regular
from viva_ros.scoring.smoothing import smooth_average, smooth_median
from viva_ros.scoring.store import Scored, ScoredEpisode, filled

NONE, AVERAGE, MEDIAN = 'none', 'average', 'median'
OWN, LONGEST = 'own', 'longest'
PLAIN, WEIGHTED = 'plain', 'weighted'
RATES_ALIKE: Final = 0.05  # largest relative difference of control rates that count as equal
PARTS_ALIKE: Final = 1e-3  # largest difference of V from progress + success - 1, rounding only


@dataclass(frozen=True)
class Recipe:
    """
    Settings of the advantages.

    :param steps: N, in control steps; None if ``horizon`` is set
    :param horizon: N, s; None if ``steps`` is set
    :param charge_time: LONGEST if S is the longest episode of the task, OWN if it is the length of
        the episode
    :param smoothing: NONE, AVERAGE (``window`` is the time constant) or MEDIAN (the width)
    :param window: of the smoothing, s
    :param share: share of positive steps, for each task, in (0, 1)
    :param drop: share of steps without the indicator, in [0, 1)
    :param seed: seed of the dropped steps
    :param progress: WEIGHTED if progress counts as much as success is probable, PLAIN for the
        value as it is scored; without an outcome frame, PLAIN
    """

    steps: int | None
    horizon: float | None
    charge_time: str
    smoothing: str
    window: float
    share: float
    drop: float
    seed: int
    progress: str


@dataclass(frozen=True)
class Advantages:
    """
    Advantages of one episode with M frames; its step T is the last one with a value.

    :param filled: values, interpolated between estimates, (M,)
    :param plain: advantages of these values, (M,)
    :param final: advantages of the smoothed values, (M,); equal to ``plain`` without smoothing
    :param terminal: G[T] of the last; NaN if unknown
    """

    episode: ScoredEpisode
    task: str
    filled: Array
    plain: Array
    final: Array
    terminal: float

    @property
    def free(self) -> Array:
        """Return the advantages of steps without human control, which set the threshold."""
        return self.final[~self.episode.corrected]


def has_outcome_frame(tables: Sequence[Scored]) -> bool:
    """
    Return whether V = progress + success - 1; if not, V = 1 - G as published.

    On a way home, where the published progress is 0, V may be below that sum.

    Each known value of one engine has both parts, or none has.

    :param tables: tables of one engine
    :raises RecordingError: if no value is known, or the values are of neither form
    """
    columns = {
        name: np.concatenate([one.table[name].fill_null(math.nan).to_numpy() for one in tables])
        for name in ('value', 'progress', 'success')
    }
    known = np.isfinite(columns['value'])
    value, progress, success = (column[known] for column in columns.values())
    counts = [int(np.isfinite(part).sum()) for part in (progress, success)]
    if not value.size:
        raise RecordingError(
            'value-form',
            f'{_named(tables)}: no value is known, so the return of a failure cannot be told: '
            'score recordings with known values',
        )
    if counts == [0, 0]:
        return False
    if counts != [value.size, value.size]:
        raise RecordingError(
            'value-form',
            f'{_named(tables)}: progress is known for {counts[0]} and success for {counts[1]} of '
            f'{value.size} known values, must be all or none: score the recordings again into an '
            'empty folder (viva score --out), with an engine that outputs both or V alone',
        )
    below = progress + success - 1.0 - value
    difference = float(np.where(progress > 0.0, np.abs(below), -below).max())
    if difference > PARTS_ALIKE:
        raise RecordingError(
            'value-form',
            f'{_named(tables)}: V differs from progress + success - 1 by up to {difference:.3g}, '
            f'at most {PARTS_ALIKE} is allowed: score with an engine whose V is that sum, or '
            'that outputs V alone',
        )
    return True


def _named(tables: Sequence[Scored]) -> str:
    more = f' and {len(tables) - 1} other tables' if len(tables) > 1 else ''
    return f'{tables[0].path}{more}'


def with_progress(recipe: Recipe, chosen: str | None, outcome_frame: bool) -> Recipe:
    """
    Return the recipe with the rule of progress that the value allows.

    :param chosen: by the user; None: WEIGHTED if the value allows it
    :raises ConfigurationError: if WEIGHTED is chosen for a value without an outcome frame
    """
    if chosen == WEIGHTED and not outcome_frame:
        raise ConfigurationError(
            'progress-weighted',
            f'--progress is {WEIGHTED}, but these values do not separate progress and success: '
            f'leave it out, use --progress {PLAIN}, or score with an engine that outputs both',
        )
    return replace(recipe, progress=chosen or (WEIGHTED if outcome_frame else PLAIN))


def horizon_of(episodes: Sequence[ScoredEpisode], recipe: Recipe) -> float:
    """
    Return N in seconds.

    :raises ConfigurationError: if the control rates differ, or no control rate is known
    """
    if recipe.steps is None:
        assert recipe.horizon is not None  # one of the two is set
        return recipe.horizon
    rates = sorted(one.entry['control_rate'] for one in episodes if one.entry['control_rate'])
    if not rates:
        raise ConfigurationError(
            'control-rate-unknown',
            'no recording has a control rate: use --horizon in seconds',
        )
    if rates[-1] > rates[0] * (1.0 + RATES_ALIKE):
        raise ConfigurationError(
            'control-rates-differ',
            f'control rates are {rates[0]:.3g} to {rates[-1]:.3g} Hz, so {recipe.steps} steps '
            'have different durations: use --horizon in seconds',
        )
    return recipe.steps / float(np.median(rates))


def period_of(episode: ScoredEpisode) -> float:
    """Return the mean time between frames, s; 1e-9 for a single frame, so that N is past it."""
    spans = np.diff(episode.stamps)
    return float(spans.mean()) * 1e-9 if spans.size else 1e-9


def compute(
    episodes: Sequence[ScoredEpisode], tasks: Sequence[str], recipe: Recipe, outcome_frame: bool
) -> list[Advantages]:
    """
    Return the advantages of episodes with an outcome.

    :param tasks: task of each episode
    :param outcome_frame: whether V = progress + success - 1, see ``has_outcome_frame``
    :raises ConfigurationError: if N is shorter than the time between two values
    """
    horizon = horizon_of(episodes, recipe)
    longest: dict[str, float] = {}
    for one, task in zip(episodes, tasks, strict=True):
        longest[task] = max(longest.get(task, 0.0), _duration(one))
    return [
        _of_episode(one, task, horizon, longest[task], recipe, outcome_frame)
        for one, task in zip(episodes, tasks, strict=True)
    ]


def _duration(episode: ScoredEpisode) -> float:
    """Return the duration of T steps, s."""
    return len(episode.stamps) * period_of(episode)


def _of_episode(
    one: ScoredEpisode, task: str, horizon: float, longest: float, recipe: Recipe,
    outcome_frame: bool,
) -> Advantages:  # fmt: skip
    period, count = period_of(one), end_of(one)
    check_spacing(one, horizon, period)
    scale = max(longest / period, float(count)) if recipe.charge_time == LONGEST else None
    values, progress = filled(one.values, one.asked), filled(one.progress, one.asked)
    success = bool(one.entry['success'])
    weighted = outcome_frame and recipe.progress == WEIGHTED
    scored = expected_value(values, progress) if weighted else values

    def advantages(values: Array, progress: Array) -> tuple[Array, float]:
        last = float(progress[count - 1]) if outcome_frame else None
        terminal = FAILED if weighted and not success else terminal_return(success, last)
        found = np.full(len(values), np.nan)
        found[:count] = n_step_advantage(
            values[:count], horizon / period, terminal=terminal, scale=scale
        )
        return found, terminal

    plain, _ = advantages(scored, progress)
    smoothed = (smooth(series, recipe, period) for series in (scored, progress))
    return Advantages(one, task, values, plain, *advantages(*smoothed))


def end_of(one: ScoredEpisode) -> int:
    """
    Return T, the number of frames up to the last one for which a value was due.

    Frames faster than the values end between two values; an episode whose values stop earlier
    than that keeps all its frames, so that its end is unknown.
    """
    asked, count = np.flatnonzero(one.asked), len(one.stamps)
    if asked.size < 2:
        return count
    left = count - 1 - int(asked[-1])
    return count - left if left < float(np.median(np.diff(asked))) else count


def check_spacing(one: ScoredEpisode, horizon: float, period: float) -> None:
    """Refuse a horizon shorter than the distance of values: it would compare interpolations."""
    gaps = np.diff(np.flatnonzero(one.asked))
    usual = float(np.median(gaps)) * period if gaps.size else 0.0
    if horizon < usual * (1.0 - 1e-6):
        raise ConfigurationError(
            'horizon-short',
            f'N is {horizon:.3g} s, but {one.name} has a value every {usual:.3g} s: increase '
            '--steps or --horizon, or score at a higher --rate',
        )


def smooth(values: Array, recipe: Recipe, period: float) -> Array:
    """Return the values smoothed by the method of the recipe."""
    if recipe.smoothing == AVERAGE:
        return smooth_average(values, recipe.window / period)
    if recipe.smoothing == MEDIAN:
        return smooth_median(values, round(recipe.window / period / 2.0))
    return values


def thresholds(found: Sequence[Advantages], share: float) -> dict[str, float]:
    """Return eps of each task; NaN without known advantages."""
    by_task: dict[str, list[Array]] = {}
    for one in found:
        by_task.setdefault(one.task, []).append(one.free)
    return {task: threshold(np.concatenate(parts), share) for task, parts in by_task.items()}


def effects(found: Sequence[Advantages]) -> dict[str, Effect]:
    """Return the effect of smoothing by task."""
    tasks = sorted({one.task for one in found})
    return {
        task: effect([one.plain for one in found if one.task == task],
                     [one.final for one in found if one.task == task])
        for task in tasks
    }  # fmt: skip


def indicators(one: Advantages, eps: Mapping[str, float]) -> Array:
    """Return the indicator of each frame, 1 or 0, (T,); NaN where unknown."""
    return indicator(one.final, eps[one.task], one.episode.corrected)


Key = tuple[str, int]


def key_of(episode: ScoredEpisode) -> Key:
    """Return recording name and episode number, the key of the CSV files."""
    return episode.name, int(episode.entry['episode'])


def with_outcomes(episodes: Sequence[ScoredEpisode], path: Path) -> list[ScoredEpisode]:
    """
    Set the outcomes in a CSV file; episodes that are not in the file keep theirs.

    :raises ConfigurationError: if a line is invalid, or names an unknown episode
    """
    known = {key_of(one) for one in episodes}
    labels: dict[Key, bool] = {}
    for where, row in _rows(path, ('recording', 'success')):
        success = outcome_at(where, row['success'])
        labels[_key(where, row, known)] = success
    return [
        replace(one, entry={**one.entry, 'success': labels.get(key_of(one), one.entry['success'])})
        for one in episodes
    ]


def with_corrections(episodes: Sequence[ScoredEpisode], path: Path) -> list[ScoredEpisode]:
    """
    Add the intervals of human control in a CSV file.

    :raises ConfigurationError: if an interval is invalid, outside its episode, or of an unknown
        episode
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
            raise ConfigurationError(
                'interval-empty', f'{where}: no frame lies in {begin:g} to {end:g} s'
            )
        held[key] |= inside
    return [replace(one, corrected=np.asarray(held[key_of(one)])) for one in episodes]


def _span(where: str, row: Mapping[str, str], last: float) -> tuple[float, float]:
    try:
        begin, end = float(row['begin']), float(row['end'])
    except ValueError as error:
        raise ConfigurationError(
            'interval-number', f'{where}: {error}: begin and end must be seconds'
        ) from error
    if not (0.0 <= begin < end and begin <= last and math.isfinite(end)):
        raise ConfigurationError(
            'interval-range',
            f'{where}: interval is {begin:g} to {end:g} s, must begin before its end and within '
            f'the {last:.2f} s of the episode',
        )
    return begin, end


def _key(where: str, row: Mapping[str, str], known: set[Key]) -> Key:
    name = row['recording'].strip()
    episodes = sorted(number for other, number in known if other == name)
    text = (row.get('episode') or '').strip()
    number = text or (str(episodes[0]) if len(episodes) == 1 else '')
    if not episodes or not number.isdecimal() or int(number) not in episodes:
        which = f'episode {text!r} of ' if text or len(episodes) > 1 else ''
        valid = f'its episodes are {episodes}' if episodes else f'must be one of {_some(known)}'
        raise ConfigurationError(
            'csv-recording',
            f'{where}: {which}recording {name!r} is unknown; {valid}',
        )
    return name, int(number)


def _some(known: set[Key]) -> str:
    names = sorted({name for name, _ in known})
    return ', '.join(names[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield each row with its file and line."""
    try:
        with io.TextIOWrapper(open_regular(path), 'utf-8-sig', newline='') as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigurationError(
                    'csv-columns',
                    f'{path} lacks the columns {", ".join(missing)}; the first line must contain '
                    f'{", ".join(columns)}',
                )
            for row in reader:
                where = f'{path}, line {reader.line_num}'
                if any(row[name] is None for name in columns):
                    raise ConfigurationError(
                        'csv-row', f'{where} has fewer columns than the first line'
                    )
                yield where, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError('csv-file', f'{path} cannot be read as CSV ({error})') from error
