# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The monitor: cameras and joint states in, the value of the task under way out.

Messages are only stored as they come. At the set rate the newest set of them goes to a worker
thread, if that is idle; there is no queue. Where there is no value, 'unknown' is published at the
same rate, with the reason.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from viva_ros.core.episode_state import Episodes, EpisodeState
from viva_ros.core.errors import VivaError
from viva_ros.core.inputs import Selection
from viva_ros.core.observation import Estimate, Unknown
from viva_ros.engine.api import Engine
from viva_ros.engine.background_task import nothing
from viva_ros.engine.observation_builder import Observer
from viva_ros.engine.usage import peak_mib
from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import decode, image_bytes
from viva_ros.nodes.diagnostics import ERROR, WARN, Health, Report, open_handles
from viva_ros.nodes.estimation import (
    Estimation,
    EstimationOutcome,
    Interruption,
    Pace,
    Pause,
    Started,
    load_engine,
)
from viva_ros.nodes.image_bridge import find_bridge
from viva_ros.nodes.inputs import Inputs
from viva_ros.nodes.lifecycle import ManagedNode
from viva_ros.nodes.main import run
from viva_ros.nodes.outputs import Outputs
from viva_ros.nodes.settings import MonitorSettings
from viva_ros.nodes.topics import InputSearch, camera_topics

LOOKS_PER_PERIOD = 2
LOOK = 0.05  # s, at most from one look to the next: how late a stale input may be noticed
PICTURE_PERIOD = 0.5  # s
WELL_SHARE = 0.5  # of hang_after: without an answer for longer there is no sign of life
SET_PERIODS = 2.0  # periods within which all inputs of a set must have come


class Monitor(ManagedNode[MonitorSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('monitor', MonitorSettings(), **options)
        self._estimation: Estimation | None = None
        self._search: InputSearch | None = None
        self._stuck = False
        self._engine_news = ''
        self._engine_fault = ''

    def load_engine(self, settings: MonitorSettings, started: Started = nothing) -> Engine:
        """Load the engine that the parameters name; called in a thread, without rclpy."""
        return load_engine(settings, started)

    def prepare(self, settings: MonitorSettings) -> None:
        """Load the engine in the background."""
        self._warn_of_stuck()
        interruption = Interruption()
        self.preparation.begin(
            f'loading engine {settings.engine or "(shipped)"} of task {settings.task!r}',
            partial(self.load_engine, settings, interruption.hold), interruption.interrupt,
        )  # fmt: skip

    def look(self, settings: MonitorSettings, engine: Engine) -> str:
        """Look for the inputs."""
        if settings.input_timeout == 0.0:
            return ''
        if self._search is None:
            topics = camera_topics(settings, engine.info)
            self._search = InputSearch(self, topics, settings, engine.info.joint_names)
        return self._search.look()

    def discard(self, engine: Engine) -> None:
        """Free an engine that was loaded but is not needed."""
        engine.close()

    def setup(self, settings: MonitorSettings, engine: Engine) -> None:
        """Subscribe, and hand the engine to its thread."""
        self._info = info = engine.info
        topics = camera_topics(settings, info)
        self._end_search()
        self._task = settings.task
        self._episodes, self._health = Episodes(settings.task), Health()
        self._inputs = Inputs(self, topics, settings, info, self._on_picture)
        self.keep(Inputs.destroy, self._inputs)
        self._outputs = Outputs(
            self, settings.task, info.fingerprint, info.horizon, self.seldom, settings.cloud
        )
        self.keep(Outputs.destroy, self._outputs)
        self._listen()
        self._done = self.create_guard_condition(self._publish_outcome)
        self.keep(self.destroy_guard_condition, self._done)
        bridge = find_bridge()
        self._fitting = partial(decode, size=info.image_size, view=bridge.view)
        self._use(engine, settings)
        if settings.transport == 'raw':
            self.get_logger().info(f'images are read by {bridge.why}')

    def _use(self, engine: Engine, settings: MonitorSettings) -> None:
        """Hand an engine to a thread of its own."""
        info, self._engine_fault = engine.info, ''
        topics = self._inputs.topics
        observer = Observer(topics, settings.picture, self._fitting, image_bytes)
        self._estimation = Estimation(engine, observer, self._done.trigger)
        how = f'{info.library or info.kind} on {info.device}: {info.why}'
        self.get_logger().info(f'engine {info.fingerprint} for {self._task}, {how}')

    def start(self) -> None:
        """Begin to estimate."""
        self._engine_fault = ''
        self._pace = Pace(self.settings.rate)
        self._pause = Pause()
        self._last = self._resets = -1
        self._used: Mapping[str, int] = {}
        self._good = -math.inf
        self._known = False  # what was said last
        period = min(1.0 / self.settings.rate / LOOKS_PER_PERIOD, LOOK)
        self._tickers = [
            self.create_timer(period, self._look, clock=self.steady),
            self.create_timer(PICTURE_PERIOD, self._publish_pictures, clock=self.steady),
        ]
        self._early = self.create_timer(period, self._look_early, clock=self.steady)
        self._early.cancel()
        self._tickers.append(self._early)
        self.get_logger().info(f'estimating at {self.settings.rate:g} Hz')

    def stop(self) -> None:
        """Estimate no more."""
        for timer in self._tickers:
            self.destroy_timer(timer)

    def teardown(self) -> None:
        """End the estimation, in a thread: an estimate may hang."""
        self._end_search()
        self._end_estimation()

    def _end_estimation(self) -> None:
        estimation, self._estimation = self._estimation, None
        if estimation is not None:
            estimation.stop()
            self.preparation.run_after(partial(self._close_estimation, estimation))

    def close(self) -> bool:
        """End; False if a thread does not end."""
        ended = super().close()
        self._warn_of_stuck()
        return ended and not self._stuck

    def _close_estimation(self, estimation: Estimation) -> None:
        if not estimation.close():
            self._stuck = True

    def _warn_of_stuck(self) -> None:
        if self._stuck:
            self.get_logger().error(
                'an earlier estimate hangs, its thread cannot be ended: restart the node'
            )

    def _end_search(self) -> None:
        search, self._search = self._search, None
        if search is not None:
            search.destroy()

    def is_well(self) -> bool:
        """Return whether values can come: the engine neither hangs nor fails."""
        if not self.active:
            return True
        busy_for = 0.0 if self._estimation is None else self._estimation.busy_for
        return not self._engine_fault and busy_for < WELL_SHARE * self.settings.hang_after

    def diagnose(self, report: Report) -> None:
        """Report on engine, inputs and values."""
        estimation = self._estimation
        hangs = estimation is not None and estimation.busy_for > self.settings.hang_after
        fault = self._hang_text() if hangs else self._engine_fault or self._engine_news
        self._engine_news = ''  # a fault between two reports is told in the next
        state = (WARN, self.preparation.state) if estimation is None else estimation.engine_state
        level, text = (ERROR, fault) if fault else state
        facts = {
            'fingerprint': self._info.fingerprint, 'task': self._task,
            'memory_peak_mib': f'{peak_mib():.0f}', 'handles': open_handles(),
            'engine_restarts': 0 if estimation is None else estimation.restarts,
        }  # fmt: skip
        report.add('engine', level, text, facts)
        now = self._now()
        self._inputs.diagnose(report, now, self.settings.sync.stale)
        if self.active:
            self._health.diagnose(report)
            self._outputs.diagnose(report)

    def _listen(self) -> None:
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

        The engine in use is freed before: two may not fit into the memory.
        """
        self._task = task
        self._outputs.change(task, self._info.fingerprint, self._info.horizon)
        self._end_estimation()
        self._engine_fault = ''
        self.prepare(replace(self.settings, task=task))

    def _finish_change(self) -> None:
        """Take the engine of the task, or say why there is none."""
        try:
            engine = self.preparation.take()
        except Exception as error:  # whatever a library raises
            text = error if isinstance(error, VivaError) else repr(error)
            self._engine_fault = f'no engine for task {self._task!r}: {text}'
            self.get_logger().error(self._engine_fault)
            return
        asked = (self._info.cameras, self._info.joint_names, self._info.image_size)
        if (engine.info.cameras, engine.info.joint_names, engine.info.image_size) != asked:
            self._engine_fault = (
                f'the engine for task {self._task!r} has other cameras, joints or image size: '
                'set the parameters task and engine, and configure the monitor again'
            )
            self.get_logger().error(self._engine_fault)
            self.preparation.discard(engine)
            return
        self._info = engine.info
        self._outputs.change(self._task, engine.info.fingerprint, engine.info.horizon)
        self._last, self._used = -1, {}
        self._use(engine, self.settings)

    def _now(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _on_picture(self) -> None:
        """Look at once when the last camera of a set has sent: no timer is waited for."""
        if not self.active or not self._inputs.complete(self._used):
            return
        ahead = self._pace.due_at - time.monotonic()
        if ahead <= 0.0:
            self._look()
        elif self._early.is_canceled():
            self._early.timer_period_ns = round(ahead * 1e9)
            self._early.reset()

    def _look_early(self) -> None:
        """Look at a set that came before it was due."""
        self._early.cancel()
        self._look()

    def _look(self) -> None:
        """Return the worker the newest set, if it is time, it is idle, and there is a new one."""
        steady = time.monotonic()
        now = self._now()
        if not self._pace.due(steady):
            self._look_for_stale(steady, now)
            return
        if self.preparation.done:
            self._finish_change()
        if self._estimation is None:
            lack = self._engine_fault or self.preparation.state
            self._publish_unknown(Unknown('engine', lack), steady, now)
            return
        if not self._estimation.idle:
            if self._estimation.busy_for > self.settings.hang_after:
                self._publish_unknown(Unknown('engine', self._hang_text()), steady, now)
            return
        chosen = self._choose(steady, now)
        if isinstance(chosen, Unknown):
            if not self._may_pass(chosen, steady):
                self._publish_unknown(chosen, steady, now)
        elif chosen is not None and self._is_whole(steady):
            complete = self._inputs.complete_at
            wait = max(0.0, min(steady, self._pace.due_at) - complete)
            self._pace.take(steady)
            self._last, self._good, self._used = chosen.stamp, steady, chosen.stamps
            self._estimation.submit(chosen, self._resets, wait)

    def _look_for_stale(self, steady: float, now: int) -> None:
        """Say at once that an input has ceased to come: that need not wait for the rate."""
        if self._known and self._estimation is not None and self._estimation.idle:
            chosen = self._choose(steady, now)
            if isinstance(chosen, Unknown) and chosen.kind == 'stale':
                self._publish_unknown(chosen, steady, now)

    def _is_whole(self, steady: float) -> bool:
        """Return whether all cameras have sent anew, or it is too late to wait for the others."""
        return self._inputs.complete(self._used) or self._pace.overdue(steady)

    def _may_pass(self, unknown: Unknown, steady: float) -> bool:
        """Say whether it may be that one input of a set has come, the others are on their way."""
        return unknown.kind == 'skew' and steady - self._good < SET_PERIODS / self.settings.rate

    def _choose(self, steady: float, now: int) -> Selection[Any] | Unknown | None:
        if self._pause.update(steady, now):
            return Unknown('paused', f'/clock stands still at {now * 1e-9:.3f} s')
        chosen = self._inputs.select(now)
        if self._resets != self._inputs.buffer.resets:
            self._resets, self._last = self._inputs.buffer.resets, -1
            self._used = {}
            assert self._estimation is not None
            self._estimation.forget()
            self._episodes.jump()
        if isinstance(chosen, Unknown) or chosen.stamp > self._last:
            return chosen
        return None

    def _publish_outcome(self) -> None:
        outcome = None if self._estimation is None else self._estimation.take()
        if outcome is None or not self.active or outcome.generation != self._resets:
            return
        now = self._now()
        if isinstance(outcome.result, Unknown):
            of_engine = outcome.result.kind == 'engine'
            self._engine_fault = outcome.result.reason if of_engine else ''
            self._engine_news = self._engine_fault or self._engine_news
            self._report_unknown(outcome.result, now)
            if outcome.fatal is not None:
                raise outcome.fatal
        else:
            self._engine_fault = ''
            self.publish_value(outcome.result, outcome, now)
        self._on_picture()  # the next set may have come meanwhile

    def publish_value(self, estimate: Estimate, outcome: EstimationOutcome, now: int) -> Value:
        """Publish an estimate, and count it."""
        episode = self._episodes.of_value(outcome.selection.stamp)
        value = self._outputs.publish(estimate, outcome.selection, episode, now)
        self._health.note(value.latency, value.skew)
        self._known = True
        return value

    def _publish_unknown(self, unknown: Unknown, steady: float, now: int) -> None:
        self._pace.take(steady)
        self._report_unknown(unknown, now)

    def _report_unknown(self, unknown: Unknown, now: int) -> None:
        self._outputs.publish_unknown(unknown, self._episodes.of_unknown(now), now)
        self._health.note_unknown(unknown.reason)
        self._known = False
        self.get_logger().warning(f'unknown: {unknown.reason}', throttle_duration_sec=5.0)

    def _publish_pictures(self) -> None:
        now = self._now()
        self._outputs.publish_pictures(now, self.settings.frame_id)

    def _hang_text(self) -> str:
        assert self._estimation is not None
        return (
            f'the engine has not answered for {self._estimation.busy_for:.1f} s, limit '
            f'{self.settings.hang_after:g} s: restart the node'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node."""
    run(Monitor, argv)


if __name__ == '__main__':
    main()
