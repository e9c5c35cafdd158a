# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Value series of successful episodes, for the calibration of an engine."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import numpy as np
from rich.console import Console

from viva_ros.calibration.fit import DEFAULT, CalibrationOptions, calibrate
from viva_ros.console.progress import following
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import CalibrationError, ConfigurationError, RecordingError
from viva_ros.data.episode import Episode, Label
from viva_ros.data.one_recording import FAULT, each_of_recording, naming, one_recording
from viva_ros.data.open import open_recording
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import check_limits, episodes_of
from viva_ros.data.split import Identities, check_copies, contents_of, identities_of
from viva_ros.engine.api import Engine
from viva_ros.scoring.replay import check_rates, monitor_rates
from viva_ros.scoring.scorer import (
    RATE,
    ScoredSample,
    check_sample_spacing,
    estimates,
    replay_for_engine,
    series_of,
)
from viva_ros.scoring.series import ValueSeries
from viva_ros.scoring.store import read_samples


def is_undisturbed(label: Label | None, task: str = '') -> bool:
    """
    Return whether an episode is a success without an error, a recovery or a retry.

    :param task: task of the episode; empty for any task
    """
    if label is None or not label.success or label.task != (task or label.task):
        return False
    retried = (label.failure or '').startswith('retry_')
    return not retried and 'manifest' not in label.times


def no_check(seen: Identities) -> None:
    """Accept all recordings."""


@dataclass(frozen=True)
class Sources:
    """
    Recordings for a calibration.

    :param rate: rate of the simulated monitor, Hz
    :param scored: folder of tables of 'viva score'; None to compute all values
    :param leave_out_failures: whether to ignore failed episodes instead of refusing them
    :param check: called with the content identities of the recordings before the first is scored;
        refuses those of the training
    """

    paths: Sequence[Path]
    rate: float = RATE
    scored: Path | None = None
    leave_out_failures: bool = False
    check: Callable[[Identities], None] = no_check


def calibration_series(
    sources: Sources, engine: Callable[[], Engine], task: str
) -> tuple[dict[Path, ValueSeries], frozenset[str]]:
    """
    Score the undisturbed successes of a task.

    A recording with a fault in its replay is left out and named on stderr, as one that cannot be
    opened.

    :param engine: returns the engine for the next recording
    :returns: the value series by recording, and the content identities of their episodes
    :raises CalibrationError: if a recording is a failure or of the training, no recording is an
        undisturbed success, or a joint position is not finite
    :raises RecordingError: if a recording has the values of a monitor at another rate, or its
        values are slower than the rate
    """
    console = Terminal(stderr=True)
    chosen = chosen_recordings(sources, task, console)
    with following(list(chosen), 'calibrating', console) as shown:
        series: dict[Path, ValueSeries] = {}
        for path in shown:
            try:
                series[path] = series_of(_samples(path, sources, engine, task))
            except RecordingError as error:
                if error.code != FAULT:
                    raise
                console.print(f'left out: {naming(path, error)}', highlight=False, soft_wrap=True)
    if not series:
        raise _no_success([None] * len(sources.paths), task)
    return series, frozenset[str]().union(*(chosen[path] for path in series))


def chosen_recordings(
    sources: Sources, task: str, console: Console
) -> dict[Path, frozenset[str]]:  # fmt: skip
    """
    Return the recordings of undisturbed successes of a task, with their content identities.

    No image is decoded.

    :raises CalibrationError: if a recording is a failure, of the training, or a copy of another,
        no recording is an undisturbed success, or a joint position is not finite
    :raises RecordingError: if a recording has the values of a monitor at another rate
    """
    chosen, failures, seen, contents, rates = {}, [], {}, {}, {}
    left_out: list[list[Label | None] | None] = []
    with following(sources.paths, 'reading', console) as shown:
        for path in shown:
            recording, episodes = open_undamaged(path, console)
            seen[path] = identities_of(episodes)
            labels = [one.label for one in episodes]
            if any(label and label.task == task and not label.success for label in labels):
                failures.append(path)
            if recording and labels and all(is_undisturbed(label, task) for label in labels):
                check_numbers(path, episodes)
                rates[path] = monitor_rates(recording)
                chosen[path], contents[path] = seen[path], contents_of(episodes)
            else:
                left_out.append(labels if recording else None)
    sources.check(seen)
    if not chosen:
        raise _no_success(left_out, task)
    check_copies(contents)
    check_rates(rates, sources.rate)
    if failures and not sources.leave_out_failures:
        raise CalibrationError(
            'calibration-failures',
            f'{len(failures)} of {len(sources.paths)} recordings are failures, such as '
            f'{failures[0]}; {len(chosen)} are successes, which set the thresholds: leave the '
            'failures out (--leave-out-failures)',
        )
    return chosen


def _no_success(
    recordings: Sequence[Sequence[Label | None] | None], task: str
) -> CalibrationError:
    """
    Return the error that no recording is an undisturbed success of a task.

    :param recordings: labels of the episodes of each recording; None for a damaged one
    """
    others = Counter(
        label.task for labels in recordings for label in labels or () if is_undisturbed(label)
        if label and label.task != task
    )  # fmt: skip
    counts = Counter(_why_left_out(labels, task) for labels in recordings)
    instead = f'use --task {quote(others.most_common(1)[0][0])}, or ' if others else ''
    return CalibrationError(
        'calibration-no-success',
        f'none of {len(recordings)} recordings is a success of the task {task!r} without a retry '
        f'or recovery ({"; ".join(f"{why}: {n}" for why, n in counts.items())}): {instead}'
        'record successes, which set the thresholds',
    )


def _why_left_out(labels: Sequence[Label | None] | None, task: str) -> str:
    if labels is None:
        return 'damaged'
    known = [label for label in labels if label]
    if not known:
        return 'without a label'
    if all(label.task != task for label in known):
        return f'of the task {known[0].task!r}'
    return 'failures' if any(not one.success for one in known) else 'with a retry or recovery'


def _samples(
    path: Path, sources: Sources, engine: Callable[[], Engine], task: str
) -> list[ScoredSample]:
    current = engine()
    if sources.scored is not None:
        samples = read_samples(path, sources.scored, current.info, task, sources.rate)
    else:
        inputs = replay_for_engine(open_recording(path), current.info, sources.rate)
        samples = list(estimates(each_of_recording(path, inputs), current))
    check_sample_spacing(path, samples, sources.rate)
    return samples


def check_numbers(path: Path, episodes: Sequence[Episode]) -> None:
    """
    Refuse a recording with a joint position that is not finite.

    :raises CalibrationError: naming the joint and the number of messages
    """
    for episode in episodes:
        invalid = ~np.isfinite(episode.joints.positions)
        if invalid.any():
            column = int(invalid.any(axis=0).argmax())
            raise CalibrationError(
                'calibration-joint',
                f'{path}: joint {episode.joints.names[column]} is not a finite number '
                f'in {int(invalid[:, column].sum())} of {len(invalid)} messages: leave the '
                'recording out, or fix the driver and record it again',
            )


def open_undamaged(path: Path, console: Console) -> tuple[Recording | None, list[Episode]]:
    """Open a recording with its episodes; print why it is left out, and return None then."""
    try:
        with one_recording(path):
            recording = open_recording(path)
            episodes = episodes_of(recording)
            check_numbers(path, episodes)
            check_limits(path, episodes)
    except (RecordingError, ConfigurationError) as error:  # a map next to it, too
        console.print(f'left out: {naming(path, error)}', highlight=False, soft_wrap=True)
        return None, []
    for loss in recording.losses:
        console.print(f'left out: {path} is damaged: {loss}', highlight=False, soft_wrap=True)
    return (None, []) if recording.losses else (recording, episodes)


def calibrate_engine(
    engine: Callable[[], Engine], task: str, paths: Sequence[Path] | Sources, alpha: float,
    warn_alpha: float, choice: CalibrationOptions = DEFAULT, rules: RuleSettings | None = None,
) -> Calibration:  # fmt: skip
    """
    Fit the thresholds of an engine.

    :param engine: returns the engine for the next recording
    :param alpha: share of successes that may raise an alarm, in (0, 1)
    :param warn_alpha: share of successes that may raise a warning, at least alpha, below 1
    :param rules: settings of the rules; None: their defaults
    :raises CalibrationError: if successes are too few, naming the number missing
    """
    for name, share in (('alpha', alpha), ('warn_alpha', warn_alpha)):
        if not 0.0 < share < 1.0:
            raise CalibrationError(
                'calibration-alpha', f'{name} is {share}, must be above 0 and below 1'
            )
    if warn_alpha < alpha:
        raise CalibrationError(
            'calibration-warn-alpha',
            f'warn_alpha is {warn_alpha}, must be at least alpha, {alpha}',
        )
    sources = paths if isinstance(paths, Sources) else Sources(paths, leave_out_failures=True)
    fingerprint = engine().info.fingerprint
    series, identities = calibration_series(sources, engine, task)
    others = len(sources.paths) - len(series)
    source = f'{len(series)} successes at {sources.rate:g} Hz, {others} other recordings left out'
    found = calibrate(
        list(series.values()), rules or RuleSettings(), engine=fingerprint, task=task,
        rate=sources.rate, alpha=alpha, warn_alpha=warn_alpha, source=source, choice=choice,
        names=[str(path) for path in series],
    )  # fmt: skip
    return replace(found, episode_identities=tuple(sorted(identities)))
