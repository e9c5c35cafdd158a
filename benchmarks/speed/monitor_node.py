# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The unchanged monitor with a log of its engine times and of a timer in its executor."""

import os
import sys
from pathlib import Path
from typing import Any

from benchmarks.speed.node_log import Log, TimedEngine
from viva_ros.bringup.processes import environment
from viva_ros.core.observation import Estimate
from viva_ros.engine.background_task import nothing
from viva_ros.msg import Value
from viva_ros.nodes.estimation import EstimationOutcome, OnStart
from viva_ros.nodes.main import run
from viva_ros.nodes.monitor import Monitor
from viva_ros.nodes.settings import MonitorSettings


class LoggedMonitor(Monitor):
    """Writes its log to the file named by the environment when it ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._log = Log(Path(sys.argv[1]))
        self._log.start(self)

    def load_engine(self, settings: MonitorSettings, started: OnStart = nothing) -> TimedEngine:
        """Load the engine and time it."""
        self._log.engine = TimedEngine(super().load_engine(settings, started))
        return self._log.engine

    def publish_value(self, estimate: Estimate, outcome: EstimationOutcome, now: int) -> Value:
        """Publish a value and log the time."""
        value = super().publish_value(estimate, outcome, now)
        self._log.note(outcome.selection.stamp, value.latency, outcome.wait)
        return value

    def close(self) -> bool:
        """Close the node and write the log."""
        self._log.write()
        return super().close()


if __name__ == '__main__':
    os.environ |= environment()
    run(LoggedMonitor)
