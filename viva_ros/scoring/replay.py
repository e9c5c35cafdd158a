# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a monitor sees, from a recording: the messages go through the code that runs live.

Where a monitor was recorded, its choice of inputs is on record, stamp by stamp, and is taken over:
live timing is not repeatable. Else the monitor's own timer is imitated.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from viva_ros.core.errors import InputError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.inputs import InputBuffer, Selection, SyncSettings
from viva_ros.core.observation import Image, Observation, Unknown
from viva_ros.data.images import decode
from viva_ros.data.messages import from_time
from viva_ros.data.recorded_messages import ValueMessage, values
from viva_ros.data.recording import Recording
from viva_ros.engine.observation_builder import Observer

Decode = Callable[[Any], Image]
FOREVER: Final = 1e9  # s; stamps of a recording are not searched for jumps of time


@dataclass(frozen=True)
class Sight:
    """
    One moment at which a value is due.

    :param stamp: of the newest input used; of the attempt, for an unknown one; ns
    :param seen: what the engine is given, or why not
    :param episode: id under way; empty where none was announced
    :param said: the value published at that time, NaN if unknown; None where nobody published
    :param executing: whether it is to be judged
    """

    stamp: int
    seen: Observation | Unknown
    episode: str = ''
    said: float | None = None
    executing: bool = True


def sights(
    recording: Recording, cameras: Sequence[str], joint_names: Sequence[str], rate: float,
    size: tuple[int, int] | None = None,
) -> Iterator[Sight]:  # fmt: skip
    """
    Return the moments of a recording, in order.

    :param rate: of the imitated monitor, Hz; not used where one was recorded
    :param size: (height, width) that the engine fits pictures into, px; None: they come as sent
    """
    said, fitting = values(recording), partial(decode, size=size)
    if said:
        return _repeat(recording, cameras, joint_names, said, fitting)
    return _imitate(recording, cameras, joint_names, rate, fitting)


def _repeat(
    recording: Recording, cameras: Sequence[str], joint_names: Sequence[str],
    said: list[ValueMessage], fitting: Decode,
) -> Iterator[Sight]:  # fmt: skip
    """Yield exactly what the recorded monitor used; what it called unknown stays unknown."""
    everything = SyncSettings(time_jump=FOREVER)
    buffer: InputBuffer[Any] = InputBuffer(cameras, joint_names, everything, keep_all=True)
    for _, source, message in arrivals(recording, cameras):
        _add(buffer, source, message)
    for one in said:
        if not one.known:
            unknown = Unknown(one.kind, one.reason)
            yield Sight(one.stamp, unknown, one.episode, math.nan, one.executing)
            continue
        selection = buffer.select_at(one.inputs)
        seen = selection if isinstance(selection, Unknown) else _decode(selection, fitting)
        yield Sight(one.stamp, seen, one.episode, one.value, one.executing)


def _decode(selection: Selection[Any], fitting: Decode) -> Observation | Unknown:
    """Decode without a second opinion on the pictures: the monitor has looked at them."""
    try:
        images = {c: fitting(message) for c, message in selection.payloads.items()}
    except InputError as error:
        return Unknown('input', str(error))
    return selection.observation(images)


def _imitate(
    recording: Recording, cameras: Sequence[str], joint_names: Sequence[str], rate: float,
    fitting: Decode,
) -> Iterator[Sight]:  # fmt: skip
    """Look every 1 / rate s of receive time, from the first image on."""
    buffer: InputBuffer[Any] = InputBuffer(cameras, joint_names, SyncSettings())
    observer: Observer[Any] = Observer(
        {camera: camera for camera in cameras}, PictureSettings(), fitting, content
    )
    waiting = arrivals(recording, cameras)
    begin = next((time for time, camera, _ in waiting if camera), None)
    if begin is None:
        return
    period, tick, resets, newest = round(1e9 / rate), begin, 0, -1
    for time, camera, message in [*waiting, (waiting[-1][0] + 1, '', None)]:
        while time > tick:
            if buffer.resets != resets:
                resets, newest = buffer.resets, -1
                observer.reset()
            sight = _look(buffer, observer, tick)
            if isinstance(sight.seen, Unknown) or sight.stamp > newest:
                newest = max(newest, sight.stamp)
                yield sight
            tick += period
        if message is not None:
            _add(buffer, camera, message)


def _look(buffer: InputBuffer[Any], observer: Observer[Any], now: int) -> Sight:
    selection = buffer.select(now)
    if isinstance(selection, Unknown):
        return Sight(now, selection)
    return Sight(selection.stamp, observer.observe(selection))


def arrivals(recording: Recording, cameras: Sequence[str]) -> list[tuple[int, str, Any]]:
    """
    Return all inputs in the order received: time, camera ('' for joints) and message.

    Cameras that nobody asked for are left out; those that are not there will be missed.
    """
    tracks = {c: t for c, t in recording.cameras.items() if c in cameras}
    joints = recording.find('joint_states')
    named = [*tracks.items(), *([('', joints)] if joints else [])]
    received = [(time, name, m) for name, track in named for time, m in track.messages()]
    return sorted(received, key=lambda one: one[0])


def content(message: Any) -> memoryview:
    """Return the bytes of a picture as received."""
    return memoryview(message.data)


def _add(buffer: InputBuffer[Any], camera: str, message: Any) -> None:
    stamp = from_time(message.header.stamp)
    if camera:
        buffer.add_image(camera, stamp, message)
    elif len(message.name) == len(message.position):
        buffer.add_joints(stamp, dict(zip(message.name, message.position.tolist(), strict=True)))
