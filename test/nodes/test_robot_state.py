# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The supervisor with a robot that reports its state, and with retries by cancel."""

import time
from collections.abc import Callable

import pytest
from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from action_msgs.srv import CancelGoal
from std_msgs.msg import Bool
from support.ros import PATIENT_SUPERVISOR, wait
from unique_identifier_msgs.msg import UUID

from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header
from viva_ros.srv import StartEpisode

LIVE = (
    '-p', 'retry.dry_run:=false', '-p', 'alarm.cool_down:=1.0', '-p', 'retry.backoff:=0.5',
    '-p', 'retry.timeout:=30.0',
)  # fmt: skip
GOAL = UUID(uuid=list(range(16)))


class Robot:
    """Publishes values at 10 Hz and reports of the robot, and serves the cancel of one goal."""

    def __init__(self, listener, until) -> None:
        self.values = listener.create_publisher(Value, 'value', qos.RELIABLE)
        self.stopped = listener.create_publisher(Bool, 'stopped', qos.RELIABLE)
        self.executing = listener.create_publisher(Bool, 'executing', qos.RELIABLE)
        self.status = listener.create_publisher(
            GoalStatusArray, 'fold/_action/status', qos.LATCHED
        )
        self.alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
        self.episodes = listener.listen(Episode, 'episode', qos.LATCHED_READER)
        self.listener, self.until = listener, until
        self.canceled = 0
        self.words = {}

    def serve(self, code: int = CancelGoal.Response.ERROR_NONE, agree: bool = True) -> None:
        def cancel(request, response):
            self.canceled += 1
            response.return_code = code
            if agree and code == CancelGoal.Response.ERROR_NONE:
                response.goals_canceling = [GoalInfo(goal_id=GOAL)]
            return response

        self.listener.create_service(CancelGoal, 'fold/_action/cancel_goal', cancel)
        self.say(GoalStatus.STATUS_EXECUTING)

    def say(self, status: int, name: UUID = GOAL) -> None:
        goal = GoalStatus(goal_info=GoalInfo(goal_id=name), status=status)
        self.status.publish(GoalStatusArray(status_list=[goal]))

    def hold(self, value: float | Callable[[], float], condition, what: str) -> None:
        def step() -> bool:
            state = self.episodes[-1] if self.episodes else Episode()
            number = value() if callable(value) else value
            self.values.publish(
                Value(
                    header=header(time.time_ns()), status=Value.STATUS_OK, value=number,
                    task='tray_lift', engine='f' * 16, rate=10.0, episode_id=state.id,
                    executing=state.executing,
                )
            )  # fmt: skip
            for publisher, word in self.words.items():
                publisher.publish(Bool(data=word))
            time.sleep(0.1)
            return condition()

        self.until(step, what)

    def kinds(self) -> list[str]:
        return [alert.kind for alert in self.alerts]

    def begin(self) -> None:
        self.until(lambda: self.values.get_subscription_count(), 'the supervisor')
        request = StartEpisode.Request()
        answer = self.listener.call(StartEpisode, 'supervisor/start_episode', request)
        assert answer.success, answer.message

    def fall(self) -> None:
        self.begin()
        alarming = (Alert.ALARM, Alert.NEEDS_OPERATOR)
        self.fall_until(lambda: any(a.level in alarming for a in self.alerts), 'an alarm')

    def fall_until(self, condition, what: str) -> None:
        """Fall from a high value, again if a busy machine has missed it."""
        begin = time.monotonic()

        def value() -> float:
            return 0.8 if (time.monotonic() - begin) % 9.0 < 3.0 else -0.5

        self.hold(value, condition, what)


@pytest.fixture
def robot(listener):
    return Robot(listener, wait)


@pytest.fixture
def start(processes, calibration):
    def start_supervisor(*arguments):
        return processes.start(
            'viva_ros.nodes.supervisor', '--ros-args', '-p', f'calibration:={calibration}', *LIVE,
            *PATIENT_SUPERVISOR, *arguments,
        )  # fmt: skip

    return start_supervisor


def test_cancel_is_accepted_only_when_the_goal_has_ended(robot, start):
    robot.serve()
    start('-p', 'retry.by:=cancel', '-p', 'retry.name:=fold')
    robot.fall()
    robot.hold(-0.5, lambda: robot.canceled == 1, 'the cancelling')
    end = time.monotonic() + 1.0
    robot.hold(-0.5, lambda: time.monotonic() > end, 'a second')
    assert 'retry_accepted' not in robot.kinds()  # the goal is still canceling
    robot.say(GoalStatus.STATUS_CANCELING)
    robot.say(GoalStatus.STATUS_CANCELED)
    robot.hold(-0.5, lambda: 'retry_accepted' in robot.kinds(), 'the acceptance')
    assert robot.canceled == 1


def test_missing_action_and_rejected_cancel_are_refusals(robot, start):
    start('-p', 'retry.by:=cancel', '-p', 'retry.name:=fold', '-p', 'retry.budget:=2')
    robot.fall()
    robot.hold(-0.5, lambda: 'retry_rejected' in robot.kinds(), 'the refusal')
    refused = next(a for a in robot.alerts if a.kind == 'retry_rejected')
    assert 'there is no action /fold' in refused.text
    robot.serve(CancelGoal.Response.ERROR_REJECTED)
    robot.fall_until(lambda: robot.kinds().count('retry_rejected') == 2, 'the second one')
    last = [a for a in robot.alerts if a.kind == 'retry_rejected'][-1]
    assert 'rejected the cancel request' in last.text or 'there is no action' in last.text


def test_cancel_rejected_without_code_is_a_refusal(robot, start):
    """As rclpy's action server answers when its callback rejects: no code, and no goal."""
    robot.serve(agree=False)
    start('-p', 'retry.by:=cancel', '-p', 'retry.name:=fold')
    robot.fall()
    robot.hold(-0.5, lambda: 'retry_rejected' in robot.kinds(), 'the refusal')
    refused = next(a for a in robot.alerts if a.kind == 'retry_rejected')
    assert 'the action server rejected the cancel request' in refused.text


def test_retry_by_cancel_is_done_when_another_goal_is_executed(robot, start):
    robot.serve()
    start('-p', 'retry.by:=cancel', '-p', 'retry.name:=fold')
    robot.fall()
    robot.hold(-0.5, lambda: robot.canceled == 1, 'the cancelling')
    robot.say(GoalStatus.STATUS_CANCELED)
    robot.hold(-0.5, lambda: 'retry_accepted' in robot.kinds(), 'the acceptance')
    robot.hold(-0.5, lambda: robot.episodes[-1].reason == 'the robot retries', 'the pause')
    end = time.monotonic() + 3.0
    robot.hold(-0.5, lambda: time.monotonic() > end, 'three cool-downs')
    assert robot.canceled == 1
    robot.say(GoalStatus.STATUS_EXECUTING, UUID(uuid=[7] * 16))
    robot.hold(0.8, lambda: 'retry_succeeded' in robot.kinds(), 'the end of the retry')
    robot.hold(0.8, lambda: robot.episodes[-1].executing, 'the execution')


def test_stopped_robot_receives_no_request(robot, start):
    robot.serve()
    robot.words = {robot.stopped: True}
    start('-p', 'retry.by:=cancel', '-p', 'retry.name:=fold', '-p', 'robot.stopped_topic:=stopped')
    robot.fall()
    robot.hold(-0.5, lambda: 'retry_suppressed' in robot.kinds(), 'the report')
    blocked = next(a for a in robot.alerts if a.kind == 'retry_suppressed')
    assert blocked.level == Alert.NEEDS_OPERATOR
    assert 'the robot is stopped' in blocked.text
    assert robot.canceled == 0


def test_idle_robot_is_paused_and_never_alarms(robot, start):
    robot.words = {robot.executing: False}
    start('-p', 'robot.executing_topic:=executing')
    robot.begin()
    robot.hold(0.8, lambda: 'paused' in robot.kinds(), 'the pause')
    end = time.monotonic() + 2.0
    robot.hold(0.8, lambda: time.monotonic() > end, 'a high value')
    end = time.monotonic() + 2.0
    robot.hold(-0.8, lambda: time.monotonic() > end, 'a low value')
    assert Alert.ALARM not in [a.level for a in robot.alerts]
    robot.words = {robot.executing: True}
    told = len(robot.alerts)
    robot.hold(0.8, lambda: 'paused' in robot.kinds()[told:], 'the task')
    assert robot.alerts[-1].level == Alert.OK
