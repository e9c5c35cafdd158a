# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The URDF of the simulated robot, compared with the simulation."""

import mujoco
import numpy as np
import pytest

from viva_ros.core.urdf import RobotDescription
from viva_ros.sim.robots.viperx import JOINT_NAMES, ROBOT
from viva_ros.sim.urdf import robot_description


@pytest.mark.parametrize('seed', range(5))
def test_urdf_links_have_the_poses_of_the_simulation(seed: int) -> None:
    model = ROBOT.bare_model
    data = mujoco.MjData(model)
    rng = np.random.default_rng(seed)
    target = rng.uniform(-1.0, 1.0, 14)
    target[[6, 13]] = rng.uniform(0.0, 0.07, 2)
    ROBOT.joints(model).place(data, target)
    mujoco.mj_kinematics(model, data)
    robot = RobotDescription(robot_description(ROBOT))
    positions = {name: np.array([x]) for name, x in zip(JOINT_NAMES, target, strict=True)}
    for side in ('left', 'right'):
        for link in ('base_link', 'wrist_link', 'gripper_link', 'left_finger_link'):
            ours = robot.chain('base_link', f'{side}_{link}').points(positions)[0]
            body = f'vx300s_{side}' + (f'/{link}' if link != 'base_link' else '')
            assert ours == pytest.approx(data.body(body).xpos, abs=1e-6), f'{side} {link}'


def test_urdf_joints_are_joint_states_fixed_or_mimic() -> None:
    robot = RobotDescription(robot_description(ROBOT))
    needed = {name for link in robot.links for name in robot.chain(robot.root, link).joints}
    assert needed == set(JOINT_NAMES)
