# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An episode brought to one rate, and what that costs.

At every moment of the grid each stream gives its newest message that is not later: what a robot
would have known then. Joints are held, not interpolated: between two of them the robot told
nothing, and an angle may wrap. Nothing is filled in: figures beyond the limits refuse the episode.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from viva_ros.core.observation import SECOND, Array
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.conversion.topic_map import ImportLimits
from viva_ros.data.episode import Joints, Stamps

PHASES: Final = 8


@dataclass(frozen=True)
class StreamFigures:
    """
    One stream of an episode.

    :param rate: mean, Hz; 0 with fewer than two messages
    :param gap: longest time without a message, from the first of all streams to the last, s
    :param backwards: furthest that its stamps went back, s
    :param repeated: share of the frames written that repeat the one before
    """

    messages: int
    rate: float
    gap: float
    backwards: float
    repeated: float


@dataclass(frozen=True)
class Figures:
    """
    What was seen of an episode.

    :param start: stamp of the first frame, ns
    :param duration: of what is written, s
    :param skew: largest between the stamps used for one frame, s
    :param not_finite: joint to the number of positions that are no number
    :param refused: reasons; empty where all is within the limits
    """

    name: str
    source: str
    start: int = 0
    frames: int = 0
    duration: float = 0.0
    skew: float = 0.0
    readable: float = 1.0
    streams: Mapping[str, StreamFigures] = field(default_factory=dict)
    not_finite: Mapping[str, int] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def grid(take: RawEpisode, rate: int) -> Stamps:
    """
    Return the moments at which all streams have begun and none has ended, (N,), ns.

    Moments that fall together with the frames of a camera of the same rate would meet now the one
    and now the other beside them, as stamps jitter. So the grid begins with the first moment or up
    to one period later, in eighths, where the fewest frames are repeated.
    """
    streams = take.streams
    if not streams or any(stamps.size == 0 for stamps in streams.values()):
        return np.empty(0, dtype=np.int64)
    begin = max(int(stamps[0]) for stamps in streams.values())
    end = min(int(stamps[-1]) for stamps in streams.values())
    cameras = [frames.stamps for frames in take.cameras.values()]
    grids = [moments(begin + SECOND * i // (PHASES * rate), end, rate) for i in range(PHASES)]
    return min(grids, key=lambda one: sum(repeats(stamps, one) for stamps in cameras))


def moments(begin: int, end: int, rate: int) -> Stamps:
    """Return t[k] = begin + k / rate up to the end, each rounded by itself, (N,), ns."""
    count = max(0, (end - begin + 1) * rate // SECOND + 1) if end >= begin else 0
    steps = np.arange(count, dtype=np.int64)
    return begin + (steps * SECOND + rate // 2) // rate


def repeats(stamps: Stamps, at: Stamps) -> int:
    """Count the moments that have the same frame as the one before."""
    return int((np.diff(held(stamps, at)) == 0).sum())


def held(stamps: Stamps, at: Stamps) -> Stamps:
    """Return the index of the newest stamp that is not later than each moment, (N,)."""
    return np.searchsorted(stamps, at, side='right').astype(np.int64) - 1


def joints_at(groups: Sequence[Joints], at: Stamps) -> Array:
    """Return positions of all groups side by side, (N, J)."""
    return np.concatenate([g.positions[held(g.stamps, at)] for g in groups], axis=1)


def measure(take: RawEpisode, at: Stamps, limits: ImportLimits) -> Figures:
    """Measure an episode, and say why it is refused if it is."""
    streams = take.streams
    known = {name: stamps for name, stamps in streams.items() if stamps.size}
    first = min((int(stamps[0]) for stamps in known.values()), default=0)
    last = max((int(stamps[-1]) for stamps in known.values()), default=0)
    figures = {
        name: _stream(stamps, first, last, at, take.backwards.get(name, 0.0))
        for name, stamps in streams.items()
    }
    start = int(at[0]) if at.size else 0
    duration = float(at[-1] - at[0]) * 1e-9 if at.size else 0.0
    skew, broken = _skew(streams, at), _not_finite(take)
    reasons = [
        *_refusals(take, figures, limits), *_bad(at, skew, broken, limits),
    ]  # fmt: skip
    return Figures(
        take.name, str(take.source), start, len(at), round(duration, 6), round(skew, 6),
        take.readable, figures, broken, take.losses, tuple(reasons),
    )  # fmt: skip


def _stream(stamps: Stamps, first: int, last: int, at: Stamps, backwards: float) -> StreamFigures:
    if not stamps.size:
        return StreamFigures(0, 0.0, (last - first) * 1e-9, 0.0, 0.0)
    edges = np.concatenate([[first], stamps, [last]])
    span = float(stamps[-1] - stamps[0]) * 1e-9
    repeated = repeats(stamps, at) / max(1, len(at) - 1)
    return StreamFigures(
        len(stamps), round((len(stamps) - 1) / span, 3) if span > 0.0 else 0.0,
        round(float(np.diff(edges).max()) * 1e-9, 6), round(backwards, 6), round(repeated, 4),
    )  # fmt: skip


def _skew(streams: Mapping[str, Stamps], at: Stamps) -> float:
    if not at.size:
        return 0.0
    used = np.stack([stamps[held(stamps, at)] for stamps in streams.values()])
    return float((used.max(axis=0) - used.min(axis=0)).max()) * 1e-9


def _not_finite(take: RawEpisode) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in (*take.joints, *take.action):
        broken = (~np.isfinite(group.positions)).sum(axis=0)
        counts |= {name: int(n) for name, n in zip(group.names, broken, strict=True) if n}
    return counts


def _refusals(
    take: RawEpisode, figures: Mapping[str, StreamFigures], limits: ImportLimits
) -> list[str]:
    reasons = []
    for name, one in figures.items():
        if not one.messages:
            reasons.append(f'{name} has no messages: leave it out of the map, or record it')
        elif one.gap > limits.max_gap:
            reasons.append(
                f'{name} is silent for {one.gap:.3f} s, at most {limits.max_gap:g} s is allowed '
                '(max_gap)'
            )
        if one.backwards > limits.max_gap:
            reasons.append(
                f'stamps of {name} go back by {one.backwards:.3f} s: the clock was set, or two '
                'robots share the topic'
            )
    if take.readable < limits.min_readable or (limits.min_readable == 1.0 and not take.whole):
        reasons.append(
            f'{take.readable:.1%} of the file can be read ({"; ".join(take.losses)}), at least '
            f'{limits.min_readable:.1%} is asked for (min_readable): the outcome may be cut off'
        )
    return reasons


def _bad(at: Stamps, skew: float, broken: Mapping[str, int], limits: ImportLimits) -> list[str]:
    reasons = []
    if len(at) < 2:
        reasons.append(
            f'has {len(at)} moments at which all streams have something, must be at least 2'
        )
    if skew > limits.max_skew:
        reasons.append(
            f'inputs of one frame are {skew:.3f} s apart, at most {limits.max_skew:g} s is '
            'allowed (max_skew): is a stream slower than the rate asked for?'
        )
    if broken:
        counts = ', '.join(f'{name} {count} times' for name, count in broken.items())
        reasons.append(f'positions are no finite numbers: {counts}')
    return reasons
