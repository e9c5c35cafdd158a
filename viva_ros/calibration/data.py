# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The value series of successful episodes that an engine is calibrated on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from viva_ros.calibration.fit import DEFAULT, CalibrationOptions, calibrate
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import Calibration
from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.data.episode import Label
from viva_ros.data.open import open_recording
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.api import Engine
from viva_ros.scoring.scorer import RATE, ScoredSample, estimates, look, series_of
from viva_ros.scoring.series import ValueSeries
from viva_ros.scoring.store import read_samples


def is_undisturbed(label: Label | None, task: str = '') -> bool:
    """
    Tell a success in which nothing went wrong, nor had to be mended.

    :param task: count only those at this one
    """
    if label is None or not label.success or label.task != (task or label.task):
        return False
    retried = (label.failure or '').startswith('retry_')
    return not retried and 'manifest' not in label.times


@dataclass(frozen=True)
class Sources:
    """
    Where calibration comes from.

    :param scored: folder of tables by 'viva score'; None estimates all values anew
    :param leave_out_failures: whether failures may be among the recordings
    """

    paths: Sequence[Path]
    rate: float = RATE
    scored: Path | None = None
    leave_out_failures: bool = False


def calibration_series(
    sources: Sources, engine: Callable[[], Engine], task: str
) -> tuple[list[ValueSeries], int]:
    """
    Score the undisturbed successes of a task.

    :param engine: gives the engine for the next recording
    :returns: their values, and how many other recordings were left out
    :raises CalibrationError: if failures are among them, or a joint is not a number
    """
    series, failures, others = [], [], 0
    console = Console(stderr=True)
    for path in track(sources.paths, 'calibrating', console=console):
        recording = whole(path, console)
        labels = [one.label for one in episodes_of(recording)] if recording else []
        if any(label and label.task == task and not label.success for label in labels):
            failures.append(path)
        if recording and labels and all(is_undisturbed(label, task) for label in labels):
            check_numbers(recording)
            series.append(series_of(_samples(recording, sources, engine, task)))
        else:
            others += 1
    if failures and not sources.leave_out_failures:
        raise CalibrationError(
            f'{len(failures)} of {len(sources.paths)} recordings are failures, as {failures[0]}: '
            f'thresholds are made of successes, of which {len(series)} are there: leave the '
            'failures out (--leave-out-failures)'
        )
    return series, others


def _samples(
    recording: Recording, sources: Sources, engine: Callable[[], Engine], task: str
) -> list[ScoredSample]:
    fresh = engine()
    if sources.scored is not None:
        return read_samples(recording.path, sources.scored, fresh.info, task)
    return list(estimates(look(recording, fresh.info, sources.rate), fresh))


def check_numbers(recording: Recording) -> None:
    """
    Refuse a recording with a joint that is not a number.

    :raises CalibrationError: naming it, and how often
    """
    for episode in episodes_of(recording):
        spoilt = ~np.isfinite(episode.joints.positions)
        if spoilt.any():
            column = int(spoilt.any(axis=0).argmax())
            raise CalibrationError(
                f'{recording.path}: joint {episode.joints.names[column]} is not a finite number '
                f'in {int(spoilt[:, column].sum())} of {len(spoilt)} messages: leave the '
                'recording out, or mend the driver and record it again'
            )


def whole(path: Path, console: Console) -> Recording | None:
    """Read a recording; None, and a line that says why, if something of it is lost."""
    try:
        recording = open_recording(path)
    except RecordingError as error:
        console.print(f'left out: {error}', highlight=False, soft_wrap=True)
        return None
    for loss in recording.losses:
        console.print(f'left out: {path} is damaged: {loss}', highlight=False, soft_wrap=True)
    return None if recording.losses else recording


def calibrate_engine(
    engine: Callable[[], Engine], task: str, paths: Sequence[Path] | Sources, alpha: float,
    warn_alpha: float, choice: CalibrationOptions = DEFAULT,
) -> Calibration:  # fmt: skip
    """
    Set the thresholds of an engine.

    :param engine: gives the engine for the next recording
    :param alpha: share of successes that may alarm; warn_alpha: that may warn
    :raises CalibrationError: if there are too few successes, with the number missing
    """
    for name, share in (('alpha', alpha), ('warn_alpha', warn_alpha)):
        if not 0.0 < share < 1.0:
            raise CalibrationError(f'{name} is {share}, must be above 0 and below 1')
    if warn_alpha < alpha:
        raise CalibrationError(f'warn_alpha is {warn_alpha}, must be at least alpha, {alpha}')
    sources = paths if isinstance(paths, Sources) else Sources(paths, leave_out_failures=True)
    fingerprint = engine().info.fingerprint
    series, others = calibration_series(sources, engine, task)
    source = f'{len(series)} successes at {sources.rate:g} Hz, {others} other recordings left out'
    return calibrate(
        series, RuleSettings(), engine=fingerprint, task=task,
        alpha=alpha, warn_alpha=warn_alpha, source=source, choice=choice,
    )  # fmt: skip
