# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The last joint states of a robot, merged by name.

A message may have all joints or some of them: each arm has its driver, or a gripper is apart. Each
joint keeps its own stamp. A joint that jumps is not believed for ``SyncSettings.max_age``.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from viva_ros.core.errors import InputError
from viva_ros.core.joint_states import SPEED_PERIOD, STEADY, speed_text, step_between
from viva_ros.core.normalize import match_joints
from viva_ros.core.synchronization import RejectedError, SyncSettings, TopicBuffer, check_stamp
from viva_ros.core.windows import seconds

JOINTS: Final = 'joint_states'
KEPT_JOINTS: Final = 500  # messages with the same joints
Layout = tuple[str, ...]  # joints of a message


class JointBuffer:
    """The last messages, by the joints that they have."""

    def __init__(
        self, names: Sequence[str], topic: str, settings: SyncSettings, keep_all: bool,
        speeds: Mapping[str, float],
    ) -> None:  # fmt: skip
        """
        Start empty.

        :param names: joints to keep
        :param topic: for reasons
        :param speeds: limits of single joints, rad/s or m/s
        """
        self._speeds = {name: speeds.get(name, settings.max_joint_speed) for name in names}
        self._names, self._topic, self._settings = tuple(names), topic, settings
        self._kept = None if keep_all else KEPT_JOINTS
        self._layouts: dict[Layout, TopicBuffer[Mapping[str, float]]] = {}
        self._newest: dict[str, tuple[int, float]] = {}  # joint to stamp and position
        self._jumps: dict[str, tuple[int, float]] = {}  # joint to stamp and step of its last jump
        self._seen: dict[str, None] = {}  # all names that were received, in order
        self._last: int | None = None
        self._fault: tuple[int, str] | None = None  # stamp and reason: a jump, or a joint twice

    @property
    def newest(self) -> int | None:
        """Stamp of the newest message; None if there is none."""
        return self._last

    def reset(self) -> None:
        """Forget all messages."""
        self._layouts.clear()
        self._newest.clear()
        self._jumps.clear()
        self._last = self._fault = None

    def refuse(self, stamp: int, reason: str) -> None:
        """Note a message that cannot be used."""
        self._last = stamp if self._last is None else max(self._last, stamp)
        self._fault = stamp, reason

    def add(self, stamp: int, positions: Mapping[str, float]) -> None:
        """Add a message; one that is not newer than the last of its joints is ignored."""
        if len(self._seen) < len(positions) or not positions.keys() <= self._seen.keys():
            self._seen |= dict.fromkeys(positions)
        layout = tuple(name for name in self._names if name in positions)
        if layout or self._last is None:
            self._last = stamp if self._last is None else max(self._last, stamp)
        if not layout:
            return
        buffer = self._layouts.get(layout)
        if buffer is None:
            buffer = self._layouts[layout] = TopicBuffer(self._kept)
        buffer.add(stamp, positions)
        for name in layout:
            self._follow(name, stamp, positions[name])

    def _follow(self, name: str, stamp: int, position: float) -> None:
        """Keep the newest position of a joint, and note a jump."""
        before = self._newest.get(name)
        if before is not None:
            if stamp == before[0] and position == before[1]:
                return
            passed = abs(seconds(stamp, before[0]))
            allowed = self._speeds[name] * max(passed, SPEED_PERIOD)
            if abs(position - before[1]) > allowed:
                self._note_jump(name, stamp, before, position, allowed)
            if stamp < before[0]:  # late
                return
        self._newest[name] = stamp, position

    def _note_jump(
        self, name: str, stamp: int, before: tuple[int, float], position: float, allowed: float
    ) -> None:
        """Note a jump, unless the joint already moves as fast in the same direction."""
        step = float(step_between(before[1], position))
        if abs(step) <= allowed:
            return
        earlier, self._jumps[name] = self._jumps.get(name), (stamp, step)
        soon = earlier is not None and seconds(stamp, earlier[0]) <= STEADY
        if stamp > before[0] and soon and earlier is not None and earlier[1] * step > 0.0:
            return
        limit, passed = self._speeds[name], abs(seconds(stamp, before[0]))
        text = speed_text(name, before[1], position, passed, stamp * 1e-9, limit)
        self._fault = max(stamp, before[0]), f'{self._topic}: {text}'

    def fault(self, now: int) -> str:
        """
        Return why joints are not believed at a time; '' if they are.

        :param now: on the clock of the stamps, ns
        """
        if self._fault is not None and seconds(now, self._fault[0]) > self._settings.max_age:
            self._fault = None
        return self._fault[1] if self._fault is not None else ''

    def check(self, now: int) -> None:
        """
        Reject joints that are missing, too old, or not believed.

        :param now: on the clock of the stamps, ns
        :raises RejectedError: of kind 'input' or 'stale'
        """
        if fault := self.fault(now):
            raise RejectedError('input', fault)
        missing = [name for name in self._names if name not in self._newest]
        if missing:
            raise RejectedError(
                'input',
                f'{self._topic} lacks {", ".join(missing)}; it has {", ".join(self._seen)}',
            )
        oldest = min(self._names, key=lambda name: self._newest[name][0], default=None)
        if oldest is not None:
            stamp = self._newest[oldest][0]
            check_stamp(f'{self._topic} with {oldest}', stamp, now, self._settings)

    def nearest(self, stamp: int) -> tuple[dict[str, float], dict[str, int]]:
        """
        Return the position of each joint nearest to a stamp, and the stamps of its messages.

        :raises RejectedError: of kind 'input', if a position is not finite
        """
        used: dict[str, tuple[int, Layout]] = {}
        for layout, buffer in self._layouts.items():
            at = buffer.nearest(stamp)
            for name in layout:
                if name not in used or abs(at - stamp) < abs(used[name][0] - stamp):
                    used[name] = at, layout
        return self._taken(used)

    def at(self, stamps: Mapping[str, int]) -> tuple[dict[str, float], dict[str, int]]:
        """
        Return the positions of the messages with these stamps.

        :param stamps: as in ``Selection``; others are ignored
        :raises RejectedError: of kind 'missing', if there is no such message
        """
        used: dict[str, tuple[int, Layout]] = {}
        listed = {
            name: (name.partition(':')[2] or self._names[0], at) for name, at in stamps.items()
            if name.partition(':')[0] == JOINTS
        } if self._names else {}  # fmt: skip
        for first, at in listed.values():
            for layout, buffer in self._layouts.items():
                if first in layout and buffer.has(at):
                    used |= {name: (at, layout) for name in layout if name not in used}
        missing = [name for name in self._names if name not in used]
        if missing or JOINTS not in stamps:
            at_text = stamps.get(JOINTS)
            raise RejectedError('missing', f'{self._topic} has no message at {at_text}')
        return self._taken(used)

    def _taken(
        self, used: Mapping[str, tuple[int, Layout]]
    ) -> tuple[dict[str, float], dict[str, int]]:
        found = {
            name: self._layouts[layout].messages[at][name] for name, (at, layout) in used.items()
        }
        try:
            positions = match_joints(found, self._names, self._topic)
        except InputError as error:
            raise RejectedError('input', str(error)) from error
        stamps: dict[str, int] = {}
        keys: dict[tuple[int, Layout], str] = {}
        for name in self._names:
            if used[name] not in keys:
                keys[used[name]] = f'{JOINTS}:{name}' if keys else JOINTS
                stamps[keys[used[name]]] = used[name][0]
        return positions, stamps
