# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One Ctrl-C, as a terminal sends it: to the command and to all that it has started."""

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
    """Send Ctrl-C when something holds, and give the last sentence that is said."""
    while not when():
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.01)
    others = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)[1]
    assert running.returncode == 130, said
    assert 'Traceback' not in said
    assert not psutil.wait_procs(others, timeout=30)[1]
    found = re.search('viva .*$', said.strip().splitlines()[-1])
    assert found is not None, said
    return found[0]  # a progress bar may stand before it


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for part, count in (('calibration', 9), ('test', 12)):
        (tmp_path / part).mkdir()
        for number in range(count):
            slower = [-0.5 + (0.018 + 1e-4 * number) * step for step in range(61)]
            well = part == 'calibration' or number % 2 == 0
            write_recording(tmp_path / part / f'{number:02}.mcap', slower, label=make_label(well))
    return tmp_path


def test_work_side_by_side_ends_at_once_with_the_processes_that_do_it(tmp_path: Path) -> None:
    (tmp_path / 'jobs.py').write_text(JOBS)
    running = start(['jobs.py', 'a', 'b', 'c'], tmp_path)
    said = interrupt(running, lambda: (tmp_path / 'a').exists() and (tmp_path / 'b').exists())
    assert said == 'viva work: stopped: run the same command again to go on'
    assert not (tmp_path / 'c').exists()


def test_processes_beside_do_not_outlive_one_that_is_killed(tmp_path: Path) -> None:
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
def test_an_evaluation_that_is_stopped_leaves_nothing_and_can_be_run_again(
    folders: Path, small_engine: Path
) -> None:
    command = ['-m', 'viva_ros.cli.main', 'evaluate', 'test', '--engine', str(small_engine),
               '--calibration-recordings', 'calibration', '--alpha', '0.3',
               '--out', 'out/e.json']  # fmt: skip
    running = start(command, folders)

    def it_evaluates() -> bool:
        libraries = Path(f'/proc/{running.pid}/maps').read_text()
        return 'onnxruntime' in libraries

    said = interrupt(running, it_evaluates)
    assert said == 'viva evaluate: stopped: run the same command again'
    assert not list(folders.glob('out/*'))
    again = start(command, folders)
    said = again.communicate(timeout=200)[1]
    assert again.returncode == 0, said
    assert {path.name for path in folders.glob('out/*')} == {'e.json', 'e.md', 'e.png'}


@pytest.mark.slow
def test_scoring_that_is_stopped_goes_on(folders: Path, small_engine: Path) -> None:
    command = ['-m', 'viva_ros.cli.main', 'score', 'test', '--engine', str(small_engine)]
    tables = (folders / 'test').glob
    running = start(command, folders)
    said = interrupt(running, lambda: any(tables('*_values.parquet')))
    assert said == 'viva score: stopped: run the same command again to go on'
    assert not list(tables('.*'))
    before = {path: path.stat().st_mtime_ns for path in tables('*_values.parquet')}
    assert 0 < len(before) < 12
    assert main(['score', str(folders / 'test'), '--engine', str(small_engine)]) == 0
    assert len(list(tables('*_values.parquet'))) == 12
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in list(before.items())[:-1])
