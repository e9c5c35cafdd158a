# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A lifecycle node that stays responsive while it configures, and reports why a transition fails.

Before the transition 'configure' the node is prepared: slow work runs in a thread, a timer polls
for inputs, and the executor serves all other callbacks meanwhile. The transition itself is short.
rclpy swallows exceptions of a transition. Here a VivaError is logged and becomes FAILURE, and its
text stays in /diagnostics until the node is configured.
"""

import gc
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import Header

from viva_ros.core.errors import ConfigurationError, VivaError
from viva_ros.engine.background_task import Preparation
from viva_ros.nodes import qos
from viva_ros.nodes.bond import Bond
from viva_ros.nodes.callback_groups import EventGroup
from viva_ros.nodes.diagnostics import Report
from viva_ros.nodes.malformed_messages import malformed_messages
from viva_ros.nodes.parameters import Parameters

TOPIC = '~/heartbeat'
PERIOD = 0.2  # s; a fifth of the lease
QUIET = 1.3  # s; more than the lease


class Heartbeat:
    """Publishes the time while a node is healthy."""

    def __init__(self, node: Node, is_healthy: Callable[[], bool]) -> None:
        self._node, self._is_healthy = node, is_healthy
        self._quiet_until = 0.0
        self._publisher = node.create_publisher(Header, TOPIC, qos.HEARTBEAT)
        self._timer = node.create_timer(
            PERIOD, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _beat(self) -> None:
        now = time.monotonic()
        if not self._is_healthy():
            self._quiet_until = now + QUIET
        elif now >= self._quiet_until:
            stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(Header(stamp=stamp, frame_id=self._node.get_name()))


Settings = TypeVar('Settings')
POLL_PERIOD = 0.1  # s, between two checks of a preparation
CLOSING = 1.5  # s, for threads to end with the process
SUCCESS = TransitionCallbackReturn.SUCCESS
LABELS = {
    Transition.TRANSITION_CONFIGURE: 'configure',
    Transition.TRANSITION_CLEANUP: 'cleanup',
    Transition.TRANSITION_ACTIVATE: 'activate',
    Transition.TRANSITION_DEACTIVATE: 'deactivate',
}


class AbsentInputError(ConfigurationError):
    """An input is not published yet: autostart continues to poll."""


@dataclass
class Attempt(Generic[Settings]):
    """
    One attempt to configure the node.

    :param is_own: started by autostart, not by a call of change_state
    :param settings: settings at its start
    :param prepared: result of the preparation; None before
    :param error: error that the transition will raise
    :param answer: completed with True if the transition can be made; None if no call waits
    """

    is_own: bool
    settings: Settings | None = None
    prepared: Any = None
    error: Exception | None = None
    answer: Future | None = None

    def reply(self, ready: bool) -> None:
        """Complete the answer, if a call waits."""
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.set_result(ready)


class ManagedNode(LifecycleNode, Generic[Settings]):
    """Base class; a node implements setup, start, stop, teardown and diagnose."""

    def __init__(self, name: str, defaults: Settings, **options: Any) -> None:
        super().__init__(name, **options)
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.parameters = Parameters(self, defaults, self._check, self._lock_reason, self._apply)
        self.settings = defaults
        self.refusal = ''
        self.configured = self.active = self._finalized = self._activates_itself = False
        self.preparation: Preparation[Any] = Preparation(self.discard)
        self._attempt: Attempt[Settings] | None = None
        self._attempt_waits = ''  # text: what the attempt waits for
        self.event_group = EventGroup()
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', 10, callback_group=self.event_group
        )
        self.create_timer(1.0, self._publish_diagnostics, clock=self.steady)
        self._heartbeat = Heartbeat(self, self.is_healthy)
        self._bond = Bond(self)
        self._autostart = self.create_timer(0.0, self._start_up, clock=self.steady)
        self._attempt_timer = self.create_timer(
            POLL_PERIOD, self._advance_attempt, clock=self.steady
        )
        self._attempt_timer.cancel()
        self._made: list[Callable[[], Any]] = []
        self._serve_change_state_itself()

    # Hooks of the nodes.

    def prepare(self, settings: Settings) -> None:
        """Start slow work in ``self.preparation``; raise VivaError to fail."""

    def poll(self, settings: Settings, prepared: Any) -> str:
        """
        Check once whether all inputs are available; called repeatedly after the preparation.

        :returns: text that names what is missing; '' if nothing is
        :raises AbsentInputError: on a time-out
        :raises VivaError: to fail the transition
        """
        return ''

    def discard(self, prepared: Any) -> None:
        """Free an unused result of the preparation; called in a thread, without rclpy."""

    def setup(self, settings: Settings, prepared: Any) -> None:
        """
        Create publishers, subscriptions and the like; raise VivaError to fail.

        :param prepared: result of the preparation; discarded if this raises
        """
        raise NotImplementedError

    def start(self) -> None:
        """Start to work and to publish; called on activation."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop working; called on deactivation."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Free the results of poll and setup, also after a failed setup."""
        raise NotImplementedError

    def diagnose(self, report: Report) -> None:
        """Add diagnostic entries; called once a second while configured."""
        raise NotImplementedError

    def check(self, settings: Settings) -> None:
        """Check settings that depend on each other; raise ConfigurationError."""

    def apply(self, settings: Settings) -> None:
        """Apply changed live parameters; ``self.settings`` already holds them."""

    def is_healthy(self) -> bool:
        """Return whether the heartbeat is published; a hanging node publishes none anyway."""
        return True

    # The lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Set up; FAILURE, and the reason in the log, on a VivaError."""
        return self._transition('configure', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate the node."""
        result = super().on_activate(state)
        return result if result != SUCCESS else self._transition('activate', self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate the node."""
        self._transition('deactivate', self._deactivate)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        return self._transition('clean up', self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, for good."""
        self._finalized = True
        return self._transition('shut down', self._clean_up)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after an unexpected error."""
        return self._transition('recover', self._clean_up)

    def close(self) -> bool:
        """Free everything before the process ends; False if a thread does not end."""
        self._clean_up()
        return self.preparation.join(CLOSING)

    def keep(self, destroy: Callable[[Any], Any], entity: Any) -> Any:
        """Register how to destroy an entity at clean-up, and return the entity."""
        self._made.append(lambda: destroy(entity))
        return entity

    def _configure(self) -> None:
        attempt, self._attempt = self._attempt or self._prepare_now(), None
        self._attempt_timer.cancel()
        try:
            if attempt.error is not None:
                raise attempt.error
            assert attempt.settings is not None  # without an error it was read
            self.setup(attempt.settings, attempt.prepared)
        except Exception as error:
            self._drop_attempt(attempt)
            if isinstance(error, VivaError):  # after other errors, on_error cleans up
                self._clean_up()
            raise
        self.settings, self.configured, self.refusal = attempt.settings, True, ''

    def _activate(self) -> None:
        self.freeze_garbage()
        self.start()
        self.active = True
        self._bond.form()

    def freeze_garbage(self) -> None:
        """Exclude loaded objects from garbage collection, which otherwise takes 50 ms."""
        gc.collect()
        gc.freeze()

    def _deactivate(self) -> None:
        self.active = False
        self._bond.sever()
        self.stop()

    def _clean_up(self) -> None:
        if self.active:
            self._deactivate()
        self.configured = False
        self._cancel_attempt()
        self.preparation.cancel()
        self.teardown()
        while self._made:
            self._made.pop()()
        gc.unfreeze()

    def _transition(self, name: str, act: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            act()
        except VivaError as error:
            self._refuse(name, error)
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would swallow it
            if not self.context.ok():  # the context was shut down meanwhile
                return TransitionCallbackReturn.FAILURE
            self.refusal = traceback.format_exc(limit=-1).strip()
            self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return SUCCESS

    def _refuse(self, name: str, error: VivaError) -> None:
        """Log an error once, and store it for /diagnostics."""
        if str(error) != self.refusal:
            self.get_logger().error(f'cannot {name}: {error}')
        self.refusal = str(error)

    # The attempt to configure.

    def _start_up(self) -> None:
        """Configure, and activate in a later turn of the executor, since both block it."""
        self._autostart.cancel()
        if self._activates_itself:
            self._activates_itself = False
            if self.configured and not self.active:
                self.trigger_activate()
            return
        is_wanted = self.get_parameter('autostart').value and not self._finalized
        if is_wanted and not self.configured and self._attempt is None:
            self._begin_attempt(is_own=True)

    def _begin_attempt(self, is_own: bool) -> Attempt[Settings]:
        """Start to prepare the transition 'configure'."""
        self.refusal = self._attempt_waits = ''
        self._attempt = attempt = Attempt(is_own)
        try:
            attempt.settings = self.parameters.read()
            self.prepare(attempt.settings)
        except Exception as error:  # the transition raises it
            attempt.error = error
        self._attempt_timer.reset()
        return attempt

    def _advance_attempt(self) -> None:
        """Continue the attempt without blocking."""
        attempt = self._attempt
        if attempt is None:
            self._attempt_timer.cancel()
            return
        try:
            if attempt.error is None and not self._attempt_is_ready(attempt):
                return
        except AbsentInputError as error:
            if attempt.is_own:  # the robot may start later
                self._refuse('configure', error)
                attempt.reply(False)
                return
            attempt.error = error
        except Exception as error:  # the transition raises it
            attempt.error = error
        self._attempt_timer.cancel()
        if attempt.answer is not None:
            attempt.reply(True)
        elif self.trigger_configure() == SUCCESS:
            self._activates_itself = True
            self._autostart.reset()

    def _attempt_is_ready(self, attempt: Attempt[Settings]) -> bool:
        """Return whether the transition can be made; restart the attempt if parameters changed."""
        if self.parameters.read() != attempt.settings:
            answer, attempt.answer = attempt.answer, None
            self._clean_up()
            self._begin_attempt(attempt.is_own).answer = answer
            return False
        if self.preparation.pending:
            if not self.preparation.done:
                return False
            attempt.prepared = self.preparation.take()
        self._attempt_waits = self.poll(attempt.settings, attempt.prepared)
        return not self._attempt_waits

    def _prepare_now(self) -> Attempt[Settings]:
        """Prepare and block: the transition was triggered from within the process."""
        attempt = self._begin_attempt(is_own=False)
        try:
            while attempt.error is None and not self._attempt_is_ready(attempt):
                time.sleep(POLL_PERIOD)
        except Exception as error:
            attempt.error = error
        return attempt

    def _cancel_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._drop_attempt(attempt)
            attempt.reply(False)

    def _drop_attempt(self, attempt: Attempt[Settings]) -> None:
        """Discard what was prepared for an attempt."""
        prepared, attempt.prepared = attempt.prepared, None
        if prepared is not None:
            self.preparation.discard(prepared)

    @property
    def _attempt_state(self) -> str:
        """Text on the progress of the attempt."""
        return self.preparation.state or self._attempt_waits or 'about to be configured'

    # The service ~/change_state.

    def _serve_change_state_itself(self) -> None:
        """
        Wrap rclpy's callback in a coroutine, so that 'configure' can wait.

        Its own reentrant group lets other callbacks run meanwhile.
        """
        service = next(s for s in self.services if s.srv_type is ChangeState)
        self._change_state = service.callback
        service.callback = self._serve_change_state
        service.callback_group = ReentrantCallbackGroup()
        service.callback_group.add_entity(service)

    async def _serve_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Answer as rclpy does; 'configure' waits for the preparation, others may cancel it."""
        name = request.transition.label or LABELS.get(request.transition.id, 'shutdown')
        response.success = False
        attempt = self._attempt
        if name == 'configure' and not self.configured and not self._finalized:
            if attempt is not None and attempt.answer is not None:
                return self._refuse_meanwhile(name, response)
            attempt = attempt or self._begin_attempt(is_own=False)
            attempt.answer = answer = Future()
            if not await answer or self._attempt is None:
                return response
        elif attempt is not None and name == 'activate':
            return self._refuse_meanwhile(name, response)
        elif attempt is not None and name in ('cleanup', 'deactivate'):
            self.get_logger().info(f'{name}: {self._attempt_state} is cancelled')
            self._clean_up()
            response.success = True
            return response
        return self._change_state(request, response)

    def _refuse_meanwhile(self, name: str, response: ChangeState.Response) -> ChangeState.Response:
        self.get_logger().error(
            f"cannot {name}: {self._attempt_state}: wait until 'configure' is answered, or cancel "
            "it with 'cleanup' or 'shutdown'"
        )
        return response

    def _lock_reason(self) -> str:
        """Return why only live parameters can change; '' if all can."""
        return 'read when configuring: deactivate and clean up the node first' * self.configured

    def _check(self, settings: Settings) -> None:
        if self.configured:  # before, dependent parameters may still follow
            self.check(settings)

    def _apply(self, settings: Settings) -> None:
        if self.configured and settings != self.settings:
            self.settings = settings
            self.apply(settings)

    def _publish_diagnostics(self) -> None:
        report = Report(self.get_fully_qualified_name(), self.get_namespace())
        if self.configured:
            self.diagnose(report)
        elif self.refusal:
            report.add('configuration', DiagnosticStatus.ERROR, self.refusal)
        elif self._attempt is not None:
            report.add('configuration', DiagnosticStatus.WARN, self._attempt_state)
        else:
            report.add('configuration', DiagnosticStatus.OK, 'not configured')
        malformed_messages(self).diagnose(report)
        self.event_group.open()
        self._diagnostics.publish(report.message(self.get_clock().now().to_msg()))
