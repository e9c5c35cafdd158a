# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The strip of camera pictures below a plot: at even times, and when it matters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import ConnectionPatch

from viva_ros.core.observation import Image
from viva_ros.data.images import camera_tracks, frames
from viva_ros.data.recording import Recording
from viva_ros.visualization.timeline import ALWAYS, Story

COLOURS = {'ALARM': '#D55E00', 'failure': 'black', 'success': '#009E73', '': '#888888'}


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


def picture_times(story: Story, count: int) -> list[tuple[float, str]]:
    """
    Choose even times, and move the nearest between the ends to each alarm, failure and success.

    :returns: ascending times, s, with 'ALARM', 'failure', 'success' or ''
    """
    times = np.linspace(0.0, story.end, count)
    wanted = [(story.seconds(event.stamp), 'ALARM') for event in story.alarms]
    wanted += [(at, 'failure') for at in story.evidence]
    wanted += [(at, 'success') for at in story.successes]
    chosen: dict[int, tuple[float, str]] = {}
    for at, name in wanted[: count - 2]:
        free = [place for place in range(1, count - 1) if place not in chosen]
        chosen[min(free, key=lambda place: abs(times[place] - at))] = at, name
    even = [(float(at), '') for place, at in enumerate(times) if place not in chosen]
    return sorted([*even, *chosen.values()])


def draw_pictures(strip: Sequence[Any], axes: Any, recording: Recording, story: Story) -> None:
    """Pictures in the order of time, each tied to the axis."""
    moments = picture_times(story, len(strip))
    images = pictures(recording, [story.begin + round(at * 1e9) for at, _ in moments])
    for place, (at, name) in enumerate(moments):
        frame = strip[place]
        frame.set(xticks=[], yticks=[])
        if images:
            frame.imshow(images[place])
        colour = COLOURS[name]
        for spine in frame.spines.values():
            spine.set(visible=True, color=colour, lw=3 if name else 0.8)
        text_colour = colour if name else 'black'
        frame.set_xlabel(f'{at:.1f} s {name}', color=text_colour, fontsize=9, labelpad=2)
        line = ConnectionPatch(
            (0.5, 1.0), (at, -0.05), 'axes fraction', 'data', axesA=frame, axesB=axes,
            color=colour, lw=0.8, alpha=0.7,
        )  # fmt: skip
        frame.figure.add_artist(line)
