# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Messages that cannot be read, from any participant of the domain: counted, reported, dropped.

Half a message, one of another version of its type, or a negative /clock must end no node. Only
taking and deserializing is guarded; an exception of our callbacks ends the node with a traceback.
Messages are taken as bytes and read here, so that each failure has a reason: Fast DDS drops what
it cannot read without one. A message without content is refused before Fast CDR reads it. Images
are read without a copy of their pixels. Of services and actions a failure is counted if rclpy
raises it, also in its own services, such as set_parameters; Fast DDS drops the request. Its caller
gets no answer.

Limit: rclpy cannot take requests, responses and the messages of actions as bytes. A request
without content, whose header announces padding, is read beyond its end by Fast CDR 2.2.6 to 2.3.5:
SIGSEGV, or other content. Only a participant of the domain can send it: docs/security.md.
"""

import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from traceback import walk_tb
from typing import Any, Final
from weakref import WeakKeyDictionary, proxy

from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from rclpy.time_source import TimeSource

from viva_ros.core.foreign_text import shown
from viva_ros.nodes.diagnostics import OK, WARN, Report
from viva_ros.nodes.image_messages import IMAGE_READERS, end_of_content
from viva_ros.nodes.robot_topics import publishers_text

InvalidHandle = rclpy_implementation.InvalidHandle
LOG_PERIOD: Final = 10.0  # s, between two log lines on one topic
RECENT: Final = 60.0  # s after a malformed message, /diagnostics warns
LONGEST: Final = 160  # characters of a reason
LATEST: Final = 2**31 - 86_400  # s; stamps of ROS end in 2038, forecasts need one day before
UNLIMITED: Final = 1000  # messages of one poll, without a depth
Work = Callable[[], Coroutine[None, None, None]]


class MalformedMessages:
    """Counts the messages of one node that cannot be read, by topic, service or action."""

    def __init__(self, node: Node) -> None:
        self._node = proxy(node)
        self._counts: dict[str, int] = {}
        self._reasons: dict[str, str] = {}
        self._logged: dict[str, float] = {}
        self._last = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Number of malformed messages by resolved name."""
        return dict(self._counts)

    def add(self, name: str, error: Exception | str) -> None:
        """
        Count one message.

        :param name: resolved name of the topic, service or action
        """
        text = error if isinstance(error, str) else f'{type(error).__name__}: {error}'
        self._reasons[name] = shown(' '.join(text.split()), LONGEST)
        self._counts[name] = self._counts.get(name, 0) + 1
        self._last = now = time.monotonic()
        if now - self._logged.get(name, now - LOG_PERIOD) >= LOG_PERIOD:
            self._logged[name] = now
            self._node.get_logger().warning(self._text(name))

    def diagnose(self, report: Report) -> None:
        """Report the counts, as a warning while messages are malformed."""
        recent = self._counts and time.monotonic() - self._last < RECENT
        text = self._text(next(reversed(self._counts))) if recent else 'all are readable'
        report.add('messages', WARN if recent else OK, text, self._counts)

    def _text(self, name: str) -> str:
        senders = 'no publisher is in the graph'
        if self._node.count_publishers(name):
            senders = publishers_text(self._node, name)
        return (
            f'{self._counts[name]} messages on {name} cannot be read ({self._reasons[name]}); '
            f'{senders}: build the message packages of all nodes from '
            'the same version, or end the publisher that is not known'
        )


_counters: 'WeakKeyDictionary[Node, MalformedMessages]' = WeakKeyDictionary()


def malformed_messages(node: Node) -> MalformedMessages:
    """Return the counter of a node."""
    if node not in _counters:
        _counters[node] = MalformedMessages(node)
    return _counters[node]


def take_all(node: Node, subscription: Any) -> Iterator[tuple[Any, Any]]:
    """
    Take the messages that wait in the queue of a polled subscription, with their information.

    No more than the queue holds: a flood would otherwise keep the node busy.
    """
    with subscription.handle:
        for _ in range(subscription.qos_profile.depth or UNLIMITED):
            taken = subscription.handle.take_message(subscription.msg_type, True)
            if taken is None:
                return
            message = read(node, subscription.topic_name, taken[0], subscription.msg_type)
            if message is not None:
                yield message, taken[1]


def read(node: Node, topic: str, cdr: bytes, kind: type) -> Any:
    """
    Read a message; None, and counted, if it cannot be read.

    :returns: a message of the type; for an Image or CompressedImage a view with the same fields
    """
    try:
        end_of_content(cdr)
        return (
            IMAGE_READERS[kind](cdr) if kind in IMAGE_READERS else deserialize_message(cdr, kind)
        )
    except Exception as error:
        malformed_messages(node).add(topic, error)
        return None


def clock_fault(message: Any) -> str:
    """Return why a message of /clock is no time; '' if it is one."""
    stamp = message.clock
    if not 0 <= stamp.sec <= LATEST:
        return f'sec is {stamp.sec}, must be from 0 to {LATEST}'
    if stamp.nanosec >= 10**9:
        return f'nanosec is {stamp.nanosec}, must be below 1000000000'
    return ''


class GuardedExecutor(SingleThreadedExecutor):
    """
    Drops and counts what cannot be taken, for all entities of its nodes, those of rclpy included.

    It overrides the methods of rclpy's executor that take, which return the callback as a
    coroutine: an exception of the callback arises later, outside of this guard.
    """

    def _take_subscription(self, subscription: Any) -> Work | None:
        if subscription.raw:
            return self._take(super()._take_subscription, subscription)
        return self._take(self._take_bytes, subscription)

    def _take_bytes(self, subscription: Any) -> Work | None:
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, True)
        if taken is None:
            return None
        node, topic = self._node_of(subscription), subscription.topic_name
        message = read(node, topic, taken[0], subscription.msg_type)
        if message is None:
            return None
        callback = subscription.callback
        is_clock = isinstance(getattr(callback, '__self__', None), TimeSource)
        if is_clock and (fault := clock_fault(message)):
            malformed_messages(node).add(topic, fault)
            return None
        is_alone = subscription._callback_type is Subscription.CallbackType.MessageOnly
        arguments = (message,) if is_alone else (message, taken[1])

        async def execute() -> None:
            result = callback(*arguments)
            if hasattr(result, '__await__'):
                await result

        return execute

    def _take_client(self, client: Any) -> Work | None:
        return self._take(super()._take_client, client)

    def _take_service(self, service: Any) -> Work | None:
        work = self._take(super()._take_service, service)
        if work is None or not is_of_rclpy(service.callback):
            return work

        async def execute() -> None:
            try:
                await work()
            except Exception as error:  # such as a parameter of a type that does not exist
                if not is_raised_by_rclpy(error):
                    raise
                malformed_messages(self._node_of(service)).add(name_of(service), error)

        return execute

    def _take_waitable(self, waitable: Any) -> Work | None:  # type: ignore[override]
        return self._take(super()._take_waitable, waitable)

    def _take(self, take: Callable[[Any], Work | None], entity: Any) -> Work | None:
        """Take with one of rclpy's methods; None, and counted, if that fails."""
        try:
            return take(entity)
        except InvalidHandle:  # destroyed meanwhile
            return None
        except Exception as error:
            if not self.context.ok():  # a shutdown is no fault of a message
                raise
            malformed_messages(self._node_of(entity)).add(name_of(entity), error)
            return None

    def _node_of(self, entity: Any) -> Node:
        """Return the node that an entity belongs to."""
        kinds = ('subscriptions', 'clients', 'services', 'waitables')
        nodes = self.get_nodes()
        owners = (n for n in nodes if any(entity in getattr(n, kind) for kind in kinds))
        return next(owners, nodes[0])


def is_of_rclpy(callback: Any) -> bool:
    """Return whether rclpy itself defines a callback, such as that of set_parameters."""
    return str(getattr(callback, '__module__', '')).partition('.')[0] == 'rclpy'


def is_raised_by_rclpy(error: BaseException) -> bool:
    """Return whether only code of rclpy, of messages and of Python ran until an error."""
    names = {frame.f_globals.get('__name__', '') for frame, _ in walk_tb(error.__traceback__)}
    packages = {name.partition('.')[0] for name in names - {__name__}}
    return all(
        one == 'rclpy' or one in sys.stdlib_module_names or one.endswith(('_msgs', '_interfaces'))
        for one in packages
    )


def name_of(entity: Any) -> str:
    """Return the resolved name of a subscription, service or client, or that of an action."""
    for attribute in ('topic_name', 'service_name', 'srv_name', '_action_name'):
        if name := getattr(entity, attribute, ''):
            return str(name)
    return type(entity).__name__
