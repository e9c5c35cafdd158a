# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the robot reports of itself: whether it executes a task, and whether it is stopped.

A report that is configured must come regularly. Without it nothing is known: the task is not
judged, which is UNKNOWN and not OK, and no retry is requested.
"""

from dataclasses import dataclass

from viva_ros.core.settings import setting


@dataclass(frozen=True)
class RobotSettings:
    """Topics of std_msgs/Bool on which the robot reports."""

    executing_topic: str = setting(
        '', 'True while a task is executed; empty: for the whole of an episode.'
    )
    stopped_topic: str = setting('', 'True while stopped or at fault; empty: never.')
    word_timeout: float = setting(2.0, 'Longest time between two reports, s.', above=0.0)


class Word:
    """One report that the robot repeats."""

    def __init__(self, topic: str, timeout: float, now: float) -> None:
        """
        Wait for the first report.

        :param topic: '' if the report is not configured
        :param now: steady time, s
        """
        self.topic = topic
        self._timeout = timeout
        self._said: bool | None = None
        self._heard = now

    def hear(self, said: bool, now: float) -> None:
        """Take a report, at a steady time, s."""
        self._said, self._heard = said, now

    def silent(self, now: float) -> bool:
        """Return whether no report has come for too long, though one is configured."""
        return bool(self.topic) and now - self._heard > self._timeout

    def said(self, now: float) -> bool | None:
        """Return the last report; None before the first, and if it is too old."""
        return None if self.silent(now) else self._said

    def silence(self, now: float) -> str:
        """Return a sentence that names the topic, if the report does not come; else ''."""
        if not self.silent(now):
            return ''
        since = 'yet' if self._said is None else 'any more'
        return f'{self.topic} is not published {since} (limit {self._timeout:g} s): not judged'


def executes(word: Word, now: float) -> bool | None:
    """Return whether a task is executed; None where a report is configured and does not come."""
    return word.said(now) if word.topic else True


def stopped(word: Word, now: float) -> str:
    """Return why nothing may be requested from the robot; '' if nothing speaks against it."""
    if not word.topic or word.said(now) is False:
        return ''
    return 'the robot is stopped' if word.said(now) else \
        word.silence(now) or f'{word.topic} is not published yet'  # fmt: skip
