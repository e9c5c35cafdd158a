# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Log of a node under test, the same for all nodes."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from viva_ros.core.files import write_atomically
from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import Engine
from viva_ros.engine.isolated_process import ProcessEngine
from viva_ros.engine.usage import cpu_seconds, peak_mib

BEAT: Final = 0.05  # s


class TimedEngine:
    """Engine that logs the wall time and the CPU time of each estimate, s."""

    def __init__(self, engine: Engine) -> None:
        self.info, self._engine = engine.info, engine
        self.seconds: dict[int, tuple[float, float]] = {}

    def estimate(self, observation: Observation) -> Estimate:
        """Estimate and log the times."""
        began, used = time.monotonic(), time.thread_time()
        estimate = self._engine.estimate(observation)
        took = time.monotonic() - began, time.thread_time() - used
        self.seconds[observation.stamp] = took
        return estimate

    @property
    def process_id(self) -> int | None:
        """Return the id of the process of the engine; None without one."""
        return self._engine.process_id if isinstance(self._engine, ProcessEngine) else None

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()


@dataclass
class Log:
    """
    Ticks of a timer in the executor of the node, with the CPU time until then, s.

    The CPU time is that of this process and of the process of the engine.

    :param path: file of the log; a file '.ready' next to it marks the first value
    :param values: [stamp, ns; latency, s; wait for the rate, s]
    """

    path: Path
    engine: TimedEngine | None = None
    beats: list[tuple[float, float, float]] = field(default_factory=list)
    values: list[tuple[int, float, float]] = field(default_factory=list)

    def start(self, node: Node) -> None:
        """Start the timer."""
        node.create_timer(BEAT, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _beat(self) -> None:
        child = self.engine.process_id if self.engine is not None else None
        of_child = cpu_seconds(child) if child is not None else 0.0
        self.beats.append((time.monotonic(), time.process_time(), of_child))

    def note(self, stamp: int, latency: float, wait: float = 0.0) -> None:
        """Log a value."""
        if not self.values:
            self.path.with_suffix('.ready').touch()
        self.values.append((stamp, latency, wait))

    def write(self) -> None:
        """Write the log."""
        engine = self.engine
        if engine is None:  # it was never loaded
            return
        values = [(*v, *engine.seconds.get(v[0], (None, None))) for v in self.values]
        content: dict[str, Any] = {'beat': BEAT, 'beats': self.beats, 'values': values}
        child = engine.process_id
        content['memory_mib'] = peak_mib() + (peak_mib(child) if child is not None else 0.0)
        write_atomically(self.path, json.dumps(content))
