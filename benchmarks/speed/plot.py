# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plot of a benchmark: a panel for each part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from viva_ros.console.terminal import Terminal
from viva_ros.core.files import replace_atomically
from viva_ros.core.foreign_text import plotted

OURS: Final = '#2f7d4f'
OTHERS: Final = '#9aa0a6'
MODELS: Final = {'viva': OURS, 'value only': '#4878a8', 'classifier': '#c0843a'}
EAGER: Final = 0.45  # opacity of eager variants
LINES: Final = {
    ('own engine', 'together'): ('o-', OTHERS, 'each with its own engine'),
    ('server', 'together'): ('o-', OURS, 'one server, simultaneous requests'),
    ('server', 'spread'): ('o--', OURS, 'one server, requests spread over a period'),
    ('engine alone', 'one call'): ('o:', 'black', 'one call of the engine, without server'),
}


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw all parts that were run."""
    panels = [part for part in PANELS if part in found]
    columns = min(2, max(1, len(panels)))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(7.0 * columns, 5.0 * max(1, rows)), layout='constrained')
    FigureCanvasAgg(figure)
    for place, part in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.spines[['top', 'right']].set_visible(False)
        axes.tick_params(labelsize=8)
        PANELS[part](axes, found[part])
    described = found['machine']
    cores = f', {described["cores"]} cores' if 'cores' in described else ''
    machine = f'{described["processor"]}{cores}, {described["date"]}'
    figure.suptitle(plotted(machine, 150), fontsize=10)
    replace_atomically(path, lambda part: figure.savefig(part, format='png', dpi=110))


def draw_engines(axes: Axes, found: Mapping[str, Any]) -> None:
    """Draw p50 as bars, p95 as whiskers."""
    rows = sorted(found['rows'], key=lambda row: -row['p50_ms'])
    for place, row in enumerate(rows):
        eager = row['treatment'].endswith('eager')
        colour, opacity = MODELS.get(row['model'], OTHERS), EAGER if eager else 1.0
        axes.barh(place, row['p50_ms'], color=colour, alpha=opacity)
        axes.plot([row['p50_ms'], row['p95_ms']], [place, place], color='black', linewidth=1.0)
        text = f' {row["p50_ms"]:.1f} ms, {row["faster"]:.1f}x'
        axes.text(row['p95_ms'], place, plotted(text), va='center', fontsize=8)
    axes.set_yticks(range(len(rows)), [plotted(row['name']) for row in rows])
    axes.set_xlim(right=1.25 * max(row['p95_ms'] for row in rows))
    axes.set_xlabel('ms: p50, line to p95')
    shown = {row['model'] for row in rows}
    patches = [
        Patch(color=colour, label=plotted(name))
        for name, colour in MODELS.items()
        if name in shown
    ]
    axes.legend(handles=patches, loc='upper right', frameon=False, fontsize=8)
    axes.set_title('One estimate: three cameras, one thread (pale: eager)', fontsize=10)


def draw_node(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the added latency of both nodes, a row for each case."""
    cases = list(dict.fromkeys(row['case'] for row in rows))[::-1]
    for node, name, colour in (('ours', 'viva_ros', OURS), ('naive', 'minimal node', OTHERS)):
        mine = [row for row in rows if row['node'] == node]
        places = [cases.index(row['case']) for row in mine]
        p50, p95 = ([row[f'added_{which}_ms'] for row in mine] for which in ('p50', 'p95'))
        axes.hlines(places, p50, p95, color=colour, linewidth=1.5)
        axes.plot(p50, places, 'o', color=colour, label=plotted(name))
        for row, place, right in zip(mine, places, p95, strict=True):
            if row['delivered'] < 0.95:
                text = f'  {row["delivered"]:.0%} delivered'
                axes.text(right, place, plotted(text), va='center', fontsize=7, color='dimgrey')
    axes.set_xscale('log')
    axes.set_xlim(right=8.0 * max(row['added_p95_ms'] for row in rows))
    axes.set_yticks(
        range(len(cases)), [plotted(case.replace('compressed', 'JPEG')) for case in cases]
    )
    axes.grid(axis='x', alpha=0.3)
    axes.set_xlabel('ms: p50, line to p95')
    axes.legend(loc='upper right', frameon=False, fontsize=8)
    axes.set_title('Latency added by a node: stamp to value, minus engine and wait', fontsize=10)


def draw_robots(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the cost of a robot over the number of robots."""
    for kind, (form, colour, name) in LINES.items():
        mine = [row for row in rows if (row['where'], row['phases']) == kind]
        if mine:
            robots, cost = [row['robots'] for row in mine], [row['cost'] for row in mine]
            axes.plot(robots, cost, form, color=colour, label=plotted(name))
    numbers = sorted({row['robots'] for row in rows})
    axes.set_xscale('log', base=2)
    axes.set_xticks(numbers, [f'{number:d}' for number in numbers])
    axes.set_ylim(0.0, 1.3 * max(row['cost'] for row in rows))
    axes.grid(axis='y', alpha=0.3)
    axes.set_xlabel('robots')
    axes.legend(loc='lower left', frameon=False, fontsize=8)
    axes.set_title(
        'CPU time of an estimate, relative to one robot with its own engine', fontsize=10
    )


def draw_start(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw memory and start time."""
    ordered = sorted(rows, key=lambda row: -row['memory_mib'])
    for place, row in enumerate(ordered):
        axes.barh(place, row['memory_mib'], color=OTHERS if row['torch'] else OURS)
        text = f' {row["memory_mib"]:.0f} MiB, {row["first_estimate_s"]:.1f} s'
        axes.text(row['memory_mib'], place, plotted(text), va='center', fontsize=8)
    axes.set_yticks(range(len(ordered)), [plotted(row['kind']) for row in ordered])
    axes.set_xlim(right=1.3 * max(row['memory_mib'] for row in ordered))
    axes.set_xlabel('MiB')
    axes.set_title('Peak memory, and time to the first estimate (grey: with torch)', fontsize=10)


PANELS: Final = {
    'engines': draw_engines, 'start': draw_start, 'node': draw_node, 'robots': draw_robots,
}  # fmt: skip


#: By part: heading to the key of a row and its format.
COLUMNS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    'engines': {
        'model, treatment': ('name', 's'), 'p50 ms': ('p50_ms', '.2f'),
        'p95 ms': ('p95_ms', '.2f'), 'p99 ms': ('p99_ms', '.2f'), '1/s': ('per_second', '.1f'),
        'faster': ('faster', '.2f'), 'GFLOP': ('gflop', '.3f'),
        'share of limit': ('share_of_limit', '.0%'),
    },
    'start': {
        'engine or model': ('kind', 's'), 'first estimate s': ('first_estimate_s', '.2f'),
        'memory MiB': ('memory_mib', '.0f'), 'torch': ('torch', ''),
    },
    'node': {
        'cameras': ('case', 's'), 'node': ('node', 's'), 'delivered': ('delivered', '.0%'),
        'added\np50 ms': ('added_p50_ms', '.2f'), '\np95 ms': ('added_p95_ms', '.2f'),
        'CPU %': ('cpu_percent', '.1f'),
        'CPU %\nwithout engine': ('cpu_besides_engine_percent', '.1f'),
        'jitter\np99 ms': ('jitter_p99_ms', '.2f'), 'memory\nMiB': ('memory_mib', '.0f'),
    },
    'robots': {
        'robots': ('robots', 'd'), 'engine': ('where', 's'), 'requests': ('phases', 's'),
        'CPU ms per\nestimate': ('cpu_ms', '.2f'),
        'relative to one\nwith own engine': ('cost', '.2f'),
        'p50 ms': ('p50_ms', '.2f'), 'p95 ms': ('p95_ms', '.2f'),
        'p95 relative to as\nmany with own engines': ('slower', '.2f'),
        'p95 relative to one\nwith own engine': ('slower_than_one', '.2f'),
        'batch': ('batch', '.1f'),
    },
}  # fmt: skip
NARROW: Final = 130  # columns, if the output is not a terminal


def show(found: Mapping[str, Any]) -> None:
    """Print all parts that were run."""
    console = Terminal()
    if not console.is_terminal:
        console = Terminal(width=NARROW)
    for part, columns in COLUMNS.items():
        if part in found:
            rows = found[part]['rows'] if part == 'engines' else found[part]
            console.print(make(part, rows, columns))


def make(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, tuple[str, str]]
) -> Table:
    """Return one table; missing figures of a row are empty cells."""
    table = Table(title=title, box=SIMPLE_HEAD)
    for heading, (_, form) in columns.items():
        table.add_column(heading, no_wrap=True, justify='right' if form[:1] == '.' else 'left')
    for row in rows:
        cells = (format(row[key], form) if key in row else '' for key, form in columns.values())
        table.add_row(*cells)
    return table
