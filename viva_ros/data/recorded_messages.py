# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values, alerts and ground truth in a recording."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from viva_ros.core.errors import RecordingError
from viva_ros.core.events import Event, Level
from viva_ros.core.foreign_text import shown_list
from viva_ros.data.messages import from_time
from viva_ros.data.recording import Recording

REMEDY: Final = (
    'copy it from the original, read it with the version that wrote it, or leave it out'
)


@dataclass(frozen=True)
class ValueMessage:
    """
    One Value message.

    :param time: receive time, ns
    :param value: NaN when unknown
    :param inputs: input name to stamp, ns; empty when unknown
    :param progress: in [0, 1]; NaN if the engine has no such output
    :param success: probability; NaN if the engine has no such output
    :param executing: whether the supervisor evaluates the value; true in earlier versions
    :param rate: rate of the monitor, Hz; NaN in earlier versions
    :param session: start of the monitor process, ns; 0 in earlier versions
    """

    time: int
    stamp: int
    value: float
    known: bool
    kind: str
    reason: str
    task: str
    episode: str
    engine: str
    inputs: Mapping[str, int]
    progress: float = math.nan
    success: float = math.nan
    executing: bool = True
    rate: float = math.nan
    session: int = 0


@dataclass(frozen=True)
class TruthMessage:
    """One GroundTruth message; times in s since the start of the episode, NaN for no event."""

    stamp: int
    episode: str
    task: str
    seed: int
    failure: str
    phase: str
    attempt: int
    progress: float
    success: bool
    failed: bool
    done: bool
    time: float
    inject: float
    visible: float
    manifest: float

    def event_time(self, name: str) -> float:
        """Return one of the times 'inject', 'visible' and 'manifest', s, or NaN."""
        return {'inject': self.inject, 'visible': self.visible, 'manifest': self.manifest}[name]


def runs(moments: Sequence[TruthMessage]) -> list[list[TruthMessage]]:
    """Split the truth where its time goes back: the simulation started another episode."""
    parts: list[list[TruthMessage]] = []
    for moment in moments:
        if not parts or moment.time < parts[-1][-1].time:
            parts.append([])
        parts[-1].append(moment)
    return parts


def stamp_of_event(run: Sequence[TruthMessage], name: str) -> float:
    """
    Return the stamp of an event, ns; NaN for no event.

    It is extrapolated from the message nearest in time: a simulation on a busy machine lags behind
    the clock, so the error grows with the distance.

    :param run: messages of one episode
    :param name: as in ``TruthMessage.event_time``
    """
    known = [moment for moment in run if math.isfinite(moment.event_time(name))]
    if not known:
        return math.nan
    nearest = min(known, key=lambda moment: abs(moment.event_time(name) - moment.time))
    return nearest.stamp + (nearest.event_time(name) - nearest.time) * 1e9


def values(recording: Recording) -> list[ValueMessage]:
    """
    Return the published values in the order of receipt.

    :raises RecordingError: if one has not a stamp for each input, or an input twice
    """
    return [
        ValueMessage(
            time, from_time(m.header.stamp), float(m.value), m.status == m.STATUS_OK,
            m.reason_kind, m.reason, m.task, m.episode_id, m.engine,
            _inputs(recording, m),
            float(getattr(m, 'progress', math.nan)),
            float(getattr(m, 'success_probability', math.nan)),
            bool(getattr(m, 'executing', True)),
            float(getattr(m, 'rate', math.nan)),
            int(getattr(m, 'session_id', 0)),
        )
        for time, m in recording.messages('value')
    ]  # fmt: skip


def _inputs(recording: Recording, message: Any) -> dict[str, int]:
    names, stamps = message.input_names, message.input_stamps
    if len({*names}) != len(stamps) or len(names) != len(stamps):
        raise RecordingError(
            'value-inputs',
            f'recording {recording.path} has a value with {len(stamps)} stamps of inputs '
            f'{shown_list(names)}, must have one for each, and each input once: {REMEDY}',
        )
    return {name: from_time(stamp) for name, stamp in zip(names, stamps, strict=True)}


def alerts(recording: Recording) -> list[Event]:
    """
    Return the events of the published alerts in the order of receipt.

    :raises RecordingError: if the level of one does not exist
    """
    return [
        Event(
            _level(recording, m), m.kind, from_time(m.header.stamp), from_time(m.onset),
            float(m.value), float(m.statistic), float(m.threshold), m.episode_id, m.text,
            float(getattr(m, 'alpha', math.nan)),
        )
        for _, m in recording.messages('alert')
    ]  # fmt: skip


def _level(recording: Recording, message: Any) -> Level:
    try:
        return Level(message.level)
    except ValueError as error:
        raise RecordingError(
            'alert-level',
            f'recording {recording.path} has an alert of level {message.level}, must be 0 to '
            f'{max(Level)}: {REMEDY}',
        ) from error


def truth(recording: Recording) -> list[TruthMessage]:
    """Return the ground truth in the order of receipt; empty for a real robot."""
    return [
        TruthMessage(
            from_time(m.header.stamp), m.episode_id, m.task, m.seed, m.failure, m.phase,
            m.attempt, float(m.progress), m.success, m.failed, m.done, float(m.time),
            float(m.inject_time), float(m.visible_time), float(m.manifest_time),
        )
        for _, m in recording.messages('ground_truth')
    ]  # fmt: skip
