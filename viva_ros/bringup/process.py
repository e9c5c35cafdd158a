# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes are started again when they fail, and when that is given up. Times are given."""

from collections import deque
from collections.abc import Iterable, Mapping

from viva_ros.nodes.registry import MOST_RESPAWNS, RESPAWN_DELAY

SPAN = 60.0  # s


class Respawn:
    """Keeps account of one group of nodes."""

    def __init__(self, names: Iterable[str]) -> None:
        """:param names: of the nodes that are started again."""
        self._starts: dict[str, deque[float]] = {name: deque() for name in names}
        self._due: dict[str, float] = {}

    def gone_for_good(self, ended: Mapping[str, int], now: float) -> dict[str, int]:
        """
        Give the nodes that ended by themselves, or failed too often; note those to start again.

        :param ended: exit codes by name; 0: it was told to end
        :param now: s
        """
        gone = {}
        for name, code in ended.items():
            starts = self._starts.get(name)
            while starts and now - starts[0] > SPAN:
                starts.popleft()
            if name in self._due:
                continue
            if starts is None or code == 0 or len(starts) >= MOST_RESPAWNS:
                gone[name] = code
            else:
                self._due[name] = now + RESPAWN_DELAY
        return gone

    def due(self, now: float) -> list[str]:
        """Give the nodes to start now."""
        names = [name for name, at in self._due.items() if now >= at]
        for name in names:
            del self._due[name]
            self._starts[name].append(now)
        return names
