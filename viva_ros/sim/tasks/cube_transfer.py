# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cube transfer: the right arm picks a cube up, hands it to the left arm, which puts it on a mat.

The cube is a little longer than wide, so that two grippers find room on it. Where it lies after
a failure, the left arm takes it directly if the right arm would have to reach across.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.failures import Fault
from viva_ros.sim.kinematics import Hand
from viva_ros.sim.motion_plan import Hands, Plan

CUBE_HALF = np.array([0.030, 0.014, 0.014])
GRIP = 0.015  # from the middle of the cube to where each hand grips it, m
HOLD = 2.0 * (CUBE_HALF[1] - 0.0006)  # opening that squeezes the cube
OPEN, CLOSED = 0.066, 0.0
TIGHT = HOLD - 0.003
PITCH = 1.05  # rad
MEETING = np.array([0.0, 0.50, 0.17])
MAT_HALF = 0.05
LEFT_TAKES = -0.03  # x below which the left arm picks the cube up itself, m
CUBE_COLOURS = ((0.86, 0.16, 0.16), (0.95, 0.55, 0.10), (0.20, 0.55, 0.85), (0.55, 0.25, 0.65))
MAT_COLOURS = ((0.15, 0.50, 0.30), (0.16, 0.30, 0.55), (0.30, 0.30, 0.33))
SECONDS = {
    'reach': 1.5, 'descend': 0.9, 'close': 0.6, 'check': 0.5, 'reopen': 0.5, 'rise': 0.7,
    'lift': 0.9, 'present': 1.4, 'meet': 1.0, 'take': 0.6, 'give': 0.5, 'part': 0.6,
    'carry': 1.4, 'lower': 0.9, 'release': 0.5, 'retreat': 0.9,
}  # fmt: skip
RIGHT_HOLDS, LEFT_HOLDS = (False, True), (True, False)


@dataclass(frozen=True)
class Layout:
    """Where cube and mat start, m, and how the cube is turned, rad."""

    cube: Array
    yaw: float
    mat: Array
    colours: tuple[Array, Array]


def draw_layout(rng: np.random.Generator) -> Layout:
    """Draw a layout: the cube in reach of the right arm, the mat in reach of the left."""

    def colour(palette: tuple[tuple[float, ...], ...]) -> Array:
        shade = np.array(palette[rng.integers(len(palette))])
        return np.clip(shade + rng.normal(0.0, 0.02, 3), 0.0, 1.0)

    return Layout(
        cube=np.array([rng.uniform(0.08, 0.18), rng.uniform(0.42, 0.58)]),
        yaw=rng.uniform(-0.4, 0.4),
        mat=np.array([rng.uniform(-0.20, -0.12), rng.uniform(0.42, 0.58)]),
        colours=(colour(CUBE_COLOURS), colour(MAT_COLOURS)),
    )


def add_objects(spec: mujoco.MjSpec, layout: Layout) -> None:
    """Put cube and mat into the scene."""
    cube, mat = (np.append(colour, 1.0) for colour in layout.colours)
    box = mujoco.mjtGeom.mjGEOM_BOX
    body = spec.worldbody.add_body(
        name='cube', pos=[*layout.cube, CUBE_HALF[2] + 0.0005],
        quat=[np.cos(layout.yaw / 2), 0, 0, np.sin(layout.yaw / 2)],
    )  # fmt: skip
    body.add_freejoint(name='cube')
    body.add_geom(
        name='cube', type=box, size=CUBE_HALF, rgba=cube, mass=0.05,
        friction=[1.0, 0.01, 0.0001], priority=2, condim=4,
    )  # fmt: skip
    body.add_geom(
        name='stripe', type=box, size=[0.004, CUBE_HALF[1] + 4e-4, CUBE_HALF[2] + 4e-4],
        rgba=[0.96, 0.96, 0.94, 1.0], mass=0.0, contype=0, conaffinity=0,
    )  # fmt: skip
    for i, sign in enumerate((-1.0, 1.0)):  # knobs, so that it never comes to stand on its end
        body.add_geom(
            name=f'knob{i}', type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.012, 0, 0],
            pos=[sign * (CUBE_HALF[0] - 0.002), 0, 0], rgba=[0.96, 0.96, 0.94, 1.0], mass=0.0,
            friction=[0.3, 0.005, 0.0001], priority=2,
        )  # fmt: skip
    body = spec.worldbody.add_body(name='mat', mocap=True, pos=[*layout.mat, 0.001])
    body.add_geom(
        name='mat', type=box, size=[MAT_HALF, MAT_HALF, 0.001], rgba=mat,
        contype=0, conaffinity=0,
    )  # fmt: skip


def make_plan(data: mujoco.MjData, start: Hands, fault: Fault, rng: np.random.Generator) -> Plan:
    """Return the whole plan from where cube and mat are now, bent by the fault."""
    speed = rng.uniform(0.85, 1.2) * fault.speed
    seconds = {name: length * rng.uniform(0.93, 1.07) / speed for name, length in SECONDS.items()}
    plan = Plan(start)
    taker = 0 if data.body('cube').xpos[0] < LEFT_TAKES else 1
    pick = grasp_of(data, taker).moved(rng.normal(0.0, 0.0012, 3))
    _pick(plan, seconds, taker, pick, fault, rng)
    if taker:
        _hand_over(plan, seconds, fault, rng)
    _place(plan, seconds, data.body('mat').xpos + fault.place_offset, rng)
    plan.timing = fault.timing(plan, OPEN, lag_phase='give')
    return plan


def grasp_of(data: mujoco.MjData, side: int) -> Hand:
    """Return the hand of a side (0 left, 1 right) at its end of the cube as it lies."""
    sign = 1.0 if side else -1.0
    axis = data.body('cube').xmat.reshape(3, 3)[:, 0]
    axis = axis if axis[0] >= 0.0 else -axis
    yaw = float(np.arctan2(axis[1], axis[0]))
    position = data.body('cube').xpos + sign * GRIP * axis
    return Hand(position, yaw + np.pi * side, PITCH, HOLD)


def _pick(
    plan: Plan, seconds: dict[str, float], side: int, pick: Hand, fault: Fault,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    above = pick.moved(np.array([0.0, 0.0, 0.085]) + rng.normal(0.0, 0.008, 3)).opened(OPEN)
    grips = RIGHT_HOLDS if side else LEFT_HOLDS
    # The offset of the left hand belongs to the hand-over, unless it is the one that picks.
    offset = fault.grasp_offsets[side]
    wrong, end = pick.moved(offset), CLOSED if fault.misses[side] else HOLD

    def move(phase: str, hand: Hand, holds: bool = False) -> None:
        both = (plan.end[0], hand) if side else (hand, plan.end[1])
        plan.move(phase, seconds[phase], both, grips if holds else (False, False))

    move('reach', above.moved(offset))
    move('descend', wrong.opened(OPEN))
    move('close', wrong.opened(end))
    if fault.regrasp:
        move('check', wrong.opened(end), True)
        move('reopen', wrong.opened(OPEN))
        move('rise', above.moved(offset))
        move('rise', above)
        move('descend', pick.opened(OPEN))
        move('close', pick)
    move('lift', plan.end[side].moved(np.array([0.0, 0.0, 0.11])), True)


def _hand_over(
    plan: Plan, seconds: dict[str, float], fault: Fault, rng: np.random.Generator
) -> None:
    along = np.array([GRIP, 0.0, 0.0])
    middle = MEETING + rng.normal(0.0, 0.012, 3)
    holds = TIGHT if fault.lag else plan.end[1].opening
    give = Hand(middle + along, np.pi, PITCH, holds)
    offset = fault.grasp_offsets[0]
    take = Hand(middle - along + offset + rng.normal(0.0, 0.0012, 3), 0.0, PITCH, OPEN)
    ready = take.moved(np.array([-0.10, 0.0, 0.06]) + rng.normal(0.0, 0.008, 3))
    taken = take.opened(CLOSED if fault.misses[0] else HOLD)
    away = np.array([0.08, 0.0, 0.06])
    plan.move('present', seconds['present'], (ready, give), RIGHT_HOLDS)
    plan.move('meet', seconds['meet'], (take, give), RIGHT_HOLDS)
    plan.move('take', seconds['take'], (taken, give), (False, False))
    plan.move('give', seconds['give'], (taken, give.opened(OPEN)), LEFT_HOLDS)
    plan.move('part', seconds['part'], (taken, give.moved(away).opened(OPEN)), LEFT_HOLDS)


def _place(plan: Plan, seconds: dict[str, float], mat: Array, rng: np.random.Generator) -> None:
    error = np.append(rng.normal(0.0, 0.003, 2), 0.0)
    target = mat + error + [-GRIP, 0.0, CUBE_HALF[2] + 0.002]
    down = Hand(target, 0.0, PITCH, plan.end[0].opening)
    over = down.moved(np.array([0.0, 0.0, 0.11]))
    away = down.moved(np.array([-0.04, 0.0, 0.08]))
    rest = plan.start[1]
    plan.move('carry', seconds['carry'], (over, rest), LEFT_HOLDS)
    plan.move('lower', seconds['lower'], (down, rest), LEFT_HOLDS)
    plan.move('release', seconds['release'], (down.opened(OPEN), rest))
    plan.move('retreat', seconds['retreat'], (away.opened(OPEN), rest))
