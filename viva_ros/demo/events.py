# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the demo has seen so far: plain data, filled by the watcher, read by view and summary."""

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
class Notice:
    """One alert message."""

    stamp: int
    level: int
    kind: str
    value: float
    text: str
    episode: str


@dataclass(frozen=True)
class DemoTruth:
    """One ground-truth message; times in s since the episode began, NaN where there is none."""

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
    """All samples, notices and ground truth of a run; lists, since another thread appends."""

    samples: list[ValueSample] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    moments: list[DemoTruth] = field(default_factory=list)
    level: int = 1  # of supervisor/state; unknown before the first

    @property
    def now(self) -> DemoTruth | None:
        """Return the newest ground truth."""
        return self.moments[-1] if self.moments else None

    def since(self, stamp: int) -> 'DemoSession':
        """Return what came at or after a stamp."""
        return DemoSession(
            [s for s in self.samples if s.stamp >= stamp],
            [n for n in self.notices if n.stamp >= stamp],
            [m for m in self.moments if m.stamp >= stamp],
        )

    def kinds(self) -> list[str]:
        """Kinds of the notices, in order."""
        return [notice.kind for notice in self.notices]

    def known(self) -> list[ValueSample]:
        """Return the samples that carry a value."""
        return [sample for sample in self.samples if math.isfinite(sample.value)]
