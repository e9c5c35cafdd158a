# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The supervisor: watches the value, raises alerts, and asks the robot to try again.

It judges by the same code that scores recordings. It outlives the monitor: silence is watched on
the steady clock, and neither silence nor 'unknown' ever asks for a retry.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from std_srvs.srv import Trigger

from viva_ros.core.absence import Silence
from viva_ros.core.errors import CalibrationError
from viva_ros.core.events import RULES, Event, Level, worst
from viva_ros.core.judge import Judge, JudgeSettings
from viva_ros.core.thresholds import Calibration, calibration_file
from viva_ros.core.thresholds import load as load_calibration
from viva_ros.msg import Alert, Value
from viva_ros.nodes import qos
from viva_ros.nodes.announcer import Announcer
from viva_ros.nodes.convert import to_details, to_ns
from viva_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from viva_ros.nodes.managed import ManagedNode
from viva_ros.nodes.process import run
from viva_ros.nodes.retries import Retries
from viva_ros.nodes.robot_words import RobotWords
from viva_ros.nodes.settings import SupervisorSettings
from viva_ros.runtime.manifest import named
from viva_ros.runtime.shipped import engine_folder

TICK = 0.1  # s
DIAGNOSIS = {
    Level.OK: OK, Level.UNKNOWN: WARN, Level.WARN: WARN, Level.ALARM: ERROR,
    Level.NEEDS_OPERATOR: ERROR, Level.LATCHED: WARN, Level.PAUSED: OK,
}  # fmt: skip


class Supervisor(ManagedNode[SupervisorSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('supervisor', SupervisorSettings(), **options)
        self._session = time.time_ns()  # not of /clock, which all begin with at 0

    def load_calibration(self, settings: SupervisorSettings) -> Calibration:
        """Load the thresholds; they must be for this task and these rules."""
        path, engine = Path(settings.calibration).expanduser(), ''
        if settings.engine or not settings.calibration:
            folder = engine_folder(settings.engine, settings.task)
            engine = named(folder)
            path = path if settings.calibration else calibration_file(folder, settings.task)
        calibration = load_calibration(path)
        calibration.check(engine or calibration.engine, settings.task, settings.rules)
        return calibration

    def setup(self, settings: SupervisorSettings) -> None:
        """Load the thresholds, create judge, topics and services."""
        self._calibration = self.load_calibration(settings)
        made = self._calibration
        self._judge = Judge(
            JudgeSettings(settings.rules, settings.alarm), made.thresholds, made.expected,
            made.combine, made.alpha,
        )  # fmt: skip
        self._foreign = self._rival = self._incompatible = ''
        self._announcer = Announcer(self, self._session, settings.retry.budget)
        self.keep(Announcer.destroy, self._announcer)
        self._retries = Retries(
            self, settings.retry, settings.alarm.cool_down,
            lambda event: self._publish(event, self._now()),
        )  # fmt: skip
        self.keep(Retries.destroy, self._retries)
        self._robot = RobotWords(self, settings.robot)
        self.keep(RobotWords.destroy, self._robot)
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._note_incompatible, use_default_callbacks=False
        )
        for kind, topic, react in (
            (Value, 'value', self._judge_value),
            (Alert, 'alert', self._hear_alert),
        ):
            subscription = self.create_subscription(
                kind, topic, react, qos.RELIABLE, event_callbacks=events
            )
            self.keep(self.destroy_subscription, subscription)
        for service, serve in (
            ('~/acknowledge', self._serve_acknowledge),
            ('~/start_episode', self._serve_start_episode),
        ):
            self.keep(self.destroy_service, self.create_service(Trigger, service, serve))

    def start(self) -> None:
        """Begin to watch, and an episode."""
        self._heard: float | None = None
        self._silence = Silence(self.settings.silence, time.monotonic())
        self._timer = self.create_timer(TICK, self._tick, clock=self.steady)
        self._begin_episode()
        how = 'dry run: no retry is asked for' if self.settings.retry.dry_run else 'retries are on'
        self.get_logger().info(f'watching ({how})')

    def stop(self) -> None:
        """Watch no more."""
        self.destroy_timer(self._timer)

    def teardown(self) -> None:
        """All that there is to free was given to keep."""

    def diagnose(self, report: Report) -> None:
        """Report the level, and what the rules say."""
        level = self._level() if self.active else Level.OK
        fault = self._incompatible or self._foreign
        crowd = self._rival or self._crowd()
        text = fault or crowd or (level.name if self.active else 'not active')
        entry = ERROR if fault else WARN if crowd else DIAGNOSIS[level]
        report.add('watch', entry, text, self._figures())

    def _crowd(self) -> str:
        """Say that there is more than one monitor; of equal stamps the first value counts."""
        count = self.count_publishers('value')
        topic = self.resolve_topic_name('value')
        return f'{count} monitors publish {topic}: end all but one' if count > 1 else ''

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _level(self) -> Level:
        silent = Level.UNKNOWN if self._silence.silent else Level.OK
        return worst(self._judge.level, self._retries.level, silent)

    def _judge_value(self, message: Value) -> None:
        if not self.active:
            return
        self._heard = time.monotonic()
        self._check_engine(message)
        known = message.status == Value.STATUS_OK and not self._foreign
        kind = '' if known or self._foreign else message.reason_kind
        events = self._judge.update(
            to_ns(message.header.stamp), message.value if known else None,
            self._foreign or message.reason, message.episode_id, to_details(message), kind,
        )  # fmt: skip
        for event in events:
            if event.kind == 'episode_start':
                self._retries.drop()
            shown = event.level if event.kind in RULES else worst(event.level, self._retries.level)
            self._publish(replace(event, level=shown), event.stamp)
            self._react(event)

    def _note_incompatible(self, event: Any) -> None:
        policy = getattr(event.last_policy_kind, 'name', event.last_policy_kind)
        topic = self.resolve_topic_name('value')
        self._incompatible = (
            f'a publisher of {topic} or of alerts has incompatible QoS: {policy}, must be reliable'
        )
        self.get_logger().error(self._incompatible)

    def _check_engine(self, message: Value) -> None:
        try:
            self._calibration.check(message.engine, message.task, self.settings.rules)
            self._foreign = ''
        except CalibrationError as error:
            self._foreign = str(error)

    def _react(self, event: Event) -> None:
        """Ask for a retry on an alarm."""
        if event.kind == 'recovered':
            self._retries.drop()
        if event.level != Level.ALARM or event.kind not in RULES:
            return
        if self._rival:
            self.get_logger().warning(f'passive: {self._rival}')
            return
        self._retries.request(event)

    def _tick(self) -> None:
        steady = time.monotonic()
        event = self._silence.update(steady, self._heard, self._now(), self._announcer.episode)
        if event is not None:
            self._retries.drop()  # what it was about is long ago when values come again
            ends = event.level == Level.OK  # values come again: what they say is what counts
            shown = self._level() if ends else worst(event.level, self._retries.level)
            self._publish(replace(event, level=shown), event.stamp)
        for event in self._judge.gate(self._now(), self._robot.executing):
            self._retries.drop()  # it was about another task
            self._publish(event, event.stamp)
        unheard = self._silence.silent or self._judge.level in (Level.UNKNOWN, Level.PAUSED)
        self._retries.tick(self._robot.stopped, self._judge.known and not unheard)
        if self.count_publishers('alert') < 2:
            self._rival = ''

    def _hear_alert(self, message: Alert) -> None:
        """Two supervisors would both ask for retries: the younger one does not."""
        if message.session_id < self._session and self.count_publishers('alert') > 1:
            self._rival = f'supervisor of session {message.session_id} is on this topic too'

    def _publish(self, event: Event, stamp: int) -> None:
        self._announcer.say(event, stamp, self._retries.used)

    def _begin_episode(self) -> str:
        self._retries.start_episode()
        return self._announcer.begin_episode()

    def _serve_start_episode(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.success = self.active
        response.message = (
            self._begin_episode() if self.active else 'not active: activate it first'
        )
        return response

    def _serve_acknowledge(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        events = self._retries.acknowledge()
        for event in self._judge.acknowledge(self._now()):
            self._publish(event, event.stamp)
            events = [*events, event]
        response.success = bool(events)
        response.message = events[0].text if events else 'nothing waits for an operator'
        return response

    def _figures(self) -> dict[str, object]:
        figures: dict[str, object] = {
            'episode': self._announcer.episode,
            'smoothed': f'{self._judge.smoothed:.3f}',
            'retries': f'{self._retries.used} of {self.settings.retry.budget}',
            'retry': self._retries.state,
            'dry_run': self.settings.retry.dry_run,
        }
        for kind, reading in self._judge.readings.items():
            if math.isfinite(reading.held):
                figures[kind] = f'{reading.held:.3f}'
        return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node."""
    run(Supervisor, argv)


if __name__ == '__main__':
    main()
