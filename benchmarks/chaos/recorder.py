# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An independent recorder: inputs, outputs and heartbeats of a watch as an MCAP file.

Each publisher has a channel of its own; a metadata record names the nodes of publishers. Changes
of liveliness are messages of the topic LIVELINESS. Times are those of the system clock, whatever
/clock says.

usage: python -m benchmarks.chaos.recorder FILE
"""

import json
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import rclpy
import rclpy.utilities
from mcap.writer import CompressionType, Writer
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Header, String

from benchmarks.chaos.history import OK
from viva_ros.data.messages import schema
from viva_ros.msg import Alert, Episode, SupervisorState, Value
from viva_ros.nodes import qos

LIVELINESS: Final = '/recorder/liveliness'
PUBLISHERS: Final = 'publishers'  # metadata record: publisher to the name of its node
ASK_PERIOD: Final = 0.5  # s
MANY: Final = QoSProfile(depth=500)
MANY_LATCHED: Final = QoSProfile(depth=500, durability=qos.LATCHED.durability)
TOPICS: Final = {
    '/value': (Value, MANY), '/alert': (Alert, MANY_LATCHED), '/episode': (Episode, MANY_LATCHED),
    '/supervisor/state': (SupervisorState, MANY_LATCHED), '/joint_states': (JointState, MANY),
    '/head/image_raw': (Image, MANY), '/wrist/image_raw': (Image, MANY),
    '/executing': (Bool, MANY), '/retry_calls': (Header, MANY), '/clock': (Clock, MANY),
}  # fmt: skip
WATCHED: Final = ('monitor', 'supervisor', 'black_box')


class ChaosRecorder:
    """Subscribes to all topics, and writes what arrives."""

    def __init__(self, path: Path) -> None:
        self._node = rclpy.create_node('chaos_recorder')
        self._file = path.open('wb')
        self._writer = Writer(self._file, compression=CompressionType.NONE)
        self._writer.start(profile='ros2', library='viva_ros chaos')
        self._channels: dict[tuple[str, bytes], int] = {}
        self._nodes: dict[bytes, str] = {}  # publisher to node; '' until it is discovered
        self._topic_of: dict[bytes, str] = {}
        self._known, self._level, self._told = False, -1, ''
        self._schemas: dict[str, int] = {}
        for topic, (kind, profile) in TOPICS.items():
            self._node.create_subscription(
                kind, topic, partial(self._store, topic, kind), profile, raw=True
            )
        for name in WATCHED:
            events = SubscriptionEventCallbacks(liveliness=partial(self._liveliness, name))
            self._node.create_subscription(
                Header, f'/{name}/heartbeat', lambda _: None, qos.HEARTBEAT,
                event_callbacks=events,
            )  # fmt: skip

    def run(self, ended: threading.Event) -> None:
        """Record until an event."""
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        asked = time.monotonic()
        while not ended.is_set():
            executor.spin_once(timeout_sec=0.2)
            if time.monotonic() - asked > ASK_PERIOD:
                asked = time.monotonic()
                self._name_publishers()
        self._writer.add_metadata(PUBLISHERS, {g.hex(): name for g, name in self._nodes.items()})
        self._writer.finish()
        self._file.close()

    def _store(self, topic: str, kind: type, cdr: bytes, info: Any) -> None:
        gid = bytes((info.get('publisher_gid') or {}).get('data', b''))
        if gid not in self._nodes:
            self._nodes[gid], self._topic_of[gid] = '', topic
        # Of receipt: a callback runs late after a flood.
        self._write(topic, kind, cdr, gid, int(info.get('received_timestamp') or 0))
        if topic in ('/value', '/supervisor/state'):
            self._tell(kind, cdr)

    def _tell(self, kind: type, cdr: bytes) -> None:
        """Print 'ok' when values are known and the level is OK, 'not ok' when that ends."""
        try:
            message = deserialize_message(cdr, kind)
        except Exception:  # of a stranger
            return
        if isinstance(message, Value):
            self._known = message.status == Value.STATUS_OK
        else:
            self._level = message.level
        told = 'ok' if self._known and self._level == OK else 'not ok'
        if told != self._told:
            self._told = told
            print(told, flush=True)

    def _name_publishers(self) -> None:
        """Find the nodes of new publishers: the graph knows them later than the messages."""
        unknown = {gid for gid, name in self._nodes.items() if gid and not name}
        for topic in {self._topic_of[gid] for gid in unknown}:
            for one in self._node.get_publishers_info_by_topic(topic):
                for gid in unknown:
                    if (
                        bytes(one.endpoint_gid)[: len(gid)] == gid
                        and 'UNKNOWN' not in one.node_name
                    ):
                        self._nodes[gid] = str(one.node_name)

    def _liveliness(self, name: str, event: Any) -> None:
        text = json.dumps({'node': name, 'alive': event.alive_count > 0})
        self._write(LIVELINESS, String, bytes(serialize_message(String(data=text))), b'')

    def _write(self, topic: str, kind: type, cdr: bytes, gid: bytes, received: int = 0) -> None:
        now = received or time.time_ns()
        if (topic, gid) not in self._channels:
            type_name = f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'
            if type_name not in self._schemas:
                self._schemas[type_name] = self._writer.register_schema(
                    type_name, 'ros2msg', schema(type_name).encode()
                )
            metadata = {'publisher': gid.hex()}
            self._channels[topic, gid] = self._writer.register_channel(
                topic, 'cdr', self._schemas[type_name], metadata
            )
        self._writer.add_message(self._channels[topic, gid], now, bytes(cdr), now)


def main() -> None:
    """Record until SIGINT or SIGTERM."""
    path = Path(rclpy.utilities.remove_ros_args(sys.argv)[1])
    ended = threading.Event()
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    recorder = ChaosRecorder(path)
    print('recording', flush=True)
    recorder.run(ended)


if __name__ == '__main__':
    main()
