# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Real Ray cluster on this machine: a head without CPUs, and two nodes with one worker each."""

import os
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.cli.score import main
from viva_ros.scoring import ray_workers
from viva_ros.scoring.jobs import FAILED, SCORED, ScoreJob, ScoreOutcome
from viva_ros.scoring.ray_workers import RayWorker
from viva_ros.scoring.workers import InProcessWorker, share_out

pytestmark = pytest.mark.slow
ROOT = str(Path(__file__).parents[2])


class Mortal(RayWorker):
    """Kills its actor when it submits certain recordings."""

    dies: dict[str, int] = {}  # noqa: RUF012, recording to number of deaths

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        if self.dies.get(job.name, 0):
            self.dies[job.name] -= 1
            self._ray.kill(self._actor)
        return super().submit(job)


@pytest.fixture(scope='module')
def cluster(tmp_path_factory):
    pytest.importorskip('ray', reason='ray is not installed')
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray_workers.QUIET.items():
            patch.setenv(name, value)
        patch.setenv('PYTHONPATH', ROOT)
        from ray.cluster_utils import Cluster

        made = Cluster(
            initialize_head=True,
            head_node_args={'num_cpus': 0, 'include_dashboard': False,
                            'object_store_memory': 80 << 20},
        )  # fmt: skip
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=80 << 20)
        yield made.address
        ray_workers.stop()
        made.shutdown()


@pytest.mark.timeout(600)  # a busy machine starts ray in minutes
def test_ray_workers_match_local_scoring_after_actor_death(score_options, jobs, cluster) -> None:
    assert {one.state for one in share_out(jobs, [InProcessWorker(score_options)])} == {SCORED}
    expected = [job.values.read_bytes() for job in jobs]
    for job in jobs:
        job.values.unlink()
    workers = ray_workers.start(cluster, score_options, None)
    assert len(workers) == 2
    import ray

    outcomes = list(share_out(jobs, workers))
    assert {one.state for one in outcomes} == {SCORED}
    assert [job.values.read_bytes() for job in jobs] == expected

    for job in jobs[1:3]:
        job.values.unlink()
    Mortal.dies = {'1': 1, '2': 2}
    states = {one.path.stem: one for one in share_out(jobs[1:3], [Mortal(ray, score_options)])}
    assert {name: one.state for name, one in states.items()} == {'1': SCORED, '2': FAILED}
    assert '2.mcap: 2 workers died' in states['2'].text
    ray_workers.stop()


@pytest.mark.timeout(600)  # a busy machine starts ray in minutes
def test_score_command_uses_ray_cluster(jobs, cluster, small_engine, capsys) -> None:
    folder = str(jobs[0].folder)
    options = ['--engine', str(small_engine), '--task', 'tray_lift', '--ray', cluster]
    assert main([folder, *options]) == 0
    assert '4 recordings: 4 scored' in capsys.readouterr().out
    assert all(job.values.exists() and job.progress.exists() for job in jobs)


PRIVATE = """
import os, psutil
from viva_ros.scoring import ray_workers
from viva_ros.scoring.jobs import ScoreOptions

ray_workers.start('local', ScoreOptions('', '', None, 10.0, 1, '', ''), 2)
begun = psutil.Process().children(recursive=True)
shown = [p.cmdline() for p in begun if 'dashboard/dashboard.py' in ' '.join(p.cmdline())]
print('dashboard', any('--disable-frontend' not in line for line in shown))
modes = [p.environ().get('RAY_AUTH_MODE') for p in begun if p.name() in ('gcs_server', 'raylet')]
print('modes', *modes)
print('reports', os.environ['RAY_USAGE_STATS_ENABLED'])
ray_workers.stop()
print('left', len(psutil.wait_procs(begun, timeout=30)[1]))
"""


@pytest.mark.timeout(600)  # a busy machine starts ray in minutes
def test_local_cluster_is_private_and_ends_with_command() -> None:
    pytest.importorskip('ray', reason='ray is not installed')
    environment = {k: v for k, v in os.environ.items() if not k.startswith('RAY_')}
    environment['PYTHONPATH'] = ROOT
    done = subprocess.run(
        [sys.executable, '-c', PRIVATE], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.split()[0] in PRIVATE]
    assert lines[-4:] == [
        'dashboard False',
        'modes token token',
        'reports 0',
        'left 0',
    ], done.stderr


def test_unreachable_cluster_is_an_error_with_remedy(score_options) -> None:
    pytest.importorskip('ray', reason='ray is not installed')
    with raises('ray-unreachable', '127.0.0.1:1', 'ray start --head', '--ray without an address'):
        ray_workers.start('127.0.0.1:1', score_options, 1)


def test_missing_ray_library_is_an_error_with_remedy(score_options, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    with raises('ray-missing', '--processes', 'pip install '):
        ray_workers.start('local', score_options, 1)
