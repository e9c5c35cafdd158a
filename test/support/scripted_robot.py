# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A robot whose messages are known in advance: an arm for each topic, grippers apart, two cameras.

The same bytes are written to a bag, and published over DDS. Time is divided into slots of 100 ms;
each has a picture of each camera, with the stamp of the joint states before it.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from viva_ros.data.messages import header, make, serialise, typestore

MS: Final = 1_000_000  # ns
SLOT: Final = 100 * MS
JOINT_STATE: Final = 'sensor_msgs/msg/JointState'
IMAGE: Final = 'sensor_msgs/msg/Image'
COMPRESSED: Final = 'sensor_msgs/msg/CompressedImage'
LEFT, RIGHT, GRIPPERS = '/left/joint_states', '/right/joint_states', '/grippers'
HEAD, WRIST = '/front/image', '/wrist/cam/compressed'
KINDS: Final = {
    LEFT: JOINT_STATE, RIGHT: JOINT_STATE, GRIPPERS: JOINT_STATE, HEAD: IMAGE, WRIST: COMPRESSED,
}  # fmt: skip
ARM: Final = ('waist', 'elbow')
JOINTS: Final = (
    'left_waist', 'left_elbow', 'right_waist', 'right_elbow', 'left_gripper', 'right_gripper',
)  # fmt: skip
CAMERAS: Final = ('head', 'wrist')
ROBOT: Final = """\
rate: 10
task: tray_lift
cameras:
  head: {topic: /front/image}
  wrist: {topic: /wrist/cam, transport: compressed}
joints:
  - {topic: /left/joint_states, prefix: left_}
  - {topic: /right/joint_states, names: {r_waist: right_waist, r_elbow: right_elbow}}
  - {topic: /grippers, field: 'position[0:2]', names: [left_gripper, right_gripper]}
limits: {max_gap: 0.4, max_skew: 0.15, max_joint_speed: 6.0}
"""


@dataclass(frozen=True)
class Sent:
    """
    One message.

    :param at: time of publication, ns since the begin
    :param stamp: ns since the begin; None for a stamp of 0
    :param make: returns the message with a stamp, ns
    :param sender: 'driver', or the name of another publisher
    """

    at: int
    topic: str
    stamp: int | None
    make: Callable[[int], Any]
    sender: str = 'driver'

    def cdr(self, begin: int) -> bytes:
        """Return the bytes of the message; begin in ns."""
        stamp = 0 if self.stamp is None else begin + self.stamp
        return serialise(KINDS[self.topic], self.make(stamp))


def joint_message(names: Sequence[str], positions: Sequence[float], stamp: int) -> Any:
    none = np.empty(0)
    return make(
        JOINT_STATE, header=header(stamp), name=list(names),
        position=np.array(positions, dtype=np.float64), velocity=none, effort=none,
    )  # fmt: skip


def pixels(slot: int) -> np.ndarray:
    """Return a picture, (64, 64, 3), whose brightness depends on the slot."""
    ramp = np.linspace(-30.0, 30.0, 64)[None, :, None] + 90.0 + slot % 80
    return np.broadcast_to(ramp, (64, 64, 3)).astype(np.uint8)


def raw_message(slot: int, stamp: int) -> Any:
    data = np.ascontiguousarray(pixels(slot)).reshape(-1)
    return make(
        IMAGE, header=header(stamp), height=64, width=64, encoding='rgb8', is_bigendian=0,
        step=192, data=data,
    )  # fmt: skip


def jpeg_message(slot: int, stamp: int, share: float = 1.0) -> Any:
    """
    Return a JPEG.

    :param share: of its bytes that are kept
    """
    jpeg = cv2.imencode('.jpg', pixels(slot)[..., ::-1])[1].reshape(-1)
    data = jpeg[: round(len(jpeg) * share)]
    return make(COMPRESSED, header=header(stamp), format='rgb8; jpeg compressed bgr8', data=data)


def arm_position(at: int, number: int) -> float:
    """Return the position of a joint at a time, ns; it moves at up to 0.6 rad/s."""
    return 0.3 * float(np.sin(2e-9 * at + number))


def slot_messages(slot: int) -> list[Sent]:
    """Return the messages of one slot without a fault, in order."""
    begin, found = slot * SLOT, []
    for at in range(begin, begin + SLOT, 20 * MS):
        arms = [[arm_position(at, 2 * side + k) for k in range(2)] for side in range(2)]
        right = [f'r_{name}' for name in ARM]
        found.append(Sent(at, LEFT, at, partial(joint_message, ARM, arms[0])))
        found.append(Sent(at, RIGHT, at, partial(joint_message, right, arms[1])))
        found.append(Sent(at, GRIPPERS, at, partial(joint_message, (), [0.01, 0.02])))
    found.append(Sent(begin + 10 * MS, HEAD, begin, partial(raw_message, slot)))
    found.append(Sent(begin + 10 * MS, WRIST, begin, partial(jpeg_message, slot)))
    return sorted(found, key=lambda one: one.at)


Fault = Callable[[int, list[Sent]], list[Sent]]


def without(topic: str) -> Fault:
    """Return a fault: a topic is silent."""
    return lambda slot, sent: [one for one in sent if one.topic != topic]


def change(topic: str, new: Callable[[int, Sent], Sent]) -> Fault:
    """Return a fault that changes the messages of a topic."""
    return lambda slot, sent: [new(slot, one) if one.topic == topic else one for one in sent]


def beside(topic: str, names: Sequence[str], positions: Sequence[float]) -> Fault:
    """Return a fault: a second publisher sends positions between the messages of a topic."""

    def add(slot: int, sent: list[Sent]) -> list[Sent]:
        message = partial(joint_message, names, positions)
        others = [
            Sent(one.at + 7 * MS, topic, one.at + 7 * MS, message, 'other')
            for one in sent if one.topic == topic
        ]  # fmt: skip
        return sorted([*sent, *others], key=lambda one: one.at)

    return add


def late(by: int) -> Callable[[int, Sent], Sent]:
    """Return a change of a message: its stamp is older by a time, ns."""
    return lambda slot, one: replace(one, stamp=(one.stamp or 0) - by)


def write_stream(
    path: Path, sent: Iterable[Sent], begin: int,
    others: Sequence[tuple[int, str, str, bytes]] = (),
) -> Path:  # fmt: skip
    """
    Write messages as a bag; their receive times are those of their publication.

    :param others: further messages: receive time (ns), topic, type and bytes
    """
    rows = [(begin + one.at, one.topic, KINDS[one.topic], one.cdr(begin)) for one in sent]
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for received, topic, kind, cdr in sorted([*rows, *others], key=lambda row: row[0]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic], received, cdr)
    return path


class Player:
    """Publishes messages over DDS at their times."""

    def __init__(self, nodes: dict[str, Any], profile: Any) -> None:
        """
        Create the publishers.

        :param nodes: of each sender
        """
        from sensor_msgs.msg import CompressedImage, Image, JointState

        kinds = {JOINT_STATE: JointState, IMAGE: Image, COMPRESSED: CompressedImage}
        self._publishers = {
            ('driver', topic): nodes['driver'].create_publisher(kinds[kind], topic, profile)
            for topic, kind in KINDS.items()
        }
        self._kinds, self._nodes, self._profile = kinds, nodes, profile

    def play(self, sent: Iterable[Sent], begin: int) -> None:
        """Publish messages in order; begin on the system clock, ns."""
        for one in sent:
            time.sleep(max(0.0, (begin + one.at - time.time_ns()) * 1e-9))
            self.publisher(one.sender, one.topic).publish(one.cdr(begin))

    def publisher(self, sender: str, topic: str) -> Any:
        key = sender, topic
        if key not in self._publishers:
            kind = self._kinds[KINDS[topic]]
            self._publishers[key] = self._nodes[sender].create_publisher(
                kind, topic, self._profile
            )
        return self._publishers[key]


class EndlessRobot:
    """Publishes slots in a thread until ``close``, and keeps them; ``fault`` changes them."""

    def __init__(self, player: Player) -> None:
        self.fault: Fault = lambda slot, sent: sent
        self.begin, self.slots = time.time_ns(), list[list[Sent]]()
        self._player, self._is_open = player, True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_open = False
        self._thread.join()

    def _run(self) -> None:
        self._player.play(self._messages(), self.begin)

    def _messages(self) -> Iterator[Sent]:
        slot = 0
        while self._is_open:
            self.slots.append(self.fault(slot, slot_messages(slot)))
            yield from self.slots[-1]
            slot += 1
