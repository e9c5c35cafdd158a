# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The retry service of the robot, asked without waiting."""

from collections.abc import Callable
from typing import Protocol

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger


class Retrier(Protocol):
    """One way of asking the robot to try again; the answer comes by a callback, however late."""

    def ask(self) -> None:
        """Ask for a retry."""

    def destroy(self) -> None:
        """Ask no more."""


def retry_client(
    node: Node, action: str, accepted: Callable[[], None], refused: Callable[[str], None]
) -> Retrier:
    """
    Give the way that is set.

    :param action: whose goals are cancelled; empty: the service ``retry`` is called
    """
    if not action:
        return RetryClient(node, accepted, refused)
    from viva_ros.nodes.cancel_client import CancelClient

    return CancelClient(node, action, accepted, refused)


class RetryClient:
    """Calls ``retry``; the answer comes by one of two callbacks, however late."""

    def __init__(
        self, node: Node, accepted: Callable[[], None], refused: Callable[[str], None]
    ) -> None:
        """:param refused: with the reason, also when there is no such service."""
        self._node = node
        self._accepted, self._refused = accepted, refused
        self._client = node.create_client(Trigger, 'retry')
        self._pending: Future | None = None

    def destroy(self) -> None:
        """Ask no more."""
        self._pending = None
        self._node.destroy_client(self._client)

    def ask(self) -> None:
        """Ask for a retry."""
        if not self._client.service_is_ready():
            name = self._node.resolve_service_name('retry')
            self._refused(f'there is no service {name}')
            return
        self._pending = self._client.call_async(Trigger.Request())
        self._pending.add_done_callback(self._answer)

    def _answer(self, future: Future) -> None:
        response = future.result()
        if response is not None and response.success:
            self._accepted()
        elif future is self._pending:  # a late refusal of an earlier call says nothing now
            self._refused('no answer' if response is None else response.message)
