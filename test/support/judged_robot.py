# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot and its monitor, simulated by a test, for a real supervisor; options of the latter."""

import threading
import time

from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from support.ros import Listener, wait
from viva_ros.core.detection.rules import RULES
from viva_ros.msg import Alert, Episode, SupervisorState, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header
from viva_ros.srv import StartEpisode

LIVE = (
    '-p', 'retry.dry_run:=false', '-p', 'retry.timeout:=20.0', '-p', 'retry.backoff:=0.5',
    '-p', 'retry.begin_within:=20.0', '-p', 'robot.executing_topic:=executing',
)  # fmt: skip
QUICK = ('-p', 'alarm.cool_down:=1.0')
CALM = ('-p', 'alarm.cool_down:=0.5')  # short, so that retries are not suppressed


def kinds(alerts):
    return [alert.kind for alert in alerts]


class JudgedRobot:
    """Publishes values at 10 Hz, executes the task, and serves retries."""

    def __init__(self, listener: Listener) -> None:
        self._publisher = listener.create_publisher(Value, 'value', qos.RELIABLE)
        self._words = listener.create_publisher(Bool, 'executing', qos.RELIABLE)
        self.listener = listener
        self.executing, self.asked, self.way_home = True, 0, 0.5
        listener.create_timer(0.1, lambda: self._words.publish(Bool(data=self.executing)))
        self.alerts = listener.listen(Alert, 'alert', qos.LATCHED_READER)
        self.episodes = listener.listen(Episode, 'episode', qos.LATCHED_READER)
        self.states = listener.listen(SupervisorState, 'supervisor/state', qos.LATCHED_READER)
        self.rate = 10.0  # Hz, as published
        self.session = time.time_ns()  # of the monitor

    def serve(self, accept: bool, message: str = '') -> None:
        """Serve retries; an accepted retry stops execution during the way home."""

        def answer(request, response):
            self.asked += 1
            response.success, response.message = accept, message
            if accept:
                self.executing = False
                self._words.publish(Bool(data=False))
                home = threading.Timer(self.way_home, self.go)
                home.daemon = True
                home.start()
            return response

        self.listener.create_service(Trigger, 'retry', answer)

    def go(self) -> None:
        """Execute the task (again)."""
        self.executing = True

    def begin(self, task: str = '') -> str:
        """Start an episode; return its id when the supervisor knows the execution state."""
        answer = self.listener.call(
            StartEpisode, 'supervisor/start_episode', StartEpisode.Request(task=task)
        )
        assert answer.success, answer.message
        wait(lambda: self.state.id == answer.episode_id, 'the announcement')
        wait(lambda: self.state.executing == self.executing, 'the word of the robot')
        return answer.episode_id

    @property
    def state(self) -> Episode:
        """Return the newest announcement."""
        return self.episodes[-1] if self.episodes else Episode()

    @property
    def level(self) -> int | None:
        """Return the newest level; None before the first, two seconds after the start."""
        return self.states[-1].level if self.states else None

    @property
    def reason(self) -> str:
        """Return the reason of the newest level."""
        return self.states[-1].reason if self.states else ''

    @property
    def retry_state(self) -> str:
        """Return the newest state of the retry; '' before the first."""
        return self.states[-1].retry_state if self.states else ''

    def ready(self) -> None:
        wait(lambda: self._publisher.get_subscription_count(), 'the supervisor')
        self.begin()

    def send(
        self, value: float | None, engine: str = 'f' * 16, task: str = 'tray_lift',
        age: float = 0.0, episode: str | None = None, reason: str = 'the camera is gone',
    ) -> None:  # fmt: skip
        """
        Publish a value, None for unknown.

        :param age: of its stamp, s
        :param episode: None for the one that the supervisor announced
        :param reason: of an unknown value
        """
        message = self.message(value, engine, task, age, episode)
        message.reason = reason if value is None else ''
        self._publisher.publish(message)

    def message(
        self, value: float | None, engine: str = 'f' * 16, task: str = 'tray_lift',
        age: float = 0.0, episode: str | None = None,
    ) -> Value:  # fmt: skip
        """Return what ``send`` publishes."""
        stamp = time.time_ns() - round(age * 1e9)
        message = Value(header=header(stamp), task=task, engine=engine, rate=self.rate)
        message.episode_id, message.executing = self.state.id, self.state.executing
        message.session_id = self.session
        if episode is not None:
            message.episode_id, message.executing = episode, True
        if value is None:
            message.status, message.reason_kind = Value.STATUS_UNKNOWN, 'stale'
            message.reason, message.value = 'the camera is gone', float('nan')
        else:
            message.status, message.value = Value.STATUS_OK, value
        return message

    def hold(self, value: float | None, condition, what: str, **extra) -> None:
        """Send a value at 10 Hz until a condition holds."""

        def step() -> bool:
            self.send(value, **extra)
            time.sleep(0.1)
            return condition()

        wait(step, what)

    def fall(self) -> None:
        """
        Fall until a rule alarms.

        Another alert, such as `resumed`, can have the level ALARM too: that of a retry under way.
        """
        count = len(self.alerts)

        def alarmed() -> bool:
            new = self.alerts[count:]
            return any(a.level == Alert.ALARM and a.kind in RULES for a in new)

        self.fall_until(alarmed, 'an alarm')

    def fall_until(self, condition, what: str) -> None:
        """
        Send a high value, then a low value, until a condition holds.

        It is repeated: a busy machine may miss the fall, or the alarm may be over before the retry
        that it causes is requested.
        """
        begin = time.monotonic()

        def step() -> bool:
            self.send(0.8 if (time.monotonic() - begin) % 10.0 < 2.0 else -0.5)
            time.sleep(0.1)
            return condition()

        wait(step, what)

    def need_operator(self) -> None:
        """Fall until the retries that the robot refuses end at the operator."""
        time.sleep(0.6)  # for a cool-down after its start the supervisor requests nothing
        self.fall_until(
            lambda: all(
                told and told[-1].level == Alert.NEEDS_OPERATOR
                for told in (self.states, self.alerts)
            ),
            'the operator',
        )
