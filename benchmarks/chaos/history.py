# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What happened in a run: messages as they were recorded, and what was done to the processes.

All times are those of the recorder's machine, s since the epoch; stamps are ns.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

TASK: Final = 'tray_lift'  # of calibration, supervisor and robot
OTHER_TASK: Final = 'cube_transfer'  # that the engine knows, too
#: Levels, as in Alert.
OK, UNKNOWN, WARN, ALARM, NEEDS_OPERATOR, LATCHED, PAUSED = range(7)


@dataclass(frozen=True)
class RecordedValue:
    """
    One Value.

    :param inputs: name to stamp, ns
    :param node: of its publisher; '' if it was not discovered
    :param publisher: its identity in the middleware
    :param session: of the monitor; 0 if the message has none
    :param task: that it judges
    """

    at: float
    stamp: int
    known: bool
    value: float
    inputs: Mapping[str, int] = field(default_factory=dict)
    node: str = 'monitor'
    publisher: str = 'a'
    session: int = 0
    task: str = TASK


@dataclass(frozen=True)
class RecordedAlert:
    """One Alert; its stamp is that of the value that caused it."""

    at: float
    stamp: int
    level: int
    kind: str
    session: int = 1


@dataclass(frozen=True)
class RecordedState:
    """One SupervisorState."""

    at: float
    level: int
    kind: str = ''
    session: int = 1
    executing: bool = True


@dataclass(frozen=True)
class RecordedInput:
    """One image or joint state: its source is the name in ``RecordedValue.inputs``."""

    at: float
    source: str
    stamp: int
    publisher: str = 'a'


@dataclass(frozen=True)
class Liveliness:
    """A change of liveliness on the heartbeat of a node."""

    at: float
    node: str
    alive: bool


@dataclass(frozen=True)
class Disturbance:
    """
    One disturbance as it happened.

    :param kind: a kind of schedule.py
    :param end: when it was over; of a killed process, when the next one was started
    """

    kind: str
    target: str
    begin: float
    end: float

    def overlaps(self, begin: float, end: float) -> bool:
        """Return whether it happened in a span of time."""
        return self.begin < end and begin < self.end


@dataclass(frozen=True)
class Sample:
    """Memory, MiB, and handles (files and threads) of one process."""

    at: float
    node: str
    pid: int
    memory: float
    handles: int


@dataclass(frozen=True)
class FileFinding:
    """A file that the watch has left; ``fault`` is '' if it is whole."""

    path: str
    fault: str = ''


@dataclass(frozen=True)
class Clock:
    """The time of /clock, ns, at the time of its receipt."""

    at: float
    now: int


STALL: Final = 0.05  # s; a timer may be this late
UNDER_WAY: Final = 0.5  # s, from the publication of a message to its receipt


@dataclass(frozen=True)
class History:
    """
    A run; each sequence is in order of time.

    :param late: time and lateness of the runner's own timer, s: how busy the machine was
    :param quiet: end of the last disturbance
    """

    values: Sequence[RecordedValue] = ()
    alerts: Sequence[RecordedAlert] = ()
    states: Sequence[RecordedState] = ()
    inputs: Sequence[RecordedInput] = ()
    retries: Sequence[float] = ()
    liveliness: Sequence[Liveliness] = ()
    disturbances: Sequence[Disturbance] = ()
    samples: Sequence[Sample] = ()
    files: Sequence[FileFinding] = ()
    clock: Sequence[Clock] = ()
    late: Sequence[tuple[float, float]] = ()
    begin: float = 0.0
    quiet: float = 0.0
    end: float = 0.0

    def allowance(self, begin: float, end: float) -> float:
        """
        Return how much later than on an idle machine things may happen in a span of time, s.

        It is four times the worst lateness of the runner's timer in the span: a message passes
        through up to four processes, each of which can be as late.
        """
        late = [lateness for at, lateness in self.late if begin - 1.0 <= at <= end + 1.0]
        return STALL + 4.0 * max(late, default=0.0)

    def state_at(self, at: float) -> RecordedState | None:
        """Return the state that was published last."""
        row = bisect_right(self.states, at, key=lambda one: one.at)
        return self.states[row - 1] if row else None

    def ages(self, at: float, stamp: int) -> list[float]:
        """
        Return the possible ages of a stamp at a time of the recorder, s.

        A message takes up to UNDER_WAY: /clock may have jumped after it was published.
        """
        if not self.clock:
            return [(round(at * 1e9) - stamp) * 1e-9]
        begin = bisect_right(self.clock, at - UNDER_WAY, key=lambda one: one.at) - 1
        end = bisect_right(self.clock, at, key=lambda one: one.at)
        return [(one.now - stamp) * 1e-9 for one in self.clock[max(0, begin) : max(1, end)]]

    def spans_of(self, level: int) -> Iterator[tuple[float, float]]:
        """Yield the spans of time in which the state had a level."""
        return ((one.at, end) for one, end in self.lasting() if one.level == level)

    def lasting(self) -> Iterator[tuple[RecordedState, float]]:
        """Yield each state and its end."""
        ends = [*(one.at for one in self.states[1:]), self.end]
        return zip(self.states, ends, strict=True) if self.states else iter(())

    def of(self, *kinds: str, target: str = '') -> list[Disturbance]:
        """Return the disturbances of some kinds, and of a target if one is named."""
        return [one for one in self.disturbances
                if one.kind in kinds and target in ('', one.target)]  # fmt: skip
