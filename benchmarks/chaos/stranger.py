# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A stranger on the domain.

It sends floods, values and episodes of others, images, joints and /clock.

It reads commands from its input, a line of JSON each: {kind, target, length, seed}; and prints
'begin' and 'end' with the time of each.
"""

import json
import sys
import threading
import time
from contextlib import suppress
from random import Random
from typing import Any, Final

import numpy as np
import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from benchmarks.chaos.history import OTHER_TASK, TASK
from viva_ros.msg import Alert, Episode, Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header, to_image, to_joint_state, to_time

FLOODED: Final = {
    'alert': (Alert, qos.LATCHED), 'value': (Value, qos.RELIABLE),
    'joint_states': (JointState, QoSProfile(depth=5)), 'episode': (Episode, qos.LATCHED),
    'head/image_raw': (Image, QoSProfile(depth=5)),
}  # fmt: skip
NONSENSE: Final = (
    ('rate', -1.0),
    ('task', 'no task'),
    ('sync.max_age', float('nan')),
    ('retry.budget', -5),
    ('limits.memory', 0.0),
    ('retry.name', ''),
    ('unheard_of', 1),
    ('engine', '/nowhere'),
)
HIGH_RATE: Final = 0.001  # s, period of a flood
VALUE_RATE: Final = 0.1  # s
EPISODE_RATES: Final = (0.25, 2.0)  # s
FOREIGN: Final = 'foreign-'  # begin of the ids of episodes
OTHER_TASKS: Final = (OTHER_TASK, 'no_such_task')
STEP: Final = 0.02  # s, of /clock
JUMPS: Final = {'negative': None, 'back': -30.0, 'ahead': 30.0, 'still': 0.0}  # s


class SimulatedClock:
    """Publishes /clock at 50 Hz, from the system clock; ``jump`` moves or stops it."""

    def __init__(self, node: Any) -> None:
        self._publisher = node.create_publisher(Clock, '/clock', 10)
        self._offset, self._still_until, self._now = 0.0, 0.0, time.time()
        self._before = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def jump(self, target: str, length: float) -> None:
        """Jump, or stand still for a time, s."""
        if target == 'negative':
            self._publisher.publish(Clock(clock=to_time(-5 * 10**9)))
        elif target == 'still':
            self._still_until = time.monotonic() + length
        else:
            self._now += JUMPS[target] or 0.0

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            if now >= self._still_until:
                self._now += now - self._before
            self._before = now
            self._publisher.publish(Clock(clock=to_time(round(self._now * 1e9))))
            time.sleep(STEP)


class Stranger:
    """Executes commands, each in a thread."""

    def __init__(self, sim_time: bool) -> None:
        self._node = rclpy.create_node('stranger')
        self._heard: list[Any] = []
        self._episode = ''  # id of that of the supervisor
        # Raw: a message of its own flood would end the executor.
        self._node.create_subscription(Value, 'value', self._note, qos.RELIABLE, raw=True)
        self._node.create_subscription(
            Episode, 'episode', self._note_episode, qos.LATCHED_READER, raw=True
        )
        self._clock = SimulatedClock(self._node) if sim_time else None
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Execute the commands of the input."""
        executor = SingleThreadedExecutor()
        executor.add_node(self._node)
        threading.Thread(target=executor.spin, daemon=True).start()
        print('ready', flush=True)
        for line in sys.stdin:
            threading.Thread(target=self._execute, args=(json.loads(line),), daemon=True).start()

    def _note(self, cdr: bytes) -> None:
        with suppress(Exception):
            self._heard = [*self._heard[-200:], deserialize_message(cdr, Value)]

    def _note_episode(self, cdr: bytes) -> None:
        """Note the id of the supervisor; this node hears itself, too."""
        with suppress(Exception):
            message = deserialize_message(cdr, Episode)
            self._episode = message.id if message.task == TASK else self._episode

    def _execute(self, command: dict[str, Any]) -> None:
        kind, target = command['kind'], command['target']
        length, random = command['length'], Random(command['seed'])
        if kind == 'clock':
            self._tell('begin', command)
            if self._clock is not None:
                self._clock.jump(target, length)
            time.sleep(length)
            self._tell('end', command)
            return
        if kind == 'parameters':
            self._tell('begin', command)
            self._set_nonsense(target, random)
            time.sleep(length)
            self._tell('end', command)
            return
        message_kind, profile = FLOODED[{'second_camera': 'head/image_raw'}.get(kind, target)]
        topic = 'head/image_raw' if kind == 'second_camera' else target
        publisher = self._node.create_publisher(message_kind, topic, profile)
        time.sleep(0.3)  # discovery
        self._tell('begin', command)
        until, count = time.monotonic() + length, 0
        seen = list(self._heard)
        while time.monotonic() < until:
            for message in self._messages(kind, message_kind, random, count, seen):
                publisher.publish(message)
            count += 1
            time.sleep(self._period(kind, random))
        self._tell('end', command)
        self._node.destroy_publisher(publisher)

    def _period(self, kind: str, random: Random) -> float:
        """Return the time to the next message, s."""
        if kind == 'foreign_episode':
            return random.uniform(*EPISODE_RATES)
        return HIGH_RATE if kind == 'flood' else VALUE_RATE

    def _set_nonsense(self, target: str, random: Random) -> None:
        name, value = random.choice(NONSENSE)
        client = self._node.create_client(SetParameters, f'{target}/set_parameters')
        if client.wait_for_service(1.0):
            parameter = Parameter(name, value=value).to_parameter_msg()
            client.call_async(SetParameters.Request(parameters=[parameter]))

    def _messages(
        self, kind: str, message_kind: type, random: Random, count: int, seen: list[Any]
    ) -> list[Any]:
        now = time.time_ns()
        if kind == 'flood':
            cdr = bytearray(serialize_message(message_kind()))
            for _ in range(random.randrange(8)):
                cdr[random.randrange(4, len(cdr))] = random.randrange(256)
            return [bytes(cdr[: random.randrange(4, len(cdr) + 1)])]
        if kind == 'second_camera':
            return [to_image(np.full((32, 32, 3), count % 99 + 60, np.uint8), now, 'head')]
        if kind == 'second_joints':
            return [to_joint_state({'worth': 0.0, 'other': 0.0}, now)]
        if kind == 'foreign_episode':  # by turns the id of the supervisor, and another
            name = self._episode if count % 2 == 0 else f'{FOREIGN}{count}'
            return [Episode(
                header=header(now), id=name, task=random.choice(OTHER_TASKS), executing=True,
                reason='of a stranger',
            )]  # fmt: skip
        return self._values(kind, now, count, seen)

    def _values(self, kind: str, now: int, count: int, seen: list[Any]) -> list[Any]:
        """Return values of another: heard before, unknown, or of another episode."""
        if not seen:
            return []
        message = seen[count % len(seen)]
        if kind == 'replayed_values':
            return [message]
        message.header = header(now)
        message.input_stamps = [message.header.stamp for _ in message.input_stamps]
        if kind == 'unknown_values':
            message.status, message.value = Value.STATUS_UNKNOWN, float('nan')
            message.reason_kind, message.reason = 'stale', 'of a stranger'
        else:
            message.status, message.value = Value.STATUS_OK, 0.9 if count % 40 < 20 else -0.9
            message.episode_id = f'{FOREIGN}{count // 40}'
        message.engine = '0f' * 8 if kind == 'unknown_values' else message.engine
        return [message]

    def _tell(self, word: str, command: dict[str, Any]) -> None:
        with self._lock:
            print(json.dumps({'word': word, 'at': time.time(), **command}), flush=True)


def main() -> None:
    """Serve until the end of the input."""
    rclpy.init()
    Stranger('--sim-time' in sys.argv).serve()


if __name__ == '__main__':
    main()
