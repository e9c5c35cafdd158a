# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Fit the alarm thresholds of an engine on successes outside its training."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from viva_ros.calibration.data import Sources, calibrate_engine
from viva_ros.calibration.fit import ALPHA, DEFAULT, WARN_ALPHA, CalibrationOptions
from viva_ros.console.progress import note
from viva_ros.console.terminal import Terminal
from viva_ros.core.detection.rules import RULES, RuleSettings
from viva_ros.core.detection.thresholds import AND, OR, Calibration, calibration_file
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.settings import flatten, unflatten, validate
from viva_ros.data.split import CALIBRATION, CHOICES, select
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import save_calibration, trained_episodes
from viva_ros.engine.resources import DEFAULT_TASK, engine_folder
from viva_ros.scoring.scorer import FASTEST, RATE

PREFIX: Final = 'rules.'  # of the parameters


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = parse(argv)
    rules = rule_settings(args.set)
    choice = CalibrationOptions(tuple(args.rules), args.combine, args.by_progress, args.done_above)
    folder = engine_folder(args.engine, args.task)
    engine = load(folder, args.task)
    selected = select(args.recordings, args.part, CALIBRATION, note=note, task_option='--task')
    trained = trained_episodes(folder)
    sources = Sources(
        selected.recordings, args.rate, args.scored, args.leave_out_failures,
        lambda seen: selected.check_untrained(seen, trained, str(folder), note),
    )  # fmt: skip
    found = calibrate_engine(
        lambda: engine, args.task, sources, args.alpha, args.warn_alpha, choice, rules
    )
    engine.close()
    out = args.out or calibration_file(folder, args.task)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_calibration(found, out)
    Terminal().print(summary(found, out, args.rules), highlight=False)
    for text in found.warnings:
        Terminal(stderr=True).print(f'warning: {text}', highlight=False, soft_wrap=True)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser('viva calibrate', description=__doc__)
    parser.add_argument('recordings', type=Path, nargs='+', help='Recordings, or folders of them')
    parser.add_argument(
        '--part', choices=CHOICES,
        help='Part of each folder, by the split of training, or all; default: calibration of a '
        'folder with split.json or subfolders of parts; all of others, if the engine names its '
        'training episodes',
    )  # fmt: skip
    parser.add_argument('--engine', default='', help='Engine folder; default: the shipped engine')
    parser.add_argument(
        '--task', default=DEFAULT_TASK, help='Task of the recordings (default: %(default)s)'
    )
    parser.add_argument(
        '--alpha', type=float, default=ALPHA,
        help='Share of successes that may raise an alarm (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--warn-alpha', type=float, default=WARN_ALPHA,
        help='Share of successes that may raise a warning (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--rules', nargs='+', choices=RULES.names(), default=list(DEFAULT.rules),
        help='Rules that may raise an alarm; default: all',
    )  # fmt: skip
    parser.add_argument(
        '--set', nargs='+', action='extend', default=[], metavar='NAME=VALUE',
        help='Parameters of the supervisor below rules, such as rules.debounce=0.5; default: '
        'their defaults',
    )  # fmt: skip
    parser.add_argument(
        '--combine', choices=(OR, AND), default=OR,
        help='Alarm on any rule, or on a value rule and the forecast residual together '
        '(default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--by-progress', action='store_true',
        help='Thresholds that depend on predicted progress, instead of constant ones',
    )  # fmt: skip
    parser.add_argument(
        '--done-above', type=float, metavar='VALUE',
        help='Done level: a smoothed value above it need not rise; default: learnt from the '
        'final values of the reference episodes',
    )  # fmt: skip
    parser.add_argument(
        '--rate', type=float, default=RATE,
        help='Rate of the monitor, Hz: the thresholds are valid at this rate only '
        '(default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--scored', type=Path, help="Folder of tables of 'viva score' of these recordings"
    )
    parser.add_argument(
        '--leave-out-failures', action='store_true',
        help='Ignore failed episodes, instead of refusing them',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path,
        help='Calibration file; default: calibration_TASK.json in the engine folder',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if not 0.0 < args.rate <= FASTEST:
        raise ConfigurationError(
            'calibrate-rate', f'--rate is {args.rate}, must be above 0 and at most {FASTEST:g}'
        )
    return args


def rule_settings(texts: Sequence[str]) -> RuleSettings:
    """
    Return settings of the rules.

    :param texts: such as 'rules.debounce=0.5'; other settings have their defaults
    :raises ConfigurationError: if a name is unknown or repeated, or a value is out of range
    """
    known = {info.name: info for info in flatten(RuleSettings(), PREFIX)}
    values: dict[str, object] = {}
    for text in texts:
        name, _, value = text.partition('=')
        if name == 'rules.done_above':
            raise ConfigurationError(
                'calibrate-setting-removed',
                f'--set has {text!r}, which is no parameter: use --done-above VALUE',
            )
        if name not in known:
            raise ConfigurationError(
                'calibrate-setting-unknown',
                f'--set has {text!r}, must be NAME=VALUE with one of {", ".join(known)}',
            )
        if name in values:
            raise ConfigurationError(
                'calibrate-setting-repeated', f'--set has {name} twice: name it once'
            )
        try:
            values[name] = known[name].kind(value)
        except ValueError as error:
            raise ConfigurationError(
                'calibrate-setting-type',
                f'--set has {text!r}: {name} must be a number, such as {known[name].default}',
            ) from error
    rules: RuleSettings = unflatten(RuleSettings(), values, PREFIX)
    validate(rules, PREFIX)
    return rules


def summary(calibration: Calibration, out: Path, chosen: Sequence[str] = ()) -> str:
    """
    Return the text of the thresholds and of the bound on false alarms.

    :param chosen: rules that the calibration was to have
    """
    limits = [
        f'  {kind}: alarm above {limit.alarm:+.3f}, warning above {limit.warn:+.3f}'
        f' (alone {calibration.alone[kind]:+.3f})'
        for kind, limit in calibration.thresholds.items()
    ]
    left_out = [kind for kind in chosen if kind not in calibration.thresholds]
    if left_out:
        limits.append(f'  left out, no reading in reference episodes: {", ".join(left_out)}')
    if calibration.standing:
        limits.append(f'  note: {calibration.standing}')
    low, high = calibration.coverage
    bound = (
        f'at most {calibration.alpha:.0%} of new successes raise an alarm, over all rules: '
        f'{calibration.alarms_per_hour:.1f} per hour of successful work; with these '
        f'{calibration.episodes} episodes {low:.1%} to {high:.1%} raise none (5 to 95 %)'
    )
    how = (
        f'{calibration.combine}; {calibration.shaping} episodes for the reference statistics; '
        f'done above {calibration.expected.done_above:+.3f}'
    )
    return '\n'.join([f'{out}: {calibration.source}; {how}', *limits, f'  {bound}'])
