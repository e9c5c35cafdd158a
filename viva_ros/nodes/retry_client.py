# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ways to request a retry from the robot, none of which waits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from viva_ros.core.events import Event
from viva_ros.core.retry import ACTION, CANCEL, RetrySettings


@dataclass(frozen=True)
class Request:
    """Why a retry is requested: the alarm, and the task of the episode."""

    alarm: Event
    task: str


@dataclass(frozen=True)
class Answers:
    """
    Callbacks for the robot's answers, however late.

    :param accepted: with whether the robot has stopped executing already
    :param refused: with the reason, also when there is no such service or action
    :param finished: at the end of a retry, with the reason of a failure or ''
    """

    accepted: Callable[[bool], None]
    refused: Callable[[str], None]
    finished: Callable[[str], None]


class Retrier(Protocol):
    """One way to request a retry."""

    def ask(self, request: Request, attempt: int) -> None:
        """Request a retry; ``attempt`` counts from 1 in the episode."""

    def destroy(self) -> None:
        """Request no more."""


def retry_client(node: Node, settings: RetrySettings, answers: Answers) -> Retrier:
    """Return the way that the settings name."""
    if settings.by == ACTION:
        from viva_ros.nodes.retry_action import ActionClient

        return ActionClient(node, settings, answers)
    if settings.by == CANCEL:
        from viva_ros.nodes.cancel_client import CancelClient

        return CancelClient(node, settings.name, answers)
    return TriggerClient(node, settings.name, answers)


class TriggerClient:
    """Calls a service of std_srvs/Trigger; the robot's ``executing`` tells when it is done."""

    def __init__(self, node: Node, name: str, answers: Answers) -> None:
        self._node, self._name, self._answers = node, name, answers
        self._client = node.create_client(Trigger, name)
        self._pending: Future | None = None

    def destroy(self) -> None:
        """Request no more."""
        self._pending = None
        self._node.destroy_client(self._client)

    def ask(self, request: Request, attempt: int) -> None:
        """Request a retry."""
        if not self._client.service_is_ready():
            name = self._node.resolve_service_name(self._name)
            self._answers.refused(f'there is no service {name}')
            return
        self._pending = self._client.call_async(Trigger.Request())
        self._pending.add_done_callback(self._answer)

    def _answer(self, future: Future) -> None:
        response = future.result()
        if response is not None and response.success:
            self._answers.accepted(False)
        elif future is self._pending:  # a late refusal of an earlier call says nothing now
            self._answers.refused('no answer' if response is None else response.message)
