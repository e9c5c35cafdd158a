# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Workers on a Ray cluster; ray is imported here alone.

All machines must see the recordings and the engine under the same paths. A cluster that is started
here has no dashboard, reports its use to nobody and obeys only who has its token: Ray listens on
all interfaces, and runs what it is told to.
"""

import os
import secrets
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.libraries import remedy
from viva_ros.scoring.jobs import Order, ScoreJob, ScoreOutcome, Scorer
from viva_ros.scoring.store import tool_version

QUIET: Final = {
    'RAY_USAGE_STATS_ENABLED': '0', 'RAY_USAGE_STATS_PROMPT_ENABLED': '0',
    'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0', 'RAY_DEDUP_LOGS': '1',
}  # fmt: skip
LOCAL: Final = 'local'
TOKEN: Final = ('RAY_AUTH_MODE', 'RAY_AUTH_TOKEN')


class Actor:
    """What runs in the cluster: a scorer with engines of its own."""

    def __init__(self, order: Order) -> None:
        self._scorer = Scorer(order)

    def attempt(self, job: ScoreJob) -> ScoreOutcome:
        """Score a recording."""
        return self._scorer.attempt(job)

    def version(self) -> str:
        """Return that of the package on its machine."""
        return tool_version()


class RayWorker:
    """One actor of the cluster; see ``score_workers.Worker``."""

    def __init__(self, ray: Any, order: Order) -> None:
        self._ray, self._order = ray, order
        self.deaths: tuple[type[Exception], ...] = (ray.exceptions.RayActorError,)
        self._make = ray.remote(num_cpus=1, max_restarts=0)(Actor)
        self.revive()

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """Begin."""
        future: Future[ScoreOutcome] = self._actor.attempt.remote(job).future()
        return future

    def revive(self) -> None:
        """Make a new actor, wherever there is room."""
        self._actor = self._make.options(scheduling_strategy='SPREAD').remote(self._order)

    def version(self) -> str:
        """Return that of the package where the actor runs; waits until it does."""
        return str(self._ray.get(self._actor.version.remote()))

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
    if address == LOCAL and TOKEN[0] not in os.environ:
        os.environ.update({TOKEN[0]: 'token', TOKEN[1]: secrets.token_hex(32)})
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f'--ray needs ray ({error}): use --processes, or {remedy(["ray"])}'
        ) from error
    _check_reachable(address)
    options: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'ERROR'}
    if address == LOCAL:
        options.update(include_dashboard=False, num_cpus=processes or os.cpu_count())
    try:
        ray.init(address=address, **options)
    except Exception as error:  # a busy machine alone makes it a bare Exception
        raise _unreachable(address, str(error).splitlines()[0]) from error
    there = int(ray.cluster_resources().get('CPU', 0))
    if there < 1:
        raise ConfigurationError(f'the Ray cluster at {address!r} has no CPU: add machines to it')
    workers = [RayWorker(ray, order) for _ in range(min(processes or there, there))]
    _check(workers)
    return workers


def _check_reachable(address: str) -> None:
    """Knock first: ray itself waits for minutes."""
    host, _, port = address.rpartition(':')
    if port.isdecimal() and '/' not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise _unreachable(address, str(error)) from error


def _unreachable(address: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"no Ray cluster at {address!r} can be joined ({why}): start one with 'ray start --head', "
        'or give --ray alone for one on this machine'
    )


def _check(workers: Sequence[RayWorker]) -> None:
    """Refuse machines that lack this package, or have another version of it."""
    for worker in workers:
        try:
            found = worker.version()
        except worker.deaths as error:
            why = str(error).strip().splitlines()[-1]
            raise ConfigurationError(
                f'a machine of the Ray cluster cannot run a worker ({why}): install viva_ros '
                f'{tool_version()} on all of them'
            ) from error
        if found != tool_version():
            raise ConfigurationError(
                f'a machine of the Ray cluster has viva_ros {found}, this one {tool_version()}: '
                'install the same on all of them'
            )


def stop() -> None:
    """Leave the cluster; one that was started here ends."""
    import ray

    ray.shutdown()
