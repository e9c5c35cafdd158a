# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C as a terminal sends it: to a command and to its child processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.recordings import make_label, write_recording

from viva_ros.cli.main import main

ROOT = Path(__file__).parents[2]
JOBS = """
import sys, time
from pathlib import Path
from viva_ros.console import program
from viva_ros.console.process_pool import processes, uninterrupted

def work(path):
    Path(path).touch()
    time.sleep(600)

def main():
    with processes(2, int) as pool:
        with uninterrupted():
            jobs = [pool.submit(work, name) for name in sys.argv[1:]]
        for job in jobs:
            job.result()

if __name__ == '__main__':
    title = program.ConsoleProgram('viva work', resumes=True)
    raise SystemExit(program.run(title, main, is_process=True))
"""


def start(command: list[str], folder: Path) -> 'subprocess.Popen[str]':
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment, cwd=folder, start_new_session=True,
    )  # fmt: skip


def interrupt(running: 'subprocess.Popen[str]', when: Callable[[], bool]) -> str:
    """Send Ctrl-C when a condition holds; return the last message of the command."""
    while not when():
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.01)
    others = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)
    errors = running.communicate(timeout=60)[1]
    assert running.returncode == 130, errors
    assert 'Traceback' not in errors
    assert not psutil.wait_procs(others, timeout=30)[1]
    found = re.search('viva .*$', errors.strip().splitlines()[-1])
    assert found is not None, errors
    return found[0]  # a progress bar may precede it


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for part, count, first in (('calibration', 9, 0), ('test', 12, 9)):
        (tmp_path / part).mkdir()
        for number in range(count):
            slower = [-0.5 + (0.018 + 1e-4 * (first + number)) * step for step in range(61)]
            success = part == 'calibration' or number % 2 == 0
            path = tmp_path / part / f'{number:02}.mcap'
            write_recording(path, slower, label=make_label(success))
    return tmp_path


def test_ctrl_c_ends_process_pool_at_once(tmp_path: Path) -> None:
    (tmp_path / 'jobs.py').write_text(JOBS)
    running = start(['jobs.py', 'a', 'b', 'c'], tmp_path)
    message = interrupt(running, lambda: (tmp_path / 'a').exists() and (tmp_path / 'b').exists())
    assert message == 'viva work: stopped: run the same command again to go on'
    assert not (tmp_path / 'c').exists()


def test_pool_processes_end_with_killed_parent(tmp_path: Path) -> None:
    (tmp_path / 'jobs.py').write_text(JOBS)
    running = start(['jobs.py', 'a', 'b', 'c'], tmp_path)
    while not ((tmp_path / 'a').exists() and (tmp_path / 'b').exists()):
        assert running.poll() is None
        time.sleep(0.01)
    others = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.communicate()
    gone, alive = psutil.wait_procs(others, timeout=30)
    assert len(gone) >= 2
    assert not alive


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stopped_evaluation_leaves_no_file_and_restarts(folders: Path, small_engine: Path) -> None:
    command = ['-P', '-m', 'viva_ros.cli.main', 'evaluate', 'test', '--engine', str(small_engine),
               '--calibration-recordings', 'calibration', '--alpha', '0.3',
               '--out', 'out/e.json']  # fmt: skip
    running = start(command, folders)

    def has_loaded_engine() -> bool:
        libraries = Path(f'/proc/{running.pid}/maps').read_text()
        return 'onnxruntime' in libraries

    message = interrupt(running, has_loaded_engine)
    assert message == 'viva evaluate: stopped: run the same command again'
    assert not list(folders.glob('out/*'))
    again = start(command, folders)
    errors = again.communicate(timeout=200)[1]
    assert again.returncode == 0, errors
    assert {path.name for path in folders.glob('out/*')} == {'e.json', 'e.md', 'e.png'}


@pytest.mark.slow
def test_stopped_scoring_continues(folders: Path, small_engine: Path) -> None:
    command = ['-P', '-m', 'viva_ros.cli.main', 'score', 'test', '--engine', str(small_engine)]
    tables = (folders / 'test').glob
    running = start(command, folders)
    message = interrupt(running, lambda: any(tables('*_values.parquet')))
    assert message == 'viva score: stopped: run the same command again to go on'
    assert not list(tables('.*'))
    before = {path: path.stat().st_mtime_ns for path in tables('*_values.parquet')}
    assert 0 < len(before) < 12
    assert main(['score', str(folders / 'test'), '--engine', str(small_engine)]) == 0
    assert len(list(tables('*_values.parquet'))) == 12
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in list(before.items())[:-1])
