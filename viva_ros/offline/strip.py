# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The strip of camera pictures below a plot: at even times, and at the alarms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import ConnectionPatch

from viva_ros.core.observation import Image
from viva_ros.data.images import camera_tracks, frames
from viva_ros.data.recording import Recording
from viva_ros.offline.story import ALWAYS, Story

RED, GREY = '#D55E00', '#888888'


def pictures(recording: Recording, stamps: Sequence[int], camera: str = 'head') -> list[Image]:
    """
    Give one camera's picture at, or the last before, each stamp.

    :param camera: if it was not recorded, the first of the others
    """
    tracks = camera_tracks(recording)
    if not tracks:
        return []
    shown = frames(tracks.get(camera, next(iter(tracks.values()))), *ALWAYS)
    places = np.searchsorted(shown.stamps, np.array(stamps), side='right') - 1
    return [shown.images[max(0, int(place))] for place in places]


def picture_times(story: Story, count: int) -> list[tuple[float, bool]]:
    """
    Choose even times, and move the nearest one between the ends to each alarm.

    :returns: ascending times, s, and whether it is that of an alarm
    """
    times = np.linspace(0.0, story.end, count)
    chosen: dict[int, float] = {}
    for event in story.alarms[: count - 2]:
        at = story.seconds(event.stamp)
        free = [place for place in range(1, count - 1) if place not in chosen]
        chosen[min(free, key=lambda place: abs(times[place] - at))] = at
    even = [(float(at), False) for place, at in enumerate(times) if place not in chosen]
    return sorted([*even, *((at, True) for at in chosen.values())])


def draw_pictures(strip: Sequence[Any], axes: Any, recording: Recording, story: Story) -> None:
    """Pictures in the order of time, each tied to the axis."""
    moments = picture_times(story, len(strip))
    images = pictures(recording, [story.begin + round(at * 1e9) for at, _ in moments])
    for place, (at, is_alarm) in enumerate(moments):
        frame = strip[place]
        frame.set(xticks=[], yticks=[])
        if images:
            frame.imshow(images[place])
        colour = RED if is_alarm else GREY
        for spine in frame.spines.values():
            spine.set(visible=True, color=colour, lw=3 if is_alarm else 0.8)
        text = f'{at:.1f} s' + (' ALARM' if is_alarm else '')
        frame.set_xlabel(text, color=RED if is_alarm else 'black', fontsize=9, labelpad=2)
        line = ConnectionPatch(
            (0.5, 1.0), (at, -0.05), 'axes fraction', 'data', axesA=frame, axesB=axes,
            color=colour, lw=0.8, alpha=0.7,
        )  # fmt: skip
        frame.figure.add_artist(line)
