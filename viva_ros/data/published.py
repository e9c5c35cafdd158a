# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What was said while a recording was made: values, alerts, and the truth of a simulation."""

from collections.abc import Mapping
from dataclasses import dataclass

from viva_ros.core.events import Event, Level
from viva_ros.data.messages import from_time
from viva_ros.data.recording import Recording


@dataclass(frozen=True)
class Said:
    """
    One Value message.

    :param time: when it was received, ns
    :param value: NaN when unknown
    :param inputs: input name to stamp, ns; empty when unknown
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


@dataclass(frozen=True)
class Moment:
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

    def at(self, name: str) -> float:
        """Give one of the times 'inject', 'visible' and 'manifest' as a stamp, ns, or NaN."""
        seconds = {'inject': self.inject, 'visible': self.visible, 'manifest': self.manifest}
        return self.stamp + (seconds[name] - self.time) * 1e9


def values(recording: Recording) -> list[Said]:
    """Give the published values, in the order received."""
    return [
        Said(
            time, from_time(m.header.stamp), float(m.value), m.status == m.STATUS_OK,
            m.reason_kind, m.reason, m.task, m.episode_id, m.engine,
            {n: from_time(s) for n, s in zip(m.input_names, m.input_stamps, strict=True)},
        )
        for time, m in recording.messages('value')
    ]  # fmt: skip


def alerts(recording: Recording) -> list[Event]:
    """Give the published alerts as the events that they were made of, in the order received."""
    return [
        Event(
            Level(m.level), m.kind, from_time(m.header.stamp), from_time(m.onset),
            float(m.value), float(m.statistic), float(m.threshold), m.episode_id, m.text,
        )
        for _, m in recording.messages('alert')
    ]  # fmt: skip


def truth(recording: Recording) -> list[Moment]:
    """Give the truth, in the order received; empty for a real robot."""
    return [
        Moment(
            from_time(m.header.stamp), m.episode_id, m.task, m.seed, m.failure, m.phase,
            m.attempt, float(m.progress), m.success, m.failed, m.done, float(m.time),
            float(m.inject_time), float(m.visible_time), float(m.manifest_time),
        )
        for _, m in recording.messages('ground_truth')
    ]  # fmt: skip
