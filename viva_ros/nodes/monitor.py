# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The monitor: estimates the value of the current task from cameras and joint states.

Callbacks only store messages. At the rate of the parameter the newest synchronized set goes to a
worker thread, if that is idle; there is no queue. Without a value, 'unknown' and the reason are
published at the same rate.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from viva_ros.core.episode_state import Episodes, EpisodeState
from viva_ros.core.errors import VivaError
from viva_ros.core.foreign_text import shown
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Estimate, Unknown
from viva_ros.core.windows import seconds
from viva_ros.engine.api import Engine
from viva_ros.engine.background_task import nothing
from viva_ros.engine.observation_builder import Observer
from viva_ros.engine.usage import peak_mib
from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import decode, image_bytes
from viva_ros.nodes.diagnostics import ERROR, WARN, Health, Report, open_handles
from viva_ros.nodes.estimation import (
    ClockWatchdog,
    Estimation,
    EstimationOutcome,
    Interruption,
    OnStart,
    RateLimiter,
    load_engine,
)
from viva_ros.nodes.image_bridge import find_bridge
from viva_ros.nodes.inputs import Inputs
from viva_ros.nodes.lifecycle import ManagedNode
from viva_ros.nodes.main import run
from viva_ros.nodes.outputs import Outputs
from viva_ros.nodes.robot_topics import robot_topics
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.nodes.topics import InputSearch

CHECKS_PER_PERIOD = 2
CHECK_PERIOD = 0.05  # s, at most: the delay with which a stale input is noticed
VISUALIZATION_PERIOD = 0.5  # s
HEALTHY_SHARE = 0.5  # of estimate_timeout: a longer estimate stops the heartbeat
SET_PERIODS = 2.0  # periods within which all inputs of a set must arrive


class Monitor(ManagedNode[MonitorSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('monitor', MonitorSettings(), **options)
        self._session = time.time_ns()  # not /clock, which starts at 0
        self._estimation: Estimation | None = None
        self._search: InputSearch | None = None
        self._hung = False
        self._recent_fault = ''
        self._engine_fault = ''

    def load_engine(self, settings: MonitorSettings, started: OnStart = nothing) -> Engine:
        """Load the engine that the parameters name; called in a thread, without rclpy."""
        return load_engine(settings, started)

    def prepare(self, settings: MonitorSettings) -> None:
        """Load the engine in the background."""
        self._log_hung_thread()
        interruption = Interruption()
        self.preparation.begin(
            f'loading engine {settings.engine or "(shipped)"} of task {settings.task!r}',
            partial(self.load_engine, settings, interruption.hold), interruption.interrupt,
        )  # fmt: skip

    def poll(self, settings: MonitorSettings, engine: Engine) -> str:
        """Check whether all inputs are published."""
        if settings.input_timeout == 0.0:
            return ''
        if self._search is None:
            robot = robot_topics(settings, engine.info)
            timeout = settings.input_timeout
            self._search = InputSearch(self, robot, timeout, engine.info.joint_names)
        return self._search.poll()

    def discard(self, engine: Engine) -> None:
        """Free an unused engine."""
        engine.close()

    def setup(self, settings: MonitorSettings, engine: Engine) -> None:
        """Create subscriptions and publishers, and pass the engine to its thread."""
        self._info = info = engine.info
        robot = robot_topics(settings, info)
        self._end_search()
        for text in robot.notes:
            self.get_logger().warning(text)
        self._task = settings.task
        self._episodes, self._health = Episodes(settings.task), Health(settings.rate)
        self._inputs = Inputs(self, robot, settings, info, self._on_image)
        self._options, self._pictures = robot.options, robot.pictures
        self.keep(Inputs.destroy, self._inputs)
        self._outputs = Outputs(
            self,
            settings.task,
            info.fingerprint,
            info.horizon,
            settings.rate,
            self._session,
            self.event_group,
            settings.cloud,
        )
        self.keep(Outputs.destroy, self._outputs)
        self._subscribe()
        self._done = self.create_guard_condition(self._publish_outcome)
        self.keep(self.destroy_guard_condition, self._done)
        bridge = find_bridge()
        self._decode = partial(decode, size=info.image_size, view=bridge.view)
        self._use(engine)
        if settings.transport == 'raw':
            self.get_logger().info(f'images are read by {bridge.why}')

    def _use(self, engine: Engine) -> None:
        """Pass an engine to its worker thread."""
        info, self._engine_fault = engine.info, ''
        topics = self._inputs.topics
        observer = Observer(topics, self._pictures, self._decode_for, image_bytes)
        self._estimation = Estimation(engine, observer, self._done.trigger)
        how = f'{info.library or info.kind} on {info.device}: {info.why}'
        self.get_logger().info(f'engine {info.fingerprint} for {self._task}, {how}')

    def _decode_for(self, camera: str, message: Any) -> Any:
        """Decode an image of a camera, (H, W, 3) RGB."""
        return self._decode(message, options=self._options[camera])

    def start(self) -> None:
        """Start to estimate."""
        self._engine_fault = ''
        self._limiter = RateLimiter(self.settings.rate)
        self._clock_watchdog = ClockWatchdog()
        self._last_stamp = self._resets = -1
        self._used_stamps: Mapping[str, int] = {}
        self._submitted_at = -math.inf
        self._known = False  # whether the last value was known
        period = min(1.0 / self.settings.rate / CHECKS_PER_PERIOD, CHECK_PERIOD)
        self._tickers = [
            self.create_timer(period, self._check_inputs, clock=self.steady),
            self.create_timer(
                VISUALIZATION_PERIOD, self._publish_visualizations, clock=self.steady
            ),
        ]
        self._early = self.create_timer(period, self._check_early, clock=self.steady)
        self._early.cancel()
        self._tickers.append(self._early)
        self.get_logger().info(f'estimating at {self.settings.rate:g} Hz')

    def stop(self) -> None:
        """Stop estimating."""
        for timer in self._tickers:
            self.destroy_timer(timer)

    def teardown(self) -> None:
        """End the estimation in a thread, since an estimate may hang."""
        self._end_search()
        self._end_estimation()

    def _end_estimation(self) -> None:
        estimation, self._estimation = self._estimation, None
        if estimation is not None:
            estimation.stop()
            self.preparation.run_after(partial(self._close_estimation, estimation))

    def close(self) -> bool:
        """Close the node; False if a thread does not end."""
        ended = super().close()
        self._log_hung_thread()
        return ended and not self._hung

    def _close_estimation(self, estimation: Estimation) -> None:
        if not estimation.close():
            self._hung = True

    def _log_hung_thread(self) -> None:
        if self._hung:
            self.get_logger().error(
                'an earlier estimate hangs, its thread cannot be ended: restart the node'
            )

    def _end_search(self) -> None:
        search, self._search = self._search, None
        if search is not None:
            search.destroy()

    def is_healthy(self) -> bool:
        """Return whether the engine neither hangs nor fails."""
        if not self.active:
            return True
        busy_for = 0.0 if self._estimation is None else self._estimation.busy_for
        return not self._engine_fault and busy_for < HEALTHY_SHARE * self.settings.estimate_timeout

    def diagnose(self, report: Report) -> None:
        """Report on engine, inputs and values."""
        estimation = self._estimation
        hangs = estimation is not None and estimation.busy_for > self.settings.estimate_timeout
        fault = self._hang_text() if hangs else self._engine_fault or self._recent_fault
        self._recent_fault = ''  # each fault is in one report
        state = (WARN, self.preparation.state) if estimation is None else estimation.engine_state
        level, text = (ERROR, fault) if fault else state
        facts = {
            'fingerprint': self._info.fingerprint, 'task': self._task,
            'memory_peak_mib': f'{peak_mib():.0f}', 'handles': open_handles(),
            'engine_restarts': 0 if estimation is None else estimation.restarts,
        }  # fmt: skip
        report.add('engine', level, text, facts)
        now = self._now()
        self._inputs.diagnose(report, now)
        if self.active:
            self._health.diagnose(report)
            self._outputs.diagnose(report)

    def _subscribe(self) -> None:
        for kind, topic, store in (
            (Episode, 'episode', self._store_episode),
            (Alert, 'alert', self._outputs.note_alert),
        ):
            self.keep(
                self.destroy_subscription,
                self.create_subscription(kind, topic, store, qos.LATCHED_READER),
            )

    def _store_episode(self, message: Episode) -> None:
        state = EpisodeState(message.id, message.task, message.executing, message.reason)
        self._episodes.announce(state, self._now())
        if message.task and message.task != self._task:
            self._change_task(message.task)

    def _change_task(self, task: str) -> None:
        """
        Load the engine of another task in the background; values are unknown meanwhile.

        The current engine is freed first: two engines may not fit into memory.
        """
        self._task = task
        self._outputs.change(task, self._info.fingerprint, self._info.horizon)
        self._end_estimation()
        self._engine_fault = ''
        self.prepare(replace(self.settings, task=task))

    def _finish_change(self) -> None:
        """Use the loaded engine of the task, or store why it is missing."""
        try:
            engine = self.preparation.take()
        except Exception as error:  # any error of a library
            text = error if isinstance(error, VivaError) else repr(error)
            self._engine_fault = f'no engine for task {shown(self._task)!r}: {text}'
            self.get_logger().error(self._engine_fault)
            return
        expected = (self._info.cameras, self._info.joint_names, self._info.image_size)
        if (engine.info.cameras, engine.info.joint_names, engine.info.image_size) != expected:
            self._engine_fault = (
                f'the engine for task {shown(self._task)!r} has other cameras, joints or image '
                'size: set the parameters task and engine, and configure the monitor again'
            )
            self.get_logger().error(self._engine_fault)
            self.preparation.discard(engine)
            return
        self._info = engine.info
        self._outputs.change(self._task, engine.info.fingerprint, engine.info.horizon)
        self._last_stamp, self._used_stamps = -1, {}
        self._use(engine)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_image(self) -> None:
        """Check the inputs at once when the set is complete, without waiting for a timer."""
        if not self.active or not self._inputs.complete(self._used_stamps):
            return
        ahead = self._limiter.due_at - time.monotonic()
        if ahead <= 0.0:
            self._check_inputs()
        elif self._early.is_canceled():
            self._early.timer_period_ns = round(ahead * 1e9)
            self._early.reset()

    def _check_early(self) -> None:
        """Check a set that arrived before it was due."""
        self._early.cancel()
        self._check_inputs()

    def _check_inputs(self) -> None:
        """Submit the newest set if an estimate is due, the worker is idle and the set is new."""
        steady = time.monotonic()
        now = self._now()
        if not self._limiter.due(steady):
            self._check_stale(steady, now)
            return
        if self.preparation.done:
            self._finish_change()
        if self._estimation is None:
            lack = self._engine_fault or self.preparation.state
            self._publish_unknown(Unknown('engine', lack), steady, now)
            return
        if not self._estimation.idle:
            if self._estimation.busy_for > self.settings.estimate_timeout:
                self._publish_unknown(Unknown('engine', self._hang_text()), steady, now)
            return
        selection = self._select(steady, now)
        if isinstance(selection, Unknown):
            if not self._is_transient(selection, steady):
                self._publish_unknown(selection, steady, now)
        elif selection is not None and self._is_complete(steady):
            complete = self._inputs.complete_at
            wait = max(0.0, min(steady, self._limiter.due_at) - complete)
            self._limiter.mark(steady)
            self._last_stamp, self._submitted_at = selection.stamp, steady
            self._used_stamps = selection.stamps
            self._estimation.submit(selection, self._resets, wait)

    def _check_stale(self, steady: float, now: int) -> None:
        """Publish a stale input at once, without waiting for the rate."""
        if self._known and self._estimation is not None and self._estimation.idle:
            selection = self._select(steady, now)
            if isinstance(selection, Unknown) and selection.kind == 'stale':
                self._publish_unknown(selection, steady, now)

    def _is_complete(self, steady: float) -> bool:
        """Return whether all cameras have sent a new image, or the wait for them is over."""
        return self._inputs.complete(self._used_stamps) or self._limiter.overdue(steady)

    def _is_transient(self, unknown: Unknown, steady: float) -> bool:
        """Return whether a skew may be due to inputs of a set that are still to arrive."""
        limit = SET_PERIODS / self.settings.rate
        return unknown.kind == 'skew' and steady - self._submitted_at < limit

    def _select(self, steady: float, now: int) -> Selection[Any] | Unknown | None:
        if self._clock_watchdog.update(steady, now):
            return Unknown('paused', f'/clock stands still at {now * 1e-9:.3f} s')
        selection = self._inputs.select(now)
        if self._resets != self._inputs.buffer.resets:
            self._resets, self._last_stamp = self._inputs.buffer.resets, -1
            self._used_stamps = {}
            assert self._estimation is not None
            self._estimation.forget()
            self._episodes.jump()
        if isinstance(selection, Unknown) or selection.stamp > self._last_stamp:
            return selection
        return None

    def _publish_outcome(self) -> None:
        outcome = None if self._estimation is None else self._estimation.take()
        if outcome is None or not self.active or outcome.generation != self._resets:
            return
        now = self._now()
        late = self._late(outcome, now)
        if late is not None:
            self._report_unknown(late, now)
        elif isinstance(outcome.result, Unknown):
            of_engine = outcome.result.kind == 'engine'
            self._engine_fault = outcome.result.reason if of_engine else ''
            self._recent_fault = self._engine_fault or self._recent_fault
            self._report_unknown(outcome.result, now)
            if outcome.fatal is not None:
                raise outcome.fatal
        else:
            self._engine_fault = ''
            self.publish_value(outcome.result, outcome, now)
        self._on_image()  # the next set may have arrived meanwhile

    def _late(self, outcome: EstimationOutcome, now: int) -> Unknown | None:
        """Return why an estimate is not published: its inputs are old, as after a stop."""
        if isinstance(outcome.result, Unknown):
            return None
        age = seconds(now, min(outcome.selection.stamps.values()))
        limit = self._inputs.max_age + self.settings.estimate_timeout
        if age <= limit:
            return None
        return Unknown(
            'stale',
            f'the estimate of inputs that are {age:.1f} s old is late, limit {limit:g} s by '
            'sync.max_age and estimate_timeout: this process or the engine was stopped, or waits '
            'for a processor',
        )

    def publish_value(self, estimate: Estimate, outcome: EstimationOutcome, now: int) -> Value:
        """Publish an estimate, and count it."""
        episode = self._episodes.of_value(outcome.selection.stamp)
        value = self._outputs.publish(estimate, outcome.selection, episode, now)
        self._health.note(value.latency, value.skew)
        self._known = True
        return value

    def _publish_unknown(self, unknown: Unknown, steady: float, now: int) -> None:
        self._limiter.mark(steady)
        self._report_unknown(unknown, now)

    def _report_unknown(self, unknown: Unknown, now: int) -> None:
        self._outputs.publish_unknown(unknown, self._episodes.of_unknown(now), now)
        self._health.note_unknown(unknown.reason)
        self._known = False
        self.get_logger().warning(f'unknown: {unknown.reason}', throttle_duration_sec=5.0)

    def _publish_visualizations(self) -> None:
        now = self._now()
        self._outputs.publish_visualizations(now, self.settings.frame_id)

    def _hang_text(self) -> str:
        assert self._estimation is not None
        return self._estimation.delay(self.settings.estimate_timeout)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node."""
    run(Monitor, argv)


if __name__ == '__main__':
    main()
