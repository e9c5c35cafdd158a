# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The supervisor: judges the value, raises alerts, and requests retries from the robot.

The detector is the same code that scores recordings. It judges only while the robot executes an
episode, and only values of one monitor, with fresh stamps and an episode of this supervisor. The
supervisor is a separate process that detects silence of the monitor on the steady clock. Neither
silence nor 'unknown' ever causes a retry.
"""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile
from rclpy.service import Service
from std_srvs.srv import Trigger

from viva_ros.core.detection.detector import Detector, DetectorSettings
from viva_ros.core.detection.rules import RULES
from viva_ros.core.detection.thresholds import TaskCalibrations
from viva_ros.core.episode_state import EpisodeState
from viva_ros.core.errors import CalibrationError, VivaError
from viva_ros.core.events import Event, Level, worst
from viva_ros.core.foreign_text import shown
from viva_ros.core.retry import ACTION, RetryState
from viva_ros.core.supervision_memory import OpenEpisode
from viva_ros.core.value_source import OwnEpisode
from viva_ros.core.windows import RateMeter, is_slower
from viva_ros.engine.resources import calibrations
from viva_ros.msg import Alert, Episode, SupervisorState, Value
from viva_ros.nodes import qos
from viva_ros.nodes.accepted_values import AcceptedValues
from viva_ros.nodes.alert_publisher import AlertPublisher
from viva_ros.nodes.convert import publisher_of, to_details, to_ns
from viva_ros.nodes.diagnostics import ERROR, OK, RATE_SPAN, WARN, Report, too_slow
from viva_ros.nodes.leadership import Leadership
from viva_ros.nodes.lifecycle import ManagedNode
from viva_ros.nodes.main import run
from viva_ros.nodes.retries import MAX_ABSENCE, Retries, memory_file
from viva_ros.nodes.robot_state import RobotReports
from viva_ros.nodes.settings import SupervisorSettings
from viva_ros.srv import StartEpisode

TICK_PERIOD, LEADERSHIP_PERIOD = 0.1, 0.5  # s
STARTUP_DELAY = 2.0  # s; an earlier supervisor is discovered within this time
INACTIVE = 'not active: activate the supervisor first'
DIAGNOSIS = {
    Level.OK: OK, Level.UNKNOWN: WARN, Level.WARN: WARN, Level.ALARM: ERROR,
    Level.NEEDS_OPERATOR: ERROR, Level.LATCHED: WARN, Level.PAUSED: OK,
}  # fmt: skip


class Supervisor(ManagedNode[SupervisorSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('supervisor', SupervisorSettings(), **options)
        self._session = time.time_ns()  # not /clock, which starts at 0
        self._numbers = itertools.count(1)  # of episodes, unique within the session

    def prepare(self, settings: SupervisorSettings) -> None:
        """Load the thresholds in the background, since a disk may be slow."""
        settings.check_retries()
        self.preparation.begin('loading calibration', partial(
            calibrations, settings.engine, settings.calibration, settings.task, settings.rules,
        ))  # fmt: skip

    def setup(self, settings: SupervisorSettings, found: TaskCalibrations) -> None:
        """Create detector, topics and services."""
        self._calibrations = found
        self._calibration = found.of(settings.task)
        for text in found.warnings:
            self.get_logger().warning(text)
        self._detector_settings = DetectorSettings(settings.rules, settings.alarm)
        self._create_detector()
        self._engine_mismatch = self._incompatible = self._robot_fault = ''
        self._await_values(settings)
        self._task = settings.task
        self._alerts = AlertPublisher(self, self._session)
        self._retries = Retries(
            self, settings.retry, settings.alarm.cool_down,
            lambda event: self._publish(event, self._now()),
        )  # fmt: skip
        lock = memory_file(self).with_suffix('.lock')
        self._leadership = Leadership(self, self._session, lock)
        self.keep(Leadership.release, self._leadership)
        self._services_offered: list[Service] = []
        self._contradicted = False
        self.keep(Supervisor._release_charge, self)
        self._robot = RobotReports(self, settings.robot, self._on_robot_report)
        self.keep(RobotReports.destroy, self._robot)
        self._subscribe()
        self._update_leadership()
        timer = self.create_timer(LEADERSHIP_PERIOD, self._update_leadership, clock=self.steady)
        self.keep(self.destroy_timer, timer)  # runs also while inactive

    def _create_detector(self) -> None:
        made = self._calibration
        self._detector = Detector(
            self._detector_settings, made.thresholds, made.expected, made.combine, made.alpha
        )
        self._level_events: dict[Level, Event] = {}  # that entered each level

    def start(self) -> None:
        """Start to judge; an episode continues only after an absence below MAX_ABSENCE."""
        self._await_values(self.settings)
        self._update_leadership()
        self._timer = self.create_timer(TICK_PERIOD, self._tick, clock=self.steady)
        how = (
            'dry run: no retry is requested' if self.settings.retry.dry_run else 'retries enabled'
        )
        passive = f'; passive: {self._leadership.reason}' if self._leadership.reason else ''
        self.get_logger().info(f'watching ({how}{passive})')

    def _await_values(self, settings: SupervisorSettings) -> None:
        self._started = time.monotonic()
        self._rate = RateMeter(RATE_SPAN)
        jump = settings.alarm.time_jump
        self._values = AcceptedValues(self, settings.silence, jump, self._on_lack)

    def stop(self) -> None:
        """Stop judging; end the episode, and publish UNKNOWN unless an operator is required."""
        self.destroy_timer(self._timer)
        self._retries.open_episode(None)
        self._publish_episode()
        self._publish_state()

    # One of several supervisors is in charge: only it has topics, services and a stored state.

    def _update_leadership(self) -> None:
        self._leadership.update(publishes=self._alerts.is_open)
        if self._contradicted or self._leadership.rival_ended:
            # A younger supervisor has published another episode; a node that discovers the younger
            # one late receives this episode after that of the older one.
            self._contradicted = False
            self._alerts.republish()
        if self._leadership.reason and self._alerts.is_open:
            self.get_logger().warning(f'passive: {self._leadership.reason}')
            if self._retries.cause is not None:
                self.get_logger().error(f'operator still required: {self._retries.cause.text}')
            self._publish_passive()
            self._release_charge()
        elif not self._leadership.reason and not self._alerts.is_open:
            self._take_charge()

    def _take_charge(self) -> None:
        """Take charge, and restore the state of the earlier supervisor."""
        self._alerts.open()
        self._retries.begin()
        self._create_detector()  # alarms of the passive time were never published
        if self._retries.latched is not None:
            self._detector.latch()
        stored = self._retries.stored
        episode = f'episode {stored.id!r} is under way' if stored else 'no episode is under way'
        self.get_logger().info(f'in charge: {episode}')
        self._services_offered = [
            self.create_service(StartEpisode, '~/start_episode', self._serve_start_episode),
            self.create_service(Trigger, '~/end_episode', self._serve_end_episode),
            self.create_service(Trigger, '~/acknowledge', self._serve_acknowledge),
        ]

    def _release_charge(self) -> None:
        """Become passive: remove topics and services, since two servers would answer each call."""
        while self._services_offered:
            self.destroy_service(self._services_offered.pop())
        self._retries.end()
        self._alerts.close()

    def teardown(self) -> None:
        """Do nothing: ``keep`` frees everything."""

    def check(self, settings: SupervisorSettings) -> None:
        """Check that the end of a retry can be observed."""
        settings.check_retries()

    def apply(self, settings: SupervisorSettings) -> None:
        """Apply live parameters."""
        self._retries.apply(settings.retry)
        how = 'dry run' if settings.retry.dry_run else 'enabled'
        self.get_logger().info(f'retries: {how}, budget {settings.retry.budget}')

    def diagnose(self, report: Report) -> None:
        """Report the level and the statistics of the rules."""
        level = self._level() if self.active else Level.OK
        fault = self._incompatible or self._engine_mismatch or self._robot.execution_unknown
        fault = fault or self._leadership.strangers
        duplicates = (
            self._leadership.reason
            or self._values.notice
            or self._duplicate_monitors()
            or self._too_slow(level)
        )
        text = fault or duplicates or (level.name if self.active else 'not active')
        entry = ERROR if fault else WARN if duplicates else DIAGNOSIS[level]
        report.add('watch', entry, text, self._figures())

    def _too_slow(self, level: Level) -> str:
        """Return a text if known values are slower than the calibrated rate; '' otherwise."""
        rate, expected = self._rate.rate(time.monotonic()), self._calibration.rate
        judged = self.active and level not in (Level.UNKNOWN, Level.PAUSED)
        return too_slow(rate, expected) if judged and is_slower(rate, expected) else ''

    # Episodes.

    def _resume(self) -> None:
        """Continue the episode of a supervisor that has just ended; drop an older one."""
        stored, absence = self._retries.stored, self._retries.absence
        if stored is None:
            return
        if absence > MAX_ABSENCE:
            self._retries.open_episode(None)
            self.get_logger().warning(
                f'episode {stored.id!r} was under way when the supervisor ended {absence:.0f} s '
                'ago: it has ended, nothing is judged until start_episode is called'
            )
            return
        try:
            self._calibrations.of(stored.task)
        except VivaError as error:
            self._retries.open_episode(None)
            self.get_logger().error(f'episode {stored.id!r} cannot continue: {error}')
            return
        self._task = stored.task
        alarm = self._event('retry_accepted', Level.ALARM, 'the robot retries')
        alarm = replace(alarm, episode_id=stored.id)
        self._retries.resume(stored, alarm, self._robot.reports_execution)
        self._publish_episode()
        text = f'episode {stored.id!r} continues: the supervisor was absent for {absence:.1f} s'
        self._publish(self._event('resumed', Level.OK, text), self._now())

    def _serve_start_episode(
        self, request: StartEpisode.Request, response: StartEpisode.Response
    ) -> StartEpisode.Response:
        response.message = '' if self.active else INACTIVE
        if response.message:
            return response
        task = request.task or self._task
        try:
            self._calibrations.of(task)
        except VivaError as error:
            response.message = f'no episode of task {task!r} was started: {error}'
            return response
        began = datetime.fromtimestamp(self._session * 1e-9, UTC)
        name = f'{began:%Y%m%dT%H%M%S}-{self._session % 10**6:06d}-{next(self._numbers):03d}'
        self._task = task
        self._retries.open_episode(OpenEpisode(name, task))
        self._publish_episode()
        response.success, response.episode_id = True, name
        return response

    def _serve_end_episode(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.message = '' if self.active else INACTIVE
        episode = self._retries.episode or self._retries.stored
        if not response.message and episode is None:
            response.message = 'no episode is under way: call start_episode'
        if response.message or episode is None:
            return response
        self._retries.open_episode(None)
        self._publish_episode()
        response.success, response.message = True, f'episode {episode.id} has ended'
        return response

    def _serve_acknowledge(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        events = self._retries.acknowledge()
        for event in self._detector.acknowledge(self._now()):
            self._note(event)
            self._publish(event, event.stamp)
            events = [*events, event]
        response.success = bool(events)
        response.message = events[0].text if events else 'nothing to acknowledge'
        self._publish_state()
        return response

    def _episode_state(self) -> EpisodeState:
        """Return the current episode, and whether it is judged."""
        episode = self._retries.episode
        if episode is None:
            return EpisodeState(task=self._task)
        reason = self._robot.execution_unknown
        if not reason and not self._robot.executing:
            reason = 'the robot does not execute the task'
        retries = self._retries.state is RetryState.RETRYING and not self._retries_reported
        if not reason and retries:
            reason = 'the robot retries'
        return EpisodeState(episode.id, episode.task, not reason, reason)

    @property
    def _retries_reported(self) -> bool:
        """Whether the robot's report of execution shows the begin and end of a retry."""
        by_result = self.settings.retry.by == ACTION and not self._retries.result_lost
        return self._robot.reports_execution and not by_result

    def _publish_episode(self) -> None:
        self._follow_own_episode()
        self._alerts.publish_episode(self._episode_state(), self._now())

    # Values.

    def _follow_own_episode(self) -> None:
        """Accept values of the announced episode only."""
        if self._retries.episode is None and (stored := self._retries.stored) is not None:
            own = OwnEpisode(stored.id, stored.task, None)  # it is continued after a delay
        else:
            state = self._episode_state()
            own = OwnEpisode(state.id, state.task, state.executing)
        self._values.follow_episode(own)

    def _on_lack(self, event: Event) -> None:
        if event.level == Level.UNKNOWN:
            self._retries.drop()  # outdated when values return
            self._detector.lose_values()
        self._publish(event, event.stamp)

    def _on_value(self, message: Value, info: Mapping[str, Any]) -> None:
        if not self.active:
            return
        self._follow_own_episode()
        if not self._values.accept(message, info, passive=not self._alerts.is_open):
            return  # it changes no other state
        if self._values.changed:
            self._detector.restart_windows()
            self._retries.drop()  # its alarm is of another monitor, or from before two of them
        known = message.status == Value.STATUS_OK
        self._follow_task(message.task)
        self._engine_mismatch = self._engine_fault(message) if known else ''
        known = known and not self._engine_mismatch
        if known:
            self._rate.add(time.monotonic())
        kind = '' if known or self._engine_mismatch else message.reason_kind
        events = self._detector.update(
            to_ns(message.header.stamp), message.value if known else None,
            self._engine_mismatch or shown(message.reason), message.episode_id,
            to_details(message), kind, message.executing,
        )  # fmt: skip
        for event in events:
            self._note(event)
            if event.kind in ('episode_start', 'recovered', 'paused'):
                self._retries.drop()  # the cause of the alarm is over
            self._publish(event, event.stamp)
            self._react(event)
        if events:
            self._publish_state()

    def _follow_task(self, task: str) -> None:
        """Use the thresholds of the value's task."""
        made = self._calibrations.get(task) or self._calibration
        if made is not self._calibration:
            self._calibration = made
            self._detector.set_thresholds(made.thresholds, made.expected, made.combine, made.alpha)

    def _engine_fault(self, message: Value) -> str:
        """Return why the thresholds do not apply to a value; '' if they do."""
        try:
            self._calibration.check(
                message.engine, message.task, self.settings.rules, message.rate
            )
        except CalibrationError as error:
            return str(error)
        return ''

    def _note(self, event: Event) -> None:
        """Store the event that entered a level; a rule keeps its level."""
        of_rule = event.kind in RULES
        if of_rule or event.level not in (Level.WARN, Level.ALARM):
            self._level_events[event.level] = event
        if not self._detector.latched:
            self._retries.note_latch(None)
        elif self._retries.latched is None:
            self._retries.note_latch(event)

    def _react(self, event: Event) -> None:
        """Request a retry on an alarm of the current episode."""
        if event.level != Level.ALARM or event.kind not in RULES:
            return
        state = self._episode_state()
        if state.executing and state.id == event.episode_id:
            fault = self._values.age_fault(event.stamp)
            outdated = f'the alarm is {fault}' if fault else ''
            self._retries.request(event, state.task, outdated)

    # Robot and timers.

    def _on_robot_report(self) -> None:
        if self.active:
            self._watch_robot()

    def _watch_robot(self) -> None:
        """Process the robot's report of execution; without it an episode is UNKNOWN."""
        executing = self._robot.executing
        if self._retries_reported and executing is not None:
            self._retries.executing(executing)
        lack = self._robot.execution_unknown if self._retries.episode is not None else ''
        if time.monotonic() - self._started < STARTUP_DELAY + self.settings.robot.report_timeout:
            lack = self._robot_fault  # its publisher may not be discovered yet
        if lack != self._robot_fault:
            self._robot_fault = lack
            text = lack or f'{self.settings.robot.executing_topic} is published again'
            level = Level.UNKNOWN if lack else Level.OK
            self._publish(self._event('robot', level, text), self._now())
        if self._retries.stored is None and time.monotonic() - self._started > STARTUP_DELAY:
            self._publish_episode()

    def _tick(self) -> None:
        self._follow_own_episode()
        self._values.watch()
        if time.monotonic() - self._started > STARTUP_DELAY:
            self._resume()
        self._watch_robot()
        judged = self._detector.known and self._values.fresh
        alarmed = judged and self._detector.level is Level.ALARM
        self._retries.tick(self._robot.stopped, alarmed)
        self._publish_state()

    def _on_alert(self, message: Alert, info: Mapping[str, Any]) -> None:
        """Note an older supervisor; its latched alert may arrive before its discovery."""
        if self._leadership.note_alert(int(message.session_id), publisher_of(info)):
            self._update_leadership()

    def _on_episode(self, message: Episode) -> None:
        published = EpisodeState(message.id, message.task, message.executing, message.reason)
        self._contradicted = self._alerts.is_open and not self._alerts.agrees_with(published)

    # The published state.

    def _level(self) -> Level:
        if not self.active:
            return worst(Level.UNKNOWN, self._retries.level)
        lack = self._values.lack is not None or self._robot_fault
        unknown = Level.UNKNOWN if lack else Level.OK
        return worst(self._detector.level, self._retries.level, unknown)

    def _cause(self, level: Level) -> tuple[str, str]:
        """Return kind and text of the cause of a level."""
        cause = self._retries.cause
        if level == Level.OK:
            return '', ''
        if level == self._retries.level and cause is not None:
            return cause.kind, cause.text
        if not self.active:
            return 'unknown', INACTIVE
        if level == Level.UNKNOWN and self._values.lack is not None:
            return self._values.lack.kind, self._values.lack.text
        if level == Level.UNKNOWN and self._robot_fault:
            return 'robot', self._robot_fault
        if level == Level.LATCHED:
            alarm = self._retries.latched
            what = f'an alarm ({alarm.kind}: {alarm.text})' if alarm else 'an alarm'
            return 'recovered', f'{what} is over: acknowledge it'
        entered = self._level_events.get(level)
        if entered is None:
            return 'unknown', 'no value has been received yet'
        return entered.kind, entered.text

    def _publish_state(self) -> None:
        """Publish the state of the supervision."""
        if self.active and time.monotonic() - self._started < STARTUP_DELAY:
            return
        level, causes = self._level(), {
            Level.NEEDS_OPERATOR: self._retries.cause, Level.LATCHED: self._retries.latched,
        }  # fmt: skip
        cause = causes.get(level)
        since = None if cause is None else cause.stamp
        self._alerts.publish_state(self._state(level, *self._cause(level)), self._now(), since)

    def _publish_passive(self) -> None:
        """
        Publish UNKNOWN as the last state, or the operator who is still required.

        The supervisor in charge publishes its state again when the publishers of this one end.
        """
        if not self._alerts.has_state:  # they may end before they are discovered
            return
        cause = self._retries.cause
        if cause is not None:
            state = self._state(Level.NEEDS_OPERATOR, cause.kind, cause.text)
        else:
            reason = f'passive: {self._leadership.reason}'
            state = self._state(Level.UNKNOWN, 'unknown', reason)
        self._alerts.publish_state(state, self._now())

    def _state(self, level: Level, kind: str, reason: str) -> SupervisorState:
        """Return the state of the supervision, without times and session."""
        state = self._episode_state()
        return SupervisorState(
            level=int(level), kind=kind, reason=reason, episode_id=state.id, task=state.task,
            executing=state.executing, retry_state=self._retries.state.value,
            dry_run=self.settings.retry.dry_run, retries=self._retries.used,
            retry_budget=self.settings.retry.budget,
        )  # fmt: skip

    def _publish(self, event: Event, stamp: int) -> None:
        self._alerts.publish_event(
            event, self._level(), stamp, self._retries.used, self.settings.retry.budget
        )

    def _event(self, kind: str, level: Level, text: str) -> Event:
        """Return an event at the current time, without a value."""
        now, nan = self._now(), math.nan
        return Event(level, kind, now, now, nan, nan, nan, self._episode_state().id, text)

    def _subscribe(self) -> None:
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._note_incompatible, use_default_callbacks=False
        )
        subscribed: Sequence[tuple[type, str, Callable[..., None], QoSProfile]] = (
            (Value, 'value', self._on_value, qos.RELIABLE),
            (Alert, 'alert', self._on_alert, qos.LATCHED_READER),  # of an older supervisor
            (Episode, 'episode', self._on_episode, qos.LATCHED_READER),
        )
        for kind, topic, react, profile in subscribed:
            subscription = self.create_subscription(
                kind, topic, react, profile, event_callbacks=events
            )
            self.keep(self.destroy_subscription, subscription)

    def _note_incompatible(self, event: Any) -> None:
        policy = getattr(event.last_policy_kind, 'name', event.last_policy_kind)
        topic = self.resolve_topic_name('value')
        self._incompatible = (
            f'a publisher of {topic} or of alerts has incompatible QoS: {policy}, must be reliable'
        )
        self.get_logger().error(self._incompatible)

    def _duplicate_monitors(self) -> str:
        """Return a text if there is more than one monitor; '' otherwise."""
        count = self.count_publishers('value')
        topic = self.resolve_topic_name('value')
        return f'{count} monitors publish {topic}: end all but one' if count > 1 else ''

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _figures(self) -> dict[str, object]:
        figures: dict[str, object] = {
            'episode': self._episode_state().id,
            'task': self._episode_state().task,
            'smoothed': f'{self._detector.smoothed:.3f}',
            'retries': f'{self._retries.used} of {self.settings.retry.budget}',
            'retry': self._retries.state.value,
            'dry_run': self.settings.retry.dry_run,
        }
        figures |= self._values.figures()
        for kind, reading in self._detector.readings.items():
            if math.isfinite(reading.held):
                figures[kind] = f'{reading.held:.3f}'
        return figures


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node."""
    run(Supervisor, argv)


if __name__ == '__main__':
    main()
