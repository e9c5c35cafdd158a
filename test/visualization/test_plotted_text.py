# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Text of others in plots: no formula, no hidden label, no control character."""

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from viva_ros.core.foreign_text import LABEL_LENGTH, plotted, shown
from viva_ros.evaluation import plots
from viva_ros.evaluation.results import FAILURE, SUCCESS, Result
from viva_ros.evaluation.surrogates import SurrogateResult
from viva_ros.visualization.plot import draw_band
from viva_ros.visualization.timeline import NamedSpan, PlotContent

ROOT = Path(__file__).parents[2]
HOSTILE = (r'a$\frac$b', '_hidden', '$x^$', 'x\x1b[31m\u202e', '\ud800', 'n\n' * 40, r'\$ $ \$')

#: Methods of matplotlib that take text, with its place among the arguments.
TEXTS = {
    'set_title': 0, 'set_xlabel': 0, 'set_ylabel': 0, 'set_label': 0, 'set_text': 0,
    'suptitle': 0, 'supxlabel': 0, 'supylabel': 0, 'annotate': 0, 'text': 2, 'figtext': 2,
    'set_xticks': 1, 'set_yticks': 1, 'set_xticklabels': 0, 'set_yticklabels': 0, 'legend': 1,
    'title': 0, 'xlabel': 0, 'ylabel': 0, 'xticks': 1, 'yticks': 1, 'bar_label': 1,
}  # fmt: skip
RICH = ('Table', 'Column', 'Panel')  # no plots
OPTIONS = ('label', 'labels', 'title', 'xlabel', 'ylabel', 'tick_label')


@given(st.text() | st.text('$\\_ab{}^'))
def test_any_text_is_plotted_as_it_is_shown(text: str) -> None:
    drawn, is_formula = Text()._preprocess_math(plotted(text))
    assert not is_formula and drawn.removeprefix(' ').lstrip() == shown(text, 60).lstrip()


@pytest.mark.parametrize('name', HOSTILE)
def test_plotted_text_is_in_the_legend_and_short(name: str) -> None:
    axes = Figure().subplots()
    axes.plot([0, 1], label=plotted(name))
    (text,) = axes.legend().get_texts()
    assert len(text.get_text().replace('\\$', '$')) <= LABEL_LENGTH + 1


def result(name: str, mode: str, group: str) -> Result:
    times = np.linspace(0.0, 6.0, 61)
    return Result(
        name, mode, group, group == SUCCESS, 6.0, times, times / 6.0, (3.5,), 2.0, 3.0, times / 6.0
    )


def test_evaluation_of_hostile_names_is_drawn(tmp_path: Path) -> None:
    rows = [result(name, name, FAILURE) for name in HOSTILE] + [result('a', 'none', SUCCESS)]
    plots.draw(dict.fromkeys(HOSTILE, rows), (), tmp_path / 'a.png')
    assert (tmp_path / 'a.png').stat().st_size > 10_000


def test_surrogates_of_hostile_engines_are_drawn(tmp_path: Path) -> None:
    rows = [SurrogateResult(result('a', kind, FAILURE), None, '') for kind in ('cut', 'swap')]
    plots.draw_surrogates(dict.fromkeys(HOSTILE[:3], rows), tmp_path / 'a.png')
    assert (tmp_path / 'a.png').stat().st_size > 10_000


def test_hostile_names_of_spans_are_drawn(tmp_path: Path) -> None:
    figure = Figure(figsize=(15, 3))
    axes = figure.subplots()
    axes.set_xlim(0.0, 100.0)
    none = np.zeros(0)
    content = PlotContent(0, 100.0, none, none, none, none, [], [], [], [], [])
    spans = [NamedSpan(0, 100 * 10**9, name[:9]) for name in HOSTILE]
    draw_band(axes, content, spans, 1.0, 0.1)
    figure.savefig(tmp_path / 'a.png')
    assert len(axes.texts) == len(HOSTILE)


# Lint: each text that a plot gets is a constant, or goes through ``plotted``.


def is_ours(node: ast.expr) -> bool:
    """Return whether an expression is text of this package, numbers, or goes through plotted."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id):
            return id.isupper()
        case ast.JoinedStr(values):
            return all(map(is_ours, values))
        case ast.FormattedValue(value, _, form):
            is_number = form is not None and any(mark in ast.unparse(form) for mark in 'dfg%')
            return is_number or is_ours(value)
        case ast.IfExp(_, body, orelse):
            return is_ours(body) and is_ours(orelse)
        case ast.BoolOp(_, values) | ast.List(values) | ast.Tuple(values):
            return all(map(is_ours, values))
        case ast.ListComp(one):
            return is_ours(one)
        case ast.Call(ast.Name('plotted' | 'len')):
            return True
        case ast.Call(ast.Attribute(ast.Name('textwrap'), 'fill'), [text, *_]):
            return is_ours(text)
    return False


def breaches(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield lines that give a plot a text that may be of others."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == 'label' and not is_ours(value):
                    yield value.lineno, f'label: {ast.unparse(value)}'
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        place = TEXTS.get(name) if isinstance(node.func, ast.Attribute) else None
        found = node.args[place : place + 1] if place is not None else []
        options = () if name in RICH else node.keywords
        found += [one.value for one in options if one.arg in OPTIONS]
        for value in found:
            if not is_ours(value):
                yield value.lineno, f'{name}: {ast.unparse(value)}'


def test_texts_reach_plots_by_one_function() -> None:
    found, plotting = [], 0
    for room in ('viva_ros', 'benchmarks', 'scripts', 'examples'):
        for path in sorted((ROOT / room).rglob('*.py')):
            text = path.read_text(encoding='utf-8')
            if 'from matplotlib' not in text and 'import matplotlib' not in text:
                continue
            plotting += 1
            lines = breaches(ast.parse(text))
            found += [f'{path.relative_to(ROOT)}:{line}: {what}' for line, what in lines]
    assert found == [] and plotting > 5


@pytest.mark.parametrize(
    'source',
    [
        'axes.set_title(name)',
        "axes.set_title(f'{name} of {n:d}')",
        'axes.plot(x, y, label=name)',
        'axes.set(title=name)',
        "axes.text(0, 0, f'{row.name}')",
        'axes.set_yticks(range(3), names)',
        'axes.set_yticks(range(3), [one.name for one in rows])',
        "style = {'label': name}",
        'axes.legend(handles, names)',
        'Patch(label=name)',
        "figure.suptitle('a' if n else name)",
    ],
)
def test_lint_finds_each_text_of_others(source: str) -> None:
    assert list(breaches(ast.parse(source)))
