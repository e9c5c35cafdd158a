# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Leader election: only one of several supervisors of a robot is active and requests retries.

On one machine a lock file elects the supervisor that was configured first, independent of the
discovery. A supervisor on another machine is known by its alerts: the older of two is active. A
node that publishes alerts without a state is no supervisor: its alerts elect nobody.
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from rclpy.node import Node

from viva_ros.core.foreign_text import shown
from viva_ros.core.supervision_memory import Lock
from viva_ros.nodes.convert import gid_key, node_of

DISCOVERY_TIME = 10.0  # s, after an alert: a running supervisor is then in the graph
MAX_OLDER = 16  # alerts of older supervisors that are remembered at most


class Leadership:
    """
    Elects one of the supervisors of a robot; the passive ones publish no alerts.

    :param session: start time of this supervisor, ns
    :param path: lock file, the same for all supervisors of this name on this machine
    """

    def __init__(self, node: Node, session: int, path: Path) -> None:
        self._node, self._session = node, session
        self._lock = Lock(path, str(session))
        self._older: dict[bytes, int] = {}  # publisher of an alert to the session, an older one
        self._heard = -DISCOVERY_TIME  # steady time of the last of these, s
        self._contested = False  # whether another supervisor publishes alerts
        self._strangers: set[str] = set()
        self.strangers = ''  # why alerts of other nodes are ignored; '' if there are none
        self.reason = ''  # why this supervisor is passive; '' if it is active
        self.rival_ended = False  # whether the others have just stopped publishing alerts

    def note_alert(self, session: int, publisher: bytes) -> bool:
        """
        Note the session of an alert; return whether it is older.

        :param publisher: GID; empty where the middleware does not tell it
        """
        if session >= self._session:
            return False
        self._older.pop(gid_key(publisher), None)
        self._older[gid_key(publisher)] = session
        if len(self._older) > MAX_OLDER:
            del self._older[next(iter(self._older))]
        self._heard = time.monotonic()
        return True

    def update(self, publishes: bool) -> None:
        """
        Repeat the election, and set ``reason``, ``rival_ended`` and ``strangers``.

        :param publishes: whether this supervisor publishes alerts
        """
        supervisors, count = self._find_supervisors()
        contested = count > publishes
        if not contested and (self._contested or time.monotonic() - self._heard > DISCOVERY_TIME):
            self._older.clear()  # it has ended: a new one is younger
        self.rival_ended = self._contested and not contested
        self._contested = contested
        older = [
            (session, publisher) for publisher, session in self._older.items()
            if contested and (not publisher or publisher in supervisors)
            and str(session) not in self._lock.earlier
        ]  # fmt: skip
        if not self._take_lock():
            self.reason = 'another supervisor of this name runs on this machine'
        elif older:
            self.reason = self._older_text(*min(older), supervisors)
        else:
            self.reason = ''

    def _older_text(self, session: int, publisher: bytes, names: Mapping[bytes, str]) -> str:
        """Return the text for an older supervisor; Jazzy does not tell who sent its alert."""
        topic = self._node.resolve_topic_name('alert')
        all_names = ', '.join(map(shown, sorted(set(names.values()))))
        who = f'one of {all_names}'
        if publisher:
            who = f'{shown(names[publisher])}, GID {publisher.hex(".")}'
        return (
            f'another supervisor is in charge, of the older session {session}: {who}; end it or '
            f'this one, or give each robot a namespace ("ros2 topic info -v {topic}" lists both)'
        )

    def _find_supervisors(self) -> tuple[dict[bytes, str], int]:
        """Return the alert publishers of nodes that publish a state too, and their number."""
        publishers: dict[str, list[bytes]] = defaultdict(list)
        for one in self._node.get_publishers_info_by_topic('alert'):
            publishers[node_of(one)].append(gid_key(one.endpoint_gid))
        found: dict[bytes, str] = {}
        count, strangers = 0, set()
        for name, keys in publishers.items():
            states = self._node.count_publishers(f'{name}/state')
            count += min(states, len(keys))
            found |= dict.fromkeys(keys if states else (), name)
            if states < len(keys):
                strangers.add(name)
        lasting = sorted(strangers & self._strangers)  # else the state is still to be discovered
        self._strangers = strangers
        topic = self._node.resolve_topic_name('alert')
        self.strangers = (
            f'{", ".join(map(shown, lasting))} publishes {topic} and is no supervisor: end it'
            if lasting else ''
        )  # fmt: skip
        return found, count

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
