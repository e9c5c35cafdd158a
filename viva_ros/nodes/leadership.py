# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Of several supervisors of one robot one is in charge: each would request retries.

On one machine a lock tells who was configured first, however late the others are discovered. A
supervisor of another machine is known by its alerts: of two the elder one stays in charge.
"""

import time
from pathlib import Path

from rclpy.node import Node

from viva_ros.core.supervision_memory import Lock

SHOWN = 10.0  # s; so long after its alert the graph shows a supervisor that lives


class Rivals:
    """
    Looks for other supervisors of the same robot; those not in charge publish no alerts.

    :param session: start of this supervisor, ns
    :param path: of the lock, the same for all supervisors of this name on this machine
    """

    def __init__(self, node: Node, session: int, path: Path) -> None:
        self._node, self._session = node, session
        self._lock = Lock(path, str(session))
        self._elder, self._heard = 0, -SHOWN  # session of an elder one, 0: none; when, s
        self._crowded = False  # whether another one publishes alerts
        self.reason = ''  # why this supervisor is not in charge; '' if it is

    def hear(self, session: int) -> bool:
        """Note whose alert has come; return whether that one is elder."""
        if session >= self._session:
            return False
        self._elder, self._heard = session, time.monotonic()
        return True

    def look(self, publishes: bool) -> None:
        """
        Look who is in charge, and set ``reason``.

        :param publishes: whether this supervisor publishes alerts
        """
        crowded = self._node.count_publishers('alert') > publishes
        if not crowded and (self._crowded or time.monotonic() - self._heard > SHOWN):
            self._elder = 0  # it has ended: one that comes now is younger
        self._crowded = crowded
        if not self._take_lock():
            self.reason = 'another supervisor of this name runs on this machine'
        elif crowded and self._elder and str(self._elder) not in self._lock.earlier:
            self.reason = f'supervisor of session {self._elder} is on this topic too'
        else:
            self.reason = ''

    def rest(self) -> None:
        """Let another supervisor be in charge."""
        self._lock.free()

    def _take_lock(self) -> bool:
        try:
            return self._lock.take()
        except OSError as error:  # then others are known by their alerts alone
            self._node.get_logger().error(
                'no lock tells whether another supervisor of this name runs on this machine '
                f'({error}): set ROS_HOME to a folder that can be written, or free disk space',
                throttle_duration_sec=30.0,
            )  # fmt: skip
            return True
