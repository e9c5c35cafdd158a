# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which engine a monitor gets: one of its own, in this process or another, or a server's."""

from viva_ros.nodes.settings import MonitorSettings
from viva_ros.runtime.engine import Engine, load
from viva_ros.runtime.exchange import address_of
from viva_ros.runtime.manifest import named
from viva_ros.runtime.process_engine import ProcessEngine
from viva_ros.runtime.shared import SharedEngine
from viva_ros.runtime.shipped import engine_folder


def load_engine(settings: MonitorSettings) -> Engine:
    """
    Load the engine that the parameters name.

    :raises EngineError: naming what does not fit and the command that mends it
    """
    folder = engine_folder(settings.engine, settings.task)

    def own() -> Engine:
        if settings.isolate:
            return ProcessEngine(folder, settings.task, settings.engine_kind, settings.hang_after)
        return load(folder, settings.task, settings.engine_kind)

    if not settings.engine_server:
        return own()
    address = address_of(settings.engine_server)
    return SharedEngine(address, settings.task, own, named(folder), settings.hang_after)
