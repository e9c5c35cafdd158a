# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Judge whether a process makes progress, and when to start a killed one again.

Wall time alone cannot tell a process that hangs from one that gets no processor. So the time since
a request is divided into time in which the process used the processor, waited for it (or for its
memory to be read from the disk), and did neither. Only the last is the time of a hang. This module
reads no clock and no /proc: it is given the figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: Limit of the CPU time of one thread, in limits of idle time: on a busy machine a computation
#: takes more CPU time, since programs share caches, memory and the halves of a core.
LOOP: Final = 3.0
READINGS: Final = 10  # within the limit of idle time
SHORTEST_PERIOD: Final = 1e-3  # s, between two readings
LONGEST_PERIOD: Final = 0.1  # s


@dataclass(frozen=True)
class ThreadUsage:
    """
    Figures of a thread since its start.

    :param used: CPU time, s
    :param waited: time in which it was runnable and did not run, s; 0 where it is not counted
    :param runnable: whether it runs or waits for the processor now
    """

    used: float
    waited: float
    runnable: bool


@dataclass(frozen=True)
class ProcessUsage:
    """
    Figures of a process since its start.

    :param threads: by thread id
    :param page_faults: number of pages that were read from the disk
    """

    threads: Mapping[int, ThreadUsage]
    page_faults: int = 0


@dataclass(frozen=True)
class ProgressLimits:
    """
    Limits of one request.

    :param idle: time in which the process neither uses the processor nor waits for it, s; one
        thread may use LOOP times as much CPU time
    :param wall: wall time, s; at least ``idle``
    """

    idle: float
    wall: float

    @property
    def period(self) -> float:
        """Return the time between two readings, s."""
        return min(max(self.idle / READINGS, SHORTEST_PERIOD), LONGEST_PERIOD)


@dataclass
class ProgressWatch:
    """
    Watches one request.

    A reading counts as idle for two periods at most: a watcher that was itself delayed, or stopped
    with the whole machine, did not see that the process had a processor.

    :param began: steady time of the request, s
    :param used: CPU time of all threads so far, s
    :param waited: time spent waiting for the processor or for memory so far, s
    :param idle: time spent otherwise so far, s
    """

    limits: ProgressLimits
    began: float
    used: float = 0.0
    waited: float = 0.0
    idle: float = 0.0
    _last: float = field(init=False)
    _usage: ProcessUsage | None = field(default=None, init=False)
    _busiest: dict[int, float] = field(default_factory=dict, init=False)  # CPU time by thread
    _readable: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        """Begin at the request."""
        self._last = self.began

    def update(self, now: float, usage: ProcessUsage | None) -> str:
        """
        Add a reading.

        :param now: steady time, s
        :param usage: None if the figures cannot be read: then wall time decides
        :returns: why the process must be killed; '' while it may go on
        """
        span, self._last = max(0.0, now - self._last), now
        before, self._usage = self._usage, usage
        self._readable = usage is not None
        if usage is None:
            self.idle += span
        else:
            used, active = (0.0, 0.0) if before is None else self._compare(before, usage, span)
            self.used += used
            self.waited += max(0.0, active - used)
            self.idle += min(span - active, 2.0 * self.limits.period)
        return self._verdict(now - self.began)

    @property
    def delay(self) -> str:
        """Return why there is no answer yet, for a person."""
        wall = self._last - self.began
        if self._readable and self.waited > max(self.used / LOOP, self.idle):
            return (
                f'the machine is overloaded: the estimate has got {self.used:.2f} s of CPU in '
                f'{wall:.1f} s, and has waited {self.waited:.1f} s for it'
            )
        return (
            f'the engine has not answered for {wall:.1f} s, in which it used {self.used:.2f} s of '
            f'CPU; limit {self.limits.idle:g} s'
        )

    def _compare(
        self, before: ProcessUsage, after: ProcessUsage, span: float
    ) -> tuple[float, float]:
        """Return CPU time of all threads, and time in which one of them ran or waited, s."""
        used, active = 0.0, 0.0
        for number, thread in after.threads.items():
            earlier = before.threads.get(number, ThreadUsage(0.0, 0.0, runnable=False))
            ran = min(span, max(0.0, thread.used - earlier.used))
            self._busiest[number] = self._busiest.get(number, 0.0) + ran
            used += ran
            active += ran + max(0.0, thread.waited - earlier.waited)
        if any(thread.runnable for thread in after.threads.values()):
            active = span  # its waiting is counted only when it runs again
        if after.page_faults > before.page_faults:
            active = span
        return used, min(span, active)

    def _verdict(self, wall: float) -> str:
        limit = self.limits.idle
        if self.idle >= limit:
            how = (
                f'it used {self.used:.2f} s of CPU in {wall:.1f} s'
                if self._readable
                else 'wall time: /proc does not show whether it makes progress'
            )
            return f'engine has not answered for {limit:g} s ({how})'
        most, longest = max(self._busiest.values(), default=0.0), LOOP * limit
        if most >= longest:
            return f'engine has used {most:.1f} s of CPU without an answer, limit {longest:g} s'
        if wall >= max(limit, self.limits.wall):
            return (
                f'engine has got {self.used:.2f} s of CPU in {wall:.1f} s on an overloaded '
                f'machine, limit {self.limits.wall:g} s'
            )
        return ''


FIRST_DELAY: Final = 1.0  # s
LONGEST_DELAY: Final = 60.0  # s
CALM: Final = 60.0  # s of answers, after which failures are forgotten


class RestartBackoff:
    """Doubles the time until the next start with each failure, from 1 s to 60 s."""

    def __init__(self) -> None:
        self._failures = 0
        self._calm_since: float | None = None

    def fail(self, share: float) -> float:
        """
        Note a failure.

        :param share: random number in [0, 1], so that processes that failed together do not start
            together
        :returns: time until the next start, s
        """
        longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        self._calm_since = None
        return share * longest

    def succeed(self, now: float) -> None:
        """Note an answer at a steady time, s."""
        if self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= CALM:
            self._failures = 0
