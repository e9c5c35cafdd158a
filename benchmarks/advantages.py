# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare the labels of advantages near the end of successes and failures, by the rule of their cost.

'before' is the rule of early versions: a failure ends with G = 1 whatever V is, and a step costs
1/T of its own episode. 'after' is the default of `viva advantage`: progress counts as much as
success is probable, and a step costs 1/T of the longest episode of the task. The rules between
them separate the changes: 'terminal' ends a failure with the return of the scored value, 'time'
charges the longest episode, too (`--progress plain`).

    viva score recordings/test --out scored
    python -m benchmarks.advantages scored --out benchmarks/results/advantages.json
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from viva_ros.advantage.labels import (
    LONGEST,
    NONE,
    OWN,
    PLAIN,
    WEIGHTED,
    Advantages,
    Recipe,
    compute,
    has_outcome_frame,
    horizon_of,
    indicators,
    period_of,
    thresholds,
)
from viva_ros.advantage.report import GROUPS, by_time_to_end, draw_by_time
from viva_ros.console.program import ConsoleProgram, run
from viva_ros.core.errors import RecordingError
from viva_ros.core.files import write_atomically
from viva_ros.core.foreign_text import plotted
from viva_ros.evaluation.tables import plain
from viva_ros.metrics.intervals import interval, mean
from viva_ros.scoring.store import check_engines, find_scored, read_scored

PROGRAM: Final = 'python -m benchmarks.advantages'
BEFORE, AFTER = 'before', 'after'
#: Name to the cost of a step, whether a failure ends with the return of the scored value, and how
#: progress counts.
RULES: Final = {
    BEFORE: (OWN, False, PLAIN),
    'terminal': (OWN, True, PLAIN),
    'time': (LONGEST, True, PLAIN),
    AFTER: (LONGEST, True, WEIGHTED),
}
ALL: Final = 'all'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse(argv)
    recipe = Recipe(None, args.horizon, LONGEST, NONE, 0.5, args.positive, 0.0, 0, PLAIN)
    content = {
        'format': 'viva_ros advantages by rule 2', 'date': datetime.now(UTC).date().isoformat(),
        'command': shlex.join([*PROGRAM.split(), *argv]), **measure(args.scored, recipe),
    }  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    text = markdown(content)
    write_atomically(args.out, json.dumps(plain(content), indent=1) + '\n')
    write_atomically(args.out.with_suffix('.md'), text)
    draw(content).savefig(args.out.with_suffix('.png'), dpi=110)
    print(text)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(PROGRAM, description=__doc__.split('\n\n')[0])
    parser.add_argument('scored', type=Path, nargs='+',
                        help='Tables *_values.parquet, or folders of them')  # fmt: skip
    parser.add_argument(
        '--horizon', type=float, default=1.0, help='Horizon N in s (default: %(default)s)'
    )
    parser.add_argument(
        '--positive', type=float, default=0.3,
        help='Share of positive steps of each task (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--out', type=Path, required=True,
        help='JSON file; tables and plot are written next to it',
    )  # fmt: skip
    args = parser.parse_args(argv)
    if not 0.0 < args.horizon < float('inf') or not 0.0 < args.positive < 1.0:
        parser.error(
            f'--horizon is {args.horizon}, must be above 0; --positive is {args.positive}, must '
            'be above 0 and below 1'
        )
    return args


def measure(paths: Sequence[Path], recipe: Recipe) -> dict[str, Any]:
    """
    Return the shares of each rule.

    :raises RecordingError: if a table is damaged, or no failure or no success is among them
    """
    tables = [read_scored(path) for path in find_scored(paths)]
    engine, outcome_frame = check_engines(tables), has_outcome_frame(tables)
    pairs = [(one, str(table.header['task'])) for table in tables for one in table.episodes
             if one.entry['success'] is not None]  # fmt: skip
    episodes, tasks = [one for one, _ in pairs], [task for _, task in pairs]
    if {bool(one.entry['success']) for one in episodes} != {True, False}:
        raise RecordingError(
            'advantages-outcomes',
            f'{", ".join(map(str, paths))}: both successes and failures are needed: score '
            'recordings of both outcomes',
        )
    horizon = horizon_of(episodes, recipe)
    rules = {}
    for name, (charge_time, of_value, progress) in RULES.items():
        chosen = replace(recipe, charge_time=charge_time, progress=progress)
        found = compute(episodes, tasks, chosen, outcome_frame and of_value)
        rules[name] = of_rule(found, thresholds(found, recipe.share), horizon)
    each = [{'name': one.name, 'task': task} for one, task in pairs]
    return {'engine': engine, 'outcome_frame': outcome_frame, 'horizon': horizon,
            'positive': recipe.share, 'rules': rules, 'each': each}  # fmt: skip


def of_rule(
    found: Sequence[Advantages], eps: Mapping[str, float], horizon: float
) -> dict[str, Any]:
    """Return by task, and for all, the figures of the advantages of one rule."""
    rows = {ALL: list(found)}
    rows |= {task: [one for one in found if one.task == task] for task in sorted(eps)}
    return {
        task: {
            'threshold': eps.get(task),
            'last': {
                outcome: last_steps(
                    [one for one in row if bool(one.episode.entry['success']) is success],
                    eps, horizon,
                )
                for outcome, (success, _) in GROUPS.items()
            },
            'by_time': by_time_to_end(row, eps[task]) if task in eps else None,
        }
        for task, row in rows.items()
    }  # fmt: skip


def last_steps(
    found: Sequence[Advantages], eps: Mapping[str, float], horizon: float
) -> dict[str, Any]:
    """
    Return positive share and mean advantage of the last N steps, as means over the episodes.

    :param horizon: N, s
    """
    shares: list[float] = []
    means: list[float] = []
    for one in found:
        count = max(round(horizon / period_of(one.episode)), 1)
        for numbers, ends in ((indicators(one, eps), shares), (one.final, means)):
            known = numbers[-count:][np.isfinite(numbers[-count:])]
            ends.append(float(known.mean()) if known.size else math.nan)
    return {
        'episodes': len(found),
        'positive': interval(mean(shares)),
        'advantage': interval(mean(means)),
    }


def markdown(content: Mapping[str, Any]) -> str:
    """Return the tables."""
    lines = [
        '# Positive advantages near the end of an episode', '', f'`{content["command"]}`', '',
        f'Last {content["horizon"]:g} s (N), mean over episodes [95 % bootstrap interval over '
        'episodes; none if all are equal]. '
        f'{content["positive"]:.0%} of the steps of a task are positive.', '',
        '| rule | task | failures | positive | mean A | successes | positive | mean A |',
        f'| --- | --- |{" ---: |" * 6}',
    ]  # fmt: skip
    for name, tasks in content['rules'].items():
        for task, one in tasks.items():
            cells = [name, task]
            for outcome in ('failures', 'successes'):
                last = one['last'][outcome]
                cells += [str(last['episodes']), _text(last['positive']), _text(last['advantage'])]
            lines.append(f'| {" | ".join(cells)} |')
    for task in list(content['rules'][AFTER])[1:]:
        lines += ['', *_by_time(content, task)]
    return '\n'.join([*lines, ''])


def _by_time(content: Mapping[str, Any], task: str) -> list[str]:
    bins = content['rules'][AFTER][task]['by_time']
    heads = [f'{begin:g} to {end:g}' for begin, end in zip(bins['from'], bins['to'], strict=True)]
    lines = [
        f'Positive share by time to the last frame, s, {task}:', '',
        f'| rule | episodes | {" | ".join(heads)} |', f'| --- | --- |{" ---: |" * len(heads)}',
    ]  # fmt: skip
    for name in (BEFORE, AFTER):
        for outcome in ('failures', 'successes'):
            shares = content['rules'][name][task]['by_time'][outcome]['share']
            cells = ['-' if math.isnan(share) else f'{share:.2f}' for share in shares]
            lines.append(f'| {" | ".join([name, outcome, *cells])} |')
    return lines


def _text(one: Mapping[str, float]) -> str:
    if math.isnan(one['low']):  # all episodes are equal
        return f'{one["value"]:.3f}'
    return f'{one["value"]:.3f} [{one["low"]:.3f}, {one["high"]:.3f}]'


def draw(content: Mapping[str, Any]) -> Figure:
    """Return the plot: a row for each task, before and after."""
    tasks = list(content['rules'][AFTER])[1:]
    figure = Figure(figsize=(11.0, 0.6 + 3.0 * len(tasks)), facecolor='white', layout='tight')
    for row, task in enumerate(tasks):
        for side, name in enumerate((BEFORE, AFTER), start=1):
            axes = figure.add_subplot(len(tasks), 2, 2 * row + side)
            draw_by_time(axes, content['rules'][name][task]['by_time'])
            axes.set_title(f'{plotted(task)}, {plotted(name)}', loc='left')
    return figure


if __name__ == '__main__':
    raise SystemExit(run(ConsoleProgram(PROGRAM), main, is_process=True))
