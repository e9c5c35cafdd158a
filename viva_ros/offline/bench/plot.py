# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a benchmark: a panel for each part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from viva_ros.core.files import replace_atomically

OURS: Final = '#2f7d4f'
OTHERS: Final = '#9aa0a6'
LINES: Final = {'together': 'o-', 'spread': 'o--', 'one call': 'o:'}


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw all parts that were run."""
    panels = [part for part in PANELS if part in found]
    figure = Figure(figsize=(8.0, 3.6 * max(1, len(panels))), layout='constrained')
    FigureCanvasAgg(figure)
    for place, part in enumerate(panels):
        PANELS[part](figure.add_subplot(len(panels), 1, place + 1), found[part])
    described = found['machine']
    figure.suptitle(f'{described["processor"]}, {described["date"]}', fontsize=9)
    replace_atomically(path, lambda part: figure.savefig(part, format='png', dpi=110))


def draw_engines(axes: Axes, found: Mapping[str, Any]) -> None:
    """Draw p50 as bars, p95 as whiskers."""
    rows = sorted(found['rows'], key=lambda row: -row['p50_ms'])
    names = [row['name'] for row in rows]
    colours = [OURS if row['treatment'].startswith('engine') else OTHERS for row in rows]
    p50 = [row['p50_ms'] for row in rows]
    above = [row['p95_ms'] - row['p50_ms'] for row in rows]
    axes.barh(names, p50, xerr=[[0.0] * len(rows), above], color=colours, ecolor='black')
    axes.set_xlabel('one estimate, three cameras, one thread: ms, p50 and p95')
    for place, row in enumerate(rows):
        axes.text(0.0, place, f' {row["faster"]:.1f}x', va='center', color='white', fontsize=8)


def draw_node(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw what both nodes add, side by side."""
    cases = list(dict.fromkeys(row['case'] for row in rows))
    for shift, node, colour in ((-0.2, 'ours', OURS), (0.2, 'naive', OTHERS)):
        mine = {row['case']: row for row in rows if row['node'] == node}
        places = [place + shift for place, case in enumerate(cases) if case in mine]
        chosen = [mine[case] for case in cases if case in mine]
        p50 = [row['added_p50_ms'] for row in chosen]
        above = [max(0.0, row['added_p95_ms'] - row['added_p50_ms']) for row in chosen]
        axes.bar(places, p50, 0.4, yerr=[[0.0] * len(p50), above], color=colour, label=node)
    axes.set_xticks(range(len(cases)), cases, rotation=35, ha='right', fontsize=7)
    axes.set_ylabel('added to the engine, ms')
    axes.legend()


def draw_robots(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the cost of a robot over their number."""
    kinds = dict.fromkeys((row['where'], row['phases']) for row in rows)
    for where, phases in kinds:
        mine = [row for row in rows if (row['where'], row['phases']) == (where, phases)]
        axes.plot(
            [r['robots'] for r in mine], [r['cpu_ms'] for r in mine], LINES[phases],
            color=OTHERS if where == 'own engine' else OURS, label=f'{where}, {phases}',
        )  # fmt: skip
    axes.set_xlabel('robots')
    axes.set_ylabel('processor time of an estimate, ms')
    axes.set_ylim(bottom=0.0)
    axes.legend()


PANELS: Final = {'engines': draw_engines, 'node': draw_node, 'robots': draw_robots}
