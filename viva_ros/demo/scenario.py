# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The plot of the demo: a good episode, then one with a failure; each is watched to its end."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from viva_ros.core.errors import VivaError
from viva_ros.core.events import Level
from viva_ros.demo.events import Session
from viva_ros.demo.watcher import Orders, Watcher

EPISODE_LIMIT = 90.0  # s; a failure, two retries and the way home fit twice
START_LIMIT = 60.0  # s; a cold start renders and loads everything


@dataclass(frozen=True)
class Part:
    """One episode to play: its title, the seed, and what goes wrong."""

    name: str
    title: str
    seed: int
    failure: str


class Player:
    """Gives the orders and waits; `tick` is called about ten times a second with a title."""

    def __init__(
        self, watcher: Watcher, orders: Orders, session: Session, tick: Callable[[str], None]
    ) -> None:
        self._watcher, self._orders = watcher, orders
        self._session, self._tick = session, tick

    def wait_until_ready(self) -> None:
        """Wait for the robot's ground truth and the first known value."""
        self._wait(
            lambda: bool(self._session.known()) and self._session.now is not None,
            START_LIMIT,
            'starting robot, monitor and supervisor',
            'no value arrived',
        )

    def play(self, part: Part, task: str, settle: float) -> Session:
        """
        Play one episode to its end and return what was seen of it.

        The end is success, or a supervisor that needs its operator, or a finished plan that no
        retry follows within `settle` seconds.
        """
        values = {'task': task, 'seed': part.seed, 'failure': part.failure}
        self._orders.set_parameters('sim', values)
        if self._session.level == Level.NEEDS_OPERATOR:  # of the part before: that is seen to
            self._orders.trigger('supervisor/acknowledge')
        self._orders.trigger('start')  # the robot itself begins an episode
        start = self._watcher.stamp()
        self._wait(
            lambda: self._over(start, settle), EPISODE_LIMIT, part.title, 'the episode did not end'
        )
        return self._session.since(start)

    def _over(self, start: int, settle: float) -> bool:
        part = self._session.since(start)
        if part.now is None or part.now.time > (part.now.stamp - start) * 1e-9 + 1.0:
            return False
        if any(notice.level == Level.NEEDS_OPERATOR for notice in part.notices):
            return True
        ended = next((m.stamp for m in reversed(part.moments) if not m.done), part.now.stamp)
        held = (part.now.stamp - ended) * 1e-9
        return part.now.done and held > (1.0 if part.now.success else settle)

    def _wait(self, condition: Callable[[], bool], limit: float, title: str, problem: str) -> None:
        end = time.monotonic() + limit
        while not condition():
            if time.monotonic() > end:
                raise VivaError(f'{problem} within {limit:.0f} s ({title}): see the log files')
            self._tick(title)
            time.sleep(0.1)
