# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva score`: values and alerts of recordings, into files beside them; they stay as they are."""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.core.thresholds import Calibration, calibration_file
from viva_ros.core.thresholds import load as load_calibration
from viva_ros.data.recording import read
from viva_ros.data.sources import find
from viva_ros.offline.scoring import RATE, Scores, score
from viva_ros.runtime.engine import load
from viva_ros.runtime.shipped import engine_folder

__all__ = ['Scores', 'calibration_of', 'find', 'main', 'score']



def main(argv: Sequence[str] | None = None) -> int:
    """Run `viva score`."""
    parser = argparse.ArgumentParser('viva score', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='recordings or folders')
    parser.add_argument('--engine', default='', help='folder; default: the shipped one')
    parser.add_argument('--task', default='tray_lift', help='default: %(default)s')
    parser.add_argument('--calibration', type=Path, help="default: the engine's for the task")
    parser.add_argument('--rate', type=float, default=RATE, help='of an imitated monitor, Hz')
    parser.add_argument('--out', type=Path, help='folder for NAME_scores.json; default: beside')
    return run(parser.parse_args(argv), Console())


def run(args: argparse.Namespace, console: Console) -> int:
    """Score all; 2 if a recording could not be read."""
    folder = engine_folder(args.engine, args.task)
    engine = load(folder, args.task)
    calibration = calibration_of(folder, args.task, engine.info.fingerprint, args.calibration)
    failed = 0
    for path in track(find(args.recordings), 'scoring', console=Console(stderr=True)):
        try:
            scores = score(read(path), engine, args.task, calibration, args.rate)
        except RecordingError as error:
            failed += 1
            console.print(f'[red]{path.name}: {error}')
            continue
        out = (args.out or path.parent) / f'{path.stem}_scores.json'
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, to_json(scores))
        console.print(summary(scores), highlight=False)
    engine.close()
    return 2 if failed else 0


def calibration_of(
    folder: Path, task: str, fingerprint: str, given: Path | None = None
) -> Calibration | None:
    """
    Load and check the calibration of an engine; None if it has none and none is asked for.

    :raises CalibrationError: if it cannot be read, or belongs to another engine
    """
    path = given or calibration_file(folder, task)
    if given is None and not path.exists():
        return None
    calibration = load_calibration(path)
    calibration.check(fingerprint, task, calibration.rules)
    return calibration


def summary(scores: Scores) -> str:
    """Say in a few lines what came out."""
    known = [s.value for s in scores.samples if math.isfinite(s.value)]
    span = f', from {known[0]:+.2f} to {known[-1]:+.2f}' if known else ''
    unknown = len(scores.samples) - len(known)
    lines = [
        f'{scores.name}: {len(known)} values{span}, {unknown} unknown, {len(scores.alarms)} alarms'
    ]
    begin = scores.samples[0].stamp if scores.samples else 0
    lines += [f'  {(e.stamp - begin) * 1e-9:6.2f} s {e.kind}: {e.text}' for e in scores.alarms]
    if scores.difference is not None:
        lines.append(f'  largest difference from the published values: {scores.difference:.2g}')
    if scores.lost:
        lines.append(f'  {scores.lost} published values are of inputs that were not recorded')
    if scores.alarms_said is not None:
        same = [(e.kind, e.onset) for e in scores.alarms]
        published = [(e.kind, e.onset) for e in scores.alarms_said]
        verdict = 'the same' if same == published else 'NOT the same'
        lines.append(f'  {len(published)} alarms were published, {verdict}')
    return '\n'.join([*lines, *(f'  {loss}' for loss in scores.losses)])


def to_json(scores: Scores) -> str:
    """Give the text of the result file; NaN becomes null."""
    content: dict[str, Any] = {'format': 'viva_ros scores 1', **asdict(scores)}
    content['difference'] = scores.difference
    return json.dumps(_plain(content), indent=1, allow_nan=False) + '\n'


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None if math.isnan(content) else str(content)
    return content
