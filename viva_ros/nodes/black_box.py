# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The black box: for each alert a recording of all that monitor and supervisor take in and give out.

It looks at the graph for what they subscribe to and publish, so it needs no list of cameras. It
is a process of its own: it lives when they do not, and a slow disk holds up nobody.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from rclpy.node import NodeNameNonExistentError
from rclpy.serialization import deserialize_message

from viva_ros.core.black_box import MIB, EventRecording, Kept, Ring, rotate
from viva_ros.core.errors import ConfigurationError, RecordingError
from viva_ros.core.events import is_alarming
from viva_ros.core.libraries import remedy
from viva_ros.msg import Alert, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_ns
from viva_ros.nodes.diagnostics import ERROR, OK, Report
from viva_ros.nodes.lifecycle import CLOSING, ManagedNode
from viva_ros.nodes.main import run
from viva_ros.nodes.settings import BlackBoxSettings
from viva_ros.nodes.topic_recorder import channel_metadata

try:  # a robot's computer may have onnxruntime alone
    from viva_ros.data.bag.writer import BackgroundWriter, part_path
    from viva_ros.data.episode import load, sidecar
    from viva_ros.data.messages import schema
    from viva_ros.data.segmentation import TASK

    MISSING = ''
except ImportError as error:
    MISSING = f'{error}: do without the node black_box, or {remedy(["mcap", "rosbags"])}'

PICTURES: Final = ('value_plot', 'value_markers', 'value_cloud')  # made while someone subscribes
LATCHED: Final = ('alert', 'episode', 'robot_description')
OWN: Final = ('/rosout', '/parameter_events', '/clock')
LOOK: Final = 1.0  # s, between looks at the graph
TICK: Final = 0.2  # s
BACKLOG: Final = 2.0  # of limits.memory: more that waits for the disk ends a recording
FRESH: Final = 5.0  # s: an alert that is older was latched by an earlier run
PATTERN: Final = 'alert_*.mcap'
ALERT: Final = 'viva_alert'  # name of the metadata record


class BlackBox(ManagedNode[BlackBoxSettings]):
    """The lifecycle node."""

    def __init__(self, **options: Any) -> None:
        super().__init__('black_box', BlackBoxSettings(), **options)
        self._writer: BackgroundWriter | None = None
        self._closing: list[BackgroundWriter] = []

    def setup(self, settings: BlackBoxSettings, prepared: None) -> None:
        """Make the folder."""
        if MISSING:
            raise ConfigurationError('black-box-library', MISSING)
        own = self.get_namespace().strip('/')  # two robots on one machine do not mix
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
        self._offers: dict[str, dict[str, str]] = {}
        self._task = self._fault = self._last = ''

    def start(self) -> None:
        """Begin to keep."""
        self._ring = Ring(self.settings.limits, self._latched)
        self._subscriptions_made: list[Any] = []
        self._look_around()
        self._timers_made = [
            self.create_timer(LOOK, self._look_around, clock=self.steady),
            self.create_timer(TICK, self._tick, clock=self.steady),
        ]

    def stop(self) -> None:
        """Close a recording that is being made, and forget all."""
        self._finish()
        for timer in self._timers_made:
            self.destroy_timer(timer)
        for subscription in self._subscriptions_made:
            self.destroy_subscription(subscription)
        self._types.clear()
        self._offers.clear()

    def teardown(self) -> None:
        """There is nothing else."""

    def close(self) -> bool:
        """End; False if a recording is not written in time, which leaves what there is of it."""
        ended = super().close()
        until = time.monotonic() + CLOSING
        written = [w.join(max(0.0, until - time.monotonic())) for w in self._closing]
        self._report_closed()
        return ended and all(written)

    def diagnose(self, report: Report) -> None:
        """Say what is kept, and which recording was the last."""
        held = self._ring.size / (1 << 20) if self.active else 0.0
        figures = {'topics': len(self._types), 'memory_mib': f'{held:.1f}', 'last': self._last}
        report.add('recording', ERROR if self._fault else OK, self._fault or 'ready', figures)

    def _look_around(self) -> None:
        """Subscribe to what has appeared."""
        found: dict[str, list[str]] = {}
        here = self.get_node_names_and_namespaces()
        for node in (self.settings.monitor, self.settings.supervisor):
            where = (node, self.get_namespace())
            if where in here:
                with suppress(NodeNameNonExistentError):  # it has just gone
                    found |= dict(self.get_publisher_names_and_types_by_node(*where))
                    found |= dict(self.get_subscriber_names_and_types_by_node(*where))
        for topic, types in found.items():
            is_own = topic in OWN or topic.endswith(('transition_event', *PICTURES))
            if topic not in self._types and not is_own:
                self._subscribe(topic, types[0])

    def _subscribe(self, topic: str, type_name: str) -> None:
        try:
            schema(type_name)
        except RecordingError:  # nothing of ours
            return
        package, _, name = type_name.split('/')
        kind = getattr(import_module(f'{package}.msg'), name)
        profile = qos.LATCHED_READER if topic in self._latched else qos.JOINTS
        self._types[topic] = type_name
        self._subscriptions_made.append(
            self.create_subscription(kind, topic, partial(self._store, topic), profile, raw=True)
        )

    def _store(self, topic: str, cdr: bytes) -> None:
        now = int(self.get_clock().now().nanoseconds)
        kept = Kept(topic, time.monotonic(), now, bytes(cdr))
        self._ring.add(kept)
        if topic not in self._offers:
            self._look_at_offers(topic)
        if self._writer is not None:
            self._write(kept)
        if self._types[topic] == 'viva_ros/msg/Value':
            self._newest_value = kept.cdr
        if self._types[topic] == 'viva_ros/msg/Alert':
            self._hear(deserialize_message(cdr, Alert), now)

    def _look_at_offers(self, topic: str) -> None:
        """Keep the QoS of a topic's publishers: they may be gone when a recording begins."""
        found = channel_metadata(self, topic, self._types[topic])
        if found or topic not in self._offers:
            self._offers[topic] = found
        if self._writer is not None:
            self._writer.describe(topic, self._offers[topic])

    def _hear(self, alert: Alert, now: int) -> None:
        is_fresh = abs(now - to_ns(alert.header.stamp)) <= FRESH * 1e9
        if not is_fresh or not is_alarming(alert.level, alert.kind):
            return
        if self._writer is not None:
            self._take.extend(time.monotonic())
        else:
            self._begin(alert, now)

    def _begin(self, alert: Alert, now: int) -> None:
        stamp = datetime.fromtimestamp(now * 1e-9, UTC)
        path = self._folder / f'alert_{stamp:%Y%m%dT%H%M%S}_{now % 10**9 // 10**6:03d}.mcap'
        self._writer = BackgroundWriter(path)
        self._take = EventRecording(self.settings.limits, time.monotonic())
        self._writer.metadata(ALERT, describe(alert, self.settings))
        newest = getattr(self, '_newest_value', None)
        if newest is not None:
            task = deserialize_message(newest, Value).task
            self._writer.metadata(TASK, {'task': task})
        for topic in self._offers:
            self._look_at_offers(topic)
        for kept in self._ring.content():
            self._write(kept)

    def _write(self, kept: Kept) -> None:
        if self._writer is None or self._take.cut:
            return
        self._writer.write_cdr(kept.topic, self._types[kept.topic], kept.cdr, kept.time)
        self._take.add(len(kept.cdr))

    def _tick(self) -> None:
        self._report_closed()
        if self._writer is None:
            return
        if self._writer.error is not None:
            self._fail(self._writer.error)
            self._writer = None
        elif self._writer.backlog > BACKLOG * self.settings.limits.memory * MIB:
            text = f'{self._folder}: the disk is too slow, the recording ends'
            self._fail(RecordingError('black-box-backlog', text))
            self._finish()
        elif self._take.is_over(time.monotonic()):
            self._finish()

    def _finish(self) -> None:
        """Have the recording closed; ``_report_closed`` tells when it is."""
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if self._take.cut:
            writer.metadata('viva_cut', {'limit_mib': self.settings.limits.file})
        writer.close(self._rotate)
        self._closing.append(writer)

    def _report_closed(self) -> None:
        """Report the recordings that have been closed since the last look."""
        for writer in [writer for writer in self._closing if writer.done]:
            self._closing.remove(writer)
            if writer.error is not None:
                self._fail(writer.error)
                continue
            self._last, self._fault = str(writer.path), writer.remark
            self.get_logger().info(f'recorded {writer.path}: label it with viva label')

    def _rotate(self, newest: Path) -> str:
        """Delete old recordings; called in a thread. Return a fault, for a person."""
        own = {part_path(writer.path) for writer in (self._writer, *self._closing) if writer}
        begun = set(self._folder.glob(f'.{PATTERN}.part')) - own  # by a process that was killed
        paths = [*sorted(begun), *sorted(self._folder.glob(PATTERN))]
        try:
            stems = {name.split(':')[0] for name in load(sidecar(newest))}
            labelled = {path.name for path in paths if path.stem in stems} | {newest.name}
            sizes = {path.name: path.stat().st_size for path in paths}
            gone, fits = rotate(sizes, labelled, self.settings.limits)
            for name in gone:
                (self._folder / name).unlink()
        except (RecordingError, OSError) as error:
            return f'old recordings are not deleted: {error}'
        limit = f'{self.settings.limits.folder:g} MiB'
        return '' if fits else f'{self._folder} holds more than {limit}, all labelled: move some'

    def _fail(self, error: Exception) -> None:
        self._fault = str(error)
        self.get_logger().error(self._fault, throttle_duration_sec=5.0)


def describe(alert: Alert, settings: BlackBoxSettings) -> dict[str, Any]:
    """Return what belongs in the metadata of a recording."""
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
