# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Results of `viva advantage`: a summary for JSON, and plots of distribution and episode ends."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table

from viva_ros.advantage.estimator import Effect
from viva_ros.advantage.labels import Advantages, Recipe, indicators
from viva_ros.console.palette import GREEN, GREY, RED
from viva_ros.core.foreign_text import plotted
from viva_ros.scoring.store import known_number, tool_version

FORMAT = 'viva_ros advantages 3'
END, BIN = 5.0, 0.5  # of the positive share by time to the end, s
GROUPS = {'successes': (True, GREEN), 'failures': (False, RED)}


def summary(
    found: Sequence[Advantages], eps: Mapping[str, float], changed: Mapping[str, Effect],
    recipe: Recipe, horizon: float, engine: str, outcome_frame: bool, command: str,
    left_out: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """
    Return the content of the JSON file; unknown is null.

    :param eps: threshold by task
    :param changed: effect of smoothing by task
    :param horizon: N, s
    :param engine: fingerprint
    :param outcome_frame: whether V = progress + success - 1
    """
    return _plain({
        'format': FORMAT, 'engine': engine, 'version': tool_version(), 'command': command,
        'recipe': asdict(recipe), 'horizon': horizon, 'outcome_frame': outcome_frame,
        'failures_without_last_progress': sum(math.isnan(one.terminal) for one in found),
        'left_out': list(left_out),
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
        'share_above_0': _share(free[np.isfinite(free)] > 0.0),
        'positive_share_with_forced': _share(shown[np.isfinite(shown)] > 0),
        'mean': float(known.mean()) if known.size else math.nan,
        'positive_share_by_time_to_end': by_time_to_end(found, eps[found[0].task]),
        'smoothing': {
            'standard_deviation': dict(zip(('before', 'after'), changed.deviation, strict=True)),
            'sign_changes': dict(zip(('before', 'after'), changed.sign_changes, strict=True)),
            'rank_correlation': changed.rank_correlation,
        },
    }  # fmt: skip


def warnings(content: Mapping[str, Any]) -> list[str]:
    """
    Return what a policy would learn wrong from these labels, with the remedy, by task.

    :param content: of ``summary``
    """
    found = []
    for task, one in content['tasks'].items():
        failures = one['episodes'] - one['successes']
        if not one['successes']:
            found.append(
                f'task {task} has no success among {failures} episodes: its positive steps are '
                'the least bad ones of failures. Record successes'
            )
        elif not failures:
            found.append(
                f'task {task} has no failure among {one["successes"]} episodes: the labels say '
                'which steps are slow, not what fails. Record failures'
            )
        share, gains = one['positive_share'], one['share_above_0']
        if share is None or share <= gains:  # None: all known steps are corrections
            continue
        ends = one['positive_share_by_time_to_end']['failures']
        last = ends['share'][0]
        of_failures = '' if last is None else (
            f' ({last:.0%} in the last {BIN} s of failures)'
        )  # fmt: skip
        few = math.floor(100 * gains) / 100
        remedy = f'Use --positive {few}' if few else 'Record more successes'
        found.append(
            f'task {task}: {share:.1%} of the steps are positive{of_failures}, but only '
            f'{gains:.1%} have an advantage above 0. {remedy}'
        )
    return found


def by_time_to_end(found: Sequence[Advantages], eps: float) -> dict[str, Any]:
    """
    Return the share of positive steps in the last seconds, of successes and of failures.

    Steps under human control do not count.

    :param found: episodes of one task
    :returns: 'from' and 'to' of each bin, s before the last frame, 'to' excluded; for each outcome
        the numbers of known 'steps' and the 'share' of them above eps, NaN without a step
    """
    edges = np.arange(round(END / BIN) + 1) * BIN
    shares: dict[str, Any] = {'from': edges[:-1].tolist(), 'to': edges[1:].tolist()}
    for name, (success, _) in GROUPS.items():
        group = [one for one in found if bool(one.episode.entry['success']) is success]
        advantages = np.concatenate([np.empty(0), *(one.free for one in group)])
        left = np.concatenate([np.empty(0), *(_time_to_end(one) for one in group)])
        bins = [advantages[(left >= low) & (left < high) & np.isfinite(advantages)]
                for low, high in pairwise(edges)]  # fmt: skip
        shares[name] = {
            'steps': [len(one) for one in bins], 'share': [_share(one > eps) for one in bins]
        }  # fmt: skip
    return shares


def _time_to_end(one: Advantages) -> NDArray[np.float64]:
    stamps = one.episode.stamps
    left: NDArray[np.float64] = np.round((stamps[-1] - stamps) * 1e-9, 9)
    return left[~one.episode.corrected]


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
    """
    Return a PNG with a row for each task, with successes and failures apart.

    Left: distribution, with the threshold. Right: share of positive steps by time to the end.
    """
    tasks = sorted(eps)
    figure = Figure(figsize=(12.0, 1.0 + 2.8 * len(tasks)), facecolor='white', layout='tight')
    for row, task in enumerate(tasks):
        episodes = [one for one in found if one.task == task]
        left, right = (figure.add_subplot(len(tasks), 2, 2 * row + side) for side in (1, 2))
        _draw(left, episodes, eps[task])
        left.set_title(f'{plotted(task)}: A over {horizon:.3g} s', loc='left')
        draw_by_time(right, by_time_to_end(episodes, eps[task]))
        right.set_title(f'{plotted(task)}: positive steps near the end', loc='left')
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format='png')
    return buffer.getvalue()


def _draw(axes: Any, found: Sequence[Advantages], eps: float) -> None:
    parts = {
        name: np.concatenate([
            np.empty(0), *(o.free for o in found if bool(o.episode.entry['success']) is success)
        ])
        for name, (success, _) in GROUPS.items()
    }  # fmt: skip
    parts = {name: part[np.isfinite(part)] for name, part in parts.items()}
    whole = np.concatenate(list(parts.values()))
    low, high = np.quantile(whole, (0.002, 0.998)) if whole.size else (0.0, 0.0)
    edges = np.linspace(min(low, -0.05), max(high, 0.05), 80)
    for name, part in parts.items():
        axes.hist(np.clip(part, edges[0], edges[-1]), edges, color=GROUPS[name][1], alpha=0.55,
                  label=f'{plotted(name)}: {len(part)} steps')  # fmt: skip
    axes.axvline(0.0, color=GREY, lw=0.8)
    if math.isfinite(eps):
        share = _share(whole > eps)
        axes.axvline(eps, color='black', lw=1.4, ls='--',
                     label=f'threshold {eps:+.3f}: {share:.0%} positive')  # fmt: skip
    axes.set(
        xlabel='advantage (outermost bars include all beyond)', ylabel='steps', yscale='symlog'
    )
    axes.spines[['top', 'right']].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc='upper left')  # 'best' is slow


def draw_by_time(axes: Any, shares: Mapping[str, Any]) -> None:
    """Draw the result of ``by_time_to_end``; bins without a known step are left out."""
    middle = (np.array(shares['from']) + np.array(shares['to'])) / 2.0
    for name, (_, color) in GROUPS.items():
        axes.plot(
            middle, shares[name]['share'], color=color, marker='o', ms=4, label=plotted(name)
        )
    axes.set(xlim=(END, 0.0), ylim=(-0.03, 1.03), xlabel='time to the last frame, s',
             ylabel='share of positive steps')  # fmt: skip
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
