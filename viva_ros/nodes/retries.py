# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Retries of the supervisor: request, store and publish the decisions of the retry machine."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rclpy.node import Node

from viva_ros.core.errors import VivaError
from viva_ros.core.events import Event, Level
from viva_ros.core.retry import RetryMachine, RetrySettings, RetryState
from viva_ros.core.supervision_memory import (
    OpenEpisode,
    SupervisionMemory,
    SupervisionRecord,
    steady,
)
from viva_ros.nodes.retry_client import RetryCallbacks, RetryClient, RetryRequest, retry_client

KEEP_ALIVE_PERIOD = 5.0  # s, between two time stamps in the file
MAX_ABSENCE = 30.0  # s; after a longer absence an episode has ended


class Retries:
    """Requests retries within the budgets, which include those of an earlier process."""

    def __init__(
        self, node: Node, settings: RetrySettings, hold_time: float,
        publish: Callable[[Event], None],
    ) -> None:  # fmt: skip
        """
        Request nothing before ``begin``.

        :param hold_time: time after ``begin`` without a request, s: an earlier supervisor may have
            requested one just before
        :param publish: publishes an event
        """
        self._node, self._publish, self._hold_time = node, publish, hold_time
        self._settings = settings
        self._memory = SupervisionMemory(memory_file(node))
        self._client: RetryClient | None = None
        self.episode: OpenEpisode | None = None
        self.stored: OpenEpisode | None = None  # of an earlier supervisor; it may continue
        self.end()

    def begin(self) -> None:
        """Restore the state of an earlier supervisor, without starting its episode."""
        requested_at = self._recall(self._settings.hourly_budget)
        self.stored = self._memory.content.episode
        hold_until = time.monotonic() + self._hold_time
        operator = self._memory.content.operator
        self._machine = RetryMachine(self._settings, hold_until, requested_at, operator)
        self._kept_alive = time.monotonic()
        answers = RetryCallbacks(self._accepted, self._refused, self._finished)
        self._client = retry_client(self._node, self._settings, answers)

    def end(self) -> None:
        """Request and store nothing more: this supervisor is passive or inactive."""
        if self._client is not None:
            self._client.destroy()
            self._client = None
        self._memory.content = SupervisionRecord()
        self._machine = RetryMachine(self._settings)
        self.episode = self.stored = None
        self._result_lost = False  # whether the result of the current retry is lost

    @property
    def absence(self) -> float:
        """Time since a supervisor last ran, s."""
        return self._memory.away(time.time())

    @property
    def level(self) -> Level:
        """NEEDS_OPERATOR or OK."""
        return self._machine.level

    @property
    def cause(self) -> Event | None:
        """Event because of which an operator is required; None without one."""
        return self._machine.cause or self._memory.content.operator

    @property
    def state(self) -> RetryState:
        """State of the retry machine."""
        return self._machine.state

    @property
    def used(self) -> int:
        """Return the number of retries requested in this episode."""
        return self._machine.used

    @property
    def result_lost(self) -> bool:
        """Whether the retry's result is lost: only the report of execution shows its end."""
        return self._result_lost and self.state is RetryState.RETRYING

    @property
    def latched(self) -> Event | None:
        """Alarm that waits for acknowledgement; None without one."""
        return self._memory.content.latched

    def apply(self, settings: RetrySettings) -> None:
        """Use other settings from now on."""
        self._settings = settings
        self._machine.apply(settings)

    def open_episode(self, episode: OpenEpisode | None) -> None:
        """Start or continue an episode; None ends it."""
        self._machine.start_episode(episode.used if episode else 0)
        self.episode, self.stored = episode, None
        self._write(episode=episode)

    def resume(self, episode: OpenEpisode, alarm: Event, reports_execution: bool) -> None:
        """
        Continue an episode, and the retry that was in progress.

        :param alarm: replaces the alarm that caused the retry
        :param reports_execution: whether the robot reports execution, the only sign of the retry's
            end after a restart
        """
        self.open_episode(episode)
        if not episode.retrying:
            return
        self._machine.resume(time.monotonic(), alarm, episode.begun)
        self._result_lost = True
        if not reports_execution:
            self._handle(self._machine.lose(
                'the supervisor was restarted during a retry and cannot observe its end: operator '
                'required'
            ))  # fmt: skip

    def note_latch(self, alarm: Event | None) -> None:
        """Store the alarm that waits for acknowledgement; None without one."""
        self._write(latched=alarm)

    def request(self, alarm: Event, task: str, outdated: str = '') -> None:
        """Request a retry because of an alarm; ``outdated``: why it may no longer hold."""
        if self._client is None:
            return
        self._request = RetryRequest(alarm, task)
        self._handle(self._machine.request(time.monotonic(), alarm, outdated))

    def drop(self) -> None:
        """Cancel a pending retry."""
        self._machine.drop()

    def executing(self, executes: bool) -> None:
        """Process the robot's report whether it executes the task."""
        self._handle(self._machine.executing(time.monotonic(), executes))
        self._note_episode()

    def acknowledge(self) -> list[Event]:
        """Acknowledge; return the events, none if there was nothing to acknowledge."""
        events = self._machine.acknowledge()
        if events:
            self._write(operator=None)
            self._note_episode()
            if self.stored is not None:
                self.stored = replace(self.stored, used=0)
                self._write(episode=self.stored)
        return self._handle(events)

    def tick(self, stopped: str, alarmed: bool) -> None:
        """
        Advance the time; called ten times a second.

        :param stopped: why the robot is stopped; '' if it is not
        :param alarmed: whether the alarm lasts by fresh, known values
        """
        if self._client is None:
            return
        self._handle(self._machine.block(stopped))
        self._handle(self._machine.tick(time.monotonic(), alarmed))
        if time.monotonic() - self._kept_alive > KEEP_ALIVE_PERIOD:
            self._kept_alive = time.monotonic()
            self._write()  # retry a failed write
            try:
                self._memory.keep_alive()
            except OSError as error:
                self._warn(error)

    def _handle(self, events: list[Event]) -> list[Event]:
        """Publish and store the events of the retry machine, and send its request."""
        for event in events:
            if event.kind == 'retry_requested':
                self._result_lost = False
                self._remember()
                self._note_episode()
            if event is self._machine.cause:
                self._write(operator=event)
            self._publish(event)
            if event.kind == 'retry_requested' and self._client is not None:
                self._client.request(self._request, self._machine.used)
        if events:
            self._note_episode()
        return events

    def _accepted(self, begun: bool) -> None:
        if self._client is None:  # ended meanwhile
            return
        self._handle(self._machine.accepted(time.monotonic(), begun))

    def _refused(self, reason: str) -> None:
        self._handle(self._machine.refused(time.monotonic(), reason))

    def _finished(self, failure: str) -> None:
        self._handle(self._machine.finished(time.monotonic(), failure))

    def _recall(self, hourly: int) -> list[float]:
        """Return the steady times of the retries requested in the last hour, s."""
        try:
            self._memory.recall(time.time(), hourly)
        except VivaError as error:
            self._node.get_logger().error(str(error))
        return steady(self._memory.content.asked, time.time(), time.monotonic())

    def _remember(self) -> None:
        """Store a retry before it is requested, so that it counts even if this process crashes."""
        try:
            self._memory.note_retry(time.time())
        except OSError as error:
            self._warn(error)

    def _note_episode(self) -> None:
        """Store the state of the episode's retries."""
        if self.episode is not None:
            under_way = self._machine.state in (RetryState.WAITING, RetryState.RETRYING)
            self.episode = replace(
                self.episode, used=self._machine.used, retrying=under_way,
                begun=under_way and self._machine.begun,
            )  # fmt: skip
            self._write(episode=self.episode)

    def _write(self, **changes: object) -> None:
        if self._client is None:  # the file belongs to the active supervisor
            return
        try:
            self._memory.change(**changes)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        self._node.get_logger().error(
            f'the state of the supervisor cannot be written to {self._memory.path} ({error}): a '
            'restart loses it; free disk space, or set ROS_HOME to a writable folder',
            throttle_duration_sec=30.0,
        )  # fmt: skip


def memory_file(node: Node) -> Path:
    """Return the path of a supervisor's state, which contains its domain and full name."""
    home = Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser()
    *folders, name = node.get_fully_qualified_name().strip('/').split('/')
    domain = str(node.context.get_domain_id())
    return home.joinpath('viva_retries', domain, *folders, f'{name}.json')
