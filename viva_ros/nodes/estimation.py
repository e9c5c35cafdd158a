# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine at work in a thread of its own: one selection in, one outcome out."""

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
from viva_ros.engine.worker import EngineWorker, with_one_more_try
from viva_ros.nodes.diagnostics import OK, WARN
from viva_ros.nodes.settings import MonitorSettings

Started = Callable[[Interruptible], Any]


def load_engine(settings: MonitorSettings, started: Started = nothing) -> Engine:
    """
    Load the engine that the parameters name; uses nothing of ROS, so any thread can call it.

    :param started: called with an engine in a process of its own while that loads
    :raises EngineError: naming what does not fit and the command that mends it
    """
    folder = engine_folder(settings.engine, settings.task)

    def own() -> Engine:
        if settings.isolate:
            kind, patience = settings.engine_kind, settings.hang_after
            return ProcessEngine(folder, settings.task, kind, patience, started)
        return load(folder, settings.task, settings.engine_kind)

    if not settings.engine_server:
        return own()
    address = address_of(settings.engine_server)
    return SharedEngine(address, settings.task, own, named(folder), settings.hang_after)


class Interruption:
    """Ends the loading of an engine in a process of its own from another thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._engine: Interruptible | None = None
        self._interrupted = False

    def hold(self, engine: Interruptible) -> None:
        """Take the engine that is being loaded; called in the thread that loads it."""
        with self._guard:
            self._engine = engine
        if self._interrupted:
            engine.interrupt()

    def interrupt(self) -> None:
        """End the loading, now or when it starts."""
        with self._guard:
            self._interrupted = True
        if self._engine is not None:
            self._engine.interrupt()


@dataclass(frozen=True)
class EstimationOutcome:
    """
    What came of one selection.

    :param generation: as it was submitted: an outcome from before a jump of time is not wanted
    :param fatal: the error because of which the process must end; None: it goes on
    :param wait: of the complete set for its time, as the rate has it, s
    """

    selection: Selection[Any]
    result: Estimate | Unknown
    generation: int
    wait: float = 0.0
    fatal: DeviceError | None = None


Job = tuple[Selection[Any], int, float]


class Estimation:
    """Owns the engine; ask whether it is idle before giving it work."""

    def __init__(
        self, engine: Engine, observer: Observer[Any], notify: Callable[[], None]
    ) -> None:
        """:param notify: called in the worker's thread when an outcome can be taken."""
        self._engine, self._observer = engine, observer
        self._worker: EngineWorker[Job, EstimationOutcome] = EngineWorker(self._work, notify)
        self.take = self._worker.take

    @property
    def idle(self) -> bool:
        """Whether a selection would be worked on at once."""
        return self._worker.idle

    @property
    def busy_for(self) -> float:
        """How long the present estimate has taken, s; 0 when idle."""
        return self._worker.busy_for

    @property
    def engine_state(self) -> tuple[bytes, str]:
        """How the engine does: a level for /diagnostics, and who estimates."""
        if not isinstance(self._engine, SharedEngine):
            return OK, self._engine.info.kind
        return OK if self._engine.is_served else WARN, self._engine.state

    @property
    def restarts(self) -> int:
        """How often a process of the engine's own had to be started again."""
        return self._engine.restarts if isinstance(self._engine, Interruptible) else 0

    def submit(self, selection: Selection[Any], generation: int, wait: float = 0.0) -> None:
        """Estimate from a selection, when idle."""
        self._worker.submit((selection, generation, wait))

    def forget(self) -> None:
        """Forget earlier pictures, when idle."""
        self._observer.reset()

    def stop(self) -> None:
        """Notify of no further outcome; returns at once."""
        self._worker.stop()

    def close(self) -> bool:
        """
        End the thread and free the engine; False if an estimate hangs, which keeps both.

        Takes up to a second: called in a thread.
        """
        if isinstance(self._engine, Interruptible):
            self._engine.interrupt()
        if not self._worker.close():
            return False
        self._engine.close()
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
            return with_one_more_try(lambda: self._engine.estimate(observation), self._engine)
        except InputError as error:
            return Unknown('input', str(error))
        except DeviceError:
            raise
        except EngineError as error:
            return Unknown('engine', str(error))
        except Exception as error:  # the thread must live whatever a library raises
            return Unknown('engine', f'engine failed: {error!r}')


LATE: Final = 1.5  # spacings


class Pace:
    """
    Keeps a rate by the time since the last estimate.

    A fixed grid of due times would make each frame wait for its point of the grid, up to a whole
    period. A tenth of the period is let go, so that a camera of the same rate is never late.
    """

    def __init__(self, rate: float) -> None:
        """:param rate: Hz."""
        self._spacing = 0.9 / rate
        self._last = -math.inf

    @property
    def due_at(self) -> float:
        """When it will be time, s; minus infinity before the first."""
        return self._last + self._spacing

    def due(self, now: float) -> bool:
        """Return whether it is time, s."""
        return now >= self.due_at

    def overdue(self, now: float) -> bool:
        """Return whether it is time to take what there is, s: who is awaited may not come."""
        return now >= self._last + LATE * self._spacing

    def take(self, now: float) -> None:
        """Use the time."""
        self._last = now


class Pause:
    """Tells when a clock that others drive (/clock) has stopped."""

    LIMIT = 0.5  # s

    def __init__(self) -> None:
        self._clock = -1
        self._since = 0.0

    def update(self, steady: float, clock: int) -> bool:
        """
        Compare the clock, ns, with itself earlier.

        :param steady: s
        """
        if clock != self._clock:
            self._clock, self._since = clock, steady
        return steady - self._since > self.LIMIT
