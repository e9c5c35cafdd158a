# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Episodes shared by the tests of the simulated robot; one second each, so played only once."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

import viva_ros.sim  # noqa: F401  (sets MUJOCO_GL before mujoco is imported)

mujoco = pytest.importorskip('mujoco', reason='mujoco is not installed: no simulated robot')

from viva_ros.sim.environment import Simulation, Truth  # noqa: E402


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
        commands.append(list(simulation.joint_commands().values()))
        joints.append(list(simulation.joint_positions().values()))
        truths.append(simulation.truth())
    return Episode(np.array(commands), np.array(joints), tuple(truths))


@cache
def _episode(task: str, seed: int, failure: str) -> Episode:
    return play(Simulation(task, seed, failure))


@pytest.fixture(scope='session')
def episode():
    """Return a function that plays an episode, or returns the one already played."""
    return _episode


@pytest.fixture(scope='session')
def play_on():
    """Play a simulation to its end."""
    return play


@pytest.fixture(scope='session')
def renders() -> None:
    """Skip where there is no EGL to render with."""
    model = mujoco.MjModel.from_xml_string('<mujoco><worldbody/></mujoco>')
    try:
        mujoco.Renderer(model, 16, 16).close()
    except Exception as error:
        pytest.skip(f'no EGL: {error}; install libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0')
