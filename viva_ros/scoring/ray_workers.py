# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Workers on a Ray cluster; the only module that imports ray.

All machines must have the recordings and the engine under the same paths. A cluster started by
this module has no dashboard, sends no usage statistics and requires a token: Ray listens on all
interfaces and runs the code that it receives.
"""

import os
import secrets
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import chdir
from typing import Any, Final

from viva_ros.console.process_pool import child_variables
from viva_ros.core.child_process import APART
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.libraries import remedy
from viva_ros.scoring.jobs import ScoreJob, ScoreOptions, ScoreOutcome, Scorer
from viva_ros.scoring.store import tool_version

QUIET: Final = {
    'RAY_USAGE_STATS_ENABLED': '0', 'RAY_USAGE_STATS_PROMPT_ENABLED': '0',
    'RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO': '0', 'RAY_DEDUP_LOGS': '1',
}  # fmt: skip
LOCAL: Final = 'local'
TOKEN: Final = ('RAY_AUTH_MODE', 'RAY_AUTH_TOKEN')


class Actor:
    """Scorer with its own engines, run by the cluster."""

    def __init__(self, options: ScoreOptions) -> None:
        self._scorer = Scorer(options)

    def attempt(self, job: ScoreJob) -> ScoreOutcome:
        """Score a recording."""
        return self._scorer.attempt(job)

    def version(self) -> str:
        """Return the version of viva_ros on the machine of the actor."""
        return tool_version()


class RayWorker:
    """One actor of the cluster; see ``workers.ScoreWorker``."""

    def __init__(self, ray: Any, options: ScoreOptions) -> None:
        self._ray, self._options = ray, options
        self.deaths: tuple[type[Exception], ...] = (ray.exceptions.RayActorError,)
        self._make = ray.remote(num_cpus=1, max_restarts=0)(Actor)
        self.revive()

    def submit(self, job: ScoreJob) -> 'Future[ScoreOutcome]':
        """Start a job."""
        future: Future[ScoreOutcome] = self._actor.attempt.remote(job).future()
        return future

    def revive(self) -> None:
        """Start a new actor on a machine with a free CPU."""
        self._actor = self._make.options(scheduling_strategy='SPREAD').remote(self._options)

    def version(self) -> str:
        """Wait for the actor; return the version of viva_ros on its machine."""
        return str(self._ray.get(self._actor.version.remote()))

    def close(self) -> None:
        """End the actor."""
        self._ray.kill(self._actor)


def start(address: str, options: ScoreOptions, processes: int | None) -> list[RayWorker]:
    """
    Connect to a cluster, or start one on this machine, and start its workers.

    :param address: host:port, 'auto' for the cluster that runs on this machine, or 'local' to
        start one
    :param processes: number of workers; None for one for each CPU of the cluster
    :raises ConfigurationError: if ray is not installed, or the cluster cannot be reached
    """
    os.environ.update({k: v for k, v in QUIET.items() if k not in os.environ})
    if address == LOCAL and TOKEN[0] not in os.environ:
        os.environ.update({TOKEN[0]: 'token', TOKEN[1]: secrets.token_hex(32)})
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            'ray-missing', f'--ray needs ray ({error}): use --processes, or {remedy(["ray"])}'
        ) from error
    _check_reachable(address)
    settings: dict[str, Any] = {'log_to_driver': False, 'logging_level': 'ERROR'}
    if address == LOCAL:
        settings.update(include_dashboard=False, num_cpus=processes or os.cpu_count())
    try:
        with child_variables(), chdir(APART):  # workers look for modules in this folder first
            ray.init(address=address, **settings)
    except Exception as error:  # ray raises a bare Exception on a busy machine
        raise _unreachable(address, str(error).splitlines()[0]) from error
    cpus = int(ray.cluster_resources().get('CPU', 0))
    if cpus < 1:
        raise ConfigurationError(
            'ray-without-cpu', f'the Ray cluster at {address!r} has no CPU: add machines to it'
        )
    workers = [RayWorker(ray, options) for _ in range(min(processes or cpus, cpus))]
    _check(workers)
    return workers


def _check_reachable(address: str) -> None:
    """Open a connection first: ray itself waits for minutes."""
    host, _, port = address.rpartition(':')
    if port.isdecimal() and '/' not in host:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise _unreachable(address, str(error)) from error


def _unreachable(address: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        'ray-unreachable',
        f"cannot connect to a Ray cluster at {address!r} ({why}): start one with 'ray start "
        "--head', or use --ray without an address to start one on this machine",
    )


def _check(workers: Sequence[RayWorker]) -> None:
    """Refuse machines without this package, or with another version of it."""
    for worker in workers:
        try:
            found = worker.version()
        except worker.deaths as error:
            why = str(error).strip().splitlines()[-1]
            raise ConfigurationError(
                'ray-worker-start',
                f'a machine of the Ray cluster cannot run a worker ({why}): install viva_ros '
                f'{tool_version()} on all machines',
            ) from error
        if found != tool_version():
            raise ConfigurationError(
                'ray-version',
                f'a machine of the Ray cluster has viva_ros {found}, this one {tool_version()}: '
                'install the same version on all machines',
            )


def stop() -> None:
    """Disconnect from the cluster; a cluster that this process started ends."""
    import ray

    ray.shutdown()
