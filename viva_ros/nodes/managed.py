# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A lifecycle node that refuses with a reason.

rclpy swallows what is raised in a transition. Here a VivaError is logged and becomes FAILURE, and
the reason stays in /diagnostics while the node is not configured.
"""

import gc
import traceback
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from viva_ros.core.errors import ConfigurationError, VivaError
from viva_ros.nodes.diagnostics import Report
from viva_ros.nodes.groups import Seldom
from viva_ros.nodes.heartbeat import Heartbeat
from viva_ros.nodes.params import Parameters

Settings = TypeVar('Settings')
AUTOSTART_PERIOD = 2.0  # s


class AbsentInputError(ConfigurationError):
    """An input is not there yet: autostart tries again."""


class ManagedNode(LifecycleNode, Generic[Settings]):
    """Base of monitor and supervisor, which give setup, start, stop, teardown and diagnose."""

    def __init__(self, name: str, defaults: Settings, **options: Any) -> None:
        super().__init__(name, **options)
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.parameters = Parameters(self, defaults, hold=self._hold, apply=self._apply)
        self.settings = defaults
        self.refusal = ''
        self.configured = self.active = False
        self.seldom = Seldom()
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', 10, callback_group=self.seldom
        )
        self.create_timer(1.0, self._publish_diagnostics, clock=self.steady)
        self._heartbeat = Heartbeat(self, self.is_well)
        self._autostart = self.create_timer(0.0, self._start_up, clock=self.steady)
        self._made: list[Callable[[], Any]] = []

    # What a child gives.

    def setup(self, settings: Settings) -> None:
        """Load and create all that is needed; raise VivaError to refuse."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin to work and to publish."""
        raise NotImplementedError

    def stop(self) -> None:
        """Cease to work."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Free what setup made, also after a setup that failed half-way."""
        raise NotImplementedError

    def diagnose(self, report: Report) -> None:
        """Say how it goes, while configured."""
        raise NotImplementedError

    def apply(self, settings: Settings) -> None:
        """Take over live parameters that have changed; ``self.settings`` has them already."""

    def is_well(self) -> bool:
        """Say whether it gives signs of life; one that hangs gives none anyway."""
        return True

    # The lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load; FAILURE with a reason in the log if something does not fit."""
        return self._transition('configure', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to publish."""
        result = super().on_activate(state)
        return result if result != SUCCESS else self._transition('activate', self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop publishing."""
        self._transition('deactivate', self._deactivate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        return self._transition('clean up', self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, for good."""
        return self._transition('shut down', self._clean_up)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an unexpected error: back to unconfigured."""
        return self._transition('recover', self._clean_up)

    def close(self) -> bool:
        """End before the process does; False if something would not stop."""
        self._clean_up()
        return True

    def keep(self, destroy: Callable[[Any], Any], entity: Any) -> Any:
        """Remember how to destroy an entity at clean-up; returns it."""
        self._made.append(lambda: destroy(entity))
        return entity

    def _configure(self) -> None:
        try:
            settings = self.parameters.read()
            self.setup(settings)
        except VivaError:
            self._clean_up()
            raise
        self.settings, self.configured, self.refusal = settings, True, ''

    def _activate(self) -> None:
        gc.collect()
        gc.freeze()  # else all that was loaded is looked through again now and then: 50 ms
        self.start()
        self.active = True

    def _deactivate(self) -> None:
        self.active = False
        self.stop()

    def _clean_up(self) -> None:
        if self.active:
            self._deactivate()
        self.configured = False
        self.teardown()
        while self._made:
            self._made.pop()()
        gc.unfreeze()

    def _transition(self, name: str, act: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            act()
        except VivaError as error:
            if str(error) != self.refusal:
                self.get_logger().error(f'cannot {name}: {error}')
            self.refusal = str(error)
            self._waiting = isinstance(error, AbsentInputError)
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would swallow it
            if not self.context.ok():  # a signal in its midst
                return TransitionCallbackReturn.FAILURE
            self.refusal = traceback.format_exc(limit=-1).strip()
            self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return SUCCESS

    def _start_up(self) -> None:
        self._autostart.cancel()
        if not self.get_parameter('autostart').value or self.configured:
            return
        self._waiting = False
        if self.trigger_configure() == SUCCESS:
            self.trigger_activate()
        elif self._waiting:  # the robot may come up later
            self._autostart.timer_period_ns = round(AUTOSTART_PERIOD * 1e9)
            self._autostart.reset()

    def _hold(self) -> str:
        """Say why only live parameters can change."""
        return 'read when configuring: deactivate and clean up the node first' * self.configured

    def _apply(self, settings: Settings) -> None:
        if self.configured and settings != self.settings:
            self.settings = settings
            self.apply(settings)

    def _publish_diagnostics(self) -> None:
        report = Report(self.get_name())
        if self.configured:
            self.diagnose(report)
        elif self.refusal:
            report.add('configuration', DiagnosticStatus.ERROR, self.refusal)
        else:
            report.add('configuration', DiagnosticStatus.OK, 'not configured')
        self.seldom.open()
        self._diagnostics.publish(report.message(self.get_clock().now().to_msg()))


SUCCESS = TransitionCallbackReturn.SUCCESS
