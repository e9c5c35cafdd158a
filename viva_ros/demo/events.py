# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Data of a demo run: filled by the watcher, read by view and summary."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ValueSample:
    """One value message; value is NaN when unknown. Stamps in ns, latency in s."""

    stamp: int
    value: float
    latency: float
    reason: str
    episode: str


@dataclass(frozen=True)
class DemoAlert:
    """One alert message."""

    stamp: int
    level: int
    kind: str
    value: float
    text: str
    episode: str


@dataclass(frozen=True)
class DemoTruth:
    """One ground-truth message; times in s since the start of the episode, NaN if undefined."""

    stamp: int
    time: float
    attempt: int
    phase: str
    progress: float
    success: bool
    failed: bool
    done: bool
    inject: float
    manifest: float


@dataclass
class DemoSession:
    """All samples, alerts and ground truth of a run; another thread appends to the lists."""

    samples: list[ValueSample] = field(default_factory=list)
    alerts: list[DemoAlert] = field(default_factory=list)
    truths: list[DemoTruth] = field(default_factory=list)
    level: int = 1  # of supervisor/state; UNKNOWN before the first message

    @property
    def now(self) -> DemoTruth | None:
        """Newest ground truth; None before the first."""
        return self.truths[-1] if self.truths else None

    def since(self, stamp: int) -> 'DemoSession':
        """Return the data at or after a stamp, ns."""
        return DemoSession(
            [s for s in self.samples if s.stamp >= stamp],
            [n for n in self.alerts if n.stamp >= stamp],
            [m for m in self.truths if m.stamp >= stamp],
        )

    def kinds(self) -> list[str]:
        """Return the kinds of the alerts, in order."""
        return [alert.kind for alert in self.alerts]

    def known(self) -> list[ValueSample]:
        """Return the samples with a known value."""
        return [sample for sample in self.samples if math.isfinite(sample.value)]
