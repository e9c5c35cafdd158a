# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the robot says of itself: whether it executes a task, and whether it is stopped or at fault.

Who asks for either must hear it regularly: a robot that has fallen silent is held to execute
nothing, and to be stopped.
"""

from dataclasses import dataclass

from viva_ros.core.settings import setting


@dataclass(frozen=True)
class RobotSettings:
    """Topics of std_msgs/Bool by which the robot speaks of itself."""

    executing_topic: str = setting('', 'True while a task is executed; empty: always so.')
    stopped_topic: str = setting('', 'True while stopped or at fault; empty: never so.')
    word_timeout: float = setting(2.0, 'Either must be heard this often, s.', above=0.0)


class Word:
    """One thing that the robot says again and again."""

    def __init__(self, asked: bool, timeout: float) -> None:
        """:param asked: whether anybody wants to hear it"""
        self.asked = asked
        self._timeout = timeout
        self._said = False
        self._heard: float | None = None

    def hear(self, said: bool, now: float) -> None:
        """Take it in, at a steady time, s."""
        self._said, self._heard = said, now

    def silent(self, now: float) -> bool:
        """Say whether it was not heard for too long."""
        return self._heard is None or now - self._heard > self._timeout

    def said(self, now: float) -> bool | None:
        """Give what was said last; None if that is too long ago."""
        return None if self.silent(now) else self._said


def executes(word: Word, now: float) -> bool:
    """Say whether a task is executed, as far as is known."""
    return not word.asked or word.said(now) is True


def stopped(word: Word, now: float) -> str:
    """Give why nothing may be asked of the robot; '' if nothing speaks against it."""
    if not word.asked or word.said(now) is False:
        return ''
    return 'the robot does not say that it is free' if word.silent(now) else 'the robot is stopped'
