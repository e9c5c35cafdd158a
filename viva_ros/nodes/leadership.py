# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Leader election: only one of several supervisors of a robot is active and requests retries.

On one machine a lock file elects the supervisor that was configured first, independent of the
discovery. A supervisor on another machine is known by its alerts: the older of two is active.
"""

import time
from pathlib import Path

from rclpy.node import Node

from viva_ros.core.supervision_memory import Lock

DISCOVERY_TIME = 10.0  # s, after an alert: a running supervisor is then in the graph


class Leadership:
    """
    Elects one of the supervisors of a robot; the passive ones publish no alerts.

    :param session: start time of this supervisor, ns
    :param path: lock file, the same for all supervisors of this name on this machine
    """

    def __init__(self, node: Node, session: int, path: Path) -> None:
        self._node, self._session = node, session
        self._lock = Lock(path, str(session))
        self._older, self._heard = 0, -DISCOVERY_TIME  # session of an older one, 0: none; time, s
        self._contested = False  # whether another supervisor publishes alerts
        self.reason = ''  # why this supervisor is passive; '' if it is active
        self.rival_ended = False  # whether the others have just stopped publishing alerts

    def note_alert(self, session: int) -> bool:
        """Note the session of an alert; return whether its supervisor is older."""
        if session >= self._session:
            return False
        self._older, self._heard = session, time.monotonic()
        return True

    def update(self, publishes: bool) -> None:
        """
        Repeat the election, and set ``reason`` and ``rival_ended``.

        :param publishes: whether this supervisor publishes alerts
        """
        contested = self._node.count_publishers('alert') > publishes
        if not contested and (self._contested or time.monotonic() - self._heard > DISCOVERY_TIME):
            self._older = 0  # it has ended: a new one is younger
        self.rival_ended = self._contested and not contested
        self._contested = contested
        if not self._take_lock():
            self.reason = 'another supervisor of this name runs on this machine'
        elif contested and self._older and str(self._older) not in self._lock.earlier:
            self.reason = f'supervisor of session {self._older} is on this topic too'
        else:
            self.reason = ''

    def release(self) -> None:
        """Release the lock for another supervisor."""
        self._lock.free()

    def _take_lock(self) -> bool:
        try:
            return self._lock.take()
        except OSError as error:  # others are then known by their alerts only
            self._node.get_logger().error(
                'another supervisor of this name on this machine would not be noticed: the lock '
                f'file cannot be written ({error}): set ROS_HOME to a writable folder, or free '
                'disk space',
                throttle_duration_sec=30.0,
            )  # fmt: skip
            return True
