# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Merging of joint states by name.

A message may have some of the joints: each arm has its driver, or a gripper is apart. Joints that
always arrive together form a group with stamps of its own; the newest value of each joint counts.
"""

import math
from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viva_ros.core.errors import RecordingError
from viva_ros.core.joint_states import (
    SPEED_LIMIT,
    SPEED_PERIOD,
    jumps,
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


class PackedReadings(Sequence[JointReading]):
    """Readings without an object for each: 8 bytes for a position, 32 for a message."""

    def __init__(self) -> None:
        self._times = array('q')  # received, stamp of each
        self._positions = array('d')
        self._ends = array('q')  # in the positions
        self._layouts: dict[tuple[str, ...], int] = {}
        self._kinds = array('q')  # number of the layout of each

    def append(self, one: JointReading) -> None:
        """Append a reading."""
        self._times.extend((one.received, one.stamp))
        self._positions.frombytes(np.asarray(one.positions, dtype=np.float64).tobytes())
        self._ends.append(len(self._positions))
        self._kinds.append(self._layouts.setdefault(one.names, len(self._layouts)))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(len(self))[index]]
        row = range(len(self))[index]
        return self._reading(row, list(self._layouts))

    def __iter__(self) -> Iterator[JointReading]:
        layouts = list(self._layouts)
        return (self._reading(row, layouts) for row in range(len(self)))

    def _reading(self, row: int, layouts: Sequence[tuple[str, ...]]) -> JointReading:
        begin = self._ends[row - 1] if row else 0
        positions = np.array(self._positions[begin : self._ends[row]])
        received, stamp = self._times[2 * row : 2 * row + 2]
        return JointReading(received, stamp, layouts[self._kinds[row]], positions)


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
    readings: PackedReadings = field(default_factory=PackedReadings)
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
        if not known:
            self.left_out['none of the joints'] += 1
        else:
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
    layouts = list(dict.fromkeys(one.names for one in readings))
    counts = Counter(name for names in layouts for name in names)
    groups = []
    for names in layouts:
        alone = tuple(name for name in names if counts[name] == 1)
        if alone:
            groups.append(_group(alone, [names], readings, where, is_dataset))
    together: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name in (one for one, count in counts.items() if count > 1):
        key = tuple(names for names in layouts if name in names)
        together.setdefault(key, []).append(name)
    groups += [
        _group(tuple(joints), key, readings, where, is_dataset) for key, joints in together.items()
    ]
    return tuple(groups)


def _group(
    names: tuple[str, ...], layouts: Sequence[tuple[str, ...]], readings: Sequence[JointReading],
    where: str, is_dataset: bool,
) -> Joints:  # fmt: skip
    """Return joints of the messages with some layouts, in the order of their stamps."""
    columns = {own: [own.index(name) for name in names] for own in layouts}
    positions, times = array('d'), array('q')
    for one in readings:
        if one.names in columns:
            positions.frombytes(one.positions[columns[one.names]].tobytes())
            times.append(one.stamp)
    recorded = np.frombuffer(positions).reshape(-1, len(names))
    stamps = np.frombuffer(times, dtype=np.int64)
    order = ordered(stamps)
    is_sorted = order.rows == list(range(len(recorded)))
    rows = recorded if is_sorted else recorded[order.rows].reshape(-1, len(names))
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

    The monitor is unknown after each start of such a motion. A joint without a limit has
    SPEED_LIMIT if its unit is known, else none.

    :param limits: by joint, rad/s or m/s
    :param known_units: joints in rad or m
    """
    found = []
    for group in groups:
        default = [SPEED_LIMIT if name in known_units else math.inf for name in group.names]
        own = [limits.get(name, most) for name, most in zip(group.names, default, strict=True)]
        steps = jumps(group.stamps, group.positions, own)
        bad = steps != 0.0
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
