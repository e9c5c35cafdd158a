# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The supervisor: watches the value, raises alerts, and requests retries from the robot.

It judges by the same code that scores recordings, and only while an episode is under way and the
robot executes it. It outlives the monitor: silence is watched on the steady clock, and neither
silence nor 'unknown' ever leads to a retry.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence
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
from viva_ros.core.detection.staleness import Silence
from viva_ros.core.detection.thresholds import TaskCalibrations
from viva_ros.core.episode_state import EpisodeState
from viva_ros.core.errors import CalibrationError, VivaError
from viva_ros.core.events import Event, Level, worst
from viva_ros.core.retry import ACTION, RetryState
from viva_ros.core.supervision_memory import OpenEpisode
from viva_ros.engine.resources import calibrations
from viva_ros.msg import Alert, Episode, SupervisorState, Value
from viva_ros.nodes import qos
from viva_ros.nodes.alert_publisher import Announcer
from viva_ros.nodes.convert import to_details, to_ns
from viva_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from viva_ros.nodes.leadership import Rivals
from viva_ros.nodes.lifecycle import ManagedNode
from viva_ros.nodes.main import run
from viva_ros.nodes.retries import AWAY, Retries, memory_file
from viva_ros.nodes.robot_state import RobotWords
from viva_ros.nodes.settings import SupervisorSettings
from viva_ros.srv import StartEpisode

TICK, LOOK = 0.1, 0.5  # s
FIRST_WORD = 2.0  # s; a supervisor that was here before is heard within this time
INACTIVE = 'not active: activate the supervisor first'
DIAGNOSIS = {
    Level.OK: OK, Level.UNKNOWN: WARN, Level.WARN: WARN, Level.ALARM: ERROR,
    Level.NEEDS_OPERATOR: ERROR, Level.LATCHED: WARN, Level.PAUSED: OK,
}  # fmt: skip


class Supervisor(ManagedNode[SupervisorSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('supervisor', SupervisorSettings(), **options)
        self._session = time.time_ns()  # not of /clock, which all begin with at 0
        self._numbers = itertools.count(1)  # of episodes; none is used twice

    def prepare(self, settings: SupervisorSettings) -> None:
        """Load the thresholds in the background: a disk may be slow."""
        settings.check_retries()
        self.preparation.begin('loading calibration', partial(
            calibrations, settings.engine, settings.calibration, settings.task, settings.rules,
        ))  # fmt: skip

    def setup(self, settings: SupervisorSettings, found: TaskCalibrations) -> None:
        """Create judge, topics and services."""
        self._calibrations = found
        self._calibration = found.of(settings.task)
        self._judging = DetectorSettings(settings.rules, settings.alarm)
        self._begin_judging()
        self._foreign = self._incompatible = self._robot_fault = ''
        self._begin_watch(settings)
        self._silent: Event | None = None
        self._task = settings.task
        self._announcer = Announcer(self, self._session)
        self._retries = Retries(
            self, settings.retry, settings.alarm.cool_down,
            lambda event: self._publish(event, self._now()),
        )  # fmt: skip
        lock = memory_file(self).with_suffix('.lock')
        self._rivals = Rivals(self, self._session, lock)
        self.keep(Rivals.rest, self._rivals)
        self._offered: list[Service] = []
        self._contradicted = False
        self.keep(Supervisor._hand_over, self)
        self._robot = RobotWords(self, settings.robot, self._hear_robot)
        self.keep(RobotWords.destroy, self._robot)
        self._subscribe()
        self._look_for_rivals()
        look = self.create_timer(LOOK, self._look_for_rivals, clock=self.steady)
        self.keep(self.destroy_timer, look)  # also while it is not active

    def _begin_judging(self) -> None:
        made = self._calibration
        self._judge = Detector(
            self._judging, made.thresholds, made.expected, made.combine, made.alpha
        )
        self._entered: dict[Level, Event] = {}  # what the judge's levels were entered with

    def start(self) -> None:
        """Begin to watch; an episode goes on only if the supervisor was away for a moment."""
        self._begin_watch(self.settings)
        self._look_for_rivals()
        self._timer = self.create_timer(TICK, self._tick, clock=self.steady)
        how = 'dry run: no retry is requested' if self.settings.retry.dry_run else 'retries are on'
        passive = f'; passive: {self._rivals.reason}' if self._rivals.reason else ''
        self.get_logger().info(f'watching ({how}{passive})')

    def _begin_watch(self, settings: SupervisorSettings) -> None:
        self._heard: float | None = None
        self._started = time.monotonic()
        self._silence = Silence(settings.silence, self._started)

    def stop(self) -> None:
        """Watch no more; the episode ends, and the state is unknown unless a person is needed."""
        self.destroy_timer(self._timer)
        self._retries.open_episode(None)
        self._announce()
        self._show()

    # Of several supervisors one is in charge: it has topics, services and memory.

    def _look_for_rivals(self) -> None:
        self._rivals.look(publishes=self._announcer.is_open)
        if self._contradicted:  # a younger one that knew of none has said something else
            self._contradicted = False
            self._announcer.repeat()
        if self._rivals.reason and self._announcer.is_open:
            self.get_logger().warning(f'passive: {self._rivals.reason}')
            if self._retries.cause is not None:
                self.get_logger().error(f'still to be seen to: {self._retries.cause.text}')
            self._hand_over()
        elif not self._rivals.reason and not self._announcer.is_open:
            self._take_over()

    def _take_over(self) -> None:
        """Be in charge, and go on where the supervisor before this one has ended."""
        self._announcer.open()
        self._retries.begin()
        self._begin_judging()  # what a passive one has judged, nobody has acknowledged
        if self._retries.latched is not None:
            self._judge.latch()
        kept = self._retries.kept
        episode = f'episode {kept.id!r} is under way' if kept else 'no episode is under way'
        self.get_logger().info(f'in charge: {episode}')
        self._offered = [
            self.create_service(StartEpisode, '~/start_episode', self._serve_start_episode),
            self.create_service(Trigger, '~/end_episode', self._serve_end_episode),
            self.create_service(Trigger, '~/acknowledge', self._serve_acknowledge),
        ]

    def _hand_over(self) -> None:
        """Leave all to another one; a call that both answered would have two answers."""
        while self._offered:
            self.destroy_service(self._offered.pop())
        self._retries.end()
        self._announcer.close()

    def teardown(self) -> None:
        """All that there is to free was given to keep."""

    def check(self, settings: SupervisorSettings) -> None:
        """Refuse retries whose end nobody would see."""
        settings.check_retries()

    def apply(self, settings: SupervisorSettings) -> None:
        """Use live parameters."""
        self._retries.apply(settings.retry)
        how = 'dry run' if settings.retry.dry_run else 'on'
        self.get_logger().info(f'retries: {how}, budget {settings.retry.budget}')

    def diagnose(self, report: Report) -> None:
        """Report the level, and what the rules say."""
        level = self._level() if self.active else Level.OK
        fault = self._incompatible or self._foreign or self._robot.execution_unknown
        crowd = self._rivals.reason or self._crowd()
        text = fault or crowd or (level.name if self.active else 'not active')
        entry = ERROR if fault else WARN if crowd else DIAGNOSIS[level]
        report.add('watch', entry, text, self._figures())

    # Episodes.

    def _resume(self) -> None:
        """Go on with the episode of a supervisor that died a moment ago; forget an older one."""
        kept, away = self._retries.kept, self._retries.away
        if kept is None:
            return
        if away > AWAY:
            self._retries.open_episode(None)
            self.get_logger().warning(
                f'episode {kept.id!r} was under way when the supervisor ended {away:.0f} s ago: '
                'it is over, nothing is judged until start_episode is called'
            )
            return
        try:
            self._calibrations.of(kept.task)
        except VivaError as error:
            self._retries.open_episode(None)
            self.get_logger().error(f'episode {kept.id!r} cannot go on: {error}')
            return
        self._task = kept.task
        alarm = self._event('retry_accepted', Level.ALARM, 'the robot retries')
        told = self._robot.reports_execution
        self._retries.resume(kept, replace(alarm, episode_id=kept.id), told)
        self._announce()
        text = f'episode {kept.id!r} goes on: the supervisor was away for {away:.1f} s'
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
            response.message = f'no episode of task {task!r} has begun: {error}'
            return response
        began = datetime.fromtimestamp(self._session * 1e-9, UTC)
        name = f'{began:%Y%m%dT%H%M%S}-{self._session % 10**6:06d}-{next(self._numbers):03d}'
        self._task = task
        self._retries.open_episode(OpenEpisode(name, task))
        self._announce()
        response.success, response.episode_id = True, name
        return response

    def _serve_end_episode(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        response.message = '' if self.active else INACTIVE
        episode = self._retries.episode or self._retries.kept
        if not response.message and episode is None:
            response.message = 'no episode is under way: start_episode begins one'
        if response.message or episode is None:
            return response
        self._retries.open_episode(None)
        self._announce()
        response.success, response.message = True, f'episode {episode.id} has ended'
        return response

    def _serve_acknowledge(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        events = self._retries.acknowledge()
        for event in self._judge.acknowledge(self._now()):
            self._note(event)
            self._publish(event, event.stamp)
            events = [*events, event]
        response.success = bool(events)
        response.message = events[0].text if events else 'nothing waits for an operator'
        self._show()
        return response

    def _situation(self) -> EpisodeState:
        """Return what is announced: the episode, and whether it is judged."""
        episode = self._retries.episode
        if episode is None:
            return EpisodeState(task=self._task)
        reason = self._robot.execution_unknown
        if not reason and not self._robot.executing:
            reason = 'the robot does not execute the task'
        if not reason and self._retries.state is RetryState.RETRYING and not self._sees_retries:
            reason = 'the robot retries'
        return EpisodeState(episode.id, episode.task, not reason, reason)

    @property
    def _sees_retries(self) -> bool:
        """Whether the robot's own report tells when a retry begins and ends."""
        by_result = self.settings.retry.by == ACTION and not self._retries.untold
        return self._robot.reports_execution and not by_result

    def _announce(self) -> None:
        self._announcer.announce(self._situation(), self._now())

    # Values.

    def _judge_value(self, message: Value) -> None:
        if not self.active:
            return
        self._heard = time.monotonic()
        known = message.status == Value.STATUS_OK
        self._follow_task(message.task)
        self._foreign = self._engine_fault(message) if known else ''  # else its own reason counts
        known = known and not self._foreign
        kind = '' if known or self._foreign else message.reason_kind
        events = self._judge.update(
            to_ns(message.header.stamp), message.value if known else None,
            self._foreign or message.reason, message.episode_id, to_details(message), kind,
            message.executing,
        )  # fmt: skip
        for event in events:
            self._note(event)
            if event.kind in ('episode_start', 'recovered', 'paused'):
                self._retries.drop()  # what the alarm was about is over
            self._publish(event, event.stamp)
            self._react(event)
        if events:
            self._show()

    def _follow_task(self, task: str) -> None:
        """Judge by the thresholds of the value's task."""
        made = self._calibrations.get(task) or self._calibration
        if made is not self._calibration:
            self._calibration = made
            self._judge.set_thresholds(made.thresholds, made.expected, made.combine, made.alpha)

    def _engine_fault(self, message: Value) -> str:
        """Return why a value cannot be judged by these thresholds; '' if it can."""
        try:
            self._calibration.check(message.engine, message.task, self.settings.rules)
        except CalibrationError as error:
            return str(error)
        return ''

    def _note(self, event: Event) -> None:
        """Keep what a level was entered with; a rule's level is held by the rule."""
        of_rule = event.kind in RULES
        if of_rule or event.level not in (Level.WARN, Level.ALARM):
            self._entered[event.level] = event
        if not self._judge.latched:
            self._retries.note_latch(None)
        elif self._retries.latched is None:
            self._retries.note_latch(event)

    def _react(self, event: Event) -> None:
        """Request a retry on an alarm of the episode under way."""
        if event.level != Level.ALARM or event.kind not in RULES:
            return
        state = self._situation()
        if state.executing and state.id == event.episode_id:
            self._retries.request(event, state.task)

    # The robot, and time.

    def _hear_robot(self) -> None:
        if self.active:
            self._watch_robot()

    def _watch_robot(self) -> None:
        """Follow the robot's report of execution; its lack is UNKNOWN while an episode runs."""
        executing = self._robot.executing
        if self._sees_retries and executing is not None:
            self._retries.executing(executing)
        lack = self._robot.execution_unknown if self._retries.episode is not None else ''
        if time.monotonic() - self._started < FIRST_WORD + self.settings.robot.word_timeout:
            lack = self._robot_fault  # it may be there and not be discovered yet
        if lack != self._robot_fault:
            self._robot_fault = lack
            text = lack or f'{self.settings.robot.executing_topic} is published again'
            level = Level.UNKNOWN if lack else Level.OK
            self._publish(self._event('robot', level, text), self._now())
        if self._retries.kept is None and time.monotonic() - self._started > FIRST_WORD:
            self._announce()

    def _tick(self) -> None:
        steady = time.monotonic()
        event = self._silence.update(steady, self._heard, self._now(), self._situation().id)
        if event is not None:
            self._silent = event
            self._retries.drop()  # what it was about is long ago when values come again
            self._publish(event, event.stamp)
        if steady - self._started > FIRST_WORD:
            self._resume()
        self._watch_robot()
        unheard = self._silence.silent or self._judge.level in (Level.UNKNOWN, Level.PAUSED)
        self._retries.tick(self._robot.stopped, self._judge.known and not unheard)
        self._show()

    def _hear_alert(self, message: Alert) -> None:
        """Note an elder supervisor; its latched alert may come before the graph shows it."""
        if self._rivals.hear(int(message.session_id)):
            self._look_for_rivals()

    def _hear_episode(self, message: Episode) -> None:
        said = EpisodeState(message.id, message.task, message.executing, message.reason)
        self._contradicted = self._announcer.is_open and not self._announcer.has_said(said)

    # What holds, and what is said.

    def _level(self) -> Level:
        if not self.active:
            return worst(Level.UNKNOWN, self._retries.level)
        lack = self._silence.silent or self._robot_fault
        unknown = Level.UNKNOWN if lack else Level.OK
        return worst(self._judge.level, self._retries.level, unknown)

    def _cause(self, level: Level) -> tuple[str, str]:
        """Return kind and text of what holds a level."""
        cause = self._retries.cause
        if level == Level.OK:
            return '', ''
        if level == self._retries.level and cause is not None:
            return cause.kind, cause.text
        if not self.active:
            return 'unknown', INACTIVE
        if level == Level.UNKNOWN and self._silence.silent and self._silent is not None:
            return self._silent.kind, self._silent.text
        if level == Level.UNKNOWN and self._robot_fault:
            return 'robot', self._robot_fault
        if level == Level.LATCHED:
            alarm = self._retries.latched
            what = f'an alarm ({alarm.kind}: {alarm.text})' if alarm else 'an alarm'
            return 'recovered', f'{what} is over: acknowledge it'
        entered = self._entered.get(level)
        if entered is None:
            return 'unknown', 'no value has been received yet'
        return entered.kind, entered.text

    def _show(self) -> None:
        """Publish the state of all."""
        if self.active and time.monotonic() - self._started < FIRST_WORD:
            return
        level, causes = self._level(), {
            Level.NEEDS_OPERATOR: self._retries.cause, Level.LATCHED: self._retries.latched,
        }  # fmt: skip
        cause = causes.get(level)
        since = None if cause is None else cause.stamp
        self._announcer.show(self._state(level, *self._cause(level)), self._now(), since)

    def _state(self, level: Level, kind: str, reason: str) -> SupervisorState:
        """Return the state of all, without its times and session."""
        state = self._situation()
        return SupervisorState(
            level=int(level), kind=kind, reason=reason, episode_id=state.id, task=state.task,
            executing=state.executing, retry_state=self._retries.state.value,
            dry_run=self.settings.retry.dry_run, retries=self._retries.used,
            retry_budget=self.settings.retry.budget,
        )  # fmt: skip

    def _publish(self, event: Event, stamp: int) -> None:
        self._announcer.say(
            event, self._level(), stamp, self._retries.used, self.settings.retry.budget
        )

    def _event(self, kind: str, level: Level, text: str) -> Event:
        """Return an event of now that no value has led to."""
        now, nan = self._now(), math.nan
        return Event(level, kind, now, now, nan, nan, nan, self._situation().id, text)

    def _subscribe(self) -> None:
        events = SubscriptionEventCallbacks(
            incompatible_qos=self._note_incompatible, use_default_callbacks=False
        )
        subscribed: Sequence[tuple[type, str, Callable[[Any], None], QoSProfile]] = (
            (Value, 'value', self._judge_value, qos.RELIABLE),
            (Alert, 'alert', self._hear_alert, qos.LATCHED_READER),  # an elder's, said before
            (Episode, 'episode', self._hear_episode, qos.LATCHED_READER),
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

    def _crowd(self) -> str:
        """Say that there is more than one monitor; of equal stamps the first value counts."""
        count = self.count_publishers('value')
        topic = self.resolve_topic_name('value')
        return f'{count} monitors publish {topic}: end all but one' if count > 1 else ''

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _figures(self) -> dict[str, object]:
        figures: dict[str, object] = {
            'episode': self._situation().id,
            'task': self._situation().task,
            'smoothed': f'{self._judge.smoothed:.3f}',
            'retries': f'{self._retries.used} of {self.settings.retry.budget}',
            'retry': self._retries.state.value,
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
