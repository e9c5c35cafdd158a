# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from viva_ros.evaluation import plots
from viva_ros.evaluation.results import FAILURE, SUCCESS, Result


def test_each_contender_has_bars_of_its_own() -> None:
    times = np.linspace(0.0, 6.0, 61)
    failed = Result(
        'bad', 'slip', FAILURE, False, 6.0, times, -times / 6.0, (3.5,), 2.0, 3.0, times / 6.0
    )
    names = [f'engine {number}' for number in range(8)]
    axes = Figure().subplots()
    plots._draw_bars(axes, {name: [failed] for name in names}, ())
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    looks = [
        (patch.get_facecolor(), patch.get_hatch()) for patch in axes.get_legend().get_patches()
    ]
    assert labels == names
    assert len(set(looks)) == len(names)


def test_successes_alone_are_drawn_for_each_contender(tmp_path: Path, monkeypatch) -> None:
    times = np.linspace(0.0, 6.0, 61)
    good = Result('a', 'none', SUCCESS, True, 6.0, times, times / 6.0, (), None, None, times / 6.0)
    figures = []
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *_, **__: figures.append(figure))
    plots.draw({'ViVa': [good], 'time counter': [good]}, (), tmp_path / 'x.png')
    labels = [axes.get_ylabel() for axes in figures[0].axes]
    assert [label.split(',')[0] for label in labels] == ['value of ViVa', 'value of time counter']
