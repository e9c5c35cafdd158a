# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of `viva advantage`: a summary for JSON, and a plot of the distribution."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from viva_ros.advantage.estimator import Effect
from viva_ros.advantage.labels import Advantages, Recipe, indicators
from viva_ros.console.palette import GREEN, GREY, RED
from viva_ros.scoring.store import known_number, tool_version

FORMAT = 'viva_ros advantages 1'


def summary(
    found: Sequence[Advantages], eps: Mapping[str, float], changed: Mapping[str, Effect],
    recipe: Recipe, horizon: float, engine: str, command: str, left_out: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """
    Return the content of the JSON file; unknown is null.

    :param eps: threshold by task
    :param changed: effect of smoothing by task
    :param horizon: N, s
    :param engine: fingerprint
    """
    return _plain({
        'format': FORMAT, 'engine': engine, 'version': tool_version(), 'command': command,
        'recipe': asdict(recipe), 'horizon': horizon, 'left_out': list(left_out),
        'tasks': {
            task: _of_task([one for one in found if one.task == task], eps, changed[task])
            for task in sorted(eps)
        },
        'recordings': sorted({one.episode.name for one in found}),
    })  # fmt: skip


def _of_task(
    found: Sequence[Advantages], eps: Mapping[str, float], changed: Effect
) -> dict[str, Any]:
    joined = np.concatenate([one.final for one in found])
    shown = np.concatenate([indicators(one, eps) for one in found])
    free = np.concatenate([one.free for one in found])
    forced = np.concatenate([one.episode.corrected for one in found])
    known = joined[np.isfinite(joined)]
    return {
        'episodes': len(found), 'successes': sum(bool(o.episode.entry['success']) for o in found),
        'frames': len(joined), 'known': len(known), 'forced': int(forced.sum()),
        'threshold': eps[found[0].task],
        'positive_share': _share(free[np.isfinite(free)] > eps[found[0].task]),
        'positive_share_with_forced': _share(shown[np.isfinite(shown)] > 0),
        'mean': float(known.mean()) if known.size else math.nan,
        'smoothing': {
            'standard_deviation': dict(zip(('before', 'after'), changed.deviation, strict=True)),
            'sign_changes': dict(zip(('before', 'after'), changed.sign_changes, strict=True)),
            'rank_correlation': changed.rank_correlation,
        },
    }  # fmt: skip


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else math.nan


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    return known_number(content) if isinstance(content, float) else content


def as_text(content: Mapping[str, Any]) -> str:
    """Return the text of the JSON file."""
    return json.dumps(content, indent=1, allow_nan=False) + '\n'


def picture(found: Sequence[Advantages], eps: Mapping[str, float], horizon: float) -> bytes:
    """Return a PNG: the distribution of successes and of failures, with the threshold, by task."""
    tasks = sorted(eps)
    figure = Figure(figsize=(8.0, 1.0 + 2.8 * len(tasks)), facecolor='white', layout='tight')
    for row, task in enumerate(tasks, start=1):
        axes = figure.add_subplot(len(tasks), 1, row)
        _draw(axes, [one for one in found if one.task == task], eps[task])
        axes.set_title(f'{task}: A over {horizon:.3g} s', loc='left')
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format='png')
    return buffer.getvalue()


def _draw(axes: Any, found: Sequence[Advantages], eps: float) -> None:
    groups = {'successes': (True, GREEN), 'failures': (False, RED)}
    parts = {
        name: np.concatenate([
            np.empty(0), *(o.free for o in found if bool(o.episode.entry['success']) is success)
        ])
        for name, (success, _) in groups.items()
    }  # fmt: skip
    parts = {name: part[np.isfinite(part)] for name, part in parts.items()}
    whole = np.concatenate(list(parts.values()))
    low, high = np.quantile(whole, (0.002, 0.998)) if whole.size else (0.0, 0.0)
    edges = np.linspace(min(low, -0.05), max(high, 0.05), 80)
    for name, part in parts.items():
        axes.hist(np.clip(part, edges[0], edges[-1]), edges, color=groups[name][1], alpha=0.55,
                  label=f'{name}: {len(part)} steps')  # fmt: skip
    axes.axvline(0.0, color=GREY, lw=0.8)
    if math.isfinite(eps):
        share = _share(whole > eps)
        axes.axvline(eps, color='black', lw=1.4, ls='--',
                     label=f'threshold {eps:+.3f}: {share:.0%} positive')  # fmt: skip
    axes.set(
        xlabel='advantage (outermost bars include all beyond)', ylabel='steps', yscale='symlog'
    )
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def table(content: Mapping[str, Any]) -> Table:
    """Return the table with a row for each task."""
    shown = Table(title=f'advantages over {content["horizon"]:.3g} s', title_justify='left')
    names = ('task', 'episodes', 'steps known', 'threshold', 'positive', 'forced', 'std of A',
             'sign changes', 'rank correlation')  # fmt: skip
    for name in names:
        shown.add_column(name, justify='left' if name == 'task' else 'right')
    for task, one in content['tasks'].items():
        effect = one['smoothing']
        shown.add_row(
            task, f'{one["successes"]} + {one["episodes"] - one["successes"]}',
            f'{one["known"]} of {one["frames"]}', number(one['threshold'], '+.4f'),
            number(one['positive_share'], '.1%'), str(one['forced']),
            change(effect['standard_deviation'], '.4f'), change(effect['sign_changes'], '.1%'),
            number(effect['rank_correlation'], '.3f'),
        )  # fmt: skip
    return shown


def change(pair: Mapping[str, float | None], form: str) -> str:
    """Return the text of before and after; of one number if they are equal."""
    before, after = number(pair['before'], form), number(pair['after'], form)
    return before if before == after else f'{before} to {after}'


def number(value: float | None, form: str) -> str:
    """Return the text of a number that may be unknown."""
    return 'unknown' if value is None else format(value, form)
