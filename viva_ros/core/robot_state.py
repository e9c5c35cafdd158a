# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Reports of the robot: whether it executes a task, and whether it is stopped.

A configured report must arrive regularly. Without it values are not judged (UNKNOWN, not OK) and
no retry is requested.
"""

from dataclasses import dataclass

from viva_ros.core.settings import setting


@dataclass(frozen=True)
class RobotSettings:
    """Topics of the reports of the robot, std_msgs/Bool."""

    executing_topic: str = setting(
        '', 'Topic that is true while a task is executed; empty: during each episode.'
    )
    stopped_topic: str = setting(
        '', 'Topic that is true while the robot is stopped or at fault; empty: never.'
    )
    report_timeout: float = setting(2.0, 'Longest time between two reports, s.', above=0.0)


class RobotReport:
    """One report that the robot repeats on a topic."""

    def __init__(self, topic: str, timeout: float, now: float) -> None:
        """
        Wait for the first report.

        :param topic: '' if the report is not configured
        :param now: steady time, s
        """
        self.topic = topic
        self._timeout = timeout
        self._last: bool | None = None
        self._received = now

    def receive(self, value: bool, now: float) -> None:
        """Store a report that was received at a steady time, s."""
        self._last, self._received = value, now

    def is_stale(self, now: float) -> bool:
        """Return whether the report is configured and has exceeded its time-out."""
        return bool(self.topic) and now - self._received > self._timeout

    def value(self, now: float) -> bool | None:
        """Return the last report; None before the first, and after the time-out."""
        return None if self.is_stale(now) else self._last

    def stale_text(self, now: float) -> str:
        """Return a sentence that names the topic after the time-out; else ''."""
        if not self.is_stale(now):
            return ''
        since = 'yet' if self._last is None else 'any more'
        return f'{self.topic} is not published {since} (limit {self._timeout:g} s): not judged'


def executes(report: RobotReport, now: float) -> bool | None:
    """Return whether a task is executed; None without a recent report, if one is configured."""
    return report.value(now) if report.topic else True


def stopped(report: RobotReport, now: float) -> str:
    """Return why no retry may be requested from the robot; '' if one may be requested."""
    if not report.topic or report.value(now) is False:
        return ''
    if report.value(now):
        return 'the robot is stopped'
    return report.stale_text(now) or f'{report.topic} is not published yet'
