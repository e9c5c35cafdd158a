# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The black box: an event recorder of the inputs and outputs of monitor and supervisor.

An alert of the watched supervisor starts a recording; one of another node does not, since each new
recording may delete an old one. The topics are read from the graph, so no list of cameras is
needed. A separate process survives a crash of these nodes, and a slow disk does not delay them.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import NodeNameNonExistentError

from viva_ros.core.black_box import MIB, EventRecording, Kept, Ring, is_watched, rotate
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.events import is_alarming
from viva_ros.core.foreign_text import shown, shown_list
from viva_ros.core.libraries import remedy
from viva_ros.msg import Alert, SupervisorState, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import gid_key, node_of, publisher_of, to_ns
from viva_ros.nodes.diagnostics import ERROR, OK, WARN, Report
from viva_ros.nodes.lifecycle import CLOSING, ManagedNode
from viva_ros.nodes.main import run
from viva_ros.nodes.malformed_messages import read
from viva_ros.nodes.settings import BlackBoxSettings
from viva_ros.nodes.topic_recorder import channel_metadata

try:  # optional on a robot's computer
    from viva_ros.data.bag.writer import BackgroundWriter, part_path
    from viva_ros.data.episode import load, sidecar
    from viva_ros.data.messages import schema
    from viva_ros.data.segmentation import TASK

    MISSING = ''
except ImportError as error:
    MISSING = f'{error}: do without the node black_box, or {remedy(["mcap", "rosbags"])}'

RCLError = rclpy_implementation.RCLError
VISUALIZATIONS: Final = ('value_plot', 'value_markers', 'value_cloud')  # not recorded
LATCHED: Final = ('alert', 'episode', 'robot_description')
ROS_TOPICS: Final = ('/rosout', '/parameter_events', '/clock')
GRAPH_PERIOD: Final = 1.0  # s, between two queries of the graph
TICK_PERIOD: Final = 0.2  # s
MAX_BACKLOG: Final = 2.0  # times limits.memory: a larger backlog ends a recording
MAX_ALERT_AGE: Final = 5.0  # s: an older alert was latched by an earlier run
DISCOVERY_TIME: Final = 10.0  # s after an alert: its publisher or session is then known
MAX_UNDECIDED: Final = 64  # alerts that wait for that
MAX_SESSIONS: Final = 16  # of the supervisor's state
MAX_NAMED: Final = 16  # other publishers that the log names
UNNAMED: Final = '_NODE_NAME_UNKNOWN_'  # in the graph, while a node is discovered
PATTERN: Final = 'alert_*.mcap'
ALERT: Final = 'viva_alert'  # name of the metadata record


class BlackBox(ManagedNode[BlackBoxSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('black_box', BlackBoxSettings(), **options)
        self._writer: BackgroundWriter | None = None
        self._closing: list[BackgroundWriter] = []

    def setup(self, settings: BlackBoxSettings, prepared: None) -> None:
        """Create the folder."""
        if MISSING:
            raise ConfigurationError('black-box-library', MISSING)
        own = self.get_namespace().strip('/')  # one folder for each robot of this machine
        self._folder = Path(settings.folder).expanduser() / own
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                'black-box-folder',
                f'folder is {settings.folder!r}, which cannot be made ({error}): name another',
            ) from error
        latched = (*LATCHED, f'{settings.supervisor}/state')
        self._latched = {self.resolve_topic_name(name) for name in latched}
        self._types: dict[str, str] = {}
        self._metadata: dict[str, dict[str, str]] = {}
        self._watched = f'{self.get_namespace().rstrip("/")}/{settings.supervisor}'
        self._fault = self._last_path = ''
        self._foreign = 0  # alerts of other nodes
        self._named: set[str] = set()

    def start(self) -> None:
        """Begin to buffer messages."""
        self._ring = Ring(self.settings.limits, self._latched)
        self._subscriptions_made: list[Any] = []
        self._denied: set[str] = set()  # topics that cannot be subscribed to
        self._sessions: dict[int, None] = {}  # of the supervisor's state, the newest last
        self._undecided: dict[tuple[bytes, int], tuple[float, str, Alert]] = {}
        self._discover_topics()
        self._timers_made = [
            self.create_timer(GRAPH_PERIOD, self._discover_topics, clock=self.steady),
            self.create_timer(TICK_PERIOD, self._tick, clock=self.steady),
        ]

    def stop(self) -> None:
        """Finish the current recording, and clear the buffer."""
        self._finish()
        for timer in self._timers_made:
            self.destroy_timer(timer)
        for subscription in self._subscriptions_made:
            self.destroy_subscription(subscription)
        self._types.clear()
        self._metadata.clear()

    def teardown(self) -> None:
        """Do nothing: ``stop`` frees everything."""

    def close(self) -> bool:
        """Close the node; False if a recording is not written in time and stays partial."""
        ended = super().close()
        until = time.monotonic() + CLOSING
        written = [w.join(max(0.0, until - time.monotonic())) for w in self._closing]
        self._report_closed()
        return ended and all(written)

    def diagnose(self, report: Report) -> None:
        """Report the size of the buffer, and the last recording."""
        held = self._ring.size / (1 << 20) if self.active else 0.0
        figures = {
            'topics': len(self._types), 'memory_mib': f'{held:.1f}', 'last': self._last_path,
            'foreign_alerts': self._foreign,
        }  # fmt: skip
        denied = denied_text(self._denied) if self.active and self._denied else ''
        level = ERROR if self._fault else WARN if denied else OK
        report.add('recording', level, self._fault or denied or 'ready', figures)

    def _discover_topics(self) -> None:
        """Subscribe to new topics of monitor and supervisor."""
        found: dict[str, list[str]] = {}
        here = self.get_node_names_and_namespaces()
        for node in (self.settings.monitor, self.settings.supervisor):
            where = (node, self.get_namespace())
            if where in here:
                with suppress(NodeNameNonExistentError):  # the node has just ended
                    found |= dict(self.get_publisher_names_and_types_by_node(*where))
                    found |= dict(self.get_subscriber_names_and_types_by_node(*where))
        for topic, types in found.items():
            is_own = topic in ROS_TOPICS or topic.endswith(('transition_event', *VISUALIZATIONS))
            if topic not in self._types and topic not in self._denied and not is_own:
                self._subscribe(topic, sorted(types, key=is_foreign))

    def _subscribe(self, topic: str, types: Sequence[str]) -> None:
        type_name = types[0]
        try:
            schema(type_name)
            package, _, name = type_name.split('/')
            kind = getattr(import_module(f'{package}.msg'), name)
        except (RecordingError, ImportError, AttributeError, ValueError):
            return  # a type that recordings do not support, or that is not installed
        if len(types) > 1:
            text = f'{topic} has the types {", ".join(types)}: {type_name} is recorded'
            self.get_logger().warning(text)
        profile = qos.LATCHED_READER if topic in self._latched else qos.JOINTS
        store = partial(self._store, topic)
        try:
            made = self.create_subscription(kind, topic, store, profile, raw=True)
        except RCLError as error:  # as SROS2 answers without a permission
            self._denied.add(topic)
            self.get_logger().error(f'{denied_text([topic])} ({shown(error)})')
            return
        self._types[topic] = type_name
        self._subscriptions_made.append(made)

    def _store(self, topic: str, cdr: bytes, info: Mapping[str, Any]) -> None:
        now = int(self.get_clock().now().nanoseconds)
        message = Kept(topic, time.monotonic(), now, bytes(cdr))
        self._ring.add(message)
        if topic not in self._metadata:
            self._update_metadata(topic)
        if self._writer is not None:
            self._write(message)
        if self._types[topic] == 'viva_ros/msg/Value':
            self._newest_value = message
        if self._types[topic] == 'viva_ros/msg/Alert':
            alert = read(self, topic, message.cdr, Alert)
            if alert is not None:
                self._on_alert(topic, alert, publisher_of(info), now)
        if self._types[topic] == 'viva_ros/msg/SupervisorState':
            state = read(self, topic, message.cdr, SupervisorState)
            if state is not None:
                self._sessions.pop(int(state.session_id), None)
                self._sessions[int(state.session_id)] = None
                drop_oldest(self._sessions, MAX_SESSIONS)

    def _update_metadata(self, topic: str) -> None:
        """Store the QoS of a topic's publishers: they may have ended when a recording begins."""
        found = channel_metadata(self, topic, self._types[topic])
        if found or topic not in self._metadata:
            self._metadata[topic] = found
        if self._writer is not None:
            self._writer.describe(topic, self._metadata[topic])

    def _on_alert(self, topic: str, alert: Alert, publisher: bytes, now: int) -> None:
        is_fresh = abs(now - to_ns(alert.header.stamp)) <= MAX_ALERT_AGE * 1e9
        if not is_fresh or not is_alarming(alert.level, alert.kind):
            return
        if not self._decide(topic, alert, publisher):
            waiting = (time.monotonic(), topic, alert)
            self._undecided.setdefault((publisher, int(alert.session_id)), waiting)
            drop_oldest(self._undecided, MAX_UNDECIDED)

    def _decide_again(self) -> None:
        """Decide on alerts whose publisher or session is known now."""
        for key, (since, topic, alert) in list(self._undecided.items()):
            if self._decide(topic, alert, key[0]):
                del self._undecided[key]
            elif time.monotonic() - since > DISCOVERY_TIME:
                del self._undecided[key]
                self._reject(topic, alert, 'a node that is not known')

    def _decide(self, topic: str, alert: Alert, publisher: bytes) -> bool:
        """Record an alert of the watched supervisor, refuse another; False if not known yet."""
        names = {
            gid_key(one.endpoint_gid): node_of(one)
            for one in self.get_publishers_info_by_topic(topic) if one.node_name != UNNAMED
        }  # fmt: skip
        found = is_watched(
            gid_key(publisher), int(alert.session_id), names, self._watched, self._sessions.keys()
        )
        if found is None:
            return False
        if not found:
            self._reject(topic, alert, names[gid_key(publisher)])
        elif self._writer is not None:
            self._recording.extend(time.monotonic())
        else:
            self._begin(alert, int(self.get_clock().now().nanoseconds))
        return True

    def _reject(self, topic: str, alert: Alert, name: str) -> None:
        """Count an alert of another node, which is not recorded; log each name once."""
        self._foreign += 1
        if name in self._named or len(self._named) >= MAX_NAMED:
            return
        self._named.add(name)
        self.get_logger().warning(
            f'alerts on {topic} of {shown(name)}, session {alert.session_id}, are not recorded: '
            f'only those of {self._watched} are; end that node, or set the parameter supervisor '
            'to its name'
        )

    def _begin(self, alert: Alert, now: int) -> None:
        stamp = datetime.fromtimestamp(now * 1e-9, UTC)
        path = self._folder / f'alert_{stamp:%Y%m%dT%H%M%S}_{now % 10**9 // 10**6:03d}.mcap'
        self._writer = BackgroundWriter(path)
        self._recording = EventRecording(self.settings.limits, time.monotonic())
        self._writer.metadata(ALERT, describe(alert, self.settings))
        newest = getattr(self, '_newest_value', None)
        value = newest and read(self, newest.topic, newest.cdr, Value)
        if value is not None:
            self._writer.metadata(TASK, {'task': value.task})
        for topic in self._metadata:
            self._update_metadata(topic)
        for message in self._ring.content():
            self._write(message)

    def _write(self, message: Kept) -> None:
        if self._writer is None or self._recording.cut:
            return
        self._writer.write_cdr(
            message.topic, self._types[message.topic], message.cdr, message.time
        )
        self._recording.add(len(message.cdr))

    def _tick(self) -> None:
        self._report_closed()
        self._decide_again()
        if self._writer is None:
            return
        if self._writer.error is not None:
            self._fail(self._writer.error)
            self._writer = None
        elif self._writer.backlog > MAX_BACKLOG * self.settings.limits.memory * MIB:
            text = f'{self._folder}: the disk is too slow, the recording ends'
            self._fail(RecordingError('black-box-backlog', text))
            self._finish()
        elif self._recording.is_over(time.monotonic()):
            self._finish()

    def _finish(self) -> None:
        """Close the recording in its thread; ``_report_closed`` reports the end."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._recording.cut:
            writer.metadata('viva_cut', {'limit_mib': self.settings.limits.file})
        writer.close(self._rotate)
        self._closing.append(writer)

    def _report_closed(self) -> None:
        """Report the recordings that were closed since the last call."""
        for writer in [writer for writer in self._closing if writer.done]:
            self._closing.remove(writer)
            if writer.error is not None:
                self._fail(writer.error)
                continue
            self._last_path, self._fault = str(writer.path), writer.remark
            self.get_logger().info(f'recorded {writer.path}: label it with viva label')

    def _rotate(self, newest: Path) -> str:
        """Delete old recordings, in the writer's thread; return the text of a fault, or ''."""
        own = {part_path(writer.path) for writer in (self._writer, *self._closing) if writer}
        begun = (
            set(self._folder.glob(f'.{PATTERN}.part')) - own
        )  # left by a process that was killed
        paths = [*sorted(begun), *sorted(self._folder.glob(PATTERN))]
        try:
            stems = {name.split(':')[0] for name in load(sidecar(newest))}
            labelled = {path.name for path in paths if path.stem in stems} | {newest.name}
            sizes = {path.name: path.stat().st_size for path in paths}
            deleted, fits = rotate(sizes, labelled, self.settings.limits)
            for name in deleted:
                (self._folder / name).unlink()
        except (RecordingError, OSError) as error:
            return f'old recordings are not deleted: {error}'
        limit = f'{self.settings.limits.folder:g} MiB'
        return '' if fits else f'{self._folder} holds more than {limit}, all labelled: move some'

    def _fail(self, error: Exception) -> None:
        self._fault = str(error)
        self.get_logger().error(self._fault, throttle_duration_sec=5.0)


def denied_text(topics: Iterable[str]) -> str:
    """Return the text for topics that the middleware lets this node not subscribe to."""
    return (
        f'not recorded: {shown_list(sorted(topics))}, which cannot be subscribed to: allow the '
        'black box to subscribe in the SROS2 policy, then deactivate and activate it'
    )


def is_foreign(type_name: str) -> bool:
    """Return whether a type is not of this package; another node can publish on our topics."""
    return not type_name.startswith('viva_ros/')


def drop_oldest(held: dict[Any, Any], count: int) -> None:
    """Delete the oldest entries of a dict beyond a number."""
    while len(held) > count:
        del held[next(iter(held))]


def describe(alert: Alert, settings: BlackBoxSettings) -> dict[str, Any]:
    """Return the metadata of a recording."""
    return {
        'kind': alert.kind, 'text': alert.text, 'stamp': to_ns(alert.header.stamp),
        'onset': to_ns(alert.onset), 'episode': alert.episode_id, 'session': alert.session_id,
        'before_s': settings.limits.before, 'after_s': settings.limits.after,
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node."""
    run(BlackBox, argv)


if __name__ == '__main__':
    main()
