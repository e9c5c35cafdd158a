# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A task of another package: the left hand moves to a mat."""

import mujoco
import numpy as np

from viva_ros.sim.failures import Fault, Push
from viva_ros.sim.motion_plan import Hands, MotionPlan, Segment
from viva_ros.sim.scene import Scene
from viva_ros.sim.success import SceneVerdict
from viva_ros.sim.tasks.registry import Task

NEAR = 0.02  # m


def draw_fault(mode: str, rng: np.random.Generator) -> Fault:
    if mode == 'miss':
        return Fault(mode, place_offset=np.array([0.0, rng.uniform(0.05, 0.1), 0.0]))
    if mode == 'nudge':
        return Fault(mode, push=Push('mat', 'carry', rng.uniform(0.2, 0.5), np.array([0, 0.1, 0])))
    return Fault()


def add_objects(spec: mujoco.MjSpec, place: np.ndarray) -> None:
    body = spec.worldbody.add_body(name='mat', mocap=True, pos=place)
    body.add_geom(
        name='mat', type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.05, 0.05, 0.001],
        rgba=[0.1, 0.7, 0.2, 1.0], contype=0, conaffinity=0,
    )  # fmt: skip


def make_plan(scene: Scene, start: Hands, fault: Fault, rng: np.random.Generator) -> MotionPlan:
    plan = MotionPlan(start)
    way = scene.data.body('mat').xpos + fault.place_offset - start[0].position
    ends = (start[0].moved(way), start[1])
    plan.move('carry', rng.uniform(1.0, 1.2), ends)
    plan.move('wait', 1.5, ends)
    plan.timing = fault.timing(plan, 0.06, lag_phase='carry')
    return plan


class MatJudge:
    """Success: the left hand is near the mat."""

    def __init__(self, scene: Scene) -> None:
        self._hand = scene.data.site(scene.robot.hands[0].site)
        self._mat = scene.data.body('mat')
        self._origin, self._waited = self._mat.xpos.copy(), 0
        self._whole = self._distance()

    def update(self, segment: Segment) -> SceneVerdict:
        placed = self._distance() < NEAR
        self._waited += segment.phase == 'wait'
        evidence = 'the hand is not at the mat' if self._waited > 10 and not placed else ''
        moved = bool(np.abs(self._mat.xpos - self._origin).max() > NEAR)
        progress = 1.0 - min(1.0, self._distance() / self._whole)
        return SceneVerdict(progress, placed, evidence, placed, moved)

    def _distance(self) -> float:
        return float(np.linalg.norm(self._hand.xpos - self._mat.xpos))


def refusal(scene: Scene) -> str:
    return 'the mat is out of reach' if scene.data.body('mat').xpos[1] > 0.3 else ''


TASK = Task(
    name='touch_mat',
    failures=('miss', 'nudge'), variations=('none',), camera_only=frozenset({'nudge'}),
    slip_geoms=((), ()),
    demo_seed=1,
    draw_fault=draw_fault,
    draw_layout=lambda rng: np.array([*rng.uniform(-0.1, 0.1, 2), 0.1]),
    add_objects=add_objects,
    make_plan=make_plan,
    judge=MatJudge,
    recover=lambda scene, way, plan: None,
    refusal=refusal,
)  # fmt: skip
