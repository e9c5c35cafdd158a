# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which episodes are to be recorded: one of each seed, and the retries after some failures."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from viva_ros.core.errors import ConfigurationError
from viva_ros.offline import mix


@dataclass(frozen=True)
class Job:
    """
    One episode to record.

    :param retry_delay: record the retry of a failed episode, this long after its evidence, s;
        None records the episode itself
    :param noise: of the cameras, standard deviation of 255; drawn by seed
    """

    task: str
    seed: int
    failure: str
    path: Path
    image_size: tuple[int, int] = (128, 128)
    retry_delay: float | None = None
    noise: float = 1.0


def plan(
    task: str, seeds: Iterable[int], out: Path, failure: str | None = None,
    successes: bool = False, image_size: tuple[int, int] = (128, 128), noise: float = 1.0,
) -> list[Job]:  # fmt: skip
    """
    Give the episodes of these seeds, and the retries of some failures after them.

    :param failure: the mode of all; None draws it by ``mix``
    :raises ConfigurationError: if the task does not know the mode
    """
    from viva_ros.sim.tasks.registry import CAMERA_ONLY, FAILURES, TASKS, VARIATIONS

    if task not in TASKS:
        raise ConfigurationError(f'task is {task!r}, must be one of {", ".join(TASKS)}')
    if not 0.0 <= noise <= 50.0:
        raise ConfigurationError(f'noise is {noise}, must be in [0, 50]')
    modes = mix.kinds(FAILURES[task], VARIATIONS[task], CAMERA_ONLY)
    allowed = [mode for kind in modes.values() for mode in kind]
    if failure is not None and failure not in allowed:
        raise ConfigurationError(f'failure is {failure!r}, must be one of {", ".join(allowed)}')
    jobs = []
    for seed in seeds:
        mode = failure or mix.mode_of(seed, modes, successes)
        job = Job(task, seed, mode, out / f'episode_{seed:06d}.mcap', image_size, noise=noise)
        delay = mix.retry_delay(seed) if mode in FAILURES[task] else None
        jobs += [job] if delay is None else [job, retry_of(job, delay)]
    return jobs


def retry_mode(failure: str) -> str:
    """Name the mode of an attempt that follows a failure."""
    return f'retry_{failure}'


def retry_of(job: Job, delay: float) -> Job:
    """Give the job of the retry that follows a failed episode."""
    path = job.path.with_name(f'{job.path.stem}_retry{job.path.suffix}')
    return replace(job, path=path, retry_delay=delay)
