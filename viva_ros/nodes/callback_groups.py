# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Callback groups that keep the wait set of rclpy small.

In each turn rclpy's executor builds a new wait set, which takes longer than most callbacks. These
groups leave out entities that the owner polls, and events that are needed once a second.
"""

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.subscription import Subscription


class EventGroup(CallbackGroup):
    """For rare events, such as incompatible QoS: waited for only for a moment after ``open``."""

    MOMENT = 0.05  # s

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0

    def open(self) -> None:
        """Wait for these events for the next ``MOMENT``."""
        self._until = time.monotonic() + self.MOMENT

    def can_execute(self, entity: Any) -> bool:
        """Return whether the executor waits for an entity."""
        return time.monotonic() < self._until

    def beginning_execution(self, entity: Any) -> bool:
        """Return True: nothing is locked."""
        return True

    def ending_execution(self, entity: Any) -> None:
        """Do nothing: nothing was locked."""


class PolledGroup(EventGroup):
    """
    For a subscription that its owner polls with ``take_message``.

    The subscription itself is never in the wait set: the middleware has one condition for events
    and messages, and a message that is not taken ends every wait at once.
    """

    def can_execute(self, entity: Any) -> bool:
        """Return whether the executor waits for an entity."""
        return not isinstance(entity, Subscription) and super().can_execute(entity)
