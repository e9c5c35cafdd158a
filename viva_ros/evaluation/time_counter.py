# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The engine that only counts time: a metric that it wins does not measure the task."""

from dataclasses import replace

from viva_ros.core.observation import Estimate, Observation
from viva_ros.engine.api import EngineInfo


class TimeCounter:
    """
    Value = elapsed time / mean duration: it rises with perfect order whatever happens.

    As ``overdue`` it falls instead, so that the calibrated floor becomes a time-out: the only
    alarm that a clock can give.
    """

    def __init__(self, info: EngineInfo, mean_duration: float, overdue: bool = False) -> None:
        """
        Begin an episode.

        :param info: of the engine that it keeps step with
        :param mean_duration: of successful episodes, s
        """
        name = 'overdue' if overdue else 'elapsed'
        self.info = replace(info, fingerprint=f'time counter, {name}', kind='time')
        self._rate = (-1.0 if overdue else 1.0) / mean_duration
        self._begin: int | None = None

    def estimate(self, observation: Observation) -> Estimate:
        """Count from the first observation on."""
        if self._begin is None:
            self._begin = observation.stamp
        elapsed = (observation.stamp - self._begin) * 1e-9
        return Estimate(elapsed * self._rate, {})

    def close(self) -> None:
        """Nothing is held."""
