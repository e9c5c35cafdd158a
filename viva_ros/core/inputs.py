# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time synchronizer: the newest messages of all inputs that belong together.

The newest frame of each camera is used. If these differ by more than the slop, because only some
cameras have sent their next frame, the previous set is used. Joint states are those nearest to the
newest of these frames. Nothing is filled in: without a matching set the result is Unknown with a
reason. Payloads are opaque and are not decoded here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from viva_ros.core.errors import InputError
from viva_ros.core.normalize import match_joints
from viva_ros.core.observation import Image, Observation, Unknown
from viva_ros.core.settings import setting, validate
from viva_ros.core.windows import seconds

Message = TypeVar('Message')


@dataclass(frozen=True)
class SyncSettings:
    """Limits of the stamps of one set."""

    slop: float = setting(0.05, 'Largest difference between input stamps, s.', at_least=0.0)
    max_age: float = setting(0.3, 'Largest age of an input, s.', above=0.0)
    max_future: float = setting(0.1, 'Largest time of a stamp ahead of now, s.', at_least=0.0)
    time_jump: float = setting(
        1.0,
        'A stamp older than its predecessor by more than this resets all inputs, s.',
        above=0.0,
    )


class RejectedError(Exception):
    """A failed check of this module, with the Unknown to return."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.unknown = Unknown(kind, reason)


def check_stamp(topic: str, stamp: int, now: int, settings: SyncSettings) -> None:
    """
    Reject a message that has no stamp, is ahead of time, or is too old.

    :raises RejectedError: of kind 'input' or 'stale', with the measured value
    """
    age = seconds(now, stamp)
    if stamp <= 0:
        raise RejectedError('input', f'stamp of {topic} is {stamp}: its driver must set it')
    if age < -settings.max_future:
        limit = f'at most {settings.max_future:g} s is allowed: compare the clocks'
        raise RejectedError('input', f'stamp of {topic} is {-age:.2f} s ahead of now, {limit}')
    if age > settings.max_age:
        limit = f'limit {settings.max_age:g} s'
        raise RejectedError('stale', f'newest message of {topic} is {age:.2f} s old, {limit}')


def fits(stamps: Mapping[str, int], slop: float) -> bool:
    """Return whether stamps, ns, are within the slop, s."""
    return not stamps or seconds(max(stamps.values()), min(stamps.values())) <= slop


def check_skew(stamps: Mapping[str, int], slop: float) -> None:
    """
    Reject a set whose stamps differ by more than the slop.

    :param stamps: by topic, ns
    :raises RejectedError: of kind 'skew', with the measured value
    """
    if not fits(stamps, slop):
        first, last = min(stamps, key=stamps.__getitem__), max(stamps, key=stamps.__getitem__)
        skew = seconds(stamps[last], stamps[first])
        raise RejectedError(
            'skew',
            f'{last} is {skew:.3f} s newer than {first}, at most {slop:g} s is allowed',
        )


class TopicBuffer(Generic[Message]):
    """The last messages of one topic, by stamp, ascending."""

    def __init__(self, kept: int | None) -> None:
        self._kept = kept
        self.messages: dict[int, Message] = {}

    @property
    def newest(self) -> int | None:
        """Stamp of the newest message; None if there is none."""
        return next(reversed(self.messages), None)

    def add(self, stamp: int, message: Message) -> None:
        """Add a message; a late one, which is not newer than the last, is ignored."""
        if self.newest is None or stamp > self.newest:
            self.messages[stamp] = message
            if self._kept is not None and len(self.messages) > self._kept:
                del self.messages[next(iter(self.messages))]

    def has(self, stamp: int) -> bool:
        """Return whether there is a message with exactly this stamp."""
        return stamp in self.messages

    def nearest(self, stamp: int) -> int:
        """Return the stamp of the message nearest to a stamp; the buffer must not be empty."""
        return min(self.messages, key=lambda other: abs(other - stamp))


__all__ = ['JOINTS', 'InputBuffer', 'Selection', 'SyncSettings']

JOINTS: Final = 'joint_states'
KEPT_FRAMES: Final = 2
KEPT_JOINTS: Final = 500

Payload = TypeVar('Payload')


@dataclass(frozen=True)
class Selection(Generic[Payload]):
    """
    One synchronised set.

    :param payloads: by camera, as they were added
    :param proprio: joint name to position, rad or m, in the order of the buffer
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
        """Combine decoded images with joints and stamps."""
        return Observation(images, self.proprio, self.stamps)


class InputBuffer(Generic[Payload]):
    """The last messages of each source; ``resets`` counts jumps of time."""

    def __init__(
        self,
        cameras: Sequence[str],
        joint_names: Sequence[str],
        settings: SyncSettings,
        topics: Mapping[str, str] | None = None,
        keep_all: bool = False,
    ) -> None:
        """
        Start empty.

        :param topics: source to its name in reasons, e.g. its resolved topic
        :param keep_all: keep every message, for ``select_at`` on a recording
        """
        validate(settings)
        self._settings = settings
        self._joint_names = tuple(joint_names)
        self._topics = {name: name for name in (*cameras, JOINTS)} | dict(topics or {})
        self._images = {
            c: TopicBuffer[Payload](None if keep_all else KEPT_FRAMES) for c in cameras
        }
        self._joints = TopicBuffer[Mapping[str, float]](None if keep_all else KEPT_JOINTS)
        self.resets = 0

    def add_image(self, camera: str, stamp: int, payload: Payload) -> None:
        """
        Add a frame; see ``resets`` for jumps of time.

        :param stamp: ns, from the message header
        :raises ValueError: if the camera is not one of ``cameras``
        """
        if camera not in self._images:
            raise ValueError(f'camera is {camera!r}, must be one of {list(self._images)}')
        self._reset_on_jump(self._images[camera].newest, stamp)
        self._images[camera].add(stamp, payload)

    def add_joints(self, stamp: int, positions: Mapping[str, float]) -> None:
        """Add joint positions by name, rad or m; joints not in ``joint_names`` are ignored."""
        self._reset_on_jump(self._joints.newest, stamp)
        self._joints.add(stamp, positions)

    def reset(self) -> None:
        """Forget all messages."""
        for _, source in self._sources():
            source.messages.clear()

    def select(self, now: int) -> Selection[Payload] | Unknown:
        """
        Select the set for an estimate.

        :param now: on the clock of the stamps, ns
        :returns: Unknown of kind 'missing', 'stale', 'skew' or 'input' if there is none
        """
        try:
            self._check_newest(now)
            frames = self._frames()
            joints = self._joints.nearest(max(frames.values(), default=now))
            stamps = {**frames, JOINTS: joints}
            check_skew({self._topics[n]: at for n, at in stamps.items()}, self._settings.slop)
            return self._selection(frames, joints)
        except RejectedError as rejected:
            return rejected.unknown

    def select_at(self, stamps: Mapping[str, int]) -> Selection[Payload] | Unknown:
        """
        Select exactly the inputs with these stamps, as a Value message lists them.

        :param stamps: by camera, and 'joint_states', ns
        :returns: Unknown of kind 'missing' if an input has no such message
        """
        try:
            for name, source in self._sources():
                if name not in stamps or not source.has(stamps[name]):
                    at = stamps.get(name)
                    raise RejectedError('missing', f'{self._topics[name]} has no message at {at}')
            return self._selection({c: stamps[c] for c in self._images}, stamps[JOINTS])
        except RejectedError as rejected:
            return rejected.unknown

    def _sources(self) -> list[tuple[str, TopicBuffer[Any]]]:
        return [*self._images.items(), (JOINTS, self._joints)]

    def _reset_on_jump(self, newest: int | None, stamp: int) -> None:
        jumped = newest is not None and seconds(newest, stamp) > self._settings.time_jump
        if jumped and stamp > 0:  # a stamp of 0 is a driver's mistake, not a jump of time
            self.reset()
            self.resets += 1

    def _check_newest(self, now: int) -> None:
        newest = {self._topics[name]: source.newest for name, source in self._sources()}
        missing = [topic for topic, stamp in newest.items() if stamp is None]
        if missing:
            raise RejectedError('missing', f'nothing received on {", ".join(missing)}')
        for topic, stamp in newest.items():
            check_stamp(topic, stamp or 0, now, self._settings)

    def _frames(self) -> dict[str, int]:
        """Return the newest frames; if these differ too much, those nearest to the oldest one."""
        newest = {camera: source.newest or 0 for camera, source in self._images.items()}
        if fits(newest, self._settings.slop):
            return newest
        slowest = min(newest.values())
        nearest = {camera: source.nearest(slowest) for camera, source in self._images.items()}
        return nearest if fits(nearest, self._settings.slop) else newest

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
            raise RejectedError('input', str(error)) from error
