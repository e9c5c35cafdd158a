# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulated episodes, each computed once (1 s)."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from viva_ros.sim.environment import Simulation, Truth


@dataclass(frozen=True)
class Episode:
    """Commands, joint positions and ground truth of an episode, by step."""

    commands: np.ndarray
    joints: np.ndarray
    truths: tuple[Truth, ...]

    @property
    def truth(self) -> Truth:
        return self.truths[-1]


def play(simulation: Simulation) -> Episode:
    """Simulate an episode to its end."""
    commands, joints, truths = [], [], []
    while not simulation.done:
        simulation.step()
        commands.append(simulation._data.ctrl.copy())
        joints.append(list(simulation.joint_positions().values()))
        truths.append(simulation.truth())
    return Episode(np.array(commands), np.array(joints), tuple(truths))


@cache
def episode(task: str, seed: int, failure: str) -> Episode:
    """Return a simulated episode from the cache."""
    return play(Simulation(task, seed, failure))
