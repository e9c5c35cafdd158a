# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Smoothing and sliding windows of irregular samples; stamps in ns, spans in s.

A sample holds until the next one: a window therefore also keeps the sample in force at its
beginning.
"""

import math
from collections import deque
from itertools import islice
from typing import Final


def seconds(later: int, earlier: int) -> float:
    """Return the time between two stamps, s."""
    return (later - earlier) * 1e-9


SLOWER: Final = 1.2  # ratio of rates, from which values are slower: jitter loses single frames


def is_slower(found: float, rate: float) -> bool:
    """Return whether a rate that was found is lower than a set one, both Hz; False if NaN."""
    return SLOWER * found < rate


class RateMeter:
    """
    Rate of events in the last ``span`` seconds, from the steady times of their arrival.

    The measurement begins with the first event, and again with the first after a pause of a span.
    """

    def __init__(self, span: float) -> None:
        self._span, self._began = span, math.inf
        self._events: deque[float] = deque()

    def add(self, now: float) -> None:
        """Add an event at a steady time, s."""
        self._drop(now)
        if not self._events:
            self._began = now
        self._events.append(now)

    def rate(self, now: float) -> float:
        """Return the rate, Hz; NaN before the measurement has lasted for a span."""
        self._drop(now)
        return len(self._events) / self._span if now - self._began >= self._span else math.nan

    def _drop(self, now: float) -> None:
        while self._events and self._events[0] <= now - self._span:
            self._events.popleft()


class Smoother:
    """
    Exponential moving average with a time constant, exact for irregular samples.

    y += (1 - exp(-dt / time_constant)) * (x - y); a time constant of 0 passes samples through.
    """

    def __init__(self, time_constant: float) -> None:
        self._time_constant = time_constant
        self._stamp: int | None = None
        self._smoothed = math.nan

    def reset(self) -> None:
        """Forget all samples; the next one passes through."""
        self._stamp = None

    def update(self, stamp: int, sample: float) -> float:
        """Add a sample, later than the last, and return the average."""
        if self._stamp is None or self._time_constant == 0.0:
            self._smoothed = sample
        else:
            gain = -math.expm1(-seconds(stamp, self._stamp) / self._time_constant)
            self._smoothed += gain * (sample - self._smoothed)
        self._stamp = stamp
        return self._smoothed


class Window:
    """The samples of the last ``span`` seconds, and the one in force at their beginning."""

    def __init__(self, span: float) -> None:
        self._span = round(span * 1e9)
        self._begin = 0  # of the window, ns
        self._stamps: deque[int] = deque()
        self._samples: deque[float] = deque()

    def reset(self) -> None:
        """Forget all samples."""
        self._stamps.clear()
        self._samples.clear()

    def add(self, stamp: int, sample: float) -> None:
        """
        Add a sample and drop those that are too old.

        :raises ValueError: if the stamp is not later than the last
        """
        stamps = self._stamps
        if stamps and stamp <= stamps[-1]:
            raise ValueError(f'stamp {stamp} is not later than the last, {stamps[-1]}')
        stamps.append(stamp)
        self._samples.append(sample)
        self._begin = begin = stamp - self._span
        while len(stamps) > 1 and stamps[1] <= begin:
            stamps.popleft()
            self._samples.popleft()

    @property
    def full(self) -> bool:
        """Whether the samples cover the whole span."""
        return bool(self._stamps) and self._stamps[0] <= self._begin

    def maximum(self) -> float:
        """Return the largest sample inside; the window must not be empty."""
        before = self._stamps[0] < self._begin  # true of the first sample only
        return max(islice(self._samples, 1, None) if before else self._samples)

    def held(self, share: float = 1.0) -> float:
        """
        Return the level that a share of the samples in force in the span reach; NaN until full.

        :param share: in (0, 1]: the k-th largest of n, k = ceil(share n); 1 is the smallest
        """
        if not self.full:
            return math.nan
        if share == 1.0:
            return min(self._samples)
        samples = sorted(self._samples, reverse=True)
        return samples[math.ceil(share * len(samples) - 1e-9) - 1]

    def mean(self) -> float:
        """Return the mean of the samples in force in the span; NaN until full."""
        return math.fsum(self._samples) / len(self._samples) if self.full else math.nan

    def first(self) -> float:
        """Return the value at the beginning, interpolated between samples; NaN until full."""
        if not self.full:
            return math.nan
        stamp, sample = self._stamps[0], self._samples[0]
        if stamp == self._begin:
            return sample
        after, following = self._stamps[1], self._samples[1]
        return sample + (following - sample) * (self._begin - stamp) / (after - stamp)
