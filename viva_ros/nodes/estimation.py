# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run an engine in a worker thread: one selection in, one outcome out."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from viva_ros.core.errors import DeviceError, EngineError, InputError
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Estimate, Unknown
from viva_ros.engine.api import Engine, Interruptible
from viva_ros.engine.background_task import nothing
from viva_ros.engine.factory import load
from viva_ros.engine.isolated_process import ProcessEngine
from viva_ros.engine.manifest import named
from viva_ros.engine.observation_builder import Observer
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.protocol import address_of
from viva_ros.engine.resources import engine_folder
from viva_ros.engine.worker import EngineWorker, retry_on_device_error
from viva_ros.nodes.diagnostics import OK, WARN
from viva_ros.nodes.settings import MonitorSettings

OnStart = Callable[[Interruptible], Any]


def load_engine(settings: MonitorSettings, started: OnStart = nothing) -> Engine:
    """
    Load the engine that the parameters name; without ROS, so that any thread can call it.

    :param started: called with an isolated engine as soon as its process loads
    :raises EngineError: naming the mismatch and the command that fixes it
    """
    folder = engine_folder(settings.engine, settings.task)

    def own() -> Engine:
        if settings.isolate:
            return ProcessEngine(
                folder, settings.task, settings.engine_kind, settings.estimate_timeout, started,
                settings.overload_timeout,
            )  # fmt: skip
        return load(folder, settings.task, settings.engine_kind)

    if not settings.engine_server:
        return own()
    return SharedEngine(
        address_of(settings.engine_server), settings.task, own, named(folder),
        settings.estimate_timeout, settings.overload_timeout,
    )  # fmt: skip


class Interruption:
    """Interrupts the loading of an isolated engine from another thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._engine: Interruptible | None = None
        self._interrupted = False

    def hold(self, engine: Interruptible) -> None:
        """Store the engine that is being loaded; called in the thread that loads it."""
        with self._guard:
            self._engine = engine
        if self._interrupted:
            engine.interrupt()

    def interrupt(self) -> None:
        """Interrupt the loading, now or when it starts."""
        with self._guard:
            self._interrupted = True
        if self._engine is not None:
            self._engine.interrupt()


@dataclass(frozen=True)
class EstimationOutcome:
    """
    The result of one selection.

    :param generation: number passed to ``submit``: outcomes from before a time jump are dropped
    :param wait: time between the complete set of inputs and its submission, due to the rate, s
    :param fatal: error that must end the process; None if there is none
    """

    selection: Selection[Any]
    result: Estimate | Unknown
    generation: int
    wait: float = 0.0
    fatal: DeviceError | None = None


Job = tuple[Selection[Any], int, float]


class Estimation:
    """Owns the engine and its worker thread; accepts a selection while idle."""

    def __init__(
        self, engine: Engine, observer: Observer[Any], notify: Callable[[], None]
    ) -> None:
        """:param notify: called in the worker thread when an outcome is ready."""
        self._engine, self._observer = engine, observer
        self._worker: EngineWorker[Job, EstimationOutcome] = EngineWorker(self._work, notify)
        self.take = self._worker.take

    @property
    def idle(self) -> bool:
        """Whether a selection would be processed at once; not before the last outcome is taken."""
        return self._worker.idle

    @property
    def busy_for(self) -> float:
        """Duration of the current estimate so far, s; 0 when idle."""
        return self._worker.busy_for

    @property
    def engine_state(self) -> tuple[bytes, str]:
        """Level for /diagnostics, and the backend or server that estimates."""
        if not isinstance(self._engine, SharedEngine):
            return OK, self._engine.info.kind
        return OK if self._engine.is_served else WARN, self._engine.state

    @property
    def restarts(self) -> int:
        """Return the number of restarts of the isolated engine process."""
        return self._engine.restarts if isinstance(self._engine, Interruptible) else 0

    def delay(self, limit: float) -> str:
        """
        Return why the current estimate has not ended, for a person.

        :param limit: of its time, s
        """
        engine, spent = self._engine, self.busy_for
        known = engine.delay if isinstance(engine, ProcessEngine | SharedEngine) else None
        if known is None:
            return (
                f'the engine has not answered for {spent:.1f} s, limit {limit:g} s: '
                'restart the node'
            )
        return known or (
            f'the estimate has lasted {spent:.1f} s, limit {limit:g} s, and the engine does not '
            'work on it: images wait to be decoded, as the machine is overloaded'
        )

    def submit(self, selection: Selection[Any], generation: int, wait: float = 0.0) -> None:
        """Start an estimate; only when idle."""
        self._worker.submit((selection, generation, wait))

    def forget(self) -> None:
        """Forget earlier images; only when idle."""
        self._observer.reset()

    def stop(self) -> None:
        """Stop notifying of outcomes; return at once."""
        self._worker.stop()

    def close(self) -> bool:
        """
        End the thread and free the engine; False if an estimate hangs, which keeps both alive.

        Blocks for up to a second: called in a thread.
        """
        if isinstance(self._engine, Interruptible):
            self._engine.interrupt()
        if not self._worker.close():
            return False
        self._engine.close()
        del self._worker, self.take  # a cycle: sockets and memory of the engine would stay
        return True

    def _work(self, job: Job) -> EstimationOutcome:
        selection, generation, wait = job
        try:
            return EstimationOutcome(selection, self._estimate(selection), generation, wait)
        except DeviceError as error:
            unknown = Unknown('engine', str(error))
            return EstimationOutcome(selection, unknown, generation, fatal=error)

    def _estimate(self, selection: Selection[Any]) -> Estimate | Unknown:
        try:
            observation = self._observer.observe(selection)
            if isinstance(observation, Unknown):
                return observation
            return retry_on_device_error(lambda: self._engine.estimate(observation), self._engine)
        except InputError as error:
            return Unknown('input', str(error))
        except DeviceError:
            raise
        except EngineError as error:
            return Unknown('engine', str(error))
        except Exception as error:  # the thread must survive any error of a library
            return Unknown('engine', f'engine failed: {error!r}')


OVERDUE: Final = 1.5  # minimum intervals


class RateLimiter:
    """
    Limits the rate of estimates by the time since the last one.

    A fixed grid of due times would delay each frame by up to a period. The minimum interval is 0.9
    periods, so that the jitter of a camera of the same rate loses no frame.
    """

    def __init__(self, rate: float) -> None:
        """:param rate: Hz."""
        self._interval = 0.9 / rate
        self._last = -math.inf

    @property
    def due_at(self) -> float:
        """Time of the next estimate, s; minus infinity before the first."""
        return self._last + self._interval

    def due(self, now: float) -> bool:
        """Return whether an estimate is due at a time, s."""
        return now >= self.due_at

    def overdue(self, now: float) -> bool:
        """Return whether to estimate from an incomplete set of inputs at a time, s."""
        return now >= self._last + OVERDUE * self._interval

    def mark(self, now: float) -> None:
        """Note the time of an estimate, s."""
        self._last = now


class ClockWatchdog:
    """Detects a simulated clock (/clock) that has stopped."""

    LIMIT = 0.5  # s

    def __init__(self) -> None:
        self._clock = -1
        self._since = 0.0

    def update(self, steady: float, clock: int) -> bool:
        """
        Return whether the clock has not advanced for ``LIMIT``.

        :param steady: steady time, s
        :param clock: time of the node's clock, ns
        """
        if clock != self._clock:
            self._clock, self._since = clock, steady
        return steady - self._since > self.LIMIT
