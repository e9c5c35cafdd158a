# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checks of the streams of an episode against the limits of a map.

An import refuses an episode beyond them; in place it is a fault of the episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from viva_ros.data.episode import NOT_FINITE, Frames, Joints
from viva_ros.data.joint_groups import held, speed_faults
from viva_ros.data.stamps import INDEX_REMEDY, Stamps, period_of, step_back_text
from viva_ros.robot.topic_map import ImportLimits

#: Time between the end of a stream and the begin of another that only clocks explain, s.
OTHER_CLOCK: Final = 86_400.0
#: A begin or end without frames that is longer is noted, s.
END: Final = 1.0


@dataclass(frozen=True)
class EpisodeStreams:
    """
    The streams of an episode.

    :param joints: in disjoint groups
    :param action: likewise
    :param is_dataset: whether they are rows of a dataset
    :param known_units: joints whose units are those of ROS, rad or m
    """

    cameras: Mapping[str, Frames]
    joints: tuple[Joints, ...]
    action: tuple[Joints, ...] = ()
    is_dataset: bool = False
    known_units: frozenset[str] = field(default_factory=frozenset)

    @property
    def by_name(self) -> dict[str, Frames | Joints]:
        """Return each stream by its name in texts."""
        streams: dict[str, Frames | Joints] = dict(self.cameras)
        for kind, groups in (('joints', self.joints), ('action', self.action)):
            for group in groups:
                streams[f'{kind} of {group.names[0]}' if group.names else kind] = group
        return streams

    @property
    def frame_times(self) -> Stamps:
        """Return the stamps of the first camera for which all streams have a message, (N,)."""
        streams = [one.stamps for one in self.by_name.values()]
        if not self.cameras or any(stamps.size == 0 for stamps in streams):
            return np.empty(0, dtype=np.int64)
        frames = next(iter(self.cameras.values())).stamps
        begin = max(int(stamps[0]) for stamps in streams)
        end = min(int(stamps[-1]) for stamps in streams)
        return frames[(frames >= begin) & (frames <= end)]


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
class StreamChecks:
    """
    Result of the checks.

    :param figures: by stream
    :param skew: largest difference between the stamps of one frame, s
    :param not_finite: joint to the number of positions that are not finite
    :param reasons: code and text of each; empty within the limits
    :param notes: on messages that are left out
    """

    figures: Mapping[str, StreamFigures]
    skew: float
    not_finite: Mapping[str, int]
    reasons: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def check_streams(streams: EpisodeStreams, at: Stamps, limits: ImportLimits) -> StreamChecks:
    """
    Measure the streams of an episode, and compare them with the limits.

    :param at: times of the frames, ns
    """
    by_name = streams.by_name
    known = [one.stamps for one in by_name.values() if one.stamps.size]
    first = min((int(stamps[0]) for stamps in known), default=0)
    last = max((int(stamps[-1]) for stamps in known), default=0)
    figures = {name: _stream(one, first, last, at) for name, one in by_name.items()}
    skew, not_finite = _skew(by_name, at), _not_finite(streams)
    reasons = _clock_refusals(by_name) or (
        *_stream_refusals(streams, figures, limits), *_joint_refusals(streams, limits),
        *_frame_refusals(at, skew, not_finite, limits),
    )  # fmt: skip
    notes = tuple(
        f'{one.repeated} messages of {name} have the stamp of another: left out'
        for name, one in by_name.items() if one.repeated
    )  # fmt: skip
    return StreamChecks(figures, skew, not_finite, reasons, (*notes, *_ends_left_out(by_name, at)))


def _ends_left_out(streams: Mapping[str, Frames | Joints], at: Stamps) -> list[str]:
    """Return notes on a begin or end without frames, where a stream has no messages."""
    known = {name: one.stamps for name, one in streams.items() if one.stamps.size}
    if not known or not at.size:
        return []
    late = max(known, key=lambda name: int(known[name][0]))
    early = min(known, key=lambda name: int(known[name][-1]))
    before = int(at[0]) - min(int(stamps[0]) for stamps in known.values())
    after = max(int(stamps[-1]) for stamps in known.values()) - int(at[-1])
    return [
        f'the {end} {span * 1e-9:.1f} s are left out: {name} has no message there'
        for end, span, name in (('first', before, late), ('last', after, early))
        if span * 1e-9 > END
    ]


def repeats(stamps: Stamps, at: Stamps) -> int:
    """Return the number of grid times that have the frame of the previous one."""
    return int((np.diff(held(stamps, at)) == 0).sum())


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


def _not_finite(streams: EpisodeStreams) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in (*streams.joints, *streams.action):
        by_joint = (~np.isfinite(group.positions)).sum(axis=0)
        counts |= {name: int(n) for name, n in zip(group.names, by_joint, strict=True) if n}
    return counts


def _clock_refusals(streams: Mapping[str, Frames | Joints]) -> tuple[tuple[str, str], ...]:
    """Return the reason if one stream ends long before another begins."""
    ends = {name: int(one.stamps[-1]) for name, one in streams.items() if one.stamps.size}
    begins = {name: int(streams[name].stamps[0]) for name in ends}
    early = min(ends, key=ends.__getitem__, default='')
    late = max(begins, key=begins.__getitem__, default='')
    apart = (begins[late] - ends[early]) * 1e-9 if ends else 0.0
    if apart <= OTHER_CLOCK:
        return ()
    return ((
        'stream-clocks',
        f'{late} begins {apart:.0f} s after the end of {early}: their stamps are of different '
        'clocks; set "stamp: received" for the one of a device in the map',
    ),)  # fmt: skip


def _stream_refusals(
    streams: EpisodeStreams, figures: Mapping[str, StreamFigures], limits: ImportLimits
) -> list[tuple[str, str]]:
    reasons = []
    remedy = f'; {INDEX_REMEDY}' if streams.is_dataset else ''
    for name, one in figures.items():
        lost = getattr(streams.by_name[name], 'lost', '')
        if lost and not one.messages:
            reasons.append(('stream-undecodable', f'{name}: {lost}'))
        elif not one.messages:
            text = f'{name} has no messages: leave it out of the map, or record it'
            reasons.append(('stream-empty', text))
        elif one.gap > limits.max_gap:
            reasons.append((
                'stream-silent',
                f'{name} is silent for {one.gap:.3f} s, at most {limits.max_gap:g} s is allowed '
                f'(max_gap){remedy}',
            ))  # fmt: skip
        back = step_back_text(
            name, one.backwards, period_of(streams.by_name[name].stamps), streams.is_dataset
        )
        if back:
            reasons.append(('stream-stamps-back', back))
        repeated = streams.by_name[name].repeated
        if repeated and streams.is_dataset:
            reasons.append((
                'stream-stamps-repeat',
                f'{repeated} rows of {name} have the timestamp of another: {INDEX_REMEDY}',
            ))  # fmt: skip
    return reasons


def _joint_refusals(streams: EpisodeStreams, limits: ImportLimits) -> list[tuple[str, str]]:
    """Return the joints that move faster than they can."""
    by_joint = dict(limits.joint_speeds)
    names = [name for group in streams.joints for name in group.names]
    unknown = sorted(set(by_joint) - set(names))
    if unknown:
        text = (
            f'max_joint_speed names {", ".join(unknown)}, which is no joint, must be of '
            f'{", ".join(names)}: correct "limits" in the map'
        )
        return [('joint-speed-name', text)]
    if limits.max_joint_speed is not None:
        by_joint = dict.fromkeys(names, limits.max_joint_speed) | by_joint
    found = speed_faults(streams.joints, by_joint, streams.known_units)
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
        text = f'positions are not finite ({counts}): correct the joint driver, or leave it out'
        reasons.append((NOT_FINITE, text))
    return reasons
