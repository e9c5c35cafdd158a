# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Retries as the supervisor carries them: what the core decides is requested, noted and said."""

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
from viva_ros.nodes.retry_client import Answers, Request, Retrier, retry_client

ALIVE = 5.0  # s, between two signs of life in the file
AWAY = 30.0  # s; for longer, and an episode does not go on


class Retries:
    """Requests retries, within the budgets, those of an earlier process included."""

    def __init__(
        self, node: Node, settings: RetrySettings, rest: float, say: Callable[[Event], None]
    ) -> None:
        """
        Request nothing before ``begin``.

        :param rest: for this long, s: a supervisor before this one may just have requested
        :param say: publishes an event
        """
        self._node, self._say, self._rest = node, say, rest
        self._settings = settings
        self._memory = SupervisionMemory(memory_file(node))
        self._client: Retrier | None = None
        self.episode: OpenEpisode | None = None
        self.kept: OpenEpisode | None = None  # of the supervisor before; it may go on
        self.end()

    def begin(self) -> None:
        """Begin where the supervisor before this one has ended, with no episode under way."""
        asked = self._recall(self._settings.hourly)
        self.kept = self._memory.content.episode
        hold_until = time.monotonic() + self._rest
        operator = self._memory.content.operator
        self._machine = RetryMachine(self._settings, hold_until, asked, operator)
        self._kept_alive = time.monotonic()
        answers = Answers(self._accepted, self._refused, self._finished)
        self._client = retry_client(self._node, self._settings, answers)

    def end(self) -> None:
        """Request and keep nothing more: another supervisor is in charge, or none."""
        if self._client is not None:
            self._client.destroy()
            self._client = None
        self._memory.content = SupervisionRecord()
        self._machine = RetryMachine(self._settings)
        self.episode = self.kept = None
        self._untold = False  # whether the answer that ends a retry is lost

    @property
    def away(self) -> float:
        """For how long no supervisor has kept the episode alive, s."""
        return self._memory.away(time.time())

    @property
    def level(self) -> Level:
        """NEEDS_OPERATOR, or OK where there is nothing to add."""
        return self._machine.level

    @property
    def cause(self) -> Event | None:
        """Return the event because of which an operator is required; None if none is."""
        return self._machine.cause or self._memory.content.operator

    @property
    def state(self) -> RetryState:
        """Return what is waited for."""
        return self._machine.state

    @property
    def used(self) -> int:
        """Retries requested in this episode."""
        return self._machine.used

    @property
    def untold(self) -> bool:
        """Whether only the robot's report of execution can tell the end of the retry."""
        return self._untold and self.state is RetryState.RETRYING

    @property
    def latched(self) -> Event | None:
        """Return the alarm that waits for acknowledgement; None if none does."""
        return self._memory.content.latched

    def apply(self, settings: RetrySettings) -> None:
        """Use other settings from now on."""
        self._settings = settings
        self._machine.apply(settings)

    def open_episode(self, episode: OpenEpisode | None) -> None:
        """Begin an episode, go on with one, or end it (None)."""
        self._machine.start_episode(episode.used if episode else 0)
        self.episode, self.kept = episode, None
        self._write(episode=episode)

    def resume(self, episode: OpenEpisode, alarm: Event, told: bool) -> None:
        """
        Go on with an episode, and with the retry that was under way in it.

        :param alarm: stands for the one that led to the retry
        :param told: whether the robot reports when it executes: nothing else tells its end now
        """
        self.open_episode(episode)
        if not episode.retrying:
            return
        self._machine.resume(time.monotonic(), alarm, episode.begun)
        self._untold = True
        if not told:
            self._follow(self._machine.lose(
                'the supervisor was started again during a retry, whose end nothing tells now: '
                'operator required'
            ))  # fmt: skip

    def note_latch(self, alarm: Event | None) -> None:
        """Keep the alarm that waits for acknowledgement; None: none does."""
        self._write(latched=alarm)

    def request(self, alarm: Event, task: str) -> None:
        """Request a retry because of an alarm."""
        if self._client is None:
            return
        self._request = Request(alarm, task)
        self._follow(self._machine.request(time.monotonic(), alarm))

    def drop(self) -> None:
        """Cancel what was to be requested again."""
        self._machine.drop()

    def executing(self, executes: bool) -> None:
        """Take the robot's report whether it executes the task."""
        self._follow(self._machine.executing(time.monotonic(), executes))
        self._note_episode()

    def acknowledge(self) -> list[Event]:
        """Take a person's word; return what there was to acknowledge."""
        events = self._machine.acknowledge()
        if events:
            self._write(operator=None)
            self._note_episode()
            if self.kept is not None:
                self.kept = replace(self.kept, used=0)
                self._write(episode=self.kept)
        return self._follow(events)

    def tick(self, stopped: str, known: bool) -> None:
        """
        Let time pass; call it ten times a second.

        :param stopped: why the robot is stopped; '' if it is not
        :param known: whether values are heard and known
        """
        if self._client is None:
            return
        self._follow(self._machine.block(stopped))
        self._follow(self._machine.tick(time.monotonic(), known))
        if time.monotonic() - self._kept_alive > ALIVE:
            self._kept_alive = time.monotonic()
            self._write()  # what could not be written before
            try:
                self._memory.keep_alive()
            except OSError as error:
                self._warn(error)

    def _follow(self, events: list[Event]) -> list[Event]:
        """Say what the machine says, and do what it asks."""
        for event in events:
            if event.kind == 'retry_requested':
                self._untold = False
                self._remember()
                self._note_episode()
            if event is self._machine.cause:
                self._write(operator=event)
            self._say(event)
            if event.kind == 'retry_requested' and self._client is not None:
                self._client.ask(self._request, self._machine.used)
        if events:
            self._note_episode()
        return events

    def _accepted(self, begun: bool) -> None:
        if self._client is None:  # too late
            return
        self._follow(self._machine.accepted(time.monotonic(), begun))

    def _refused(self, reason: str) -> None:
        self._follow(self._machine.refused(time.monotonic(), reason))

    def _finished(self, failure: str) -> None:
        self._follow(self._machine.finished(time.monotonic(), failure))

    def _recall(self, hourly: int) -> list[float]:
        """Return when retries were requested in the last hour, steady time."""
        try:
            self._memory.recall(time.time(), hourly)
        except VivaError as error:
            self._node.get_logger().error(str(error))
        return steady(self._memory.content.asked, time.time(), time.monotonic())

    def _remember(self) -> None:
        """Note a retry before it is requested: one that dies meanwhile has counted it."""
        try:
            self._memory.note_retry(time.time())
        except OSError as error:
            self._warn(error)

    def _note_episode(self) -> None:
        """Keep what has become of the retries of the episode."""
        if self.episode is not None:
            under_way = self._machine.state in (RetryState.WAITING, RetryState.RETRYING)
            self.episode = replace(
                self.episode, used=self._machine.used, retrying=under_way,
                begun=under_way and self._machine.begun,
            )  # fmt: skip
            self._write(episode=self.episode)

    def _write(self, **changes: object) -> None:
        if self._client is None:  # the file is another's
            return
        try:
            self._memory.change(**changes)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        self._node.get_logger().error(
            f'the state of the supervisor cannot be kept in {self._memory.path}, a restart would '
            f'forget it ({error}): free disk space, or set ROS_HOME to a folder that can be '
            'written', throttle_duration_sec=30.0,
        )  # fmt: skip


def memory_file(node: Node) -> Path:
    """Return a supervisor's own file, by domain and full name: each robot has its own."""
    home = Path(os.environ.get('ROS_HOME') or '~/.ros').expanduser()
    *folders, name = node.get_fully_qualified_name().strip('/').split('/')
    domain = str(node.context.get_domain_id())
    return home.joinpath('viva_retries', domain, *folders, f'{name}.json')
