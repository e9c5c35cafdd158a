# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine a monitor gets: one of its own, in this process or another, or a server's."""

import threading
from collections.abc import Callable
from typing import Any

from viva_ros.engine.api import Engine, Interruptible, load
from viva_ros.engine.background_task import nothing
from viva_ros.engine.isolated_process import ProcessEngine
from viva_ros.engine.manifest import named
from viva_ros.engine.remote.client import SharedEngine
from viva_ros.engine.remote.protocol import address_of
from viva_ros.engine.resources import engine_folder
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
