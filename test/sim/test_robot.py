# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ViperX robot: names, rest pose, kinematics."""

import mujoco
import numpy as np
import pytest

from viva_ros.sim.kinematics import Hand, Solver
from viva_ros.sim.robots.viperx import CAMERAS, JOINT_NAMES, ROBOT, Arms
from viva_ros.sim.scene import aim

HELD = np.array([0.3, -0.5, 0.9, 0.4, 0.6, 0.2, 0.03, -0.3, -0.4, 0.8, -0.4, 0.7, 0.1, 0.06])


def test_robot_has_seven_joints_per_arm_and_three_cameras():
    assert JOINT_NAMES == (
        'left_waist', 'left_shoulder', 'left_elbow', 'left_forearm_roll', 'left_wrist_angle',
        'left_wrist_rotate', 'left_gripper', 'right_waist', 'right_shoulder', 'right_elbow',
        'right_forearm_roll', 'right_wrist_angle', 'right_wrist_rotate', 'right_gripper',
    )  # fmt: skip
    model = ROBOT.bare_model
    assert tuple(model.camera(i).name for i in range(model.ncam)) != ()
    assert {model.camera(i).name for i in range(model.ncam)} == set(CAMERAS)


def test_arms_hold_a_pose_without_creep():
    model = ROBOT.bare_model
    data, arms = mujoco.MjData(model), Arms(model)
    arms.place(data, HELD)
    mujoco.mj_step(model, data, 1000)  # 2 s
    assert np.abs(arms.positions(data) - HELD).max() < 2e-3


@pytest.mark.parametrize('side', ['left', 'right'])
def test_inverse_kinematics_reaches_the_target_hand(side):
    sign, yaw = (-1.0, 0.2) if side == 'left' else (1.0, np.pi - 0.2)
    target = Hand(np.array([sign * 0.14, 0.55, 0.06]), yaw, 1.0, 0.05)
    joints = Solver(ROBOT, ROBOT.hands[side == 'right']).track(target, iterations=100)
    model = ROBOT.bare_model
    data, arms = mujoco.MjData(model), Arms(model)
    pose = HELD.copy()
    pose[slice(0, 6) if side == 'left' else slice(7, 13)] = joints
    arms.place(data, pose)
    mujoco.mj_kinematics(model, data)
    pinch = data.site(f'{side}_pinch')
    assert pinch.xpos == pytest.approx(target.position, abs=1e-5)
    assert pinch.xmat.reshape(3, 3) == pytest.approx(target.rotation(), abs=1e-5)


def test_hand_points_along_heading_and_down_by_pitch():
    forward = Hand(np.zeros(3), np.pi / 2, np.pi / 6, 0.0).rotation()[:, 0]
    assert forward == pytest.approx([0.0, np.cos(np.pi / 6), -0.5], abs=1e-12)


def test_camera_points_at_its_target():
    quaternion = aim(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0]))
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    assert matrix.reshape(3, 3)[:, 2] == pytest.approx([1.0, 0.0, 0.0])  # a camera looks along -z
    assert matrix.reshape(3, 3)[:, 1] == pytest.approx([0.0, 0.0, 1.0])
