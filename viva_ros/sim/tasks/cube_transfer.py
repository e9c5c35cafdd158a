# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Cube transfer: the right arm picks up a cube, the left arm takes it and puts it on a mat.

The cube is longer than wide, so that two grippers fit on it. In a retry the left arm picks it up
if it is on the left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.failures import NOMINAL, Fault, Push
from viva_ros.sim.kinematics import Hand
from viva_ros.sim.motion_plan import Hands, MotionPlan, Segment
from viva_ros.sim.scene import Scene
from viva_ros.sim.success import SceneVerdict, Touch
from viva_ros.sim.tasks.registry import Task

CUBE_HALF = np.array([0.030, 0.014, 0.014])
GRIP = 0.015  # from the middle of the cube to the grasp of each hand, m
HOLD = 2.0 * (CUBE_HALF[1] - 0.0006)  # opening that holds the cube, m
OPEN, CLOSED = 0.066, 0.0
TIGHT = HOLD - 0.003
PITCH = 1.05  # rad
MEETING = np.array([0.0, 0.50, 0.17])
MAT_HALF = 0.05
LEFT_TAKES = -0.03  # x below which the left arm picks up the cube, m
CUBE_COLOURS = ((0.86, 0.16, 0.16), (0.95, 0.55, 0.10), (0.20, 0.55, 0.85), (0.55, 0.25, 0.65))
MAT_COLOURS = ((0.15, 0.50, 0.30), (0.16, 0.30, 0.55), (0.30, 0.30, 0.33))
SECONDS = {
    'reach': 1.5, 'descend': 0.9, 'close': 0.6, 'check': 0.5, 'reopen': 0.5, 'rise': 0.7,
    'lift': 0.9, 'present': 1.4, 'meet': 1.0, 'take': 0.6, 'give': 0.5, 'part': 0.6,
    'carry': 1.4, 'lower': 0.9, 'release': 0.5, 'retreat': 0.9,
}  # fmt: skip
RIGHT_HOLDS, LEFT_HOLDS = (False, True), (True, False)


@dataclass(frozen=True)
class CubeLayout:
    """Positions of cube and mat at the start, m, and yaw of the cube, rad."""

    cube: Array
    yaw: float
    mat: Array
    colours: tuple[Array, Array]


def draw_layout(rng: np.random.Generator) -> CubeLayout:
    """Draw a layout: the cube within reach of the right arm, the mat within that of the left."""

    def colour(palette: tuple[tuple[float, ...], ...]) -> Array:
        shade = np.array(palette[rng.integers(len(palette))])
        return np.clip(shade + rng.normal(0.0, 0.02, 3), 0.0, 1.0)

    return CubeLayout(
        cube=np.array([rng.uniform(0.08, 0.18), rng.uniform(0.42, 0.58)]),
        yaw=rng.uniform(-0.4, 0.4),
        mat=np.array([rng.uniform(-0.20, -0.12), rng.uniform(0.42, 0.58)]),
        colours=(colour(CUBE_COLOURS), colour(MAT_COLOURS)),
    )


def add_objects(spec: mujoco.MjSpec, layout: CubeLayout) -> None:
    """Add cube and mat."""
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
    for i, sign in enumerate((-1.0, 1.0)):  # knobs: the cube cannot stand on its end
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


def make_plan(
    scene: Scene, start: Hands, fault: Fault, rng: np.random.Generator
) -> MotionPlan:  # fmt: skip
    """Return the plan from the present positions of cube and mat, with the fault."""
    data = scene.data
    speed = rng.uniform(0.85, 1.2) * fault.speed
    seconds = {name: length * rng.uniform(0.93, 1.07) / speed for name, length in SECONDS.items()}
    plan = MotionPlan(start)
    taker = 0 if data.body('cube').xpos[0] < LEFT_TAKES else 1
    pick = grasp_of(data, taker).moved(rng.normal(0.0, 0.0012, 3))
    _pick(plan, seconds, taker, pick, fault, rng)
    if taker:
        _hand_over(plan, seconds, fault, rng)
    _place(plan, seconds, data.body('mat').xpos + fault.place_offset, rng)
    plan.timing = fault.timing(plan, OPEN, lag_phase='give')
    return plan


def grasp_of(data: mujoco.MjData, side: int) -> Hand:
    """Return the grasp of a hand (0 left, 1 right) at its end of the cube."""
    sign = 1.0 if side else -1.0
    axis = data.body('cube').xmat.reshape(3, 3)[:, 0]
    axis = axis if axis[0] >= 0.0 else -axis
    yaw = float(np.arctan2(axis[1], axis[0]))
    position = data.body('cube').xpos + sign * GRIP * axis
    return Hand(position, yaw + np.pi * side, PITCH, HOLD)


def _pick(
    plan: MotionPlan, seconds: dict[str, float], side: int, pick: Hand, fault: Fault,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    above = pick.moved(np.array([0.0, 0.0, 0.085]) + rng.normal(0.0, 0.008, 3)).opened(OPEN)
    grips = RIGHT_HOLDS if side else LEFT_HOLDS
    # The offset of the left hand is for the hand-over, unless the left hand picks up.
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
    plan: MotionPlan, seconds: dict[str, float], fault: Fault, rng: np.random.Generator
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


def _place(
    plan: MotionPlan, seconds: dict[str, float], mat: Array, rng: np.random.Generator
) -> None:
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


FAILURES = (
    'slip', 'missed_grasp', 'premature_release', 'misalignment', 'late_release', 'stall',
    'nudge', 'target_moved',
)  # fmt: skip
VARIATIONS = (
    NOMINAL, 'pause', 'slow', 'recovered_missed_grasp', 'recovered_stall', 'near_miss',
    'early_release',
)  # fmt: skip
CAMERA_ONLY = frozenset({'slip', 'nudge', 'target_moved'})
PHASES = ('reach', 'descend', 'lift', 'present', 'meet', 'carry', 'lower')
LEFT, RIGHT = (True, False), (False, True)


def draw_fault(mode: str, rng: np.random.Generator) -> Fault:
    """Return the fault of a mode, its sizes and times drawn."""
    return _DRAW[mode](rng)


def _slip(rng: np.random.Generator) -> Fault:
    phase = ('lift', 'lift', 'present', 'part')[rng.integers(4)]
    return Fault('slip', slip=(phase, rng.uniform(0.25, 0.75), (True, True)))


def _missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('missed_grasp', **_miss(rng))


def _miss(rng: np.random.Generator) -> dict[str, Any]:
    if rng.random() < 0.5:
        offset = np.array([0.0, 0.0, rng.uniform(0.04, 0.055)])
    else:
        offset = np.array([0.0, rng.choice([-1.0, 1.0]) * rng.uniform(0.062, 0.08), 0.0])
    return {'grasp_offsets': (np.zeros(3), offset), 'misses': RIGHT}


def _premature_release(rng: np.random.Generator) -> Fault:
    phase, side = (('lift', RIGHT), ('present', RIGHT), ('meet', RIGHT), ('part', LEFT))[
        rng.integers(4)
    ]
    return Fault('premature_release', release=(phase, rng.uniform(0.25, 0.75), side))


def _misalignment(rng: np.random.Generator) -> Fault:
    if rng.random() < 0.5:
        offset = np.array([rng.uniform(-0.065, -0.05), 0.0, 0.0])
    else:
        offset = np.array([0.0, 0.0, rng.uniform(0.045, 0.06)])
    return Fault('misalignment', grasp_offsets=(offset, np.zeros(3)), misses=LEFT)


def _late_release(rng: np.random.Generator) -> Fault:
    return Fault('late_release', lag=(1, rng.uniform(2.2, 3.2)))


def _stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('stall', freeze=(phase, rng.uniform(0.2, 0.8), float('inf')))


def _nudge(rng: np.random.Generator) -> Fault:
    by = np.array([rng.uniform(-0.02, 0.02), rng.choice([-1, 1]) * rng.uniform(0.06, 0.085), 0.0])
    return Fault('nudge', push=Push('cube', 'reach', rng.uniform(0.3, 0.8), by))


def _target_moved(rng: np.random.Generator) -> Fault:
    by = np.array([rng.uniform(-0.02, 0.02), rng.choice([-1, 1]) * rng.uniform(0.09, 0.12), 0.0])
    return Fault('target_moved', push=Push('mat', 'carry', rng.uniform(0.0, 0.7), by))


def _pause(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('pause', freeze=(phase, rng.uniform(0.1, 0.9), rng.uniform(1.0, 2.3)))


def _slow(rng: np.random.Generator) -> Fault:
    return Fault('slow', speed=rng.uniform(0.6, 0.78))


def _recovered_missed_grasp(rng: np.random.Generator) -> Fault:
    return Fault('recovered_missed_grasp', regrasp=True, **_miss(rng))


def _recovered_stall(rng: np.random.Generator) -> Fault:
    phase = PHASES[rng.integers(len(PHASES))]
    return Fault('recovered_stall', freeze=(phase, rng.uniform(0.2, 0.8), rng.uniform(3.2, 4.5)))


def _near_miss(rng: np.random.Generator) -> Fault:
    sign = rng.choice([-1.0, 1.0])
    if rng.random() < 0.5:
        by = np.array([0.0, sign * rng.uniform(0.006, 0.01), 0.0])
        return Fault('near_miss', push=Push('cube', 'reach', rng.uniform(0.3, 0.8), by))
    offset = np.array([0.0, sign * rng.uniform(0.015, 0.025), rng.uniform(0.01, 0.02)])
    return Fault('near_miss', place_offset=offset)


def _early_release(rng: np.random.Generator) -> Fault:
    return Fault('early_release', release=('take', rng.uniform(0.96, 1.0), RIGHT))


_DRAW: dict[str, Callable[[np.random.Generator], Fault]] = {
    NOMINAL: lambda rng: Fault(),
    'slip': _slip,
    'missed_grasp': _missed_grasp,
    'premature_release': _premature_release,
    'misalignment': _misalignment,
    'late_release': _late_release,
    'stall': _stall,
    'nudge': _nudge,
    'target_moved': _target_moved,
    'pause': _pause,
    'slow': _slow,
    'recovered_missed_grasp': _recovered_missed_grasp,
    'recovered_stall': _recovered_stall,
    'near_miss': _near_miss,
    'early_release': _early_release,
}


MOVED = 0.012  # m
DROPPED = 0.05  # height below which a carried cube counts as dropped, m
CARRIED = ('present', 'meet', 'take', 'give', 'part', 'carry')
REACH_X, REACH_Y = (-0.28, 0.28), (0.30, 0.72)


class CubeJudge:
    """Success, evidence of failure and progress of the transfer."""

    def __init__(self, scene: Scene) -> None:
        data = scene.data
        self._touch = Touch(scene)
        self._cube, self._mat = data.body('cube'), data.body('mat')
        self._pinch = [data.site(hand.site) for hand in scene.robot.hands]
        self._origin = self._cube.xpos.copy()
        self._mat_origin = self._mat.xpos.copy()
        self._taker = 0 if self._origin[0] < LEFT_TAKES else 1
        self._reach = max(self._distance(), 0.1)
        self._since_release = 0

    def update(self, segment: Segment) -> SceneVerdict:
        """Return the verdict on one control step."""
        self._touch.update()
        held = (self._touch.grip(0, 'cube'), self._touch.grip(1, 'cube'))
        self._since_release = self._since_release + 1 if segment.phase == 'retreat' else 0
        placed = self._placed()
        evidence = self._evidence(segment, held, placed)
        healthy = any(held) and self._cube.xpos[2] > DROPPED and not evidence
        deviated = self._deviated(segment, held)
        return SceneVerdict(self._progress(held, placed), placed, evidence, healthy, deviated)

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


def recover(scene: Scene, way: MotionPlan, plan: MotionPlan) -> None:
    """If a hand holds the cube, put it down below that hand."""
    touch = Touch(scene)
    touch.update()
    held = [side for side in (1, 0) if touch.grip(side, 'cube')]
    if not held:
        return
    hands, holder, other = list(way.end), held[0], 1 - held[0]
    away = np.array([0.08 if other else -0.08, 0.0, 0.08])
    hands[other] = hands[other].opened(0.066)
    way.move('put down', 0.5, hands)
    hands[other] = hands[other].moved(away)
    way.move('put down', 0.8, hands)
    cube = scene.data.body('cube')
    low = hands[holder].position[2] - cube.xpos[2] + CUBE_HALF[2] + 0.002
    hands[holder] = hands[holder].moved(np.array([0.0, 0.0, low - hands[holder].position[2]]))
    way.move('put down', 1.6, hands)


def refusal(scene: Scene) -> str:
    """Return why no retry is possible; '' if one is."""
    touch = Touch(scene)
    touch.update()
    if touch.grip(0, 'cube') or touch.grip(1, 'cube'):
        return ''
    cube = scene.data.body('cube')
    x, y, z = cube.xpos
    if z < -0.02:
        return 'the cube has fallen off the table: put it back by hand'
    if not (REACH_X[0] < x < REACH_X[1] and REACH_Y[0] < y < REACH_Y[1]):
        return f'the cube is at x {x:.2f} m, y {y:.2f} m, out of reach: put it back by hand'
    axis = cube.xmat.reshape(3, 3)[:, 0]
    if abs(axis[2]) > 0.5:
        return 'the cube stands on its end: lay it down by hand'
    if abs(axis[0]) < 0.45:
        return 'the cube lies across, out of reach of the fingers: turn it by hand'
    return ''


TASK = Task(
    name='cube_transfer',
    failures=FAILURES, variations=VARIATIONS, camera_only=CAMERA_ONLY,
    slip_geoms=(('cube',), ('cube',)),
    demo_seed=90003,  # at 90002 the monitor has a false alarm
    draw_fault=draw_fault, draw_layout=draw_layout, add_objects=add_objects, make_plan=make_plan,
    judge=CubeJudge,
    recover=recover,
    refusal=refusal,
)  # fmt: skip
