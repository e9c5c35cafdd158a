# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
From single messages to one synchronised set: the newest frames that belong together.

The newest frame of each camera is taken; where these are further apart than the slop, because one
has just arrived and its fellows are on their way, the set before it. Joints are those nearest to the
newest of the frames. What does not fit is never filled in: the answer is then Unknown with a reason.
Payloads are opaque: nothing is decoded here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from viva_ros.core.errors import InputError
from viva_ros.core.observation import Image, Observation, Unknown
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import seconds

JOINTS: Final = 'joint_states'
KEPT_FRAMES: Final = 2
KEPT_JOINTS: Final = 500

Payload = TypeVar('Payload')


@dataclass(frozen=True)
class SyncSettings:
    """What belongs together, and what is too old."""

    slop: float = setting(0.05, 'Most that input stamps may differ, s.', at_least=0.0)
    stale: float = setting(0.5, 'Most age of an input, s.', above=0.0)
    max_future: float = setting(0.1, 'Most that a stamp may lie ahead of now, s.', at_least=0.0)
    time_jump: float = setting(
        1.0, 'A stamp older than its predecessor by more than this resets all, s.', above=0.0
    )


@dataclass(frozen=True)
class Selection(Generic[Payload]):
    """
    One synchronised set.

    :param payloads: by camera, as they were added
    :param proprio: joint name to position, rad or m, in the order asked for
    :param stamps: by camera, then 'joint_states', ns
    """

    payloads: Mapping[str, Payload]
    proprio: Mapping[str, float]
    stamps: Mapping[str, int]

    @property
    def stamp(self) -> int:
        """Stamp of the newest input, ns."""
        return max(self.stamps.values())

    @property
    def skew(self) -> float:
        """Newest minus oldest input stamp, s."""
        return seconds(self.stamp, min(self.stamps.values()))

    def observation(self, images: Mapping[str, Image]) -> Observation:
        """Pair the decoded images with joints and stamps."""
        return Observation(images, self.proprio, self.stamps)


class _Rejected(Exception):
    """Carries the Unknown out of a selection step."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.unknown = Unknown(kind, reason)


class _Source(Generic[Payload]):
    """The last messages of one topic, by stamp, ascending."""

    def __init__(self, kept: int | None) -> None:
        self._kept = kept
        self.messages: dict[int, Payload] = {}

    @property
    def newest(self) -> int | None:
        return next(reversed(self.messages), None)

    def add(self, stamp: int, message: Payload) -> None:
        """Add a message; one that is not newer than the last came late and is left out."""
        if self.newest is None or stamp > self.newest:
            self.messages[stamp] = message
            if self._kept is not None and len(self.messages) > self._kept:
                del self.messages[next(iter(self.messages))]

    def nearest(self, stamp: int) -> int:
        return min(self.messages, key=lambda other: abs(other - stamp))


class InputBuffer(Generic[Payload]):
    """Holds the last messages of each source; ``resets`` counts jumps of time."""

    def __init__(
        self,
        cameras: Sequence[str],
        joint_names: Sequence[str],
        settings: SyncSettings,
        topics: Mapping[str, str] | None = None,
        keep_all: bool = False,
    ) -> None:
        """
        Begin empty.

        :param topics: what to call each source in a reason, e.g. its resolved topic; default its name
        :param keep_all: keep every message, for ``select_at`` on a recording
        """
        validate(settings)
        self._settings = settings
        self._joint_names = tuple(joint_names)
        self._topics = {name: name for name in (*cameras, JOINTS)} | dict(topics or {})
        self._images = {c: _Source[Payload](None if keep_all else KEPT_FRAMES) for c in cameras}
        self._joints = _Source[Mapping[str, float]](None if keep_all else KEPT_JOINTS)
        self.resets = 0

    def add_image(self, camera: str, stamp: int, payload: Payload) -> None:
        """
        Add a frame; see ``resets`` for jumps of time.

        :param stamp: ns, from the message header
        :raises ValueError: if the camera is not one of those asked for
        """
        if camera not in self._images:
            raise ValueError(f'camera is {camera!r}, must be one of {list(self._images)}')
        self._reset_on_jump(self._images[camera].newest, stamp)
        self._images[camera].add(stamp, payload)

    def add_joints(self, stamp: int, positions: Mapping[str, float]) -> None:
        """Add joint positions by name, rad or m; joints that nobody asked for are ignored."""
        self._reset_on_jump(self._joints.newest, stamp)
        self._joints.add(stamp, positions)

    def reset(self) -> None:
        """Forget all messages."""
        for source in (*self._images.values(), self._joints):
            source.messages.clear()

    def select(self, now: int) -> Selection[Payload] | Unknown:
        """
        Choose the set to estimate from.

        :param now: on the clock of the stamps, ns
        :returns: Unknown of kind 'missing', 'stale', 'skew' or 'input' where there is none
        """
        try:
            self._check_newest(now)
            frames = self._frames()
            joints = self._joints.nearest(max(frames.values()))
            self._check_skew({**frames, JOINTS: joints})
            return self._selection(frames, joints)
        except _Rejected as rejected:
            return rejected.unknown

    def select_at(self, stamps: Mapping[str, int]) -> Selection[Payload] | Unknown:
        """
        Choose exactly the inputs with these stamps, as a Value message lists them.

        :param stamps: by camera, and 'joint_states', ns
        :returns: Unknown of kind 'missing' if one is not there
        """
        try:
            for name, source in self._sources().items():
                if stamps.get(name) not in source.messages:
                    at = stamps.get(name)
                    raise _Rejected('missing', f'{self._topics[name]} has no message at {at}')
            return self._selection({c: stamps[c] for c in self._images}, stamps[JOINTS])
        except _Rejected as rejected:
            return rejected.unknown

    def _sources(self) -> dict[str, _Source[Payload] | _Source[Mapping[str, float]]]:
        return {**self._images, JOINTS: self._joints}

    def _reset_on_jump(self, newest: int | None, stamp: int) -> None:
        if newest is not None and seconds(newest, stamp) > self._settings.time_jump:
            self.reset()
            self.resets += 1

    def _check_newest(self, now: int) -> None:
        """Refuse a source that is missing, without a clock, ahead of time, or too old."""
        newest = {name: source.newest for name, source in self._sources().items()}
        missing = [self._topics[name] for name, stamp in newest.items() if stamp is None]
        if missing:
            raise _Rejected('missing', f'nothing received on {", ".join(missing)}')
        for name, stamp in newest.items():
            self._check_stamp(self._topics[name], stamp or 0, now)

    def _check_stamp(self, topic: str, stamp: int, now: int) -> None:
        age = seconds(now, stamp)
        if stamp <= 0:
            raise _Rejected('input', f'stamp of {topic} is {stamp}: its driver must set it')
        if age < -self._settings.max_future:
            limit = f'at most {self._settings.max_future:g} s is allowed'
            raise _Rejected('input', f'stamp of {topic} is {-age:.2f} s ahead, {limit}')
        if age > self._settings.stale:
            limit = f'limit {self._settings.stale:g} s'
            raise _Rejected('stale', f'newest message of {topic} is {age:.2f} s old, {limit}')

    def _frames(self) -> dict[str, int]:
        """Give the newest frames; if they do not fit, those nearest to the slowest camera's."""
        newest = {camera: source.newest or 0 for camera, source in self._images.items()}
        if self._fits(newest):
            return newest
        slowest = min(newest.values())
        nearest = {camera: source.nearest(slowest) for camera, source in self._images.items()}
        return nearest if self._fits(nearest) else newest

    def _fits(self, stamps: Mapping[str, int]) -> bool:
        return seconds(max(stamps.values()), min(stamps.values())) <= self._settings.slop

    def _check_skew(self, stamps: Mapping[str, int]) -> None:
        if not self._fits(stamps):
            first, last = min(stamps, key=stamps.__getitem__), max(stamps, key=stamps.__getitem__)
            raise _Rejected(
                'skew',
                f'{self._topics[last]} is {seconds(stamps[last], stamps[first]):.3f} s newer than '
                f'{self._topics[first]}, at most {self._settings.slop:g} s is allowed',
            )

    def _selection(self, frames: Mapping[str, int], joints: int) -> Selection[Payload]:
        return Selection(
            {camera: self._images[camera].messages[stamp] for camera, stamp in frames.items()},
            self._proprio(self._joints.messages[joints]),
            {**frames, JOINTS: joints},
        )

    def _proprio(self, positions: Mapping[str, float]) -> dict[str, float]:
        try:
            return match_joints(positions, self._joint_names, self._topics[JOINTS])
        except InputError as error:
            raise _Rejected('input', str(error)) from error


def match_joints(
    positions: Mapping[str, float], names: Sequence[str], topic: str = JOINTS
) -> dict[str, float]:
    """
    Pick joints by name; others are ignored.

    :returns: in the order of ``names``, rad or m
    :raises InputError: if one is missing or not finite
    """
    missing = [name for name in names if name not in positions]
    if missing:
        raise InputError(f'{topic} lacks {", ".join(missing)}; it has {", ".join(positions)}')
    picked = {name: float(positions[name]) for name in names}
    broken = [f'{name} = {picked[name]}' for name in names if not math.isfinite(picked[name])]
    if broken:
        raise InputError(f'{topic} is not finite: {", ".join(broken)}')
    return picked
