# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from support.foreign_robot import write_bag

from viva_ros.cli.main import main


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
