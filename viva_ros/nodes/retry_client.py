# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Request a retry from the robot: by a service, by an action, or by cancelling a goal.

A cancel counts as accepted when every goal that is canceled has ended, since the response to the
cancel request does not mean that the arms have stopped. The retry is done when a new goal is
executed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from action_msgs.msg import GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from viva_ros.action import Retry
from viva_ros.core.events import Event
from viva_ros.core.retry import ACTION, CANCEL, RetrySettings
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_time


@dataclass(frozen=True)
class RetryRequest:
    """The alarm that causes a retry, and the task of the episode."""

    alarm: Event
    task: str


@dataclass(frozen=True)
class RetryCallbacks:
    """
    Callbacks for the robot's answers, which may arrive after the time-out.

    :param accepted: called with whether the robot has already stopped executing
    :param refused: called with the reason, also without such a service or action
    :param finished: called at the end of a retry, with the reason of a failure or ''
    """

    accepted: Callable[[bool], None]
    refused: Callable[[str], None]
    finished: Callable[[str], None]


class RetryClient(Protocol):
    """One way to request a retry."""

    def request(self, request: RetryRequest, attempt: int) -> None:
        """Request a retry; ``attempt`` counts from 1 within the episode."""

    def destroy(self) -> None:
        """Request no more."""


def retry_client(node: Node, settings: RetrySettings, callbacks: RetryCallbacks) -> RetryClient:
    """Return the client for the parameter ``retry.by``."""
    if settings.by == ACTION:
        return ActionClient(node, settings, callbacks)
    if settings.by == CANCEL:
        return CancelClient(node, settings.name, callbacks)
    return TriggerClient(node, settings.name, callbacks)


class TriggerClient:
    """Calls a service of std_srvs/Trigger; the robot's report of execution shows the end."""

    def __init__(self, node: Node, name: str, callbacks: RetryCallbacks) -> None:
        self._node, self._name, self._callbacks = node, name, callbacks
        self._client = node.create_client(Trigger, name)
        self._pending: Future | None = None

    def destroy(self) -> None:
        """Request no more."""
        self._pending = None
        self._node.destroy_client(self._client)

    def request(self, request: RetryRequest, attempt: int) -> None:
        """Request a retry."""
        if not self._client.service_is_ready():
            name = self._node.resolve_service_name(self._name)
            self._callbacks.refused(f'there is no service {name}')
            return
        self._pending = self._client.call_async(Trigger.Request())
        self._pending.add_done_callback(self._answer)

    def _answer(self, future: Future) -> None:
        response = future.result()
        if response is not None and response.success:
            self._callbacks.accepted(False)
        elif future is self._pending:  # else a late refusal of an earlier call
            self._callbacks.refused('no answer' if response is None else response.message)


ACTIVE = (GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING)
ENDED = {
    GoalStatus.STATUS_SUCCEEDED: 'succeeded',
    GoalStatus.STATUS_CANCELED: 'canceled',
    GoalStatus.STATUS_ABORTED: 'aborted',
}
REFUSED = {
    CancelGoal.Response.ERROR_REJECTED: 'the action server rejected the cancel request',
    CancelGoal.Response.ERROR_UNKNOWN_GOAL_ID: 'the action server knows no such goal',
    CancelGoal.Response.ERROR_GOAL_TERMINATED: 'the goal has ended already',
}


class CancelClient:
    """Cancels all goals of an action, whatever its type."""

    def __init__(self, node: Node, name: str, callbacks: RetryCallbacks) -> None:
        self._node, self._name, self._callbacks = node, name, callbacks
        self._client = node.create_client(CancelGoal, f'{name}/_action/cancel_goal')
        self._status = node.create_subscription(
            GoalStatusArray, f'{name}/_action/status', self._store_status, qos.LATCHED_READER
        )
        self._waiting: set[bytes] = set()
        self._retrying, self._before = False, set[bytes]()  # goals known before the retry
        self._states: dict[bytes, int] = {}
        self._pending: Future | None = None

    def destroy(self) -> None:
        """Request no more."""
        self._pending = None
        self._node.destroy_client(self._client)
        self._node.destroy_subscription(self._status)

    def request(self, request: RetryRequest, attempt: int) -> None:
        """Cancel all goals."""
        self._waiting.clear()
        self._retrying, self._before = False, set(self._states)
        if not self._client.service_is_ready():
            name = self._node.resolve_service_name(self._name)
            self._callbacks.refused(f'there is no action {name}')
            return
        self._pending = self._client.call_async(CancelGoal.Request())  # zeros: all goals
        self._pending.add_done_callback(self._answer)

    def _answer(self, future: Future) -> None:
        if future is not self._pending:  # of an earlier call
            return
        response = future.result()
        if response is None or response.return_code != CancelGoal.Response.ERROR_NONE:
            code = None if response is None else response.return_code
            self._callbacks.refused(REFUSED.get(code, 'no answer'))
            return
        self._waiting = {bytes(goal.goal_id.uuid) for goal in response.goals_canceling}
        if not self._waiting:  # rclpy's server reports a rejected cancel without a code
            active = any(state in ACTIVE for state in self._states.values())
            rejected = REFUSED[CancelGoal.Response.ERROR_REJECTED]
            self._callbacks.refused(rejected if active else 'no goal is active')
            return
        self._check_goals()

    def _store_status(self, message: GoalStatusArray) -> None:
        self._states = {bytes(s.goal_info.goal_id.uuid): s.status for s in message.status_list}
        self._check_goals()

    def _check_goals(self) -> None:
        """Call back when all canceled goals have ended, and when a new goal is executed."""
        if self._waiting and all(self._states.get(goal) in ENDED for goal in self._waiting):
            ends = {ENDED[self._states[goal]] for goal in self._waiting}
            self._waiting.clear()
            self._retrying = ends != {'succeeded'}
            if self._retrying:
                self._callbacks.accepted(True)
            else:
                self._callbacks.refused('the goal had succeeded before it could be canceled')
        if self._retrying and any(
            state in ACTIVE for goal, state in self._states.items() if goal not in self._before
        ):
            self._retrying = False
            self._callbacks.finished('')


ENDS = {GoalStatus.STATUS_CANCELED: 'canceled', GoalStatus.STATUS_ABORTED: 'aborted'}


class ActionClient:
    """Sends one goal at a time; its result ends the retry."""

    def __init__(self, node: Node, settings: RetrySettings, callbacks: RetryCallbacks) -> None:
        from rclpy import action  # only loaded if an action is configured

        self._node, self._settings, self._callbacks = node, settings, callbacks
        self._client = action.ActionClient(node, Retry, settings.name)
        self._pending: Any = None  # a goal that is sent, then its result
        self._destroyed = False

    def destroy(self) -> None:
        """Request no more; an accepted goal continues."""
        self._pending = None
        self._client.destroy()
        self._destroyed = True

    def request(self, request: RetryRequest, attempt: int) -> None:
        """Send a goal."""
        if not self._client.server_is_ready():
            name = self._node.resolve_service_name(self._settings.name)
            self._callbacks.refused(f'there is no action {name} of viva_ros/Retry')
            return
        alarm = request.alarm
        goal = Retry.Goal(
            episode_id=alarm.episode_id, task=request.task, kind=alarm.kind, reason=alarm.text,
            onset=to_time(alarm.onset), attempt=attempt, budget=self._settings.budget,
        )  # fmt: skip
        self._pending = self._client.send_goal_async(goal)
        self._pending.add_done_callback(self._answer)

    def _answer(self, future: Future) -> None:
        if self._destroyed:  # the goal continues
            return
        handle: Any = future.result()
        accepted = handle is not None and handle.accepted
        if accepted and future is not self._pending:  # too late: a newer goal was sent
            handle.cancel_goal_async()
        elif accepted:
            self._callbacks.accepted(True)
            self._pending = handle.get_result_async()
            self._pending.add_done_callback(self._end)
        elif future is self._pending:
            self._callbacks.refused('no answer' if handle is None else 'the goal is rejected')

    def _end(self, future: Future) -> None:
        if self._destroyed or future is not self._pending:  # of an earlier goal
            return
        response = future.result()
        if response is not None and response.result.success:
            self._callbacks.finished('')
            return
        how = 'no result' if response is None else ENDS.get(response.status, 'no success')
        text = response.result.message if response is not None else ''
        self._callbacks.finished(text or how)
