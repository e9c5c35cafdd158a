# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Merging of joint states by name.

A message may have some of the joints: each arm has its driver, or a gripper is apart. Joints that
always arrive together form a group with stamps of its own; the newest value of each joint counts.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.joint_states import (
    SPEED_LIMIT,
    SPEED_PERIOD,
    jumps,
    reversals,
    speed_text,
    step_between,
    twice_text,
)
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


def groups_of(
    readings: Sequence[JointReading], where: str, is_dataset: bool = False
) -> tuple[Joints, ...]:
    """
    Return the joints in disjoint groups; those of one group always have the same stamps.

    :param readings: in the order of the recording
    :param is_dataset: whether they are rows of a dataset, whose units are unknown
    :raises RecordingError: if a joint has two positions at one stamp
    """
    layouts: dict[tuple[str, ...], list[JointReading]] = {}
    for one in readings:
        layouts.setdefault(one.names, []).append(one)
    counts = Counter(name for names in layouts for name in names)
    shared = [name for name, count in counts.items() if count > 1]
    groups = []
    for names, own in layouts.items():
        alone = [name for name in names if name not in shared]
        if alone:
            groups.append(_group(tuple(alone), own, where, is_dataset))
    together: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name in shared:
        key = tuple(names for names in layouts if name in names)
        together.setdefault(key, []).append(name)
    for key, joints in together.items():
        mine = [one for one in readings if one.names in key]
        groups.append(_group(tuple(joints), mine, where, is_dataset))
    return tuple(groups)


def _group(
    names: tuple[str, ...], readings: Sequence[JointReading], where: str, is_dataset: bool
) -> Joints:
    """Return joints that come in the same messages, in the order of their stamps."""
    columns = {one.names: [one.names.index(name) for name in names] for one in readings}
    recorded = np.array([one.positions[columns[one.names]] for one in readings])
    stamps = np.array([one.stamp for one in readings], dtype=np.int64)
    order = ordered(stamps.tolist())
    rows = recorded[order.rows].reshape(-1, len(names))
    if order.repeated and not is_dataset:
        _check_repeated(names, stamps, recorded, where)
    return Joints(order.stamps, names, rows, order.backwards, order.repeated)


def _check_repeated(names: tuple[str, ...], stamps: Stamps, positions: Array, where: str) -> None:
    """Refuse messages with one stamp whose positions are as far apart as those of two robots."""
    order = np.argsort(stamps, kind='stable')
    steps = np.abs(step_between(positions[order][:-1], positions[order][1:]))
    same = (np.diff(stamps[order]) == 0)[:, None] & (steps > SPEED_LIMIT * SPEED_PERIOD)
    if same.any():
        row, column = (int(found[0]) for found in np.nonzero(same))
        before, after = positions[order][row : row + 2, column]
        raise RecordingError(
            'joint-conflict',
            f'{where}: {names[column]} is {before:.3f} and {after:.3f} at stamp '
            f'{stamps[order][row] * 1e-9:.3f} s: two publishers share the topic; record it again '
            'with one, or give each arm its joint names',
        )


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
    repeated = max(group.repeated for group in groups)
    return Joints(stamps[begun], names, joints_at(groups, stamps[begun]), back, repeated)


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
