# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import cv2
import pytest
from support.errors import raises

from benchmarks.speed import many_robots, nodes
from benchmarks.speed.engines import Peak, interleaved
from benchmarks.speed.main import PARTS, RUN, main, medians, write
from benchmarks.speed.nodes import Case, all_cases, figures
from benchmarks.speed.processes import BenchError
from benchmarks.speed.variants import Contestant

SECOND = 10**9
CASE = Case(224, 224, 10.0, 'raw')


def a_log(count: int = 30, wait: float = 0.02) -> dict:
    """Return a log of values at 10 Hz with a latency of 60 ms, 30 ms of it in the engine."""
    values = [[SECOND + n * SECOND // 10, 0.06, wait, 0.03, 0.01] for n in range(count)]
    beats = [(0.05 * n + (0.004 if n == 50 else 0.0), 0.02 * n, 0.01 * n) for n in range(80)]
    return {'values': values, 'beats': beats, 'beat': 0.05, 'memory_mib': 100.0}


def test_added_latency_excludes_engine_and_rate_wait():
    found = figures(a_log(), [SECOND + n * SECOND // 10 for n in range(30)], 2.0, CASE, 'ours')
    assert found['added_p50_ms'] == pytest.approx(60.0 - 20.0 - 30.0)
    assert found['delivered'] == 1.0 and found['sets_sent'] == found['values'] == 20
    # CPU time in 50 ms: 20 ms here and 10 ms in the engine process; 10 of 100 ms are the engine's.
    assert found['cpu_percent'] == pytest.approx(60.0, rel=0.01)
    assert found['cpu_besides_engine_percent'] == pytest.approx(30.0, rel=0.02)
    assert found['jitter_p50_ms'] == pytest.approx(0.0, abs=1e-6)
    assert 3.0 < found['jitter_p99_ms'] <= 4.001


def test_input_set_without_value_is_not_delivered():
    sent = [SECOND + n * SECOND // 20 for n in range(60)]  # twice as many as values
    assert figures(a_log(), sent, 2.0, CASE, 'ours')['delivered'] == 0.5


def test_measurement_with_too_few_values_is_refused():
    with raises('bench-node-values', 'ours', '2 values', '224x224 raw 10 Hz'):
        figures(a_log(count=2), [], 2.0, CASE, 'ours')


def test_slow_node_with_few_values_is_measured():
    found = figures(
        a_log(count=4), [SECOND + n * SECOND // 10 for n in range(30)], 2.0, CASE, 'ours'
    )
    assert found['values'] == 3


@pytest.mark.parametrize('failures', [0, 2, 3])
def test_failed_run_is_tried_three_times(monkeypatch, failures):
    tries = []

    def measure(*given):
        tries.append(given)
        if len(tries) <= failures:
            raise BenchError('bench-node-log', 'no log')
        return {'values': 7}

    monkeypatch.setattr(nodes, 'measure', measure)
    given = (CASE, 'naive', '', 'tray_lift', 1.0)
    if failures < 3:
        assert nodes.patiently(*given) == {'values': 7}
    else:
        with raises('bench-node-log', 'no log'):
            nodes.patiently(*given)
    assert tries == [given] * min(3, failures + 1)


def test_median_of_runs_is_grouped_by_case_and_node():
    rows = [
        {'case': 'a', 'node': node, 'added_p50_ms': added, 'values': 9}
        for node, times in (('ours', (3.0, 1.0, 2.0)), ('naive', (9.0, 8.0, 30.0)))
        for added in times
    ]
    assert [row['added_p50_ms'] for row in medians(rows, ('case', 'node'))] == [2.0, 9.0]


def test_cases_cover_all_sizes_rates_and_transports():
    assert len(all_cases()) == len({case.name for case in all_cases()}) == 12


def test_variants_take_turns_with_rotating_start():
    three = [Contestant(name, '', lambda _: None) for name in 'abc']
    orders = [''.join(one.model for one in turn) for turn in interleaved(three, 4)]
    assert orders == ['abc', 'bca', 'cab', 'abc']


def test_limit_is_longer_of_arithmetic_and_weight_transfer():
    peak = Peak(flops=1e9, bandwidth=1e8)
    assert peak.limit(flops=5_000_000, weights=100_000) == pytest.approx(5e-3)
    assert peak.limit(flops=5_000_000, weights=1_000_000) == pytest.approx(10e-3)


def test_unknown_part_is_refused_by_name():
    with raises('bench-part', '--parts', "'engine'", 'engines'):
        main(['--parts', 'engine'])


def test_json_tables_and_plot_contain_all_parts(tmp_path: Path, capsys):
    row = figures(a_log(), [SECOND], 2.0, CASE, 'ours')
    engine = {
        'name': 'viva, engine onnx', 'model': 'viva', 'treatment': 'engine onnx',
        'p50_ms': 5.0, 'p95_ms': 6.0, 'p99_ms': 7.0, 'per_second': 200.0, 'faster': 8.0,
        'gflop': 0.4, 'share_of_limit': 0.5,
    }  # fmt: skip
    robots = [
        {'robots': n, 'where': where, 'cpu_ms': 5.0, 'cost': 1.0, 'p50_ms': 5.0, 'p95_ms': 6.0,
         'batch': 1.0, 'phases': 'together'}
        for n in (1, 4) for where in ('server', 'own engine')
    ]  # fmt: skip
    robots.append({**robots[0], 'where': 'engine alone', 'phases': 'one call'})
    start = [{'kind': 'onnx', 'torch': False, 'first_estimate_s': 0.4, 'memory_mib': 150.0}]
    found = {
        'machine': {'processor': 'one of a kind', 'date': '2026-01-01'},
        'engines': {'rows': [engine]}, 'start': start,
        'node': [row, {**row, 'node': 'naive'}], 'robots': robots,
    }  # fmt: skip
    write(tmp_path / 'speed.json', found)
    assert json.loads((tmp_path / 'speed.json').read_text())['start'] == start
    picture = cv2.imread(str(tmp_path / 'speed.png'))
    assert picture.shape[0] > 800 and picture.std() > 10.0
    printed = capsys.readouterr().out
    assert all(title in printed for title in ('engines', 'start', 'node', 'robots'))


def test_cost_is_cpu_time_per_estimate_relative_to_one_robot():
    alone = many_robots.figures(
        many_robots.Fleet(1, many_robots.OWN, 'together'),
        [{'seconds': [0.010] * 10, 'cpu': 0.08, 'served': True}], 0.0, '',
    )  # fmt: skip
    four = many_robots.figures(
        many_robots.Fleet(4, many_robots.SERVER, 'together'),
        [{'seconds': [0.016] * 10, 'cpu': 0.01, 'served': True}] * 4, 0.12,
        'engine x at y\n40 requests in 16 batches\n',
    )  # fmt: skip
    assert four['batch'] == 2.5 and four['p95_ms'] == pytest.approx(16.0)
    # (0.12 + 4 * 0.01) / 40 = 4 ms each, against 8.
    costs = [row['cost'] for row in many_robots.with_cost([alone, four])]
    assert costs == [1.0, pytest.approx(0.5)]


def test_latency_is_relative_to_robots_with_own_engines():
    def row(robots: int, where: str, phases: str, cpu: float, p95: float) -> dict:
        return {'robots': robots, 'where': where, 'phases': phases, 'cpu_ms': cpu, 'p95_ms': p95}

    found = many_robots.with_cost(
        [
            row(1, many_robots.OWN, 'together', 8.0, 10.0),
            row(4, many_robots.OWN, 'together', 8.0, 20.0),
            row(4, many_robots.SERVER, 'spread', 6.0, 30.0),
            row(1, many_robots.ALONE, 'one call', 5.0, 5.0),
            row(4, many_robots.ALONE, 'one call', 4.0, 16.0),
        ]
    )
    assert [one['cost'] for one in found] == [1.0, 1.0, 0.75, 1.0, 0.8]
    assert [one.get('slower') for one in found] == [1.0, 1.0, 1.5, None, None]
    assert [one.get('slower_than_one') for one in found] == [1.0, 2.0, 3.0, None, None]


@pytest.mark.parametrize(('program', 'code', 'named'), [
    ("print('ready', flush=True); input(); sys.exit('camera fell off')",
     'bench-robot-ended', ('exit code 1', 'camera fell off')),
    ("print('ready', flush=True); input(); os.kill(os.getpid(), 9)",
     'bench-robot-ended', ('exit code -9',)),
    ("sys.exit('no engine')", 'bench-robot-start', ('no engine',)),
    ("print('loading', file=sys.stderr, flush=True); time.sleep(60)",
     'bench-robot-ready', ('loading',)),
    ("print('ready', flush=True); time.sleep(60)", 'bench-robot-hangs', ()),
], ids=['exit', 'kill', 'start', 'ready', 'hang'])  # fmt: skip
def test_robot_that_ends_or_hangs_is_reported_with_its_output(
    tmp_path, monkeypatch, program, code, named
):
    line = [sys.executable, '-c', f'import os, sys, time; {program}']
    monkeypatch.setattr(many_robots, 'python_child', lambda *_, env: {'args': line, 'env': env})
    with ExitStack() as stack, raises(code, *named):
        robot = many_robots.start([], dict(os.environ), tmp_path / 'words.txt', stack)
        many_robots.run([robot], None, patience=2.0)


def test_measurement_without_server_is_refused():
    with raises('bench-server-lost', '1 robots'):
        many_robots.figures(
            many_robots.Fleet(1, many_robots.SERVER, 'together'),
            [{'seconds': [0.01], 'cpu': 0.0, 'served': False}], 0.0, '',
        )  # fmt: skip


def test_failed_run_keeps_earlier_results_and_its_own(monkeypatch, tmp_path):
    def fail(*_):
        raise BenchError('bench-node-log', 'no log')

    start = [{'kind': 'onnx', 'torch': False, 'first_estimate_s': 0.1, 'memory_mib': 95.0}]
    parts = {'start': lambda *_: start, 'node': fail}
    monkeypatch.setattr('benchmarks.speed.main.RUN', {**RUN, **parts})
    out = tmp_path / 'speed.json'
    out.write_text('of an earlier run')
    with pytest.raises(BenchError):
        main(['--parts', 'start,node', '--out', str(out)])
    assert out.read_text() == 'of an earlier run'
    left = json.loads((tmp_path / 'speed.unfinished.json').read_text())
    assert left['start'] == start and 'node' not in left


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_quick_benchmark_runs_all_parts(tmp_path: Path):
    out = tmp_path / 'speed.json'
    assert main(['--quick', '--out', str(out)]) == 0
    found = json.loads(out.read_text())
    assert set(PARTS) < set(found)
    times = {row['name']: row['p50_ms'] for row in found['engines']['rows']}
    assert {'viva, stock eager', 'viva, lean eager', 'viva, engine onnx'} <= set(times)
    assert {'value only, engine onnx', 'classifier, engine onnx'} <= set(times)
    assert all(time > 0.0 for time in times.values())
    assert {row['node'] for row in found['node']} == {'ours', 'naive'}
    # The naive node is late on a busy machine; its delay is a result.
    assert all(row['values'] > 0 and row['engine_p50_ms'] > 0.0 for row in found['node'])
    fleets_run = {(row['robots'], row['where']) for row in found['robots']}
    assert fleets_run == {(n, w) for n in (1, 2) for w in ('own engine', 'server', 'engine alone')}
    torch = {row['kind']: row['torch'] for row in found['start']}
    assert not torch['onnx'] and torch['viva, stock eager']
    assert found['machine']['cores'] >= 1 and 'onnxruntime' in found['machine']['libraries']
    assert out.with_suffix('.png').stat().st_size > 10_000
