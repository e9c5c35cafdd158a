# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an alert is to show: the samples of the windows that led to it."""

import math
from collections import deque
from collections.abc import Mapping

from viva_ros.core.detection.rules import NOTHING, Reading


class Trace:
    """The values and readings of the last ``span`` seconds."""

    def __init__(self, span: float) -> None:
        self._span = round(span * 1e9)
        self._samples: deque[tuple[int, float, Mapping[str, Reading]]] = deque()

    def reset(self) -> None:
        """Forget all samples."""
        self._samples.clear()

    def add(self, stamp: int, value: float, readings: Mapping[str, Reading]) -> None:
        """Add a sample, later than the last, and drop what is too old."""
        self._samples.append((stamp, value, readings))
        while self._samples[0][0] < stamp - self._span:
            self._samples.popleft()

    def of(self, kind: str) -> tuple[tuple[int, float, float], ...]:
        """Give stamp (ns), value and a rule's statistic of each sample; NaN where it had none."""
        return tuple(
            (stamp, value, readings.get(kind, NOTHING).statistic if readings else math.nan)
            for stamp, value, readings in self._samples
        )
