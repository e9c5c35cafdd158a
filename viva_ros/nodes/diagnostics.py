# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One /diagnostics message, filled entry by entry."""

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

OK, WARN, ERROR, STALE = (
    DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE
)  # fmt: skip


class Report:
    """The entries of one node."""

    def __init__(self, node: str, robot: str) -> None:
        """
        Begin without entries.

        :param node: fully qualified name, which precedes the name of each entry
        :param robot: its namespace, the hardware_id: '/' where there is none
        """
        self._node, self._robot = node, robot
        self._entries: list[DiagnosticStatus] = []

    def add(
        self, name: str, level: bytes, text: str, values: Mapping[str, object] | None = None
    ) -> None:
        """Add an entry with its level, a text for a person, and figures."""
        pairs = [KeyValue(key=key, value=str(value)) for key, value in (values or {}).items()]
        self._entries.append(
            DiagnosticStatus(
                level=level, name=f'{self._node}: {name}', message=text,
                hardware_id=self._robot, values=pairs,
            )
        )  # fmt: skip

    def message(self, stamp: Time) -> DiagnosticArray:
        """Give the message."""
        return DiagnosticArray(header=Header(stamp=stamp), status=self._entries)
