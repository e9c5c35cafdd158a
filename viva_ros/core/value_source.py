# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Acceptance of values: stamps, sender and episode are checked before any state changes.

A source is one publisher of one monitor process. A value that is too old, or made of inputs that
are, ahead of the clock, of another episode or of another task is refused: it is not heard, and
reaches no rule. While two sources are heard, the values of both are refused. Another monitor is
accepted as soon as the earlier one is silent: a killed monitor does not block the next one.
"""

import math
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from viva_ros.core.detection.staleness import SilenceSettings
from viva_ros.core.settings import validate
from viva_ros.core.windows import seconds

#: Causes of a refusal, the most important first: it is the reason of the level.
TWO_MONITORS, JUMPS, EPISODE, STALE, AHEAD = CAUSES = (
    'two_monitors', 'jumps', 'episode', 'stale', 'ahead'
)  # fmt: skip
EPISODE_LAG: Final = 5.0  # s; a monitor may carry the previous episode for this time
LONGEST_HOLD: Final = 10.0  # s; see ``ValueSources``
QUIET: Final = 30.0  # s without two sources, after which the hold is the silence limit again
MEMORY: Final = 5.0  # s; a cause is reported for this time after its last refusal
JUMPS_ALLOWED, JUMP_SPAN = 3, 10.0  # jumps back within s
MAX_SOURCES: Final = 16  # remembered at most, so that a flood takes no memory


class ValueSource(NamedTuple):
    """
    Sender of a value.

    :param publisher: GID of the publisher; empty where the middleware does not tell it
    :param session: start of the monitor process, ns
    """

    publisher: bytes
    session: int


class Refusal(NamedTuple):
    """
    Why a value is refused.

    :param cause: one of ``CAUSES``
    :param text: a sentence with the figure and the remedy
    """

    cause: str
    text: str


class OwnEpisode(NamedTuple):
    """
    What the supervisor has announced, and what a value says of it.

    :param id: '' without an episode
    :param task: of the episode
    :param executing: whether values are judged; None before the supervisor knows it
    """

    id: str = ''
    task: str = ''
    executing: bool | None = False


class OwnEpisodes:
    """The episodes that values may carry: the present one, and earlier ones for a while."""

    def __init__(self) -> None:
        self.current = OwnEpisode()
        self._ended: dict[OwnEpisode, tuple[int, float]] = {}  # to ROS time, ns, and steady, s

    def announce(self, episode: OwnEpisode, now: int, steady: float) -> None:
        """Set the present episode; ``now`` is ROS time, ns, ``steady`` in s."""
        if episode == self.current:
            return
        self._ended = {
            one: ended for one, ended in self._ended.items() if self._lags(*ended, now, steady)
        }
        self._ended[self.current] = now, steady
        self._ended.pop(episode, None)
        self.current = episode

    def refusal(self, found: OwnEpisode, now: int, steady: float) -> Refusal | None:
        """Return why values that carry an episode are refused; None if they are accepted."""
        if self._is_of(found, self.current):
            return None
        lagging = [one for one, at in self._ended.items() if self._lags(*at, now, steady)]
        if any(self._is_of(found, one) for one in lagging):
            return None
        return Refusal(
            EPISODE,
            f"{self._difference(found, lagging)}: end what else publishes on 'episode', and check "
            'that the monitor receives that topic',
        )

    def _is_of(self, found: OwnEpisode, own: OwnEpisode) -> bool:
        """Return whether a value is of an own episode: it may have the present task already."""
        return (
            found.id == own.id
            and own.executing in (found.executing, None)
            and (not own.id or found.task in (own.task, self.current.task))
        )

    def _difference(self, found: OwnEpisode, lagging: Sequence[OwnEpisode]) -> str:
        own = self.current
        ours = f'episode {own.id!r}' if own.id else 'no episode'
        of_same_id = [one for one in (own, *lagging) if one.id == found.id]
        if not of_same_id:
            theirs = f'of episode {found.id[:80]!r}' if found.id else 'of no episode'
            return f'values are {theirs}, {ours} of this supervisor is under way'
        if found.id and found.task not in {own.task, *(one.task for one in of_same_id)}:
            task = of_same_id[0].task
            return f'values are of task {found.task[:80]!r}, task of {found.id!r} is {task!r}'
        said, announced = ('true', 'false') if found.executing else ('false', 'true')
        return f"'executing' is {said} in values, this supervisor announced {announced} for {ours}"

    @staticmethod
    def _lags(at: int, at_steady: float, now: int, steady: float) -> bool:
        """Return whether a monitor may not have followed yet: on a clock that stands still too."""
        lag = seconds(now, at)
        return steady - at_steady <= EPISODE_LAG or 0.0 <= lag <= EPISODE_LAG


class ValueSources:
    """
    Accepts the values of one monitor.

    ``source`` is the accepted one, ``stamp`` that of its newest value in ns, ``accepted_at`` the
    steady time of that in s; None before the first. ``counts`` are refused values by cause.
    ``changed`` is whether the last accepted value may not be compared with those before.

    Two sources are told apart until one is silent for the hold: the silence limit, doubled each
    time that two are heard again within ``QUIET``, up to ``LONGEST_HOLD``. So a second source that
    speaks now and then does not make the level change all the time.
    """

    def __init__(self, settings: SilenceSettings, time_jump: float, topic: str = 'value') -> None:
        """
        Start without a source.

        :param time_jump: a stamp that is older than the newest by more than this is a jump, s
        :param topic: name of the topic in the texts
        :raises ConfigurationError: if a setting is out of its range
        """
        validate(settings)
        self._limit, self._future = settings.silence_after, settings.max_future
        self._oldest, self._newest_allowed = round(-self._limit * 1e9), round(self._future * 1e9)
        self._time_jump, self._topic = round(time_jump * 1e9), topic
        self.source: ValueSource | None = None
        self.stamp: int | None = None
        self.accepted_at: float | None = None
        self.changed = False
        self.counts: Counter[str] = Counter()
        self._heard: dict[ValueSource, float] = {}  # to the steady time of its last fresh value
        self._conflict, self._hold = False, self._limit
        self._conflict_ended = -math.inf
        self._newest: list[int | None] = [None, None]  # stamps: of all values, of known values
        self._jumps: deque[float] = deque(maxlen=JUMPS_ALLOWED + 1)  # steady times
        self._blocked = False  # whether the last value of a source was refused for two or jumps
        self._refused: dict[str, tuple[float, Refusal]] = {}  # by cause: steady time, refusal

    def judge(
        self, source: ValueSource, stamp: int, known: bool, episode: OwnEpisode,
        now: int, steady: float, own: OwnEpisodes | None, oldest: int | None = None,
    ) -> Refusal | None:  # fmt: skip
        """
        Accept or refuse a value; call it before the value changes any state.

        :param stamp: of the value, ns
        :param known: whether the value is known
        :param episode: that the value carries
        :param now: ROS time, ns
        :param steady: steady time, s
        :param own: those of this supervisor; None accepts all: another supervisor is in charge
        :param oldest: stamp of the oldest input of the value, ns; None if it is not known
        :returns: why it is refused; None if it is accepted
        """
        refusal = self._check_age(stamp, now)
        if refusal is None and oldest is not None:
            refusal = self._check_age(oldest, now, 'inputs of values')
        refusal = refusal or self._check_rivals(source, steady)
        if refusal is None and own is not None:
            refusal = own.refusal(episode, now, steady)
        refusal = refusal or self._check_jumps(stamp, known, steady)
        if refusal is not None:
            self._blocked = self._blocked or refusal.cause in (TWO_MONITORS, JUMPS)
            self.counts[refusal.cause] += 1
            self._refused[refusal.cause] = steady, refusal
            return refusal
        self.changed = self._blocked or source != self.source
        self.source, self.stamp, self.accepted_at, self._blocked = source, stamp, steady, False
        return None

    def age_fault(self, stamp: int, now: int) -> str:
        """Return how much a stamp is too old or ahead of now, both ns; '' if it is neither."""
        if self._oldest <= stamp - now <= self._newest_allowed:
            return ''
        age = seconds(now, stamp)
        if age > 0.0:
            return f'{age:.1f} s old, limit {self._limit:g} s'
        return f'{-age:.1f} s ahead of the clock, limit {self._future:g} s'

    def _check_age(self, stamp: int, now: int, what: str = 'values') -> Refusal | None:
        if self._oldest <= stamp - now <= self._newest_allowed:
            return None
        age = seconds(now, stamp)
        if age > 0.0:
            return Refusal(
                STALE,
                f'{what} are {age:.1f} s old, limit {self._limit:g} s: end the player of a '
                'recording on this domain; or compare the clocks and use_sim_time of the nodes; '
                'or see the latency of the monitor',
            )
        return Refusal(
            AHEAD,
            f'{what} are {-age:.1f} s ahead of the clock, limit {self._future:g} s: end the '
            'player of a recording on this domain; or compare the clocks and use_sim_time of the '
            'nodes',
        )

    def lack(self, steady: float) -> Refusal | None:
        """
        Return why no value is accepted; None while values are, or if none arrive at all.

        :param steady: steady time, s
        """
        heard = -math.inf if self.accepted_at is None else self.accepted_at
        accepted = steady - heard <= self._limit
        if accepted and not self._blocked:
            return None
        return self._recent(steady, CAUSES[:2] if accepted else CAUSES, heard)

    def notice(self, steady: float) -> str:
        """Return why values were refused in the last seconds, even if others are accepted."""
        recent = self._recent(steady, CAUSES)
        return f'refused: {recent.text}' if recent else ''

    def _recent(
        self, steady: float, causes: tuple[str, ...], since: float = -math.inf
    ) -> Refusal | None:
        """Return the most important refusal within the memory, since a steady time."""
        for cause in causes:
            at, refusal = self._refused.get(cause, (-math.inf, None))
            if steady - at <= MEMORY and at >= since:
                return refusal
        return None

    def _check_rivals(self, source: ValueSource, steady: float) -> Refusal | None:
        """Refuse a value while another source is heard."""
        self._heard.pop(source, None)
        self._heard[source] = steady  # the last of the dict
        if len(self._heard) == 1 and not self._conflict:
            return None  # the usual case, for speed
        hold = self._hold if self._conflict else self._limit
        self._heard = {one: at for one, at in self._heard.items() if steady - at <= hold}
        if len(self._heard) > MAX_SOURCES:
            del self._heard[next(iter(self._heard))]
        if len(self._heard) == 1:
            if self._conflict:
                self._conflict, self._conflict_ended = False, steady
            return None
        if not self._conflict:
            again = steady - self._conflict_ended <= QUIET
            longest = max(self._limit, LONGEST_HOLD)
            self._hold = min(2.0 * self._hold, longest) if again else self._limit
            self._conflict = True
        return Refusal(TWO_MONITORS, self._name_rivals())

    def _name_rivals(self) -> str:
        count = 'two' if len(self._heard) == 2 else str(len(self._heard))
        sessions = sorted({one.session for one in self._heard})
        named = ', '.join(map(str, sessions))
        if len(sessions) == 1:
            publishers = ', '.join(sorted(one.publisher.hex() for one in self._heard))
            named = f'{named} of publishers {publishers}'
        return (
            f'{count} monitors publish {self._topic} (sessions {named}): nothing is judged, end '
            'all but one'
        )

    def _check_jumps(self, stamp: int, known: bool, steady: float) -> Refusal | None:
        """Refuse values whose stamps go back too often: each time resets the detector."""
        newest = self._newest[known]
        if newest is not None and newest - stamp > self._time_jump:
            self._jumps.append(steady)
            self._newest = [None, None]
        for index in range(1 + known):
            self._newest[index] = max(stamp, self._newest[index] or stamp)
        jumps = self._jumps
        if len(jumps) <= JUMPS_ALLOWED or steady - jumps[0] > JUMP_SPAN:
            return None
        return Refusal(
            JUMPS,
            f'stamps of values went back {len(jumps)} times within {JUMP_SPAN:g} s, at most '
            f'{JUMPS_ALLOWED} are allowed: compare the clocks, and end what else publishes /clock',
        )
