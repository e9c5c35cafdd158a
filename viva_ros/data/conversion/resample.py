# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Resampling of an episode to one rate, and its quality figures.

Zero-order hold: at each grid time, each stream has its newest message that is not later, as on the
live robot. Joints are not interpolated, because angles may wrap. Gaps are not filled: an episode
whose figures exceed the limits is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from viva_ros.core.observation import SECOND
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.episode import Frames, Joints
from viva_ros.data.joint_groups import held, speed_faults
from viva_ros.data.stamps import Stamps, period_of, step_back_text
from viva_ros.robot.topic_map import ImportLimits

PHASES: Final = 8  # candidate starts of the grid per period


@dataclass(frozen=True)
class StreamFigures:
    """
    One stream of an episode.

    :param rate: mean, Hz; 0 for fewer than two messages
    :param gap: longest interval without a message, from the first message of any stream to the
        last, s
    :param backwards: largest step back of its stamps, s
    :param repeated: share of the written frames that repeat the previous one
    """

    messages: int
    rate: float
    gap: float
    backwards: float
    repeated: float


@dataclass(frozen=True)
class Figures:
    """
    Quality figures of an episode.

    :param start: stamp of the first frame, ns
    :param duration: from the first frame to the last, s
    :param skew: largest difference between the stamps of one frame, s
    :param not_finite: joint to the number of positions that are not finite
    :param notes: on what was left out
    :param refused: reasons; empty for an episode within the limits
    :param codes: of the reasons
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
    notes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()

    def refuse(self, code: str, text: str) -> 'Figures':
        """Return the figures with another reason."""
        return replace(self, refused=(*self.refused, text), codes=(*self.codes, code))


def grid(episode: RawEpisode, rate: int) -> Stamps:
    """
    Return the grid times between the last start and the first end of a stream, (N,), ns.

    With a camera at the same rate, jitter around the grid times would repeat some frames and drop
    others. Of ``PHASES`` starts within one period, the grid has the one that repeats the fewest
    frames.

    :param rate: Hz
    """
    streams = {name: one.stamps for name, one in episode.streams.items()}
    if not streams or any(stamps.size == 0 for stamps in streams.values()):
        return np.empty(0, dtype=np.int64)
    begin = max(int(stamps[0]) for stamps in streams.values())
    end = min(int(stamps[-1]) for stamps in streams.values())
    cameras = [frames.stamps for frames in episode.cameras.values()]
    grids = [moments(begin + SECOND * i // (PHASES * rate), end, rate) for i in range(PHASES)]
    return min(grids, key=lambda one: sum(repeats(stamps, one) for stamps in cameras))


def moments(begin: int, end: int, rate: int) -> Stamps:
    """Return t[k] = begin + k / rate up to the end, each rounded separately, (N,), ns."""
    count = max(0, (end - begin + 1) * rate // SECOND + 1) if end >= begin else 0
    steps = np.arange(count, dtype=np.int64)
    return begin + (steps * SECOND + rate // 2) // rate


def repeats(stamps: Stamps, at: Stamps) -> int:
    """Return the number of grid times that have the frame of the previous one."""
    return int((np.diff(held(stamps, at)) == 0).sum())


def measure(episode: RawEpisode, at: Stamps, limits: ImportLimits) -> Figures:
    """Return the figures of an episode, with the reasons to refuse it."""
    streams = episode.streams
    known = [one.stamps for one in streams.values() if one.stamps.size]
    first = min((int(stamps[0]) for stamps in known), default=0)
    last = max((int(stamps[-1]) for stamps in known), default=0)
    figures = {name: _stream(one, first, last, at) for name, one in streams.items()}
    start = int(at[0]) if at.size else 0
    duration = float(at[-1] - at[0]) * 1e-9 if at.size else 0.0
    skew, not_finite = _skew(streams, at), _not_finite(episode)
    measured = Figures(
        episode.name, str(episode.source), start, len(at), round(duration, 6), round(skew, 6),
        episode.readable, figures, not_finite, episode.losses, episode.notes,
    )  # fmt: skip
    for code, text in (
        *_stream_refusals(episode, figures, limits), *_joint_refusals(episode, limits),
        *_frame_refusals(at, skew, not_finite, limits),
    ):  # fmt: skip
        measured = measured.refuse(code, text)
    return measured


def _stream(stream: Frames | Joints, first: int, last: int, at: Stamps) -> StreamFigures:
    stamps, backwards = stream.stamps, stream.backwards
    if not stamps.size:
        return StreamFigures(0, 0.0, (last - first) * 1e-9, 0.0, 0.0)
    edges = np.concatenate([[first], stamps, [last]])
    span = float(stamps[-1] - stamps[0]) * 1e-9
    repeated = repeats(stamps, at) / max(1, len(at) - 1)
    return StreamFigures(
        len(stamps), round((len(stamps) - 1) / span, 3) if span > 0.0 else 0.0,
        round(float(np.diff(edges).max()) * 1e-9, 6), round(backwards, 6), round(repeated, 4),
    )  # fmt: skip


def _skew(streams: Mapping[str, Frames | Joints], at: Stamps) -> float:
    if not at.size:
        return 0.0
    used = np.stack([one.stamps[held(one.stamps, at)] for one in streams.values()])
    return float((used.max(axis=0) - used.min(axis=0)).max()) * 1e-9


def _not_finite(episode: RawEpisode) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in (*episode.joints, *episode.action):
        by_joint = (~np.isfinite(group.positions)).sum(axis=0)
        counts |= {name: int(n) for name, n in zip(group.names, by_joint, strict=True) if n}
    return counts


def _stream_refusals(
    episode: RawEpisode, figures: Mapping[str, StreamFigures], limits: ImportLimits
) -> list[tuple[str, str]]:
    reasons = []
    for name, one in figures.items():
        if not one.messages:
            text = f'{name} has no messages: leave it out of the map, or record it'
            reasons.append(('stream-empty', text))
        elif one.gap > limits.max_gap:
            reasons.append((
                'stream-silent',
                f'{name} is silent for {one.gap:.3f} s, at most {limits.max_gap:g} s is allowed '
                '(max_gap)',
            ))  # fmt: skip
        back = step_back_text(
            name, one.backwards, period_of(episode.streams[name].stamps), episode.is_dataset
        )
        if back:
            reasons.append(('stream-stamps-back', back))
    incomplete = limits.min_readable == 1.0 and not episode.whole
    if episode.readable < limits.min_readable or incomplete:
        reasons.append((
            'recording-incomplete',
            f'{episode.readable:.1%} of the file can be read ({"; ".join(episode.losses)}), must '
            f'be at least {limits.min_readable:.1%} (min_readable): the outcome may be missing',
        ))  # fmt: skip
    return reasons


def _joint_refusals(episode: RawEpisode, limits: ImportLimits) -> list[tuple[str, str]]:
    """Return the joints that move faster than they can."""
    by_joint = dict(limits.joint_speeds)
    if limits.max_joint_speed is not None:
        names = [name for group in episode.joints for name in group.names]
        by_joint = dict.fromkeys(names, limits.max_joint_speed) | by_joint
    found = speed_faults(episode.joints, by_joint, episode.known_units)
    return [('joint-speed', text) for text in found]


def _frame_refusals(
    at: Stamps, skew: float, not_finite: Mapping[str, int], limits: ImportLimits
) -> list[tuple[str, str]]:
    reasons = []
    if len(at) < 2:
        text = f'has {len(at)} frames for which all streams have a message, must be at least 2'
        reasons.append(('frames-few', text))
    if skew > limits.max_skew:
        reasons.append((
            'frame-skew',
            f'inputs of one frame are {skew:.3f} s apart, at most {limits.max_skew:g} s is '
            'allowed (max_skew): is a stream slower than the rate in the map?',
        ))  # fmt: skip
    if not_finite:
        counts = ', '.join(f'{name} {count} times' for name, count in not_finite.items())
        reasons.append(('joint-not-finite', f'positions are not finite: {counts}'))
    return reasons
