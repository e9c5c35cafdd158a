# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Retry by an action of viva_ros/Retry: the goal says why, the result says when it is done.

A file of its own, so that a robot without actions does not load rclpy's action client.
"""

from action_msgs.msg import GoalStatus
from rclpy import action
from rclpy.node import Node
from rclpy.task import Future

from viva_ros.action import Retry
from viva_ros.core.retry import RetrySettings
from viva_ros.nodes.convert import to_time
from viva_ros.nodes.retry_client import Answers, Request

ENDS = {GoalStatus.STATUS_CANCELED: 'canceled', GoalStatus.STATUS_ABORTED: 'aborted'}


class ActionClient:
    """Sends one goal at a time; its result ends the retry."""

    def __init__(self, node: Node, settings: RetrySettings, answers: Answers) -> None:
        self._node, self._settings, self._answers = node, settings, answers
        self._client = action.ActionClient(node, Retry, settings.name)
        self._pending: Future | None = None
        self._destroyed = False

    def destroy(self) -> None:
        """Request no more; a goal that the robot has accepted goes on."""
        self._pending = None
        self._client.destroy()
        self._destroyed = True

    def ask(self, request: Request, attempt: int) -> None:
        """Send a goal."""
        if not self._client.server_is_ready():
            name = self._node.resolve_service_name(self._settings.name)
            self._answers.refused(f'there is no action {name} of viva_ros/Retry')
            return
        alarm = request.alarm
        goal = Retry.Goal(
            episode_id=alarm.episode_id, task=request.task, kind=alarm.kind, reason=alarm.text,
            onset=to_time(alarm.onset), attempt=attempt, budget=self._settings.budget,
        )  # fmt: skip
        self._pending = self._client.send_goal_async(goal)
        self._pending.add_done_callback(self._answer)

    def _answer(self, future: Future) -> None:
        if self._destroyed:  # the goal goes on
            return
        handle = future.result()
        accepted = handle is not None and handle.accepted
        if accepted and future is not self._pending:  # too late: another goal was sent after it
            handle.cancel_goal_async()
        elif accepted:
            self._answers.accepted(True)
            self._pending = handle.get_result_async()
            self._pending.add_done_callback(self._end)
        elif future is self._pending:
            self._answers.refused('no answer' if handle is None else 'the goal is rejected')

    def _end(self, future: Future) -> None:
        if self._destroyed or future is not self._pending:  # of an earlier goal
            return
        response = future.result()
        if response is not None and response.result.success:
            self._answers.finished('')
            return
        how = 'no result' if response is None else ENDS.get(response.status, 'no success')
        text = response.result.message if response is not None else ''
        self._answers.finished(text or how)
