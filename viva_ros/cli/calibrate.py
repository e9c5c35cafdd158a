# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva calibrate`: set the thresholds of an engine, from successes that it never learnt from."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from viva_ros.calibration.data import Sources, calibrate_engine
from viva_ros.calibration.fit import ALPHA, DEFAULT, WARN_ALPHA, CalibrationOptions
from viva_ros.core.detection.rules import RULES
from viva_ros.core.detection.thresholds import AND, OR, Calibration, calibration_file
from viva_ros.data.open import find
from viva_ros.engine.factory import load
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.scoring.scorer import RATE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    folder = engine_folder(args.engine, args.task)
    engine = load(folder, args.task)
    sources = Sources(find(args.recordings), RATE, args.scored, args.leave_out_failures)
    choice = CalibrationOptions(tuple(args.rules), args.combine, args.by_progress)
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
    parser.add_argument('--task', default=DEFAULT_TASK, help='default: %(default)s')
    parser.add_argument('--alpha', type=float, default=ALPHA, help='share that may alarm')
    parser.add_argument('--warn-alpha', type=float, default=WARN_ALPHA, help='that may warn')
    parser.add_argument('--rules', nargs='+', choices=RULES.names(), default=list(DEFAULT.rules),
                        help='that may alarm; default: all')  # fmt: skip
    parser.add_argument('--combine', choices=(OR, AND), default=OR,
                        help='any rule, or a value rule and the forecast residual')  # fmt: skip
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
