# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes of the simulated robot; one second each, so played only once."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from viva_ros.sim.environment import Simulation, Truth


@dataclass(frozen=True)
class Episode:
    """What an episode left behind."""

    commands: np.ndarray
    joints: np.ndarray
    truths: tuple[Truth, ...]

    @property
    def truth(self) -> Truth:
        return self.truths[-1]


def play(simulation: Simulation) -> Episode:
    """Step to the end."""
    commands, joints, truths = [], [], []
    while not simulation.done:
        simulation.step()
        commands.append(simulation._data.ctrl.copy())
        joints.append(list(simulation.joint_positions().values()))
        truths.append(simulation.truth())
    return Episode(np.array(commands), np.array(joints), tuple(truths))


@cache
def episode(task: str, seed: int, failure: str) -> Episode:
    """Play an episode, or return the one already played."""
    return play(Simulation(task, seed, failure))
