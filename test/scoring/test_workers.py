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
from support.errors import raises
from support.recordings import write_recording

from viva_ros.scoring.jobs import FAILED, SCORED, ScoreJob, ScoreOutcome
from viva_ros.scoring.run import check_engine
from viva_ros.scoring.store import is_whole, read_scored
from viva_ros.scoring.workers import ChildProcessWorker, InProcessWorker, share_out

ROOT = Path(__file__).parents[2]


class Mortal(ChildProcessWorker):
    """Ends its process when it submits certain recordings."""

    dies: dict[str, int] = {}  # noqa: RUF012, recording to number of deaths, set by each test

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        if self.dies.get(job.name, 0):
            self.dies[job.name] -= 1
            return self._pool.submit(os._exit, 1)  # type: ignore[arg-type]
        return super().submit(job)


def test_child_processes_write_same_tables_as_this_process(score_options, jobs) -> None:
    local = {one.path: one for one in share_out(jobs, [InProcessWorker(score_options)])}
    values = [job.values.read_bytes() for job in jobs]
    for job in jobs:
        job.values.unlink()
    children = {
        one.path: one
        for one in share_out(
            jobs, [ChildProcessWorker(score_options), ChildProcessWorker(score_options)]
        )
    }
    assert [job.values.read_bytes() for job in jobs] == values
    assert {p: replace(one, seconds=0.0) for p, one in local.items()} == {
        p: replace(one, seconds=0.0) for p, one in children.items()
    }


@pytest.mark.medium
def test_dead_worker_is_replaced_and_its_recording_named(score_options, jobs) -> None:
    Mortal.dies = {'1': 1, '2': 2}
    outcomes = {one.path.stem: one for one in share_out(jobs, [Mortal(score_options)])}
    assert {name: one.state for name, one in outcomes.items()} == {
        '0': SCORED, '1': SCORED, '2': FAILED, '3': SCORED,
    }  # fmt: skip
    assert '2.mcap: 2 workers died' in outcomes['2'].text


def test_shared_error_stops_all_jobs(score_options, jobs) -> None:
    with raises('scoring-stopped', jobs[0].path, "'dance'", "'tray_lift'"):
        list(share_out(jobs, [InProcessWorker(replace(score_options, task='dance'))]))


def test_different_engines_on_two_machines_are_refused() -> None:
    one = ScoreOutcome(Path('a'), SCORED, 'aa', 'lift', host='m1')
    check_engine([one, replace(one, engine='bb', task='pass')])
    with raises('engine-differs-by-host', 'm2 has engine bb', 'm1 has aa', 'lift'):
        check_engine([one, replace(one, engine='bb', host='m2')])


@pytest.fixture
def many(tmp_path: Path, small_engine: Path) -> list[str]:
    """Return a command that scores twelve recordings."""
    folder = tmp_path / 'many'
    folder.mkdir()
    for number in range(12):
        write_recording(folder / f'{number:02}.mcap', [0.01 * n for n in range(40)])
    return [
        sys.executable, '-P', '-m', 'viva_ros.cli.main', 'score', str(folder),
        '--task', 'tray_lift', '--engine', str(small_engine), '--processes', '2',
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
def test_killed_run_leaves_no_process_and_continues(many, tmp_path):
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
    assert f'{len(before)} unchanged' in shown
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    assert read_scored(folder / '07_values.parquet').table.num_rows == 40


@pytest.mark.slow
def test_ctrl_c_exits_with_130_and_leaves_no_process(many, tmp_path) -> None:
    running = start(many)
    wait_for(tmp_path / 'many', 1, running)
    workers = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert not psutil.wait_procs(workers, timeout=30)[1]
