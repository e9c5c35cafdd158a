# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Retries as the supervisor carries them: what the core decides is asked, noted and said."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from rclpy.node import Node

from viva_ros.core.errors import VivaError
from viva_ros.core.events import Event, Level
from viva_ros.core.retry import RetryMachine, RetrySettings
from viva_ros.core.retry_memory import RetryMemory
from viva_ros.nodes.retry_client import retry_client


class Retries:
    """Asks the robot to try again, within its budgets, those of an earlier process included."""

    def __init__(
        self, node: Node, settings: RetrySettings, rest: float, say: Callable[[Event], None]
    ) -> None:
        """
        Ask nothing yet.

        :param rest: for this long, s: a supervisor before this one may just have asked
        :param say: publishes an event
        """
        self._node, self._say, self._hourly = node, say, settings.hourly
        self._memory = RetryMemory(memory_file(node))
        self._machine = RetryMachine(settings, time.monotonic() + rest, self._recall())
        self._client = retry_client(node, settings.action, self._accepted, self._refused)

    @property
    def level(self) -> Level:
        """NEEDS_OPERATOR, or OK where there is nothing to add."""
        return self._machine.level

    @property
    def state(self) -> str:
        """What is waited for, for a person."""
        return self._machine.state.value

    @property
    def used(self) -> int:
        """Retries asked for in this episode."""
        return self._machine.used

    def destroy(self) -> None:
        """Ask no more."""
        self._client.destroy()

    def start_episode(self) -> None:
        """Begin an episode: the whole budget."""
        self._machine.start_episode()

    def request(self, alarm: Event) -> None:
        """Ask for a retry because of an alarm."""
        self._follow(self._machine.request(time.monotonic(), alarm))

    def drop(self) -> None:
        """Give up what was to be asked for again."""
        self._machine.drop()

    def acknowledge(self) -> list[Event]:
        """Take a person's word; give what there was to acknowledge."""
        return self._follow(self._machine.acknowledge())

    def tick(self, stopped: str, known: bool) -> None:
        """
        Let time pass; call it ten times a second.

        :param stopped: why the robot is stopped; '' if it is not
        :param known: whether values are heard and known
        """
        self._follow(self._machine.block(stopped))
        self._follow(self._machine.tick(time.monotonic(), known))

    def _follow(self, events: list[Event]) -> list[Event]:
        """Say what the machine says, and do what it asks."""
        for event in events:
            self._say(event)
            if event.kind == 'retry_requested':
                self._remember()
                self._client.ask()
        return events

    def _accepted(self) -> None:
        self._follow(self._machine.accepted())

    def _refused(self, reason: str) -> None:
        self._follow(self._machine.refused(time.monotonic(), reason))

    def _recall(self) -> list[float]:
        try:
            return self._memory.recall(time.time(), time.monotonic())
        except VivaError as error:
            self._node.get_logger().error(str(error))
            return [time.monotonic()] * self._hourly

    def _remember(self) -> None:
        """Note a retry before it is asked for: one who dies meanwhile has counted it."""
        try:
            self._memory.note(time.time())
        except OSError as error:
            text = f'a retry cannot be noted, so a restart forgets it: {error}'
            self._node.get_logger().error(text)


def memory_file(node: Node) -> Path:
    """Give a supervisor's own file, by domain and name: robots on one machine have theirs."""
    home = Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser()
    name = node.get_fully_qualified_name().replace('/', '_')
    return home / 'viva_retries' / f'{node.context.get_domain_id()}{name}.json'
