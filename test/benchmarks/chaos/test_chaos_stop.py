# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A chaos run that is stopped from outside ends its cell, and keeps what was recorded."""

import os
import signal
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from mcap.reader import make_reader

from benchmarks.chaos import main
from benchmarks.chaos.processes import ENDS, Cell, wait_until
from benchmarks.chaos.runner import Runner, Stopped
from benchmarks.chaos.schedule import Planned
from viva_ros.core.child_process import python_child

ROOT = Path(__file__).parents[3]


@pytest.mark.fast
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_stops_the_run_and_the_folder_is_named(monkeypatch, tmp_path, capsys, number):
    def run(folder, seconds, seed, sim_time, kinds, stopped):
        (folder / 'chaos.mcap').write_bytes(b'so far')
        signal.raise_signal(number)
        assert stopped.is_set()
        raise Stopped

    before = signal.getsignal(number)
    monkeypatch.setattr(main, 'run', run)
    monkeypatch.setattr(main.tempfile, 'mkdtemp', lambda prefix: str(tmp_path))
    assert main.main(['--out', str(tmp_path / 'figures/chaos.json')]) == 130
    assert f'stopped; recording (chaos.mcap) and logs so far are in {tmp_path}' in (
        capsys.readouterr().err
    )
    assert (tmp_path / 'chaos.mcap').exists() and not list((tmp_path / 'figures').iterdir())
    assert signal.getsignal(number) is before


@pytest.mark.fast
def test_stopped_run_ends_its_disturbances_before_the_cell(tmp_path):
    done, stopped = list[str](), threading.Event()
    process = SimpleNamespace(suspend=stopped.set, resume=lambda: done.append('resume'))
    cell = SimpleNamespace(
        is_ok=True, tend=lambda now: None, sample=lambda now: [], process=lambda name: process,
        end=lambda: done.append('end'),
    )  # fmt: skip
    with pytest.raises(Stopped):
        Runner(cell, [Planned(0.0, 'stop', 'monitor', 60.0, 1)], stopped).run(60.0)
    assert done == ['resume', 'end']


@pytest.mark.fast
def test_cell_ends_second_nodes_and_restarted_sources_and_its_recorder_last(monkeypatch):
    ended = list[str]()
    monkeypatch.setattr('benchmarks.chaos.processes.end', ended.append)
    cell = Cell.__new__(Cell)
    names = ('recorder', 'stranger', 'head', 'launch', 'head', 'second_monitor')
    cell._started = [(name, name) for name in names]
    cell.end()
    assert ended == ['launch', 'head', 'head', 'second_monitor', 'stranger', 'recorder']
    assert set(ENDS) < set(names)


@pytest.mark.parametrize(
    'line',
    [
        ['--kinds', 'clock'],
        ['--kinds', 'unheard_of'],
        ['--out', '/dev/null/x.json'],
        ['--keep', '/dev/null/x'],
    ],
)
@pytest.mark.fast
def test_invalid_argument_is_refused_before_the_run(tmp_path, capsys, line):
    with pytest.raises(SystemExit, match='2'):
        main.parse(['--out', str(tmp_path / 'x.json'), *line])
    assert line[0] in capsys.readouterr().err


@pytest.mark.live
@pytest.mark.slow
def test_sigterm_leaves_no_process_and_a_whole_recording(shared_memory, tmp_path):
    folder = tmp_path / 'kept'
    env = os.environ | {'PYTHONPATH': os.pathsep.join(map(str, (ROOT, ROOT / 'test')))}
    process = subprocess.Popen(
        **python_child('benchmarks.chaos.main', '--keep', folder, '--out', tmp_path / 'x.json',
                       env=env),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        watched = psutil.Process(process.pid)
        # Recorder, stranger, three sources, the launch and its three nodes.
        assert wait_until(lambda: len(watched.children(recursive=True)) >= 9, 120.0)
        cell = watched.children(recursive=True)
        process.terminate()
        _, err = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130
    assert f'stopped; recording (chaos.mcap) and logs so far are in {folder}' in err
    assert 'Traceback' not in err
    _, left = psutil.wait_procs(cell, 10.0)
    assert not left
    with (folder / 'chaos.mcap').open('rb') as file:
        assert make_reader(file).get_summary() is not None
