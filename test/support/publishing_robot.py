# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot in the process of the tests, whose sources can fail one by one."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image, JointState

from support.fake_source import JOINTS, picture
from support.ros import wait
from viva_ros.msg import Value
from viva_ros.nodes import qos
from viva_ros.nodes.convert import to_image, to_joint_state

PERIOD = 100_000_000  # ns
CAMERAS = ('head', 'left_wrist', 'right_wrist')


class PublishingRobot:
    """
    Publishes all inputs at 10 Hz; ``change`` has a function for each source that is changed.

    The function returns the message to publish, or None to publish nothing.
    """

    def __init__(self, node: Any, joints: Sequence[str] = JOINTS) -> None:
        self._joints = joints
        self.change: dict[str, Callable[[Any], Any]] = {}
        self.broken_since = 0
        self.values: list[Any] = node.listen(Value, 'value', qos.RELIABLE)
        self.diagnoses: list[Any] = node.listen(DiagnosticArray, '/diagnostics', qos.RELIABLE)
        self._publishers = {
            camera: node.create_publisher(Image, f'{camera}/image_raw', qos.IMAGE)
            for camera in CAMERAS
        }
        self._publishers['joint_states'] = node.create_publisher(
            JointState, 'joint_states', qos.JOINTS
        )
        self._open = True
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()

    def known(self) -> bool:
        return bool(self.values) and self.values[-1].status == Value.STATUS_OK

    def wait_for_values(self) -> None:
        self.change.clear()
        count = len(self.values)
        wait(lambda: len(self.values) > count + 2 and self.known(), 'values')

    def inject_fault(self, change: dict[str, Callable[[Any], Any]], reason: str) -> float:
        """Apply a change until a reason is reported, then recover; return the delay, s."""
        self.wait_for_values()
        begun, broken = len(self.values), time.time()
        self.change = change
        wait(lambda: self._found(begun, reason), f'unknown with {reason!r}')
        found = self._found(begun, reason)[0]
        assert found.status == Value.STATUS_UNKNOWN and found.value != found.value
        wait(lambda: self._warned(reason), f'a warning of {reason!r} in /diagnostics')
        self.wait_for_values()
        return max(0.0, found.header.stamp.sec + 1e-9 * found.header.stamp.nanosec - broken)

    def _found(self, begun: int, reason: str) -> list[Any]:
        return [value for value in self.values[begun:] if reason in value.reason]

    def _warned(self, reason: str) -> bool:
        entries = self.entries('/monitor: value')
        return any(e.level == DiagnosticStatus.WARN and reason in e.message for e in entries)

    def entries(self, name: str) -> list[Any]:
        """Return the entries of a name in /diagnostics."""
        return [s for d in list(self.diagnoses) for s in d.status if s.name == name]

    def close(self) -> None:
        self._open = False
        self._thread.join()

    def _publish(self) -> None:
        count = 0
        while self._open:
            due = time.time_ns() // PERIOD * PERIOD + PERIOD
            time.sleep(max(0.0, (due - time.time_ns()) * 1e-9))
            count += 1
            changes = dict(self.change)
            for name, publisher in self._publishers.items():
                message = changes.get(name, lambda m: m)(self._message(name, count, due))
                if message is not None:
                    publisher.publish(message)

    def _message(self, name: str, count: int, stamp: int) -> Any:
        if name != 'joint_states':
            return to_image(picture(160.0, count), stamp, name)
        positions = {name: 0.1 * i + 0.02 * count for i, name in enumerate(self._joints)}
        return to_joint_state(positions, stamp)
