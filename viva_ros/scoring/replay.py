# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Replay the inputs of a monitor from a recording, through the code that runs live.

If the recording contains values of a monitor, the replay uses the input stamps of each value,
because live timing is not repeatable. Otherwise the replay simulates the timer of the monitor.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from viva_ros.core.detection.thresholds import same_rate
from viva_ros.core.errors import InputError, RecordingError
from viva_ros.core.image_checks import PictureSettings
from viva_ros.core.inputs import JOINTS, InputBuffer, Selection, SyncSettings
from viva_ros.core.joint_states import positions_by_name
from viva_ros.core.observation import Image, Observation, Unknown
from viva_ros.core.windows import is_slower
from viva_ros.data.images import decode
from viva_ros.data.messages import from_time
from viva_ros.data.recorded_messages import ValueMessage, values
from viva_ros.data.recording import SOURCE, RecordedMessage, Recording, Track
from viva_ros.data.video_packets import RecordedFrame
from viva_ros.engine.observation_builder import Observer

Decode = Callable[[str, Any], Image]  # of a camera and its message
Arrival = tuple[int, str, Any]  # receive time (ns), camera ('' for joints) and message
PAUSE: Final = 3.0  # median spacings, from which a spacing is a pause
FEW: Final = 5  # spacings, below which the rate of values is unknown
NO_TIME_JUMP: Final = 1e9  # s; the stamps of a recording are not checked for time jumps


@dataclass(frozen=True)
class ReplayInput:
    """
    Input of the engine for one value.

    :param stamp: stamp of the newest input, or of the attempt if the value is unknown, ns
    :param observation: input of the engine, or the reason why it is unknown
    :param episode: id of the episode; empty if none was announced
    :param published: value of the recorded monitor, NaN if unknown; None without a monitor
    :param executing: whether the robot executes the task, so that the detector judges the value
    """

    stamp: int
    observation: Observation | Unknown
    episode: str = ''
    published: float | None = None
    executing: bool = True


def replay(
    recording: Recording, cameras: Sequence[str], joint_names: Sequence[str], rate: float,
    size: tuple[int, int] | None = None,
) -> Iterator[ReplayInput]:  # fmt: skip
    """
    Return the inputs for all values of a recording, in order.

    :param rate: rate of the simulated monitor, Hz; unused if a monitor was recorded
    :param size: (height, width) of the engine's images, px; None for the recorded size
    """
    published, tracks = values(recording), recording.cameras

    def decoder(camera: str, message: Any) -> Image:
        return decode(_read(message), size, tracks[camera].options)

    if published:
        return _as_recorded(recording, cameras, joint_names, published, decoder)
    return _by_timer(recording, cameras, joint_names, rate, decoder)


def check_rate(recording: Recording, rate: float) -> None:
    """
    Check that the values of a recording are those of a monitor at a rate, Hz.

    A recording without values passes: its monitor is simulated at that rate.

    :raises RecordingError: if its monitor had another rate, or did not record its rate
    """
    check_rates({recording.path: monitor_rates(recording)}, rate)


def monitor_rates(recording: Recording) -> frozenset[float]:
    """Return the rates of the recorded monitor, Hz: 0 if unknown; empty without a monitor."""
    return frozenset(round(one.rate, 3) for one in values(recording))


def check_rates(rates: Mapping[Path, frozenset[float]], rate: float) -> None:
    """
    Check that the monitors of recordings had a rate, Hz.

    :param rates: rates of the monitor of each recording
    :raises RecordingError: if one had another; the text has the number of recordings of each rate
    """
    known = {path: found for path, found in rates.items() if found}
    others = {path: found for path, found in known.items()
              if not all(same_rate(one, rate) for one in found)}  # fmt: skip
    if not others:
        return
    path, found = next(iter(others.items()))
    usable = Counter(one for some in others.values() if len(some) == 1 for one in some if one > 0)
    use = [
        f'use --rate {one:.4g}, for viva calibrate too, or ' for one, _ in usable.most_common(1)
    ]
    counts = Counter(_rates_text(one) for one in known.values())
    each = f' (recordings {"; ".join(f"{at}: {n}" for at, n in counts.items())})'
    raise RecordingError(
        'recording-rate',
        f'{path} has the values of a monitor {_rates_text(found)}, must be at {rate:.4g} Hz'
        f'{each if len(known) > 1 else ""}: {"".join(use)}leave '
        f'{"the recording" if len(others) == 1 else "these recordings"} out',
    )


def _rates_text(rates: frozenset[float]) -> str:
    texts = [f'at {one:.4g} Hz' if one > 0.0 else 'at an unknown rate' for one in sorted(rates)]
    return ' and '.join(texts)


def check_spacing(path: Path, stamps: Sequence[int], rate: float) -> None:
    """
    Check that the values of a simulated monitor have the spacing of its rate.

    There is a value for each new set of inputs, so that slow cameras make the values slower than
    the rate. Pauses are left out.

    :param stamps: of the known values, ns, ascending
    :param rate: Hz
    :raises RecordingError: if the values are slower
    """
    steps = np.diff(np.array(stamps, dtype=np.int64))
    if len(steps) < FEW:
        return
    mean = float(np.mean(steps[steps <= PAUSE * np.median(steps)]))
    found = float(f'{1e9 / mean:.2g}')
    if is_slower(found, rate):
        raise RecordingError(
            'recording-spacing',
            f'{path} has values at {found:g} Hz, must be at {rate:g} Hz: its images are slower: '
            f'use --rate {found:g}, and set the parameter rate of the monitor to it',
        )


def _as_recorded(
    recording: Recording, cameras: Sequence[str], joint_names: Sequence[str],
    published: list[ValueMessage], decoder: Decode,
) -> Iterator[ReplayInput]:  # fmt: skip
    """Yield the inputs that the recorded monitor used; its unknown values stay unknown."""
    settings = SyncSettings(time_jump=NO_TIME_JUMP)
    buffer: InputBuffer[Any] = InputBuffer(cameras, joint_names, settings, keep_all=True)
    for _, source, message in arrivals(recording, cameras):
        _add(buffer, source, message, message)
    for one in published:
        if not one.known:
            unknown = Unknown(one.kind, one.reason)
            yield ReplayInput(one.stamp, unknown, one.episode, math.nan, one.executing)
            continue
        selection = buffer.select_at(one.inputs)
        observation = _decode(selection, decoder)
        yield ReplayInput(one.stamp, observation, one.episode, one.value, one.executing)


def _decode(selection: Selection[Any] | Unknown, decoder: Decode) -> Observation | Unknown:
    """Decode images without the image checks: the recorded monitor made them."""
    if isinstance(selection, Unknown):
        return selection
    try:
        images = {c: decoder(c, message) for c, message in selection.payloads.items()}
    except InputError as error:
        return Unknown('input', str(error))
    return selection.observation(images)


def _by_timer(
    recording: Recording, cameras: Sequence[str], joint_names: Sequence[str], rate: float,
    decoder: Decode,
) -> Iterator[ReplayInput]:  # fmt: skip
    """Select inputs every 1 / rate s of receive time, from the first image on."""
    sync, limits = SyncSettings(), recording.limits
    speeds: Mapping[str, float] | None = None
    pictures = PictureSettings()
    if limits is not None:
        sync, speeds = limits.live(sync), limits.joint_speeds
        pictures = limits.pictures(pictures)
    if SOURCE in recording.metadata and not speeds:  # units of a dataset are unknown
        speeds = dict.fromkeys(joint_names, math.inf)
    buffer: InputBuffer[Any] = InputBuffer(cameras, joint_names, sync, joint_speeds=speeds)
    observer: Observer[Any] = Observer(
        {camera: camera for camera in cameras}, pictures, decoder, content
    )
    begin = next((time for time, camera, _ in arrivals(recording, cameras) if camera), None)
    if begin is None:
        return
    period, tick, resets, newest = round(1e9 / rate), begin, 0, -1
    for time, camera, message in _ended(arrivals(recording, cameras)):
        while time > tick:
            if buffer.resets != resets:
                resets, newest = buffer.resets, -1
                observer.reset()
            selection = buffer.select(tick)
            if isinstance(selection, Unknown):
                yield ReplayInput(tick, selection)
            elif selection.stamp > newest:  # as the monitor, which estimates a set once
                newest, seen = selection.stamp, observer.observe(selection)
                yield ReplayInput(tick if isinstance(seen, Unknown) else newest, seen)
            tick += period
        if message is not None:
            _add(buffer, camera, message, _read(message))


def _ended(received: Iterator[Arrival]) -> Iterator[Arrival]:
    """Yield arrivals, and the end of the recording 1 ns after the last."""
    end = 0
    for one in received:
        end = one[0] + 1
        yield one
    yield end, '', None


def arrivals(recording: Recording, cameras: Sequence[str]) -> Iterator[Arrival]:
    """
    Yield the inputs in order of receive time; images are read on access, joint states in turn.

    :param cameras: cameras to read; a camera that was not recorded has no messages
    """
    tracks = {c: t for c, t in recording.cameras.items() if c in cameras}
    found = [_received(name, track, track.inputs()) for name, track in tracks.items()]
    joints = recording.find('joint_states')
    if joints:
        found.append(_received('', joints, joints.messages()))
    return merge(*found, key=lambda one: one[0])


def _received(
    name: str, track: Track, inputs: Iterator[tuple[int, Any]]
) -> Iterator[Arrival]:  # fmt: skip
    """Yield the inputs of a topic in order of receive time, which a damaged file may not have."""
    if any(after < before for before, after in pairwise(track.times)):
        inputs = iter(sorted(inputs, key=lambda one: one[0]))
    for time, message in inputs:
        yield time, name, message


def _read(message: Any) -> Any:
    return message.read() if isinstance(message, RecordedMessage) else message


def content(message: Any) -> memoryview:
    """Return the bytes of an image as received."""
    return memoryview(message.data)


def _add(buffer: InputBuffer[Any], camera: str, message: Any, payload: Any) -> None:
    """Add an input; of a joint state, the payload is not used."""
    if isinstance(message, RecordedFrame) and message.fault:
        buffer.refuse_image(camera, message.stamp, message.fault)
        return
    recorded = isinstance(message, RecordedFrame | RecordedMessage)
    stamp = message.stamp if recorded else from_time(message.header.stamp)
    if camera:
        buffer.add_image(camera, stamp, payload)
        return
    try:
        positions = positions_by_name(message.name, message.position.tolist(), JOINTS)
    except InputError as error:
        buffer.refuse_joints(stamp, str(error))
    else:
        buffer.add_joints(stamp, positions)
