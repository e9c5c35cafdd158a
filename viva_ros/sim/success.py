# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What physically happened: the types in which a task's judge answers, and contact reading.

Contacts flicker from step to step, so a touch counts as lost only after it has been gone for
``DEBOUNCE``.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.robots.viperx import CONTROL_RATE, SIDES

DEBOUNCE = 0.13  # s


@dataclass(frozen=True)
class SceneVerdict:
    """
    What one look at the scene says.

    :param progress: 0 to 1 along the task
    :param placed: the goal is reached at this moment
    :param evidence: of a failure at this moment, in words; empty for none
    :param healthy: the task is visibly well under way, earlier evidence no longer counts
    :param deviated: something is not where the plan takes it to be
    """

    progress: float
    placed: bool
    evidence: str
    healthy: bool
    deviated: bool


class Touch:
    """Which bodies the hands and objects touch, debounced."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._body = np.array(model.geom_bodyid)
        self._pads = tuple(
            frozenset(int(self._body[model.geom(f'{side}_{finger}_pad').id])
                      for finger in ('left_finger', 'right_finger'))
            for side in SIDES
        )  # fmt: skip
        self._age: dict[tuple[int, int], float] = {}
        self._model = model

    def look(self, data: mujoco.MjData) -> None:
        """Read the contacts of one control step."""
        for pair in self._age:
            self._age[pair] += 1.0 / CONTROL_RATE
        for pair in np.sort(self._body[data.contact.geom], axis=1) if data.ncon else ():
            self._age[int(pair[0]), int(pair[1])] = 0.0

    def between(self, first: str, second: str) -> bool:
        """Whether two bodies touch."""
        a, b = sorted((self._model.body(first).id, self._model.body(second).id))
        return self._age.get((a, b), 1.0) < DEBOUNCE

    def grip(self, hand: int, body: str) -> bool:
        """Whether both fingers of a hand (0 left, 1 right) touch a body."""
        return max(self._ages(hand, body)) < DEBOUNCE

    def hand_on(self, hand: int, body: str) -> bool:
        """Whether any finger of a hand touches a body."""
        return min(self._ages(hand, body)) < DEBOUNCE

    def _ages(self, hand: int, body: str) -> list[float]:
        target = self._model.body(body).id
        pairs = [(min(pad, target), max(pad, target)) for pad in self._pads[hand]]
        return [self._age.get(pair, 1.0) for pair in pairs]


def tilt(rotation: Array) -> float:
    """Angle between an object's own vertical and the world's, rad; rotation as 9 numbers."""
    return float(np.arccos(np.clip(rotation[8], -1.0, 1.0)))
