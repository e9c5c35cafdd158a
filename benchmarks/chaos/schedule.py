# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The disturbances of a run, drawn at random; a seed always gives the same schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

#: Kinds with their targets and weights.
KINDS: Final[Mapping[str, tuple[Sequence[str], float]]] = {
    'kill': (
        ('monitor', 'supervisor', 'black_box', 'engine', 'head', 'wrist', 'robot'), 4.0,
    ),
    'stop': (
        ('monitor', 'supervisor', 'black_box', 'engine', 'head', 'wrist', 'robot'), 4.0,
    ),
    'flood': (('alert', 'value', 'joint_states', 'head/image_raw', 'episode'), 2.0),
    'replayed_values': (('value',), 1.5),
    'unknown_values': (('value',), 1.5),
    'foreign_values': (('value',), 1.5),
    'second_monitor': (('monitor',), 1.0),
    'second_supervisor': (('supervisor',), 1.0),
    'second_camera': (('head',), 1.0),
    'second_joints': (('joint_states',), 1.0),
    'full_disk': (('black_box',), 1.0),
    'hidden_engine': (('monitor',), 1.0),
    'burners': (('cpu',), 1.0),
    'parameters': (('monitor', 'supervisor', 'black_box'), 1.0),
    'clock': (('negative', 'back', 'ahead', 'still'), 3.0),
    'foreign_episode': (('episode',), 1.0),
}  # fmt: skip
#: Drawn by a generator of its own: the schedule of the other kinds is that of earlier versions.
APART: Final = 'foreign_episode'
APART_GAPS: Final = (20.0, 60.0)  # s
GAPS: Final = (2.0, 7.0)  # s, from one begin to the next
LENGTHS: Final = (1.5, 5.0)  # s
WINDOW, MOST_KILLS = 60.0, 3  # s; of one node: a launch gives up after five restarts a minute
PEACE: Final = 15.0  # s, at the begin and at the end: a start, and the recovery


@dataclass(frozen=True)
class Planned:
    """
    A disturbance to come.

    :param at: since the begin, s
    :param length: s; of no meaning for a kill
    :param seed: of what is random in it
    """

    at: float
    kind: str
    target: str
    length: float
    seed: int


def draw(
    seconds: float, seed: int, sim_time: bool = False, kinds: Sequence[str] = ()
) -> list[Planned]:
    """
    Return the schedule of a run.

    :param seconds: length of the run
    :param sim_time: whether the nodes follow /clock, which can then jump
    :param kinds: of disturbances; empty: all
    """
    names = [name for name in KINDS if sim_time or name != 'clock']
    if kinds:
        chosen = [name for name in names if name in kinds]
        return _draw(chosen, Random(seed), PEACE, seconds, GAPS)
    names.remove(APART)
    found, random = _draw(names, Random(seed), PEACE, seconds, GAPS), Random(f'{APART} {seed}')
    first = PEACE + random.uniform(*APART_GAPS)
    for one in _draw([APART], random, first, seconds, APART_GAPS):
        if not any(_overlap(one, other) for other in found):
            found.append(one)
    return sorted(found, key=lambda one: one.at)


def _draw(
    names: Sequence[str], random: Random, at: float, seconds: float, gaps: tuple[float, float]
) -> list[Planned]:
    """Return disturbances of some kinds from a time on."""
    found = list[Planned]()
    while at < seconds - PEACE:
        (kind,) = random.choices(names, [KINDS[name][1] for name in names])
        target = random.choice(KINDS[kind][0])
        one = Planned(at, kind, target, random.uniform(*LENGTHS), random.randrange(2**31))
        at += random.uniform(*gaps)
        if one.at + one.length > seconds - PEACE or _too_often(found, one):
            continue
        found.append(one)
    return found


def _too_often(before: Sequence[Planned], one: Planned) -> bool:
    """Return whether a node would be restarted too often, or is disturbed already."""
    ends = ('kill', 'hidden_engine')
    same = [other for other in before if other.target == one.target]
    recent = [other for other in same if other.kind in ends and one.at - other.at < WINDOW]
    busy = any(_overlap(one, other) for other in same)
    return busy or (one.kind in ends and len(recent) >= MOST_KILLS)


def _overlap(one: Planned, other: Planned) -> bool:
    """Return whether two disturb the same target at one time, or within 1 s."""
    first, second = sorted((one, other), key=lambda two: two.at)
    return one.target == other.target and second.at < first.at + first.length + 1.0
