# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Callback groups that keep rclpy's wait short.

At every turn rclpy's executor builds a new set of all that it waits for, which takes it longer
than most callbacks. So what is taken when it is needed, or looked at seldom, is not waited for.
"""

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.subscription import Subscription


class Seldom(CallbackGroup):
    """For events, such as a partner with other QoS: a moment after ``open``."""

    MOMENT = 0.05  # s

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0

    def open(self) -> None:
        """Let what has happened be told."""
        self._until = time.monotonic() + self.MOMENT

    def can_execute(self, entity: Any) -> bool:
        """Return whether to wait for it."""
        return time.monotonic() < self._until

    def beginning_execution(self, entity: Any) -> bool:
        """Never refuse."""
        return True

    def ending_execution(self, entity: Any) -> None:
        """Nothing was locked."""


class Taken(Seldom):
    """
    For a subscription whose messages its owner takes.

    To wait for its events would be to wait for its messages too: the middleware has one condition
    for both, and a message that is not taken ends every wait at once.
    """

    def can_execute(self, entity: Any) -> bool:
        """Return whether to wait for it."""
        return not isinstance(entity, Subscription) and super().can_execute(entity)
