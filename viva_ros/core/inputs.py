# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time synchronizer: the newest messages of all inputs that belong together.

The newest frame of each camera is used. If these differ by more than the slop, because only some
cameras have sent their next frame, the previous set is used. Each joint has the position nearest
to the newest of these frames; it may come from another message than the others. Nothing is filled
in: without a matching set the result is Unknown with a reason. Payloads are opaque and are not
decoded here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from viva_ros.core.joint_buffer import JOINTS, JointBuffer
from viva_ros.core.observation import Image, Observation, Unknown
from viva_ros.core.settings import validate
from viva_ros.core.synchronization import (
    RejectedError,
    SyncSettings,
    TopicBuffer,
    check_skew,
    check_stamp,
    fits,
)
from viva_ros.core.windows import seconds

__all__ = ['JOINTS', 'InputBuffer', 'Selection', 'SyncSettings']

KEPT_FRAMES: Final = 2

Payload = TypeVar('Payload')


@dataclass(frozen=True)
class Selection(Generic[Payload]):
    """
    One synchronised set.

    :param payloads: by camera, as they were added
    :param proprio: joint name to position, rad or m, in the order of the buffer
    :param stamps: by camera, then of the joints: 'joint_states', and 'joint_states:JOINT' for each
        further message that joints were taken from, with the first of them, ns
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
        joint_speeds: Mapping[str, float] | None = None,
    ) -> None:
        """
        Start empty.

        :param topics: source to its name in reasons, e.g. its resolved topic
        :param keep_all: keep every message, for ``select_at`` on a recording
        :param joint_speeds: limits of single joints, rad/s or m/s
        """
        validate(settings)
        self._settings = settings
        self._joint_names = tuple(joint_names)
        self._topics = {name: name for name in (*cameras, JOINTS)} | dict(topics or {})
        self._images = {
            c: TopicBuffer[Payload](None if keep_all else KEPT_FRAMES) for c in cameras
        }
        self._joints = JointBuffer(
            self._joint_names, self._topics[JOINTS], settings, keep_all, joint_speeds or {}
        )
        self._refused: dict[str, tuple[int, str]] = {}  # camera to stamp and reason
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
        self._refused.pop(camera, None)

    def refuse_image(self, camera: str, stamp: int, reason: str) -> None:
        """Note a frame that cannot be used: values are unknown until the next frame."""
        self._reset_on_jump(self._images[camera].newest, stamp)
        self._refused[camera] = stamp, reason

    def add_joints(self, stamp: int, positions: Mapping[str, float]) -> None:
        """
        Add joint positions by name, rad or m; joints not in ``joint_names`` are ignored.

        A message may have some of the joints.
        """
        self._reset_on_jump(self._joints.newest, stamp)
        self._joints.add(stamp, positions)

    def refuse_joints(self, stamp: int, reason: str) -> None:
        """Note a joint state that cannot be used: values are unknown for ``max_age`` after it."""
        self._reset_on_jump(self._joints.newest, stamp)
        self._joints.refuse(stamp, reason)

    def joint_fault(self, now: int) -> str:
        """Return why joints are not believed at a time, ns; '' if they are."""
        return self._joints.fault(now)

    def image_fault(self, camera: str, now: int) -> str:
        """Return why the newest frame of a camera is not used at a time, ns; '' if it is."""
        at, reason = self._refused.get(camera, (0, ''))
        return reason if seconds(now, at) <= self._settings.max_age else ''

    def reset(self) -> None:
        """Forget all messages."""
        for source in self._images.values():
            source.messages.clear()
        self._refused.clear()
        self._joints.reset()

    def select(self, now: int) -> Selection[Payload] | Unknown:
        """
        Select the set for an estimate.

        :param now: on the clock of the stamps, ns
        :returns: Unknown of kind 'missing', 'stale', 'skew' or 'input' if there is none
        """
        try:
            self._check_newest(now)
            frames = self._frames()
            positions, joints = self._joints.nearest(max(frames.values(), default=now))
            stamps = {**frames, **joints}
            named = {self._topics.get(n, n): at for n, at in stamps.items()}
            check_skew(named, self._settings.slop)
            return self._selection(frames, positions, joints)
        except RejectedError as rejected:
            return rejected.unknown

    def select_at(self, stamps: Mapping[str, int]) -> Selection[Payload] | Unknown:
        """
        Select exactly the inputs with these stamps, as a Value message lists them.

        :param stamps: as in ``Selection``, ns
        :returns: Unknown of kind 'missing' if an input has no such message
        """
        try:
            for name, source in self._images.items():
                if name not in stamps or not source.has(stamps[name]):
                    at = stamps.get(name)
                    raise RejectedError('missing', f'{self._topics[name]} has no message at {at}')
            positions, joints = self._joints.at(stamps)
            return self._selection({c: stamps[c] for c in self._images}, positions, joints)
        except RejectedError as rejected:
            return rejected.unknown

    def _reset_on_jump(self, newest: int | None, stamp: int) -> None:
        jumped = newest is not None and seconds(newest, stamp) > self._settings.time_jump
        if jumped and stamp > 0:  # a stamp of 0 is a driver's mistake, not a jump of time
            self.reset()
            self.resets += 1

    def _check_newest(self, now: int) -> None:
        for camera, (at, reason) in self._refused.items():
            check_stamp(self._topics[camera], at, now, self._settings)
            raise RejectedError('input', f'{self._topics[camera]}: {reason}')
        newest = {self._topics[name]: source.newest for name, source in self._images.items()}
        newest[self._topics[JOINTS]] = self._joints.newest
        missing = [topic for topic, stamp in newest.items() if stamp is None]
        if missing:
            raise RejectedError('missing', f'nothing received on {", ".join(missing)}')
        for topic, stamp in newest.items():
            check_stamp(topic, stamp or 0, now, self._settings)
        self._joints.check(now)

    def _frames(self) -> dict[str, int]:
        """Return the newest frames; if these differ too much, those nearest to the oldest one."""
        newest = {camera: source.newest or 0 for camera, source in self._images.items()}
        if fits(newest, self._settings.slop):
            return newest
        slowest = min(newest.values())
        nearest = {camera: source.nearest(slowest) for camera, source in self._images.items()}
        return nearest if fits(nearest, self._settings.slop) else newest

    def _selection(
        self, frames: Mapping[str, int], positions: Mapping[str, float], joints: Mapping[str, int]
    ) -> Selection[Payload]:
        return Selection(
            {camera: self._images[camera].messages[stamp] for camera, stamp in frames.items()},
            positions, {**frames, **joints},
        )  # fmt: skip
