# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Plan and record simulated episodes.

Each attempt is one episode: a retry has a file of its own, with its own outcome. A joined
recording holds the failed attempt, the way home and the retry in one file.
"""

import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from viva_ros.console.process_pool import spawn_context
from viva_ros.console.progress import new_bar
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.observation import SECOND, Image
from viva_ros.data.bag.writer import RecordingWriter
from viva_ros.data.episode import ATTEMPT_TIME, RETRY_TIME
from viva_ros.data.messages import header, joint_state, jpeg_image, make
from viva_ros.data.segmentation import LABEL, TIMES
from viva_ros.sim.environment import Simulation
from viva_ros.sim.failures import NOMINAL
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.sim.scene import add_noise, encode_jpeg
from viva_ros.sim.tasks.registry import TASKS

SHARES: Final = {'nominal': 0.40, 'variation': 0.15, 'camera': 0.25, 'arms': 0.20}
MODE, RETRY = 0x6D6F6465, 0x72657472  # random streams, different from the simulation's
RETRIED: Final = 0.35  # share of failures
RETRY_SUFFIX, JOINED_SUFFIX = '_retry', '_joined'


def kinds(
    failures: Sequence[str], variations: Sequence[str], camera_only: Collection[str]
) -> dict[str, list[str]]:
    """Return the modes of each kind, in order."""
    return {
        'nominal': [NOMINAL],
        'variation': [mode for mode in variations if mode != NOMINAL],
        'camera': [mode for mode in failures if mode in camera_only],
        'arms': [mode for mode in failures if mode not in camera_only],
    }


def mode_of(seed: int, modes: dict[str, list[str]], successes: bool = False) -> str:
    """
    Draw the mode of a seed.

    :param modes: from ``kinds``
    :param successes: draw only undisturbed episodes and variations, in the same proportion
    """
    wanted = ('nominal', 'variation') if successes else tuple(SHARES)
    shares = {kind: SHARES[kind] for kind in wanted if modes[kind]}
    rng = np.random.default_rng([seed, MODE])
    weights = np.array(list(shares.values()))
    kind = str(rng.choice(list(shares), p=weights / weights.sum()))
    return str(rng.choice(modes[kind]))


def retry_delay(seed: int) -> float | None:
    """Draw the time of a retry after the evidence of a failure, s; None for no retry."""
    rng = np.random.default_rng([seed, RETRY])
    return float(rng.uniform(0.3, 2.5)) if rng.random() < RETRIED else None


@dataclass(frozen=True)
class RecordJob:
    """
    One episode to record.

    :param retry_delay: record the retry of a failed episode, which starts this long after the
        evidence, s; None records the episode itself
    :param joined: record the failed attempt before the retry too, in the same file
    :param noise: of the cameras, standard deviation in steps of 1 / 255; drawn by seed
    """

    task: str
    seed: int
    failure: str
    path: Path
    image_size: tuple[int, int] = (128, 128)
    retry_delay: float | None = None
    noise: float = 1.0
    robot: str = DEFAULT_ROBOT
    joined: bool = False


def plan(
    task: str, seeds: Iterable[int], out: Path, failure: str | None = None,
    successes: bool = False, image_size: tuple[int, int] = (128, 128), noise: float = 1.0,
    robot: str = DEFAULT_ROBOT, joined: bool = False,
) -> list[RecordJob]:  # fmt: skip
    """
    Return the jobs for some seeds; a failed episode may have a second job for its retry.

    :param failure: mode of all episodes; None draws it by seed, see ``mode_of``
    :param joined: whether the second job records the failed attempt too
    :raises ConfigurationError: if task, failure or robot is unknown, or the noise out of range
    """
    known = TASKS[task]
    if failure is not None:
        known.check_mode(failure)
    if robot not in ROBOTS:
        raise ConfigurationError(
            'recorder-robot-unknown', f'robot is {robot!r}, must be one of {", ".join(ROBOTS)}'
        )
    if not 0.0 <= noise <= 50.0:
        raise ConfigurationError('recorder-noise-range', f'noise is {noise}, must be in [0, 50]')
    modes = kinds(known.failures, known.variations, known.camera_only)
    jobs = []
    for seed in seeds:
        mode = failure or mode_of(seed, modes, successes)
        job = RecordJob(
            task, seed, mode, out / f'episode_{seed:06d}.mcap', image_size, noise=noise,
            robot=robot,
        )  # fmt: skip
        delay = retry_delay(seed) if mode in known.failures else None
        jobs += [job] if delay is None else [job, retry_of(job, delay, joined)]
    return jobs


def retry_mode(failure: str) -> str:
    """Return the mode of an attempt that follows a failure."""
    return f'retry_{failure}'


def retry_of(job: RecordJob, delay: float, joined: bool = False) -> RecordJob:
    """Return the job that records the retry of a failed episode, alone or joined with it."""
    suffix = JOINED_SUFFIX if joined else RETRY_SUFFIX
    path = job.path.with_name(f'{job.path.stem}{suffix}{job.path.suffix}')
    return replace(job, path=path, retry_delay=delay, joined=joined)


EPOCH: Final = 1_750_000_000 * SECOND  # ns; first stamp of every simulated episode
FRAME_PERIOD: Final = 0.1  # s between images; joints are recorded at each control step
TOLERANCE: Final = 1e-6  # s, for the sum of control periods
NOISE: Final = 0x6E6F6973  # stream of random numbers of the camera noise


class SimulatedRecorder(Protocol):
    """The part of ``viva_ros.sim.environment.Simulation`` that a recording needs."""

    @property
    def time(self) -> float:
        """Return the simulated time, s."""

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""

    @property
    def executing(self) -> bool:
        """Whether the robot executes the task, not the way home."""

    def step(self) -> None:
        """Advance by one control step."""

    def joint_positions(self) -> dict[str, float]:
        """Return positions by joint name."""

    def render(self) -> dict[str, Image]:
        """Return RGB images by camera."""

    def truth(self) -> Any:
        """Return the ground truth."""

    def retry(self) -> bool:
        """Start a retry; return whether one is possible."""

    def close(self) -> None:
        """Free the renderer."""


class StoppedError(Exception):
    """A recording was stopped before the end of its episode."""


class NoRetryError(Exception):
    """The failed attempt of a joined recording cannot be followed by a retry."""


def start(job: RecordJob) -> SimulatedRecorder:
    """Return the simulation of a job."""
    return Simulation(job.task, job.seed, job.failure, job.image_size, job.robot)


def record_episode(
    job: RecordJob,
    robot: Callable[[RecordJob], SimulatedRecorder] = start,
    stopped: Callable[[], bool] = lambda: False,
) -> bool | None:
    """
    Run a job and write its file atomically.

    :param robot: returns the simulation of a job
    :param stopped: returns whether to stop; called at every step
    :returns: whether the episode succeeded; None if no retry was possible and no file is written
    :raises StoppedError: if ``stopped`` returns true
    """
    simulation = robot(job)
    try:
        alone = job.retry_delay is not None and not job.joined
        if alone and not _fail_and_retry(job, simulation, lambda: _advance(simulation, stopped)):
            return None
        with RecordingWriter(job.path) as writer:
            return _EpisodeWriter(job, simulation, writer).run(stopped)
    except NoRetryError:
        return None
    finally:
        simulation.close()


def _fail_and_retry(
    job: RecordJob, simulation: SimulatedRecorder, advance: Callable[[], None]
) -> bool:
    """Run to the retry; return whether the robot starts it."""
    until: float | None = None
    while until is None or simulation.time < until:
        if simulation.done:
            return False
        advance()
        manifest = simulation.truth().manifest_time
        if manifest is not None and job.retry_delay is not None:
            until = manifest + job.retry_delay
    return simulation.retry()


def _advance(simulation: SimulatedRecorder, stopped: Callable[[], bool]) -> None:
    if stopped():
        raise StoppedError
    simulation.step()


class _EpisodeWriter:
    """Writes a simulation from its present state to the end of the episode."""

    def __init__(
        self, job: RecordJob, simulation: SimulatedRecorder, writer: RecordingWriter
    ) -> None:
        self._job, self._simulation, self._writer = job, simulation, writer
        self._start = simulation.time
        self._frames = 0
        self._episode = job.path.stem
        self._sensor = np.random.default_rng([job.seed, NOISE])
        self._attempts: dict[str, float] = {}

    def run(self, stopped: Callable[[], bool]) -> bool:
        """
        Record until the episode ends; return whether it succeeded.

        :raises NoRetryError: if a retry is to be recorded, and is not possible
        """
        self._add()
        if self._job.joined:
            if not _fail_and_retry(self._job, self._simulation, lambda: self._step(stopped)):
                raise NoRetryError
            self._attempts[RETRY_TIME] = self._simulation.time - self._start
        if not self._simulation.executing:
            while not self._simulation.done and not self._simulation.executing:
                self._step(stopped)
            self._attempts[ATTEMPT_TIME] = self._simulation.time - self._start
        while not self._simulation.done:
            self._step(stopped)
        truth = self._simulation.truth()
        self._label(truth)
        return bool(truth.success)

    def _step(self, stopped: Callable[[], bool]) -> None:
        _advance(self._simulation, stopped)
        self._add()

    def _add(self) -> None:
        elapsed = self._simulation.time - self._start
        stamp = EPOCH + round(elapsed * 1e9)
        positions = self._simulation.joint_positions()
        values = np.array(list(positions.values()), dtype=np.float64)
        state = joint_state(stamp, list(positions), values)
        self._writer.write('/joint_states', 'sensor_msgs/msg/JointState', state, stamp)
        if elapsed >= self._frames * FRAME_PERIOD - TOLERANCE:
            self._frames += 1
            for camera, clean in self._simulation.render().items():
                self._add_image(camera, add_noise(clean, self._job.noise, self._sensor), stamp)
            self._add_truth(self._simulation.truth(), stamp)

    def _add_image(self, camera: str, image: Image, stamp: int) -> None:
        message = jpeg_image(stamp, camera, encode_jpeg(image))
        topic = f'/{camera}/image_raw/compressed'
        self._writer.write(topic, 'sensor_msgs/msg/CompressedImage', message, stamp)

    def _add_truth(self, truth: Any, stamp: int) -> None:
        message = make(
            'viva_ros/msg/GroundTruth', header=header(stamp), episode_id=self._episode,
            task=truth.task, seed=truth.seed, failure=self._mode(), phase=truth.phase,
            attempt=truth.attempt, progress=truth.progress, success=truth.success,
            failed=truth.failed, done=self._simulation.done, time=truth.time - self._start,
            **{f'{name}_time': self._times(truth).get(name, float('nan')) for name in TIMES},
        )  # fmt: skip
        self._writer.write('/ground_truth', 'viva_ros/msg/GroundTruth', message, stamp)

    def _label(self, truth: Any) -> None:
        self._writer.metadata(
            LABEL,
            {
                'task': truth.task,
                'success': bool(truth.success),
                'failure': self._mode(),
                'seed': int(truth.seed),
                'times': {**self._times(truth), **_rounded(self._attempts)},
            },
        )

    def _mode(self) -> str:
        return retry_mode(self._job.failure) if self._start > 0.0 else self._job.failure

    def _times(self, truth: Any) -> dict[str, float]:
        """Return the times of this attempt, since its first frame."""
        known = {name: getattr(truth, f'{name}_time') for name in TIMES}
        since = {name: at - self._start for name, at in known.items() if at is not None}
        return _rounded({name: at for name, at in since.items() if at >= 0.0})


def _rounded(times: Mapping[str, float]) -> dict[str, float]:
    return {name: round(at, 6) for name, at in times.items()}


def record(jobs: Collection[RecordJob], processes: int = 2) -> dict[Path, bool | None]:
    """
    Run the jobs whose file does not exist, and show a progress bar.

    :returns: by path of each job run: success, or None if no retry was possible
    :raises RecordingError: if a worker process dies
    """
    if processes < 1:
        raise ConfigurationError(
            'recorder-processes-range', f'processes is {processes}, must be at least 1'
        )
    todo = [job for job in jobs if not job.path.exists()]
    for folder in {job.path.parent for job in todo}:
        folder.mkdir(parents=True, exist_ok=True)
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    outcomes: dict[Path, bool | None] = {}
    recorded = len(jobs) - len(todo)
    with new_bar('recording', len(jobs), recorded) as bar, _pool(processes) as pool:
        futures = {pool.submit(_work, job): job for job in todo}
        for future in as_completed(futures):
            outcomes[futures[future].path] = _result(future, futures[future])
            bar.advance(bar.task_ids[0])
    return outcomes


def _result(future: 'Future[bool | None]', job: RecordJob) -> bool | None:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RecordingError(
            'recorder-worker-died',
            f'a worker process died near seed {job.seed}, probably for lack of memory: run the '
            'command again with fewer --processes; it records the missing files',
        ) from error


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Yield worker processes; they are stopped at the end of the block without partial files."""
    context = spawn_context()
    stop = context.Event()
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(stop,))
    try:
        yield pool
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(stop: Event) -> None:
    """Prepare a worker: only the parent process handles Ctrl-C."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(job: RecordJob) -> bool | None:
    stop = _stop
    try:
        return record_episode(job, stopped=stop.is_set if stop else lambda: False)
    except StoppedError:
        return None


CPU: Final = Path('/proc/cpuinfo')
WORKER_ENVIRONMENT = {'MUJOCO_GL': 'egl', 'LP_NUM_THREADS': '1', 'OMP_NUM_THREADS': '1'}
if CPU.is_file() and 'avx2' in CPU.read_text():
    # NumPy's OpenBLAS rounds differently on processors with AVX-512. Contacts amplify that: some
    # episodes move otherwise, and an engine would not know that it was trained on them.
    WORKER_ENVIRONMENT['OPENBLAS_CORETYPE'] = 'Haswell'  # needs AVX2

_stop: Event | None = None
