# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Publish the alerts, the episode and the state of the active supervisor, each latched.

A passive supervisor has no publishers: late subscribers would also receive its last messages.
"""

from typing import Any

from rclpy.node import Node

from viva_ros.core.episode_state import EpisodeState
from viva_ros.core.events import ALARMING, Event, Level
from viva_ros.msg import Alert, Episode, SupervisorState
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header, to_alert, to_time


class AlertPublisher:
    """
    Publishes alerts, episodes and the state after ``open``.

    :param session: start time of this supervisor, ns: distinguishes its alerts from earlier ones
    """

    def __init__(self, node: Node, session: int) -> None:
        self.session = session
        self._node = node
        self._episode: EpisodeState | None = None
        self._state: SupervisorState | None = None
        self._publishers: dict[type, Any] = {}

    @property
    def is_open(self) -> bool:
        """Whether the publishers exist."""
        return bool(self._publishers)

    @property
    def has_state(self) -> bool:
        """Whether a state was published since ``open``."""
        return self.is_open and self._state is not None

    def open(self) -> None:
        """Create the publishers; episode and state are published again."""
        self.republish()
        for kind, topic in (
            (Alert, 'alert'), (Episode, 'episode'), (SupervisorState, '~/state'),
        ):  # fmt: skip
            self._publishers[kind] = self._node.create_publisher(kind, topic, qos.LATCHED)

    def close(self) -> None:
        """Destroy the publishers; late subscribers do not receive earlier messages."""
        while self._publishers:
            self._node.destroy_publisher(self._publishers.popitem()[1])

    def agrees_with(self, state: EpisodeState) -> bool:
        """Return whether this state equals the last published one; True before the first."""
        return self._episode is None or state == self._episode

    def republish(self) -> None:
        """Publish episode and state again at the next call, even if they have not changed."""
        self._episode = self._state = None

    def _publish(self, message: Any) -> None:
        if self.is_open and self._node.context.ok():  # invalid while the process ends
            self._publishers[type(message)].publish(message)

    def publish_episode(self, state: EpisodeState, stamp: int) -> None:
        """
        Publish the state of the episode, if it has changed.

        :param stamp: time of the change, ns
        """
        if state == self._episode or not self.is_open:
            return
        self._episode = state
        self._publish(
            Episode(
                header=header(stamp), id=state.id, task=state.task, executing=state.executing,
                reason=state.reason,
            )
        )  # fmt: skip

    def publish_event(
        self, event: Event, level: Level, stamp: int, retries: int, budget: int
    ) -> None:
        """
        Publish an event, and log it.

        :param level: worst level after the event
        :param stamp: for the header, ns
        :param retries: number requested in this episode so far
        """
        message = to_alert(event, stamp)
        message.level = int(level)
        message.retries, message.retry_budget = retries, budget
        message.session_id = self.session
        self._publish(message)
        if not self.is_open:
            return
        text = f'{level.name} {event.kind}: {event.text}'  # of the message, not of its part
        if event.level in ALARMING:  # two calls: rclpy fixes the severity of a call site
            self._node.get_logger().warning(text)
        else:
            self._node.get_logger().info(text)

    def publish_state(self, state: SupervisorState, now: int, since: int | None = None) -> None:
        """
        Publish the state of the supervision, if it has changed.

        :param state: without header, 'since' and session
        :param now: ns
        :param since: time when its level began, ns; None: time of its first publication
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
        # a copy with the header: stored without, for the comparison
        message = SupervisorState(
            header=header(now),
            **{name: getattr(state, name)
               for name in state.get_fields_and_field_types() if name != 'header'},
        )  # fmt: skip
        self._publish(message)
