# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A lifecycle node that answers at any time, and refuses with a reason.

Before the transition 'configure' the node is prepared: what takes long runs in a thread, what must
be there is looked for by a timer, and the executor serves all else meanwhile. The transition
itself is short. rclpy swallows what is raised in a transition. Here a VivaError is logged and
becomes FAILURE, and the reason stays in /diagnostics while the node is not configured.
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
from viva_ros.nodes.callback_groups import Seldom
from viva_ros.nodes.diagnostics import Report
from viva_ros.nodes.parameters import Parameters

TOPIC = '~/heartbeat'
PERIOD = 0.2  # s; a fifth of the lease
QUIET = 1.3  # s; more than the lease


class Heartbeat:
    """Publishes the time while a node is well."""

    def __init__(self, node: Node, is_well: Callable[[], bool]) -> None:
        self._node, self._is_well = node, is_well
        self._quiet_until = 0.0
        self._publisher = node.create_publisher(Header, TOPIC, qos.HEARTBEAT)
        self._timer = node.create_timer(
            PERIOD, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def _beat(self) -> None:
        now = time.monotonic()
        if not self._is_well():
            self._quiet_until = now + QUIET
        elif now >= self._quiet_until:
            stamp = self._node.get_clock().now().to_msg()
            self._publisher.publish(Header(stamp=stamp, frame_id=self._node.get_name()))


Settings = TypeVar('Settings')
LOOK = 0.1  # s, from one look at a preparation to the next
CLOSING = 1.5  # s, for threads to end when the process does
SUCCESS = TransitionCallbackReturn.SUCCESS
LABELS = {
    Transition.TRANSITION_CONFIGURE: 'configure',
    Transition.TRANSITION_CLEANUP: 'cleanup',
    Transition.TRANSITION_ACTIVATE: 'activate',
    Transition.TRANSITION_DEACTIVATE: 'deactivate',
}


class AbsentInputError(ConfigurationError):
    """An input is not there yet: autostart goes on looking."""


@dataclass
class Attempt(Generic[Settings]):
    """
    One way to 'configured'.

    :param is_own: begun by autostart, not by a call of change_state
    :param settings: as they were when it began
    :param prepared: result of the preparation; None before
    :param error: why the transition will fail
    :param answer: completed with whether the transition can be made; None: nobody waits
    """

    is_own: bool
    settings: Settings | None = None
    prepared: Any = None
    error: Exception | None = None
    answer: Future | None = None

    def reply(self, ready: bool) -> None:
        """Complete the answer."""
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.set_result(ready)


class ManagedNode(LifecycleNode, Generic[Settings]):
    """Base of monitor and supervisor, which give setup, start, stop, teardown and diagnose."""

    def __init__(self, name: str, defaults: Settings, **options: Any) -> None:
        super().__init__(name, **options)
        self.steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.parameters = Parameters(self, defaults, self._check, self._hold, self._apply)
        self.settings = defaults
        self.refusal = ''
        self.configured = self.active = self._finalized = self._activates_itself = False
        self.preparation: Preparation[Any] = Preparation(self.discard)
        self._attempt: Attempt[Settings] | None = None
        self._attempt_waits = ''  # what the attempt waits for
        self.seldom = Seldom()
        self._diagnostics = self.create_publisher(
            DiagnosticArray, '/diagnostics', 10, callback_group=self.seldom
        )
        self.create_timer(1.0, self._publish_diagnostics, clock=self.steady)
        self._heartbeat = Heartbeat(self, self.is_well)
        self._bond = Bond(self)
        self._autostart = self.create_timer(0.0, self._start_up, clock=self.steady)
        self._attempt_timer = self.create_timer(LOOK, self._go_on, clock=self.steady)
        self._attempt_timer.cancel()
        self._made: list[Callable[[], Any]] = []
        self._serve_change_state_itself()

    # What a child gives.

    def prepare(self, settings: Settings) -> None:
        """Begin what takes long in ``self.preparation``; raise VivaError to refuse."""

    def look(self, settings: Settings, prepared: Any) -> str:
        """
        Look once for what must be there; called again and again after the preparation.

        :returns: what is waited for, for a person; '' if all is there
        :raises AbsentInputError: if it has been waited for long enough
        :raises VivaError: to refuse
        """
        return ''

    def discard(self, prepared: Any) -> None:
        """Free what was prepared but is not needed; called in a thread, without rclpy."""

    def setup(self, settings: Settings, prepared: Any) -> None:
        """
        Create all that is needed; raise VivaError to refuse.

        :param prepared: result of the preparation; discarded if this raises
        """
        raise NotImplementedError

    def start(self) -> None:
        """Begin to work and to publish."""
        raise NotImplementedError

    def stop(self) -> None:
        """Cease to work."""
        raise NotImplementedError

    def teardown(self) -> None:
        """Free what look and setup made, also after a setup that failed half-way."""
        raise NotImplementedError

    def diagnose(self, report: Report) -> None:
        """Say how it goes, while configured."""
        raise NotImplementedError

    def check(self, settings: Settings) -> None:
        """Refuse settings, each valid by itself, that do not fit; raise ConfigurationError."""

    def apply(self, settings: Settings) -> None:
        """Take over live parameters that have changed; ``self.settings`` has them already."""

    def is_well(self) -> bool:
        """Return whether it gives signs of life; one that hangs gives none anyway."""
        return True

    # The lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Set up; FAILURE with a reason in the log if something does not fit."""
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
        self._finalized = True
        return self._transition('shut down', self._clean_up)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an unexpected error: back to unconfigured."""
        return self._transition('recover', self._clean_up)

    def close(self) -> bool:
        """End before the process does; False if a thread does not end."""
        self._clean_up()
        return self.preparation.join(CLOSING)

    def keep(self, destroy: Callable[[Any], Any], entity: Any) -> Any:
        """Remember how to destroy an entity at clean-up; returns it."""
        self._made.append(lambda: destroy(entity))
        return entity

    def _configure(self) -> None:
        attempt, self._attempt = self._attempt or self._prepare_now(), None
        self._attempt_timer.cancel()
        try:
            if attempt.error is not None:
                raise attempt.error
            assert attempt.settings is not None  # it is read before an error can be
            self.setup(attempt.settings, attempt.prepared)
        except Exception as error:
            self._drop_attempt(attempt)
            if isinstance(error, VivaError):  # after others, on_error cleans up
                self._clean_up()
            raise
        self.settings, self.configured, self.refusal = attempt.settings, True, ''

    def _activate(self) -> None:
        self.freeze_garbage()
        self.start()
        self.active = True
        self._bond.form()

    def freeze_garbage(self) -> None:
        """Exclude all that was loaded from garbage collection, which takes 50 ms otherwise."""
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
            if not self.context.ok():  # shut down in its midst
                return TransitionCallbackReturn.FAILURE
            self.refusal = traceback.format_exc(limit=-1).strip()
            self.get_logger().error(f'cannot {name}:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return SUCCESS

    def _refuse(self, name: str, error: VivaError) -> None:
        """Log a refusal once, and keep it for /diagnostics."""
        if str(error) != self.refusal:
            self.get_logger().error(f'cannot {name}: {error}')
        self.refusal = str(error)

    # The way to 'configured'.

    def _start_up(self) -> None:
        """Configure, and activate in another turn of the executor: either takes its time."""
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
        """Begin to prepare for 'configure'."""
        self.refusal = self._attempt_waits = ''
        self._attempt = attempt = Attempt(is_own)
        try:
            attempt.settings = self.parameters.read()
            self.prepare(attempt.settings)
        except Exception as error:  # the transition raises it
            attempt.error = error
        self._attempt_timer.reset()
        return attempt

    def _go_on(self) -> None:
        """Go on with the attempt as far as that is possible without waiting."""
        attempt = self._attempt
        if attempt is None:
            self._attempt_timer.cancel()
            return
        try:
            if attempt.error is None and not self._attempt_is_ready(attempt):
                return
        except AbsentInputError as error:
            if attempt.is_own:  # the robot may come up later
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
        """Return whether the transition can be made; start again with parameters that changed."""
        if self.parameters.read() != attempt.settings:
            answer, attempt.answer = attempt.answer, None
            self._clean_up()
            self._begin_attempt(attempt.is_own).answer = answer
            return False
        if self.preparation.pending:
            if not self.preparation.done:
                return False
            attempt.prepared = self.preparation.take()
        self._attempt_waits = self.look(attempt.settings, attempt.prepared)
        return not self._attempt_waits

    def _prepare_now(self) -> Attempt[Settings]:
        """Prepare while the caller waits: the transition is made from within the process."""
        attempt = self._begin_attempt(is_own=False)
        try:
            while attempt.error is None and not self._attempt_is_ready(attempt):
                time.sleep(LOOK)
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
        """How far the attempt has come, for a person."""
        return self.preparation.state or self._attempt_waits or 'about to be configured'

    # The service ~/change_state.

    def _serve_change_state_itself(self) -> None:
        """
        Put a coroutine in front of rclpy's callback, so that 'configure' can wait.

        In a group of its own it holds up no other callback while it does.
        """
        service = next(s for s in self.services if s.srv_type is ChangeState)
        self._change_state = service.callback
        service.callback = self._serve_change_state
        service.callback_group = ReentrantCallbackGroup()
        service.callback_group.add_entity(service)

    async def _serve_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        """Answer as rclpy does; 'configure' is prepared first, all that ends it cancels that."""
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
            "it by 'cleanup' or 'shutdown'"
        )
        return response

    def _hold(self) -> str:
        """Say why only live parameters can change."""
        return 'read when configuring: deactivate and clean up the node first' * self.configured

    def _check(self, settings: Settings) -> None:
        if self.configured:  # before, others may have to be set after it
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
        self.seldom.open()
        self._diagnostics.publish(report.message(self.get_clock().now().to_msg()))
