# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva calibrate`: set the thresholds of an engine, from successes that it never learnt from."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from viva_ros.calibration.fit import DEFAULT, Choice, calibrate
from viva_ros.core.detection.rules import RuleSettings
from viva_ros.core.detection.thresholds import AND, OR, Calibration, calibration_file
from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.core.events import RULES
from viva_ros.data.episode import Label
from viva_ros.data.open import open_recording
from viva_ros.data.recording import Recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.engine.api import Engine
from viva_ros.engine.factory import load
from viva_ros.engine.resources import engine_folder
from viva_ros.scoring.run import find
from viva_ros.scoring.scorer import RATE, Sample, estimates, look, series_of
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
) -> list[Sample]:
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
    warn_alpha: float, choice: Choice = DEFAULT,
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    folder = engine_folder(args.engine, args.task)
    engine = load(folder, args.task)
    sources = Sources(find(args.recordings), RATE, args.scored, args.leave_out_failures)
    choice = Choice(tuple(args.rules), args.combine, args.by_progress)
    found = calibrate_engine(
        lambda: engine, args.task, sources, args.alpha, args.warn_alpha, choice
    )
    engine.close()
    out = args.out or calibration_file(folder, args.task)
    out.parent.mkdir(parents=True, exist_ok=True)
    found.save(out)
    Console().print(summary(found, out), highlight=False)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva calibrate', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='MCAP files or folders of them')
    parser.add_argument('--engine', default='', help='folder; default: the shipped one')
    parser.add_argument('--task', default='tray_lift', help='default: %(default)s')
    parser.add_argument('--alpha', type=float, default=0.1, help='share that may alarm')
    parser.add_argument('--warn-alpha', type=float, default=0.3, help='that may warn')
    parser.add_argument('--rules', nargs='+', choices=RULES, default=list(DEFAULT.rules),
                        help='that may alarm; default: all')  # fmt: skip
    parser.add_argument('--combine', choices=(OR, AND), default=OR,
                        help='any rule, or one of the value and the foresight')  # fmt: skip
    parser.add_argument('--by-progress', action='store_true',
                        help='thresholds by predicted progress, not constant')  # fmt: skip
    parser.add_argument('--scored', type=Path, help="tables of 'viva score' for these recordings")
    parser.add_argument('--leave-out-failures', action='store_true',
                        help='failures may be among the recordings')  # fmt: skip
    parser.add_argument('--out', type=Path, help='default: calibration_TASK.json in the engine')
    return parser.parse_args(argv)


def summary(calibration: Calibration, out: Path) -> str:
    """Say what was set, and what is promised."""
    limits = [
        f'  {kind}: alarm above {limit.alarm:+.3f}, warning above {limit.warn:+.3f}'
        f' (alone {calibration.alone[kind]:+.3f})'
        for kind, limit in calibration.thresholds.items()
    ]
    low, high = calibration.coverage
    promise = (
        f'at most {calibration.alpha:.0%} of new successes alarm, over all rules: '
        f'{calibration.alarms_per_hour:.1f} an hour of successful work; with these '
        f'{calibration.episodes} episodes {low:.1%} to {high:.1%} are quiet (5 to 95 %)'
    )
    how = f'{calibration.combine}; {calibration.shaping} episodes to learn what is usual'
    return '\n'.join([f'{out}: {calibration.source}; {how}', *limits, f'  {promise}'])
