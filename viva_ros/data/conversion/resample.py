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

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.observation import SECOND
from viva_ros.data.conversion.raw_episode import RawEpisode
from viva_ros.data.recording import SOURCE, Recording
from viva_ros.data.stamps import Stamps, period_of
from viva_ros.data.stream_checks import StreamFigures, check_streams, repeats
from viva_ros.robot.topic_map import ImportLimits, TopicMap

PHASES: Final = 8  # candidate starts of the grid per period


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
    frames. The last row of a dataset holds for its period: its timestamps are rounded, and a later
    start must not lose it.

    :param rate: Hz
    """
    streams = {name: one.stamps for name, one in episode.streams.by_name.items()}
    if not streams or any(stamps.size == 0 for stamps in streams.values()):
        return np.empty(0, dtype=np.int64)
    begin = max(int(stamps[0]) for stamps in streams.values())
    end = min(int(stamps[-1]) for stamps in streams.values())
    if episode.is_dataset:  # half of a phase before the period ends: rounding adds no row
        row = min(period_of(stamps) for stamps in streams.values())
        end += round(row * SECOND * (1.0 - 0.5 / PHASES))
    cameras = [frames.stamps for frames in episode.cameras.values()]
    grids = [moments(begin + SECOND * i // (PHASES * rate), end, rate) for i in range(PHASES)]
    return min(grids, key=lambda one: sum(repeats(stamps, one) for stamps in cameras))


def rate_of(recording: Recording, topic_map: TopicMap) -> int:
    """
    Return the rate of the map, else that of the rows of the recording, Hz.

    :raises ConfigurationError: if neither has a whole number
    """
    if topic_map.rate is not None:
        return topic_map.rate
    fps = topic_map.source_rate or recording.metadata.get(SOURCE, {}).get('fps')
    if fps is None or float(fps) != int(fps):
        known = f' and its own is {float(fps):g} Hz, no whole number' if fps else ''
        raise ConfigurationError(
            'rate-missing', f'has no rate for the dataset{known}: set --rate, or "rate" in the map'
        )
    return int(fps)


def frame_times(episode: RawEpisode, recording: Recording, topic_map: TopicMap) -> Stamps:
    """Return the grid times of an import; without a rate, the stamps of the first camera, ns."""
    try:
        return grid(episode, rate_of(recording, topic_map))
    except ConfigurationError:
        return episode.streams.frame_times


def moments(begin: int, end: int, rate: int) -> Stamps:
    """Return t[k] = begin + k / rate up to the end, each rounded separately, (N,), ns."""
    count = max(0, (end - begin + 1) * rate // SECOND + 1) if end >= begin else 0
    steps = np.arange(count, dtype=np.int64)
    return begin + (steps * SECOND + rate // 2) // rate


def measure(episode: RawEpisode, at: Stamps, limits: ImportLimits) -> Figures:
    """Return the figures of an episode, with the reasons to refuse it."""
    found = check_streams(episode.streams, at, limits)
    start = int(at[0]) if at.size else 0
    duration = float(at[-1] - at[0]) * 1e-9 if at.size else 0.0
    measured = Figures(
        episode.name, str(episode.source), start, len(at), round(duration, 6),
        round(found.skew, 6), episode.readable, found.figures, found.not_finite, episode.losses,
        (*episode.notes, *found.notes),
    )  # fmt: skip
    incomplete = limits.min_readable == 1.0 and not episode.whole
    if episode.readable < limits.min_readable or incomplete:
        measured = measured.refuse(
            'recording-incomplete',
            f'{episode.readable:.1%} of the file can be read ({"; ".join(episode.losses)}), must '
            f'be at least {limits.min_readable:.1%} (min_readable): the outcome may be missing',
        )
    for code, text in found.reasons:
        measured = measured.refuse(code, text)
    return measured
