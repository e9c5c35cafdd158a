# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.cli import bench
from viva_ros.engine.resources import engine_folder

LINE = ['--task', 'tray_lift', '--rounds', '2']


@pytest.mark.medium
def test_engine_kinds_that_load_are_measured_in_one_run(capsys) -> None:
    assert bench.main([*LINE, '--kinds', 'openvino', 'onnx', 'tensorrt', '--json']) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row['kind']: row for row in found['engines']}
    assert set(rows) == {'openvino', 'onnx'}
    assert 'is an engine for openvino, not for tensorrt' in found['unavailable']['tensorrt']
    for row in rows.values():
        assert 0.0 < row['p50_ms'] <= row['p95_ms']
        assert row['start_s'] > 0.0 and row['memory_mib'] > 10.0
        assert not row['torch_loaded']
    first, second = found['engines']
    assert first['relative'] == 1.0
    assert second['relative'] == pytest.approx(second['p50_ms'] / first['p50_ms'])
    assert found['default'] == 'openvino' and found['camera_size'] == [128, 128]


def test_table_marks_default_engine_kind(capsys) -> None:
    row = bench.EngineFigures('onnx', 'onnxruntime 1', 'CPU', 8.04, 9.0, 1.0, 0.2, 97.4, False)
    bench.show([row], {'openvino': 'openvino is not installed'}, 'onnx')
    shown = capsys.readouterr().out
    assert 'onnx (auto)' in shown and ' 8.0 ' in shown and ' 97 ' in shown
    assert 'openvino does not load: openvino is not installed' in shown


@pytest.mark.medium
def test_bench_without_loadable_engine_is_an_error() -> None:
    folder = engine_folder('', 'tray_lift')
    with raises('bench-no-engine', folder, 'tensorrt: ', 'tensorrt_rtx: '):
        bench.measure(folder, 'tray_lift', ['tensorrt', 'tensorrt_rtx'], 1, (128, 128))


def test_bench_process_that_ends_early_is_an_error() -> None:
    with bench._processes(Path('nowhere'), 'tray_lift', ['onnx'], (8, 8)) as pipes:
        assert 'is not a folder' in bench._receive('onnx', pipes['onnx'])
        with raises('bench-process-ended', 'onnx'):
            bench._receive('onnx', pipes['onnx'])


@pytest.mark.parametrize('options', [['--quick'], ['--out=x.json'], ['--parts', 'node']])
def test_former_options_name_the_script(options: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(options)
    assert ended.value.code == 2
    assert f'{options[0].split("=")[0]} is an option of scripts/bench' in capsys.readouterr().err
