# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import io

from rich.console import Console

from viva_ros.data.conversion.convert import show

ROW = {
    'source': 'bags', 'frames': 9, 'duration': 1.0, 'skew': 0.0, 'readable': 1.0, 'refused': (),
    'losses': (), 'streams': {'left_wrist': {'rate': 10.0, 'gap': 0.1}},
}  # fmt: skip


def test_episodes_are_told_apart_in_a_narrow_terminal() -> None:
    out = io.StringIO()
    names = ['episode_000001', 'episode_000002']
    show([{**ROW, 'name': name} for name in names], Console(file=out, width=80))
    column = ''.join(
        line.split('│')[1].strip() for line in out.getvalue().splitlines() if '│' in line
    )
    assert all(name in column for name in names)
