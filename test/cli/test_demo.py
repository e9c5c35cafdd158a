# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import shutil
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.cli.demo import main, parse
from viva_ros.core.errors import EngineError
from viva_ros.demo.run import check_engine
from viva_ros.engine.resources import engine_folder


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (['--task', 'fold'], "--task is 'fold', must be one of tray_lift"),
        (['--failure', 'earthquake'], "--failure is 'earthquake', must be one of slip"),
        (['--seed', '-1'], '--seed is -1, must be at least 0'),
        (['--duration', '5'], '--duration moved to a benchmark: run scripts/soak'),
    ],
)
def test_invalid_demo_option_exits_with_2(options, text, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(options)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_missing_engine_is_refused_before_out_is_created(tmp_path: Path) -> None:
    out = tmp_path / 'out'
    with pytest.raises(EngineError, match='/nowhere is not a folder'):
        main(['--engine', '/nowhere', '--out', str(out)])
    assert not out.exists()


def test_engine_without_thresholds_is_refused(tmp_path: Path) -> None:
    shipped = engine_folder('', 'tray_lift')
    for name in ('engine.json', 'engine.onnx'):
        shutil.copy(shipped / name, tmp_path / name)
    with raises('calibration-unreadable', tmp_path, "'viva calibrate'"):
        check_engine(str(tmp_path), 'tray_lift')


def test_shipped_engine_is_accepted() -> None:
    check_engine('', 'tray_lift')
