# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import pytest

from viva_ros.cli.size import main, table
from viva_ros.model.config import PRESETS


@pytest.mark.medium
def test_size_prints_all_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--preset', 'wan2.2-5b', '--batch', '4']) == 0
    shown = capsys.readouterr().out
    for expected in ('4,999,787,712', '| one estimate | 8.927 |', 'LoRA of rank 16, 1 GPU',
                     'GB on a GPU, 4 samples at a time'):  # fmt: skip
        assert expected in shown


@pytest.mark.medium
def test_training_page_contains_printed_tables() -> None:
    page = (Path(__file__).parents[2] / 'docs' / 'training.md').read_text(encoding='utf-8')
    shown = table(PRESETS['wan2.2-5b'], 8, 16).split('\n\n')
    parts = page.split('## Wan2.2-TI2V-5B')[1].split('\n\n')
    tables = [part for part in parts if part.startswith('|')]
    assert len(tables) == 2
    assert all(part.strip() in shown for part in tables)
