# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tray lift: putting down what is held before the way back, and what is beyond a retry."""

import mujoco
import numpy as np

from viva_ros.sim.motion_plan import Plan
from viva_ros.sim.success import Touch, tilt
from viva_ros.sim.tasks.tray_lift import TILTED, TrayJudge
from viva_ros.sim.tray_lift import set_down

REACH_X, REACH_Y = 0.08, (0.28, 0.76)  # of the tray's middle, m
TURNED = 0.5  # rad


def recover(model: mujoco.MjModel, data: mujoco.MjData, way: Plan, plan: Plan) -> None:
    """If both hands hold the tray, bring it back to where it was grasped."""
    touch = Touch(model)
    touch.look(data)
    if touch.grip(0, 'tray') and touch.grip(1, 'tray'):
        closes = [segment for segment in plan.segments if segment.phase == 'close']
        set_down(way, closes[-1].end)


def refusal(model: mujoco.MjModel, data: mujoco.MjData) -> str:
    """Why the scene cannot be tried again; empty if it can."""
    tray = data.body('tray')
    if not TrayJudge(model, data).standing():
        return 'the payload no longer stands on the tray: put it back by hand'
    touch = Touch(model)
    touch.look(data)
    if touch.grip(0, 'tray') and touch.grip(1, 'tray'):
        return ''
    x, y, z = tray.xpos
    if z < -0.05:
        return 'the tray has fallen off the table: put it back by hand'
    if abs(x) > REACH_X or not REACH_Y[0] < y < REACH_Y[1]:
        return f'the tray is at x {x:.2f} m, y {y:.2f} m, out of reach: put it back by hand'
    if tilt(tray.xmat) > TILTED:
        return f'the tray is tilted by {np.degrees(tilt(tray.xmat)):.0f} deg: put it flat by hand'
    if abs(np.arctan2(tray.xmat[3], tray.xmat[0])) > TURNED:
        return 'the tray is turned too far: turn it back by hand'
    return ''
