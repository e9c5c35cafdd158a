# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[3] / 'benchmarks' / 'gpu' / 'run.py'
#: A row of each part that a CPU measures, and its figures.
ROWS = {
    '1_correctness': ('float32, TF32 off', ('value_max', 'joints_max_share', 'meets_aim')),
    '2_latency': ('64x32: lean eager', ('p50_ms', 'p95_ms', 'share_of_limit', 'tflop')),
    '3_eight_bits': ('64x32: e4m3, no compiler, CUDA graph', ('p50_ms', 'finite', 'limit_ms')),
    '4_neighbours': ('batch 4', ('p50_ms', 'cost_of_one')),
    '5_training': ('LoRA', ('step_s', 'computed_gb', 'layers', 'losses')),
}


def start(out: Path, parts: str, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, str(RUN), '--device', 'cpu', '--tiny', '--out', str(out)]
    return subprocess.Popen(
        [*line, '--parts', parts, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip


def read(out: Path, name: str) -> dict:
    return json.loads((out / f'{name}.json').read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def runs(tmp_path_factory) -> tuple[Path, Path, list[str]]:
    """Run all parts in two parallel runs; part 0 hangs and is stopped in the first."""
    first, second = (tmp_path_factory.mktemp(name) for name in ('first', 'second'))
    started = [start(first, '0,2,4', '--limit', '0=15'), start(second, '1,3,5')]
    printed = [run.communicate()[0] for run in started]
    assert [run.returncode for run in started] == [1, 0], '\n'.join(printed)
    return first, second, printed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize('name', ROWS)
def test_tiny_cpu_run_measures_a_row_of_each_part(runs, name):
    content = read(runs[0 if name[0] in '24' else 1], name)
    assert content['state'] == 'done' and content['complete'] and content['exit_code'] == 0
    assert not [row for row in content['rows'].values() if 'error' in row]
    row, figures = ROWS[name]
    assert set(figures) <= set(content['rows'][row])
    assert any(f'== {name}: done' in text for text in runs[2])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_lean_form_and_8_bit_products_are_checked(runs):
    lean = read(runs[0], '2_latency')['rows']
    check = lean['lean against stock, float32']
    assert check['value_max'] < 1e-5 and check['forecast_relative'] < 1e-5
    assert lean['64x32: lean + CUDA graph']['skipped'] == 'a CUDA graph needs CUDA'
    assert lean['64x32: lean + compiled block + CUDA graph']['unique_graphs'] == 2
    error = read(runs[1], '3_eight_bits')['rows']['8-bit product against its definition']
    assert error['tensor']['kernel_relative'] < 0.01
    machine = read(runs[0], 'machine')
    assert 'run.py' in machine['command'] and machine['libraries']['torch']


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_stopped_part_keeps_its_rows_and_the_next_runs(runs):
    stopped = read(runs[0], '0_rehearsal')
    assert stopped['rows']['known']['sum'] == 4.0 and 'complete' not in stopped
    assert stopped['state'].startswith('stopped after')
    assert read(runs[0], '2_latency')['state'] == 'done'


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tensorrt_part_builds_ahead_and_skips_what_needs_a_gpu(tmp_path: Path):
    pytest.importorskip('tensorrt_rtx')
    run = start(tmp_path, '6')
    printed = run.communicate()[0]
    assert run.returncode == 0, printed
    rows = read(tmp_path, '6_tensorrt_part')['rows']
    assert '90' not in rows['library']['builds_ahead_for'].split()
    assert rows['one operation, built ahead']['build_s'] > 0
    assert rows['1 layers: TensorRT-RTX built']['plan_gb'] > 0
    assert 'needs CUDA' in rows['1 layers: TensorRT-RTX']['skipped']
    assert 'needs CUDA' in rows['shipped, float16']['skipped']


def test_spent_budget_begins_no_part_and_says_so(tmp_path: Path):
    run = start(tmp_path, '1,2', '--budget', '0')
    assert run.communicate()[0].count('not begun: the budget is spent') == 2
    assert run.returncode == 1
    assert read(tmp_path, '1_correctness')['rows'] == {}


def test_unknown_part_is_refused(tmp_path: Path):
    run = start(tmp_path, '1,9')
    assert "parts ['9'] are none of 0, 1, 2, 3, 4, 5, 6" in run.communicate()[0]
    assert run.returncode == 2
