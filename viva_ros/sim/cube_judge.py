# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Cube transfer: success, failure and progress, and what a retry can still do."""

import mujoco
import numpy as np

from viva_ros.sim.motion_plan import Plan, Segment
from viva_ros.sim.success import Touch, Verdict
from viva_ros.sim.tasks.cube_transfer import CUBE_HALF, LEFT_TAKES, MAT_HALF

MOVED = 0.012  # m
DROPPED = 0.05  # height below which a cube that should be carried has been dropped, m
CARRIED = ('present', 'meet', 'take', 'give', 'part', 'carry')
REACH_X, REACH_Y = (-0.28, 0.28), (0.30, 0.72)


class CubeJudge:
    """Looks at the scene once per control step."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._touch = Touch(model)
        self._cube, self._mat = data.body('cube'), data.body('mat')
        self._pinch = [data.site(f'{side}_pinch') for side in ('left', 'right')]
        self._origin = self._cube.xpos.copy()
        self._mat_origin = self._mat.xpos.copy()
        self._taker = 0 if self._origin[0] < LEFT_TAKES else 1
        self._reach = max(self._distance(), 0.1)
        self._since_release = 0

    def look(self, data: mujoco.MjData, segment: Segment) -> Verdict:
        """Judge the present moment."""
        self._touch.look(data)
        held = (self._touch.grip(0, 'cube'), self._touch.grip(1, 'cube'))
        self._since_release = self._since_release + 1 if segment.phase == 'retreat' else 0
        placed = self._placed()
        evidence = self._evidence(segment, held, placed)
        healthy = any(held) and self._cube.xpos[2] > DROPPED and not evidence
        deviated = self._deviated(segment, held)
        return Verdict(self._progress(held, placed), placed, evidence, healthy, deviated)

    def _placed(self) -> bool:
        inside = np.abs(self._cube.xpos - self._mat.xpos)[:2].max() < MAT_HALF
        free = not (self._touch.hand_on(0, 'cube') or self._touch.hand_on(1, 'cube'))
        low = self._cube.xpos[2] < CUBE_HALF[0] + 0.005
        return bool(inside and free and low and self._touch.between('cube', 'world'))

    def _evidence(self, segment: Segment, held: tuple[bool, bool], placed: bool) -> str:
        for side, grip, hold in zip(('left', 'right'), segment.grips, held, strict=True):
            if grip and not hold:
                return f'the {side} hand holds nothing'
        if segment.phase in CARRIED and self._cube.xpos[2] < DROPPED:
            return 'the cube has been dropped'
        if segment.phase == 'carry' and held[1]:
            return 'the right hand has not let go'
        if self._since_release > 15 and not placed:
            return 'the cube is not on the mat'
        return ''

    def _deviated(self, segment: Segment, held: tuple[bool, bool]) -> bool:
        if np.abs(self._mat.xpos - self._mat_origin).max() > MOVED:
            return True
        if segment.phase in ('reach', 'descend'):
            return bool(np.linalg.norm(self._cube.xpos - self._origin) > MOVED)
        sides = [side for side in (0, 1) if segment.grips[side]]
        away = [np.linalg.norm(self._pinch[side].xpos - self._cube.xpos) for side in sides]
        return bool(away) and min(away) > CUBE_HALF[0] + MOVED / 2

    def _progress(self, held: tuple[bool, bool], placed: bool) -> float:
        if placed:
            return 1.0
        height = float(np.clip(self._cube.xpos[2] / 0.12, 0.0, 1.0))
        offset = np.linalg.norm((self._cube.xpos - self._mat.xpos)[:2])
        if held == (False, True):
            carried = float(np.clip(1.0 - self._cube.xpos[0] / 0.15, 0.0, 1.0))
            return 0.3 + 0.1 * height + 0.15 * carried
        if held == (True, True):
            return 0.6
        if held == (True, False):
            near = float(np.clip(1.0 - offset / 0.2, 0.0, 1.0))
            return 0.65 + 0.2 * near + 0.1 * near * (1.0 - height)
        return 0.3 * (1.0 - min(self._distance() / self._reach, 1.0))

    def _distance(self) -> float:
        return float(np.linalg.norm(self._pinch[self._taker].xpos - self._cube.xpos))


def recover(model: mujoco.MjModel, data: mujoco.MjData, way: Plan, plan: Plan) -> None:
    """If a hand holds the cube, put it down where it is."""
    touch = Touch(model)
    touch.look(data)
    held = [side for side in (1, 0) if touch.grip(side, 'cube')]
    if not held:
        return
    hands, holder, other = list(way.end), held[0], 1 - held[0]
    away = np.array([0.08 if other else -0.08, 0.0, 0.08])
    hands[other] = hands[other].opened(0.066)
    way.move('put down', 0.5, hands)
    hands[other] = hands[other].moved(away)
    way.move('put down', 0.8, hands)
    low = hands[holder].position[2] - data.body('cube').xpos[2] + CUBE_HALF[2] + 0.002
    hands[holder] = hands[holder].moved(np.array([0.0, 0.0, low - hands[holder].position[2]]))
    way.move('put down', 1.6, hands)


def refusal(model: mujoco.MjModel, data: mujoco.MjData) -> str:
    """Why the scene cannot be tried again; empty if it can."""
    touch = Touch(model)
    touch.look(data)
    if touch.grip(0, 'cube') or touch.grip(1, 'cube'):
        return ''
    x, y, z = data.body('cube').xpos
    if z < -0.02:
        return 'the cube has fallen off the table: put it back by hand'
    if not (REACH_X[0] < x < REACH_X[1] and REACH_Y[0] < y < REACH_Y[1]):
        return f'the cube is at x {x:.2f} m, y {y:.2f} m, out of reach: put it back by hand'
    axis = data.body('cube').xmat.reshape(3, 3)[:, 0]
    if abs(axis[2]) > 0.5:
        return 'the cube stands on its end: lay it down by hand'
    if abs(axis[0]) < 0.45:
        return 'the cube lies across, out of reach of the fingers: turn it by hand'
    return ''
