# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import io
from pathlib import Path

import pytest
from rich.console import Console
from support.foreign_robot import write_bag

from viva_ros.cli.import_ import show
from viva_ros.cli.main import main

ROW = {
    'source': 'bags', 'frames': 9, 'duration': 1.0, 'skew': 0.0, 'readable': 1.0, 'refused': (),
    'losses': (), 'streams': {'left_wrist': {'rate': 10.0, 'gap': 0.1}},
}  # fmt: skip


def test_episode_names_are_complete_in_a_narrow_terminal() -> None:
    out = io.StringIO()
    names = ['episode_000001', 'episode_000002']
    show([{**ROW, 'name': name} for name in names], Console(file=out, width=80))
    column = ''.join(
        line.split('│')[1].strip() for line in out.getvalue().splitlines() if '│' in line
    )
    assert all(name in column for name in names)


def test_import_of_refused_episodes_alone_prints_each_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_bag(tmp_path / 'bag')
    rates = tmp_path / 'map.yaml'
    rates.write_text('rate: 10\n')
    code = main(
        ['import', str(tmp_path / 'bag'), '--map', str(rates), '--out', str(tmp_path / 'set')]
    )
    printed = capsys.readouterr()
    assert code == 2 and 'refused' in printed.out and 'see the reasons above' in printed.err
    assert not (tmp_path / 'set').exists()
