# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real cluster on this machine: a head without CPUs, and two machines of one worker each."""

import os
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import pytest

from viva_ros.cli.score import main
from viva_ros.core.errors import ConfigurationError
from viva_ros.scoring import ray_workers
from viva_ros.scoring.jobs import FAILED, SCORED, ScoreJob, ScoreOutcome
from viva_ros.scoring.ray_workers import RayWorker
from viva_ros.scoring.workers import Here, share_out

pytestmark = pytest.mark.slow
ROOT = str(Path(__file__).parents[2])


class Mortal(RayWorker):
    """Its actor is killed over some recordings, as often as told."""

    dies: dict[str, int] = {}  # noqa: RUF012

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
def test_two_workers_score_as_this_process_does_and_outlive_a_death(order, jobs, cluster) -> None:
    assert {one.state for one in share_out(jobs, [Here(order)])} == {SCORED}
    expected = [job.values.read_bytes() for job in jobs]
    for job in jobs:
        job.values.unlink()
    workers = ray_workers.start(cluster, order, None)
    assert len(workers) == 2
    import ray

    outcomes = list(share_out(jobs, workers))
    assert {one.state for one in outcomes} == {SCORED}
    assert [job.values.read_bytes() for job in jobs] == expected

    for job in jobs[1:3]:
        job.values.unlink()
    Mortal.dies = {'1': 1, '2': 2}
    states = {one.path.stem: one for one in share_out(jobs[1:3], [Mortal(ray, order)])}
    assert {name: one.state for name, one in states.items()} == {'1': SCORED, '2': FAILED}
    assert '2.mcap: 2 workers died over it' in states['2'].text
    ray_workers.stop()


@pytest.mark.timeout(600)  # a busy machine starts ray in minutes
def test_the_command_scores_on_a_cluster(jobs, cluster, small_engine, capsys) -> None:
    folder = str(jobs[0].folder)
    options = ['--engine', str(small_engine), '--task', 'tray_lift', '--ray', cluster]
    assert main([folder, *options]) == 0
    assert '4 recordings: 4 scored' in capsys.readouterr().out
    assert all(job.values.exists() and job.progress.exists() for job in jobs)


PRIVATE = """
import os, psutil
from viva_ros.scoring import ray_workers
from viva_ros.scoring.jobs import Order

ray_workers.start('local', Order('', '', None, 10.0, 1, '', ''), 2)
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
def test_a_cluster_started_here_is_private_and_ends_with_the_command() -> None:
    pytest.importorskip('ray', reason='ray is not installed')
    environment = {k: v for k, v in os.environ.items() if not k.startswith('RAY_')}
    environment['PYTHONPATH'] = ROOT
    done = subprocess.run(
        [sys.executable, '-c', PRIVATE], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.split()[0] in PRIVATE]
    assert told[-4:] == [
        'dashboard False',
        'modes token token',
        'reports 0',
        'left 0',
    ], done.stderr


def test_a_cluster_that_is_not_there_is_an_error_with_a_remedy(order) -> None:
    pytest.importorskip('ray', reason='ray is not installed')
    with pytest.raises(ConfigurationError, match=r'no Ray cluster at .*give --ray alone'):
        ray_workers.start('127.0.0.1:1', order, 1)


def test_without_ray_the_remedy_is_named(order, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ConfigurationError, match=r'pip install .*(viva_ros\[ray\]|ray>=)'):
        ray_workers.start('local', order, 1)
