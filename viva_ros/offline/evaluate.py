# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
`viva evaluate`: measure an engine on test recordings, beside what knows less.

Beside it stand a model that feels only the joints, and a clock. All are calibrated by the same
code on the same recordings, and judged by the judge that runs live.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from viva_ros.core.errors import CalibrationError, RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.core.thresholds import Calibration
from viva_ros.data.published import truth
from viva_ros.data.recording import read
from viva_ros.offline import report
from viva_ros.offline.baselines import TimeCounter
from viva_ros.offline.calibrate import calibrate_engine, is_undisturbed
from viva_ros.offline.evaluation_plot import draw
from viva_ros.offline.figures import figures
from viva_ros.offline.score import calibration_of, find
from viva_ros.offline.scoring import estimates, judge, look, rule_alarms
from viva_ros.offline.trials import Result, result
from viva_ros.runtime.engine import Engine, EngineInfo, load
from viva_ros.runtime.shipped import engine_folder

VIVA, PROPRIO, TIME, OVERDUE = 'ViVa', 'proprioception only', 'time counter', 'time-out'
WARN_ALPHA = 0.3
WIDTH = 120  # of the tables in a file


@dataclass(frozen=True)
class Contender:
    """
    One who is measured.

    :param engine: gives the engine for the next recording
    :param calibration: without one it raises no alarm
    """

    name: str
    engine: Callable[[], Engine]
    calibration: Calibration | None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    folder = engine_folder(args.engine, args.task)
    calibrating = find([args.calibration_recordings])
    testing = find(args.recordings)
    check_apart(calibrating, testing)
    loaded = [load(folder, args.task)]
    if args.proprio:
        loaded.append(load(args.proprio, args.task))
    contenders = enter(loaded, folder, args.task, args.alpha, calibrating)
    results = run(contenders, testing, loaded[0].info)
    measured = {name: figures(rows, camera_only()) for name, rows in results.items()}
    content = report.content(measured, results, loaded[0].info)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out, content)
    draw(results, camera_only(), args.out.with_suffix('.png'))
    report.show(measured, Console(width=None if sys.stdout.isatty() else WIDTH))
    for engine in loaded:
        engine.close()
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva evaluate', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='test recordings or folders')
    parser.add_argument('--engine', default='', help='folder; default: the shipped one')
    parser.add_argument('--proprio', type=Path, help='folder of the proprioception-only engine')
    parser.add_argument('--task', default='tray_lift', help='default: %(default)s')
    parser.add_argument(
        '--calibration-recordings', type=Path, required=True, help='to calibrate the others on'
    )
    parser.add_argument('--alpha', type=float, default=0.1, help='share that may alarm')
    parser.add_argument('--out', type=Path, required=True, help='JSON file; the plot lies beside')
    return parser.parse_args(argv)


def check_apart(calibrating: Sequence[Path], testing: Sequence[Path]) -> None:
    """
    Refuse to test on what was calibrated on.

    :raises CalibrationError: naming the first recording that is in both
    """
    both = {path.resolve() for path in calibrating} & {path.resolve() for path in testing}
    if both:
        raise CalibrationError(
            f'{min(both)} is in the test and in the calibration recordings: keep them apart'
        )


def enter(
    loaded: Sequence[Engine], folder: Path, task: str, alpha: float, calibrating: Sequence[Path]
) -> list[Contender]:
    """Give everyone thresholds; the engine keeps its own, if it comes with them."""
    main_engine = loaded[0]
    own = calibration_of(folder, task, main_engine.info.fingerprint)
    thresholds = partial(
        calibrate_engine, task=task, paths=calibrating, warn_alpha=max(alpha, WARN_ALPHA),
        alpha=own.alpha if own else alpha,
    )  # fmt: skip
    if own is None:
        own = thresholds(partial(_same, main_engine))
    contenders = [Contender(VIVA, partial(_same, main_engine), own)]
    for engine in loaded[1:]:
        give = partial(_same, engine)
        contenders.append(Contender(PROPRIO, give, thresholds(give)))
    duration = mean_duration(calibrating)
    elapsed = partial(TimeCounter, main_engine.info, duration)
    overdue = partial(TimeCounter, main_engine.info, duration, overdue=True)
    contenders.append(Contender(TIME, elapsed, None))
    contenders.append(Contender(OVERDUE, overdue, thresholds(overdue)))
    return contenders


def _same(engine: Engine) -> Engine:
    return engine


def mean_duration(paths: Sequence[Path]) -> float:
    """Give the mean length of the undisturbed successes, s."""
    spans = []
    for path in paths:
        for episode in read(path).episodes():
            if is_undisturbed(episode.label):
                spans.append((episode.joints.stamps[-1] - episode.joints.stamps[0]) * 1e-9)
    if not spans:
        raise CalibrationError('no calibration recording is an undisturbed success')
    return float(np.mean(spans))


def run(
    contenders: Sequence[Contender], paths: Sequence[Path], info: EngineInfo
) -> dict[str, list[Result]]:
    """
    Judge every recording for everyone.

    :param info: of the engine whose inputs all are given
    :raises RecordingError: if one has no outcome
    """
    results: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
    for path in track(paths, 'evaluating', console=Console(stderr=True)):
        recording = read(path)
        episode = recording.episodes()[0]
        if episode.label is None:
            raise RecordingError(f'{path} has no outcome: leave it out, or record it to its end')
        sights, told = list(look(recording, info)), truth(recording)
        for one in contenders:
            samples = list(estimates(sights, one.engine()))
            alarms = rule_alarms(judge(samples, one.calibration))
            results[one.name].append(result(episode, episode.label, samples, alarms, told))
    return _with_clock(results)


def _with_clock(results: dict[str, list[Result]]) -> dict[str, list[Result]]:
    """Make one clock of two: values that rise with time, alarms of the time-out."""
    alarms = results.pop(OVERDUE)
    rising = results[TIME]
    results[TIME] = [
        replace(value, alarms=alarm.alarms) for value, alarm in zip(rising, alarms, strict=True)
    ]
    return results


def camera_only() -> frozenset[str]:
    """Give the injected failures that only a camera can see; none without the simulation."""
    try:
        from viva_ros.sim.tasks import CAMERA_ONLY
    except ImportError:
        return frozenset()
    return frozenset(CAMERA_ONLY)
