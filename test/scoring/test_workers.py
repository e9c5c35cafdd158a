# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support.recordings import write_recording

from viva_ros.core.errors import ConfigurationError, EngineError
from viva_ros.scoring.jobs import FAILED, SCORED, ScoreJob, ScoreOutcome
from viva_ros.scoring.run import check_engine
from viva_ros.scoring.store import is_whole, read_scored
from viva_ros.scoring.workers import Beside, Here, share_out

ROOT = Path(__file__).parents[2]


class Mortal(Beside):
    """Its process ends over some recordings, as often as told."""

    dies: dict[str, int] = {}  # noqa: RUF012, set by each test

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        if self.dies.get(job.name, 0):
            self.dies[job.name] -= 1
            return self._pool.submit(os._exit, 1)  # type: ignore[arg-type]
        return super().submit(job)


def test_here_and_beside_give_the_same(order, jobs) -> None:
    here = {one.path: one for one in share_out(jobs, [Here(order)])}
    values = [job.values.read_bytes() for job in jobs]
    for job in jobs:
        job.values.unlink()
    beside = {one.path: one for one in share_out(jobs, [Beside(order), Beside(order)])}
    assert [job.values.read_bytes() for job in jobs] == values
    assert {p: replace(one, seconds=0.0) for p, one in here.items()} == {
        p: replace(one, seconds=0.0) for p, one in beside.items()
    }


def test_a_worker_that_dies_is_replaced_and_only_its_recording_is_named(order, jobs) -> None:
    Mortal.dies = {'1': 1, '2': 2}
    outcomes = {one.path.stem: one for one in share_out(jobs, [Mortal(order)])}
    assert {name: one.state for name, one in outcomes.items()} == {
        '0': SCORED, '1': SCORED, '2': FAILED, '3': SCORED,
    }  # fmt: skip
    assert '2.mcap: 2 workers died over it' in outcomes['2'].text


def test_what_is_wrong_for_all_stops_all(order, jobs) -> None:
    with pytest.raises(ConfigurationError, match='must be one of'):
        list(share_out(jobs, [Here(replace(order, task='dance'))]))


def test_machines_with_different_engines_are_found_out() -> None:
    one = ScoreOutcome(Path('a'), SCORED, 'aa', 'lift', host='m1')
    check_engine([one, replace(one, engine='bb', task='pass')])
    with pytest.raises(EngineError, match='m2 has engine bb, m1 has aa'):
        check_engine([one, replace(one, engine='bb', host='m2')])


@pytest.fixture
def many(tmp_path: Path, small_engine: Path) -> list[str]:
    """Return a command that scores twelve recordings."""
    folder = tmp_path / 'many'
    folder.mkdir()
    for number in range(12):
        write_recording(folder / f'{number:02}.mcap', [0.01 * n for n in range(40)])
    return [
        sys.executable, '-m', 'viva_ros.cli.main', 'score', str(folder), '--task', 'tray_lift',
        '--engine', str(small_engine), '--processes', '2',
    ]  # fmt: skip


def start(command: list[str]) -> 'subprocess.Popen[str]':
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def wait_for(folder: Path, count: int, running: 'subprocess.Popen[str]') -> None:
    while len(list(folder.glob('*_values.parquet'))) < count and running.poll() is None:
        time.sleep(0.01)


@pytest.mark.slow
def test_after_a_kill_nothing_is_left_running_or_half_written_and_it_goes_on(many, tmp_path):
    folder = tmp_path / 'many'
    running = start(many)
    wait_for(folder, 1, running)
    workers = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.communicate()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert gone and not alive
    written = sorted(folder.glob('*.parquet'))
    assert all(is_whole(path) for path in written)
    before = {path: path.stat().st_mtime_ns for path in folder.glob('*_values.parquet')}
    again = start(many)
    shown, _ = again.communicate(timeout=100)
    assert again.returncode == 0, shown
    assert len(list(folder.glob('*_values.parquet'))) == 12
    assert f'{len(before)} there already' in shown
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert read_scored(folder / '07_values.parquet').table.num_rows == 40


@pytest.mark.slow
def test_ctrl_c_ends_it_with_130_and_leaves_nothing_running(many, tmp_path) -> None:
    running = start(many)
    wait_for(tmp_path / 'many', 1, running)
    workers = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert not psutil.wait_procs(workers, timeout=30)[1]
