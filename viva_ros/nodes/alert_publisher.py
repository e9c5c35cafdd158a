# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the supervisor in charge publishes: alerts, the episode and the state of all, each latched.

One that is not in charge has no publishers: late readers would get its last words too.
"""

from typing import Any

from rclpy.node import Node

from viva_ros.core.episode_state import EpisodeState
from viva_ros.core.events import ALARMING, Event, Level
from viva_ros.msg import Alert, Episode, SupervisorState
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header, to_alert, to_time


class Announcer:
    """
    Publishes alerts, episodes and the state; nothing before it is opened.

    :param session: start of this supervisor, ns: tells its alerts from those of one before
    """

    def __init__(self, node: Node, session: int) -> None:
        self.session = session
        self._node = node
        self._announced: EpisodeState | None = None
        self._state: SupervisorState | None = None
        self._publishers: dict[type, Any] = {}

    @property
    def is_open(self) -> bool:
        """Whether it publishes."""
        return bool(self._publishers)

    def open(self) -> None:
        """Begin to publish; all is published anew."""
        self.repeat()
        for kind, topic in (
            (Alert, 'alert'), (Episode, 'episode'), (SupervisorState, '~/state'),
        ):  # fmt: skip
            self._publishers[kind] = self._node.create_publisher(kind, topic, qos.LATCHED)

    def close(self) -> None:
        """Publish nothing more; what was published is gone for late readers."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.popitem()[1])

    def has_said(self, state: EpisodeState) -> bool:
        """Return whether this is what was last said of the episode; True before that."""
        return self._announced is None or state == self._announced

    def repeat(self) -> None:
        """Publish episode and state again, when they are told next: another one has published."""
        self._announced = self._state = None

    def _publish(self, message: Any) -> None:
        if self.is_open and self._node.context.ok():  # at the end of the process it is not
            self._publishers[type(message)].publish(message)

    def announce(self, state: EpisodeState, stamp: int) -> None:
        """
        Publish the state of the episode, if it has changed.

        :param stamp: from when on it holds, ns
        """
        if state == self._announced or not self.is_open:
            return
        self._announced = state
        self._publish(
            Episode(
                header=header(stamp), id=state.id, task=state.task, executing=state.executing,
                reason=state.reason,
            )
        )  # fmt: skip

    def say(self, event: Event, level: Level, stamp: int, retries: int, budget: int) -> None:
        """
        Publish an event, and log it.

        :param level: the worst that holds after it
        :param stamp: for the header, ns
        :param retries: requested in this episode so far
        """
        message = to_alert(event, stamp)
        message.level = int(level)
        message.retries, message.retry_budget = retries, budget
        message.session_id = self.session
        self._publish(message)
        if not self.is_open:
            return
        text = f'{event.level.name} {event.kind}: {event.text}'
        if event.level in ALARMING:  # two calls: rclpy ties a severity to the place
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info(text)

    def show(self, state: SupervisorState, now: int, since: int | None = None) -> None:
        """
        Publish the state of all, if it has changed.

        :param state: without header, 'since' and session
        :param now: ns
        :param since: when its level began, ns; None: when it was first shown
        """
        if not self.is_open:
            return
        state.session_id = self.session
        before = self._state
        if before is not None and before.level == state.level:
            state.since = before.since
        else:
            state.since = to_time(now if since is None else since)
        if state == before:
            return
        self._state = state
        # a copy with the header: kept without, so that it compares
        message = SupervisorState(
            header=header(now),
            **{name: getattr(state, name)
               for name in state.get_fields_and_field_types() if name != 'header'},
        )  # fmt: skip
        self._publish(message)
