# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was said while a recording was made: values, alerts, and the truth of a simulation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from viva_ros.core.events import Event, Level
from viva_ros.data.messages import from_time
from viva_ros.data.recording import Recording


@dataclass(frozen=True)
class ValueMessage:
    """
    One Value message.

    :param time: when it was received, ns
    :param value: NaN when unknown
    :param inputs: input name to stamp, ns; empty when unknown
    :param progress: and success: probability, NaN where the engine tells none
    :param executing: whether it was to be judged; so was every value of earlier versions
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


@dataclass(frozen=True)
class TruthMessage:
    """One GroundTruth message; times in s since the episode began, NaN where there is none."""

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

    def told(self, name: str) -> float:
        """Return one of the times 'inject', 'visible' and 'manifest', s, or NaN."""
        return {'inject': self.inject, 'visible': self.visible, 'manifest': self.manifest}[name]


def runs(moments: Sequence[TruthMessage]) -> list[list[TruthMessage]]:
    """Part the truth where its time goes back: there the simulation began another episode."""
    parts: list[list[TruthMessage]] = []
    for moment in moments:
        if not parts or moment.time < parts[-1][-1].time:
            parts.append([])
        parts[-1].append(moment)
    return parts


def stamp_of_event(run: Sequence[TruthMessage], name: str) -> float:
    """
    Return the stamp of an event, ns; NaN if there was none.

    It is reckoned from the message next to it: a simulation on a busy machine falls behind the
    clock, so the further, the wronger.

    :param run: of one episode
    :param name: as in ``TruthMessage.told``
    """
    telling = [moment for moment in run if math.isfinite(moment.told(name))]
    if not telling:
        return math.nan
    nearest = min(telling, key=lambda moment: abs(moment.told(name) - moment.time))
    return nearest.stamp + (nearest.told(name) - nearest.time) * 1e9


def values(recording: Recording) -> list[ValueMessage]:
    """Return the published values, in the order received."""
    return [
        ValueMessage(
            time, from_time(m.header.stamp), float(m.value), m.status == m.STATUS_OK,
            m.reason_kind, m.reason, m.task, m.episode_id, m.engine,
            {n: from_time(s) for n, s in zip(m.input_names, m.input_stamps, strict=True)},
            float(getattr(m, 'progress', math.nan)),
            float(getattr(m, 'success_probability', math.nan)),
            bool(getattr(m, 'executing', True)),
        )
        for time, m in recording.messages('value')
    ]  # fmt: skip


def alerts(recording: Recording) -> list[Event]:
    """Return the published alerts as the events that they were made of, in the order received."""
    return [
        Event(
            Level(m.level), m.kind, from_time(m.header.stamp), from_time(m.onset),
            float(m.value), float(m.statistic), float(m.threshold), m.episode_id, m.text,
            float(getattr(m, 'alpha', math.nan)),
        )
        for _, m in recording.messages('alert')
    ]  # fmt: skip


def truth(recording: Recording) -> list[TruthMessage]:
    """Return the truth, in the order received; empty for a real robot."""
    return [
        TruthMessage(
            from_time(m.header.stamp), m.episode_id, m.task, m.seed, m.failure, m.phase,
            m.attempt, float(m.progress), m.success, m.failed, m.done, float(m.time),
            float(m.inject_time), float(m.visible_time), float(m.manifest_time),
        )
        for _, m in recording.messages('ground_truth')
    ]  # fmt: skip
