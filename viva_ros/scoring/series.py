# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values of one episode as arrays, and the detector's readings of them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.reference import Reference
from viva_ros.core.detection.rules import (
    NO_DETAILS,
    Details,
    Proprioception,
    RuleReading,
    RuleSettings,
)
from viva_ros.core.observation import Array


@dataclass(frozen=True)
class ValueSeries:
    """
    Values, other estimates and joints of one episode.

    :param stamps: (N,), ns
    :param values: (N,), in [-1, 1]; NaN where unknown
    :param success: (N,), in [0, 1]; None if the engine has no such output
    :param progress: (N,), in [0, 1]; None if the engine has no such output
    :param names: names of the J joints
    :param positions: measured, (N, J), rad or m; None if unknown
    :param forecast: one horizon ahead, (N, J), rad or m; None if unknown
    :param horizon: horizon of the forecast, s
    """

    stamps: NDArray[np.int64]
    values: Array
    success: Array | None = None
    progress: Array | None = None
    names: tuple[str, ...] = ()
    positions: Array | None = None
    forecast: Array | None = None
    horizon: float = math.nan

    @property
    def duration(self) -> float:
        """Return the time from the first to the last value, s."""
        return float(self.stamps[-1] - self.stamps[0]) * 1e-9 if self.stamps.size else 0.0

    @property
    def has_success(self) -> bool:
        """Whether each known value has a probability of success."""
        known = np.isfinite(self.values)
        return self.success is not None and bool(np.isfinite(self.success[known]).all())

    def since(self, stamp: int) -> 'ValueSeries':
        """Return the part from a stamp on, ns."""
        later = self.stamps >= stamp

        def of(part: Array | None) -> Array | None:
            return None if part is None else part[later]

        return replace(
            self, stamps=self.stamps[later], values=self.values[later], success=of(self.success),
            progress=of(self.progress), positions=of(self.positions), forecast=of(self.forecast),
        )  # fmt: skip

    def details(self, index: int) -> Details:
        """Return the other outputs and the joints of one value."""
        if self.success is None and self.positions is None and self.progress is None:
            return NO_DETAILS
        return Details(
            math.nan if self.success is None else float(self.success[index]),
            math.nan if self.progress is None else float(self.progress[index]),
            self._joints(index),
        )

    def _joints(self, index: int) -> Proprioception | None:
        if self.positions is None or not np.isfinite(self.positions[index]).all():
            return None
        forecast = None if self.forecast is None else self.forecast[index]
        known = forecast is not None and bool(np.isfinite(forecast).all())
        return Proprioception(
            self.names, self.positions[index], forecast if known else None, self.horizon
        )


def walk(
    series: ValueSeries, rules: RuleSettings, expected: Reference | None = None
) -> Iterator[dict[str, RuleReading]]:
    """Yield the rule readings of each known value, from a detector without thresholds."""
    detector = Detector(DetectorSettings(rules=rules), {}, expected)
    for index, (stamp, value) in enumerate(
        zip(series.stamps.tolist(), series.values.tolist(), strict=True)
    ):
        detector.update(stamp, value, details=series.details(index))
        if math.isfinite(value):
            yield detector.readings
