# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Merging of joint states by name.

A message may have some of the joints: each arm has its driver, or a gripper is apart. Joints that
always arrive together form a group with stamps of its own; the newest value of each joint counts.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.joint_states import SPEED_LIMIT, jumps, reversals, speed_text, twice_text
from viva_ros.core.observation import Array
from viva_ros.data.episode import Joints
from viva_ros.data.stamps import Stamps, ordered


@dataclass(frozen=True)
class JointReading:
    """
    The joints of one message.

    :param received: receive time, ns
    :param stamp: ns
    :param positions: (len(names),), rad or m
    """

    received: int
    stamp: int
    names: tuple[str, ...]
    positions: Array


@dataclass
class JointReadings:
    """
    The joints of the messages of one topic, by name.

    :param where: recording and topic, for error texts
    :param names: recorded name to joint name; empty for all joints
    :param prefix: put before each name if ``names`` is empty
    """

    where: str
    names: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ''
    readings: list[JointReading] = field(default_factory=list)
    seen: dict[str, None] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    _order: dict[str, int] = field(default_factory=dict)
    _layouts: dict[tuple[str, ...], tuple[tuple[str, ...], NDArray[np.intp]]] = field(
        default_factory=dict
    )

    def add(
        self, received: int, stamp: int, names: Sequence[str], positions: NDArray[np.floating]
    ) -> None:
        """
        Add a message. One without positions, or without a wanted joint, is left out.

        :raises RecordingError: if it has a wanted joint twice
        """
        if len(names) != len(positions):
            self.left_out[f'{len(positions)} positions for {len(names)} names'] += 1
            return
        key = tuple(names)
        if key not in self._layouts:
            self._layouts[key] = self._layout(key)
        known, columns = self._layouts[key]
        if known:
            row = np.asarray(positions, dtype=np.float64)[columns]
            self.readings.append(JointReading(received, stamp, known, row))

    def _layout(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.intp]]:
        """Return the joints of a message by their first appearance, and their columns."""
        wanted = self.names or {name: self.prefix + name for name in names}
        twice = [name for name in wanted if names.count(name) > 1]
        if twice:
            raise RecordingError('joint-twice-in-message', twice_text(names, self.where))
        self.seen |= dict.fromkeys(names)
        for name in wanted:
            self._order.setdefault(wanted[name], len(self._order))
        found = [name for name in wanted if name in names]
        found.sort(key=lambda name: self._order[wanted[name]])
        columns = np.array([names.index(name) for name in found], dtype=np.intp)
        return tuple(wanted[name] for name in found), columns

    @property
    def notes(self) -> tuple[str, ...]:
        """Texts on messages that were left out."""
        return tuple(
            f'{count} messages of {self.where} are left out: {reason}'
            for reason, count in self.left_out.items()
        )


def groups_of(readings: Iterable[JointReading], where: str) -> tuple[Joints, ...]:
    """
    Return the joints in disjoint groups; those of one group always have the same stamps.

    :raises RecordingError: if a joint has two positions at one stamp
    """
    layouts: dict[tuple[str, ...], list[JointReading]] = {}
    for one in readings:
        layouts.setdefault(one.names, []).append(one)
    groups = []
    for names, own in layouts.items():
        order = ordered([one.stamp for one in own])
        rows = np.array([own[k].positions for k in order.rows], dtype=np.float64)
        groups.append(Joints(order.stamps, names, rows.reshape(-1, len(names)), order.backwards))
    counts = Counter(name for names in layouts for name in names)
    return tuple(groups) if max(counts.values(), default=0) < 2 else _disjoint(groups, where)


def _disjoint(groups: Sequence[Joints], where: str) -> tuple[Joints, ...]:
    """Merge groups that share joints: each joint gets its positions from all of them."""
    series: dict[str, tuple[Stamps, Array, float]] = {}
    for name in dict.fromkeys(name for group in groups for name in group.names):
        own = [group for group in groups if name in group.names]
        stamps = np.concatenate([group.stamps for group in own])
        values = np.concatenate([g.positions[:, g.names.index(name)] for g in own])
        order = np.argsort(stamps, kind='stable')
        stamps, values = stamps[order], values[order]
        same = np.flatnonzero((np.diff(stamps) == 0) & (np.diff(values) != 0.0))
        if same.size:
            k = int(same[0])
            raise RecordingError(
                'joint-conflict',
                f'{where}: {name} is {values[k]:.3f} and {values[k + 1]:.3f} at stamp '
                f'{stamps[k] * 1e-9:.3f} s: two publishers share the topic; record it again with '
                'one, or give each arm its joint names',
            )
        first = np.concatenate([[True], np.diff(stamps) > 0])
        series[name] = stamps[first], values[first], max(group.backwards for group in own)
    together: dict[bytes, list[str]] = {}
    for name, (stamps, _, _) in series.items():
        together.setdefault(stamps.tobytes(), []).append(name)
    return tuple(
        Joints(
            series[names[0]][0], tuple(names), np.stack([series[n][1] for n in names], axis=1),
            max(series[n][2] for n in names),
        )
        for names in together.values()
    )  # fmt: skip


def held(stamps: Stamps, at: Stamps) -> NDArray[np.int64]:
    """Return the index of the newest stamp that is not later than each time, (N,); -1: none."""
    return np.searchsorted(stamps, at, side='right').astype(np.int64) - 1


def joints_at(groups: Sequence[Joints], at: Stamps) -> Array:
    """Return the positions of all groups at each time, (N, J), rad or m."""
    return np.concatenate([g.positions[held(g.stamps, at)] for g in groups], axis=1)


def joined(groups: Sequence[Joints], path: Path) -> Joints:
    """
    Join groups in one matrix, with a row for each message of the group with the most.

    The joints of the others hold their newest position. It begins when all joints are known.

    :raises RecordingError: if a group ends before another begins
    """
    if len(groups) == 1:
        return groups[0]
    stamps = max(groups, key=lambda group: group.stamps.size).stamps
    begun = np.all([held(group.stamps, stamps) >= 0 for group in groups], axis=0)
    names = tuple(name for group in groups for name in group.names)
    first = max(int(group.stamps[0]) for group in groups if group.stamps.size)
    if not begun.any() or any(int(group.stamps[-1]) < first for group in groups):
        raise RecordingError(
            'joints-disjoint',
            f'{path}: joints {", ".join(names)} have no time in common: correct the topics in '
            'the map',
        )
    back = max(group.backwards for group in groups)
    return Joints(stamps[begun], names, joints_at(groups, stamps[begun]), back)


def speed_faults(
    groups: Sequence[Joints], limits: Mapping[str, float], known_units: Collection[str]
) -> list[str]:
    """
    Return a text for each group with joints that move faster than they can.

    A joint with a limit must not exceed it. One without, whose unit is known, must not jump to
    and fro, see ``reversals``; an unknown unit has no limit.

    :param limits: by joint, rad/s or m/s
    :param known_units: joints in rad or m
    """
    found = []
    for group in groups:
        default = [SPEED_LIMIT if name in known_units else math.inf for name in group.names]
        own = [limits.get(name, most) for name, most in zip(group.names, default, strict=True)]
        steps = jumps(group.stamps, group.positions, own)
        limited = np.array([name in limits for name in group.names])
        bad = np.where(limited, steps != 0.0, reversals(group.stamps, steps))
        if not bad.any():
            continue
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        column = int(np.flatnonzero(bad[row])[0])
        name, others = group.names[column], int(bad[row].sum()) - 1
        before, after = group.positions[row : row + 2, column]
        seconds = float(group.stamps[row + 1] - group.stamps[row]) * 1e-9
        at = float(group.stamps[row + 1]) * 1e-9
        also = f' (and {others} others)' if others else ''
        found.append(speed_text(f'{name}{also}', before, after, seconds, at, own[column]))
    return found
