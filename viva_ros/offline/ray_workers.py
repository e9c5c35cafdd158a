# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Workers on a Ray cluster; ray is imported here alone.

All machines must see the recordings and the engine under the same paths. Ray's dashboard is off in
a cluster that is started here, and it reports its use to nobody.
"""

import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.offline.score_job import Scorer
from viva_ros.offline.score_outcome import Job, Order, Outcome

QUIET: Final = {
    'RAY_USAGE_STATS_ENABLED': '0', 'RAY_USAGE_STATS_PROMPT_ENABLED': '0',
    'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0', 'RAY_DEDUP_LOGS': '1',
}  # fmt: skip
LOCAL: Final = 'local'


class Actor:
    """What runs in the cluster: a scorer with engines of its own."""

    def __init__(self, order: Order) -> None:
        self._scorer = Scorer(order)

    def attempt(self, job: Job) -> Outcome:
        """Score a recording."""
        return self._scorer.attempt(job)


class RayWorker:
    """One actor of the cluster; see ``score_workers.Worker``."""

    def __init__(self, ray: Any, order: Order) -> None:
        self._ray, self._order = ray, order
        self.deaths: tuple[type[Exception], ...] = (ray.exceptions.RayActorError,)
        self._make = ray.remote(num_cpus=1, max_restarts=0)(Actor)
        self.revive()

    def submit(self, job: Job) -> 'Future[Outcome]':
        """Begin."""
        future: Future[Outcome] = self._actor.attempt.remote(job).future()
        return future

    def revive(self) -> None:
        """Make a new actor, wherever there is room."""
        self._actor = self._make.options(scheduling_strategy='SPREAD').remote(self._order)

    def close(self) -> None:
        """End the actor."""
        self._ray.kill(self._actor)


def start(address: str, order: Order, processes: int | None) -> list[RayWorker]:
    """
    Join a cluster, or start one on this machine, and make its workers.

    :param address: host:port, 'auto' for the cluster that runs on this machine, or 'local'
    :param processes: how many workers; None for one a CPU of the cluster
    :raises ConfigurationError: if ray is not installed, or the cluster cannot be reached
    """
    os.environ.update({k: v for k, v in QUIET.items() if k not in os.environ})
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"--ray needs ray ({error}): run 'pip install viva_ros[ray]', or use --processes"
        ) from error
    options: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'ERROR'}
    if address == LOCAL:
        options.update(include_dashboard=False, num_cpus=processes or os.cpu_count())
    try:
        ray.init(address=address, runtime_env=_environment(), **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigurationError(
            f'no Ray cluster at {address!r} can be joined ({str(error).splitlines()[0]}): start '
            "one with 'ray start --head', or give --ray alone for one on this machine"
        ) from error
    there = int(ray.cluster_resources().get('CPU', 0))
    if there < 1:
        raise ConfigurationError(f'the Ray cluster at {address!r} has no CPU: add machines to it')
    return [RayWorker(ray, order) for _ in range(min(processes or there, there))]


def _environment() -> dict[str, Any]:
    """Let the workers find this package as this process does: it may not be installed there."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get('PYTHONPATH')]))
    return {'env_vars': {'PYTHONPATH': path, 'OMP_NUM_THREADS': '1'}}


def stop() -> None:
    """Leave the cluster; one that was started here ends."""
    import ray

    ray.shutdown()
