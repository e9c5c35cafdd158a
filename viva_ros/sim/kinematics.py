# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Hand poses, and inverse kinematics of one arm.

A hand is the point between the finger pads, a heading, a pitch and an opening. Joint angles follow
by damped least squares (Wampler 1986) from the last *commanded* angles, never from the measured
ones: commands depend on the plan alone, so that a disturbance of the scene does not show in them.
"""

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.robots.registry import SimHand, SimRobot

MAXIMUM_STEP = 0.08  # rad per iteration


@dataclass(frozen=True)
class Hand:
    """
    Pose and opening of one gripper.

    :param position: (3,) between the finger pads, m
    :param yaw: heading of the fingers about the vertical, rad
    :param pitch: angle by which the fingers point down, rad
    :param opening: distance between the pads, m
    :param roll: about the direction of the fingers, rad
    """

    position: Array
    yaw: float
    pitch: float
    opening: float
    roll: float = 0.0

    def moved(self, offset: Array) -> 'Hand':
        """Return the hand with its position shifted by an offset."""
        return replace(self, position=self.position + offset)

    def opened(self, opening: float) -> 'Hand':
        """Return the hand with another opening."""
        return replace(self, opening=opening)

    def rotation(self) -> Array:
        """Return the rotation matrix of the gripper link, (3, 3)."""
        cy, sy, cp, sp = np.cos(self.yaw), np.sin(self.yaw), np.cos(self.pitch), np.sin(self.pitch)
        cr, sr = np.cos(self.roll), np.sin(self.roll)
        heading = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
        dip = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
        twist = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
        return heading @ dip @ twist


def blend(start: Hand, end: Hand, fraction: float) -> Hand:
    """
    Interpolate between two hands on a minimum-jerk profile (Flash & Hogan 1985).

    :param fraction: of the time, in [0, 1]
    """
    s = fraction**3 * (10.0 - 15.0 * fraction + 6.0 * fraction**2)
    return Hand(
        start.position + s * (end.position - start.position),
        start.yaw + s * (end.yaw - start.yaw),
        start.pitch + s * (end.pitch - start.pitch),
        start.opening + s * (end.opening - start.opening),
        start.roll + s * (end.roll - start.roll),
    )


class Solver:
    """Inverse kinematics of one arm; keeps its commanded joint angles."""

    def __init__(self, robot: SimRobot, hand: SimHand, damping: float = 0.03) -> None:
        self._model = robot.bare_model
        self._data = mujoco.MjData(self._model)
        self._site = self._model.site(hand.site).id
        joints = [self._model.joint(name) for name in hand.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._range = np.array([joint.range for joint in joints])
        self._damping = damping**2 * np.eye(6)
        self._jacobian = np.zeros((6, self._model.nv))
        self.joints = np.array(hand.rest)

    def track(self, hand: Hand, iterations: int = 2) -> Array:
        """Move the joints towards a hand and return their angles; (joints,), rad."""
        for _ in range(iterations):
            error = self._error(hand)
            jacobian = self._jacobian[:, self._dofs]
            step = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + self._damping, error)
            step = np.clip(step, -MAXIMUM_STEP, MAXIMUM_STEP)
            self.joints = np.clip(self.joints + step, self._range[:, 0], self._range[:, 1])
        return self.joints

    def _error(self, hand: Hand) -> Array:
        self._data.qpos[self._qpos] = self.joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(
            self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._site
        )
        rotation = self._data.site_xmat[self._site].reshape(3, 3)
        turn = hand.rotation() @ rotation.T
        turn = 0.5 * (turn - turn.T)
        axis = [turn[2, 1], turn[0, 2], turn[1, 0]]
        return np.concatenate([hand.position - self._data.site_xpos[self._site], axis])
