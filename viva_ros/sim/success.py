# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Success criteria of tasks: the verdict on a scene, and debounced contacts.

Contacts flicker from step to step: a contact counts as lost after ``DEBOUNCE`` without it.
"""

from dataclasses import dataclass

import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.scene import Scene

DEBOUNCE = 0.13  # s


@dataclass(frozen=True)
class SceneVerdict:
    """
    State of the task at one control step.

    :param progress: in [0, 1]
    :param placed: the goal is reached
    :param evidence: of a failure, in words; empty for none
    :param healthy: the task is clearly under way: earlier evidence no longer counts
    :param deviated: an object is not where the plan expects it
    """

    progress: float
    placed: bool
    evidence: str
    healthy: bool
    deviated: bool


class Touch:
    """Debounced contacts between bodies."""

    def __init__(self, scene: Scene) -> None:
        self._model, self._data = scene.model, scene.data
        self._period = scene.robot.control_period
        self._body = np.array(self._model.geom_bodyid)
        self._pads = tuple(
            frozenset(int(self._body[self._model.geom(pad).id]) for pad in hand.pads)
            for hand in scene.robot.hands
        )
        self._age: dict[tuple[int, int], float] = {}

    def update(self) -> None:
        """Read the contacts of one control step."""
        data = self._data
        for pair in self._age:
            self._age[pair] += self._period
        for pair in np.sort(self._body[data.contact.geom], axis=1) if data.ncon else ():
            self._age[int(pair[0]), int(pair[1])] = 0.0

    def between(self, first: str, second: str) -> bool:
        """Return whether two bodies touch."""
        a, b = sorted((self._model.body(first).id, self._model.body(second).id))
        return self._age.get((a, b), 1.0) < DEBOUNCE

    def grip(self, hand: int, body: str) -> bool:
        """Return whether both fingers of a hand (0 left, 1 right) touch a body."""
        return max(self._ages(hand, body)) < DEBOUNCE

    def hand_on(self, hand: int, body: str) -> bool:
        """Return whether any finger of a hand (0 left, 1 right) touches a body."""
        return min(self._ages(hand, body)) < DEBOUNCE

    def _ages(self, hand: int, body: str) -> list[float]:
        target = self._model.body(body).id
        pairs = [(min(pad, target), max(pad, target)) for pad in self._pads[hand]]
        return [self._age.get(pair, 1.0) for pair in pairs]


def tilt(rotation: Array) -> float:
    """
    Return the angle between the z axis of an object and that of the world, rad.

    :param rotation: (9,), row by row
    """
    return float(np.arccos(np.clip(rotation[8], -1.0, 1.0)))
