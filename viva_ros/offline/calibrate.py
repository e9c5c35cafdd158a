# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva calibrate`: set the thresholds of an engine, from successes that it never learnt from."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from viva_ros.core.calibration import ValueSeries, calibrate
from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.core.rules import RuleSettings
from viva_ros.core.thresholds import Calibration, calibration_file
from viva_ros.data.episode import Label
from viva_ros.data.recording import Recording, read
from viva_ros.offline.score import find
from viva_ros.offline.scoring import RATE, estimates, look, series_of
from viva_ros.runtime.engine import Engine, load
from viva_ros.runtime.shipped import engine_folder


def is_undisturbed(label: Label | None, task: str = '') -> bool:
    """
    Tell a success in which nothing went wrong, nor had to be mended.

    :param task: count only those at this one
    """
    if label is None or not label.success or label.task != (task or label.task):
        return False
    retried = (label.failure or '').startswith('retry_')
    return not retried and 'manifest' not in label.times


def calibration_series(
    paths: Iterable[Path], engine: Callable[[], Engine], task: str, rate: float = RATE
) -> tuple[list[ValueSeries], int]:
    """
    Score the undisturbed successes of a task.

    :param engine: gives the engine for the next recording
    :returns: their values, and how many other recordings were left out
    """
    series, others = [], 0
    console = Console(stderr=True)
    for path in track(list(paths), 'calibrating', console=console):
        recording = whole(path, console)
        if recording and any(is_undisturbed(one.label, task) for one in recording.episodes()):
            fresh = engine()
            moments = look(recording, fresh.info, rate)
            series.append(series_of(list(estimates(moments, fresh))))
        else:
            others += 1
    return series, others


def whole(path: Path, console: Console) -> Recording | None:
    """Read a recording; None, and a line that says why, if something of it is lost."""
    try:
        recording = read(path)
    except RecordingError as error:
        console.print(f'left out: {error}', highlight=False, soft_wrap=True)
        return None
    for loss in recording.losses:
        console.print(f'left out: {path} is damaged: {loss}', highlight=False, soft_wrap=True)
    return None if recording.losses else recording


def calibrate_engine(
    engine: Callable[[], Engine], task: str, paths: Sequence[Path], alpha: float,
    warn_alpha: float, rate: float = RATE,
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
    fingerprint = engine().info.fingerprint
    series, others = calibration_series(paths, engine, task, rate)
    source = f'{len(series)} successes at {rate:g} Hz, {others} other recordings left out'
    return calibrate(
        series, RuleSettings(), engine=fingerprint, task=task,
        alpha=alpha, warn_alpha=warn_alpha, source=source,
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser('viva calibrate', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='MCAP files or folders of them')
    parser.add_argument('--engine', default='', help='folder; default: the shipped one')
    parser.add_argument('--task', default='tray_lift', help='default: %(default)s')
    parser.add_argument('--alpha', type=float, default=0.1, help='share that may alarm')
    parser.add_argument('--warn-alpha', type=float, default=0.3, help='that may warn')
    parser.add_argument('--out', type=Path, help='default: calibration_TASK.json in the engine')
    args = parser.parse_args(argv)
    folder = engine_folder(args.engine, args.task)
    engine = load(folder, args.task)
    paths = find(args.recordings)
    found = calibrate_engine(lambda: engine, args.task, paths, args.alpha, args.warn_alpha)
    engine.close()
    out = args.out or calibration_file(folder, args.task)
    out.parent.mkdir(parents=True, exist_ok=True)
    found.save(out)
    Console().print(summary(found, out), highlight=False)
    return 0


def summary(calibration: Calibration, out: Path) -> str:
    """Say what was set, and what is promised."""
    limits = [
        f'  {kind}: alarm above {limit.alarm:+.3f}, warning above {limit.warn:+.3f}'
        for kind, limit in calibration.thresholds.items()
    ]
    low, high = calibration.coverage
    promise = (
        f'at most {calibration.alpha:.0%} of new successes alarm, over all rules; '
        f'one rule is quiet on {low:.1%} to {high:.1%} of them (5 to 95 %)'
    )
    return '\n'.join([f'{out}: {calibration.source}', *limits, f'  {promise}'])
