# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import pytest

from viva_ros.offline.size import main


def test_the_command_prints_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['--preset', 'wan2.2-5b', '--batch', '4']) == 0
    shown = capsys.readouterr().out
    for expected in ('4,999,787,712', '| one estimate | 8.927 |', 'LoRA of rank 16, 1 GPU',
                     'GB on a GPU, 4 samples at a time'):  # fmt: skip
        assert expected in shown
