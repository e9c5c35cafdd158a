# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tasks that the simulated robot knows, each as one :class:`Task`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco
import numpy as np

from viva_ros.sim.failures import Fault
from viva_ros.sim.motion_plan import Hands, MotionPlan, Segment
from viva_ros.sim.success import SceneVerdict
from viva_ros.sim.tasks import cube_transfer, tray_lift
from viva_ros.sim.tasks import cube_transfer as cube_faults
from viva_ros.sim.tasks import cube_transfer as cube_judge
from viva_ros.sim.tasks import tray_lift as tray_retry
from viva_ros.sim.tasks import tray_lift as tray_scene
from viva_ros.sim.tasks import tray_lift_failures as tray_faults
from viva_ros.sim.tasks.tray_lift import TrayJudge


class SuccessJudge(Protocol):
    """Looks at the scene once per control step."""

    def look(self, data: mujoco.MjData, segment: Segment) -> SceneVerdict:
        """Judge the present moment."""


@dataclass(frozen=True)
class Task:
    """
    Everything that differs from task to task.

    :param failures: modes that fail
    :param variations: modes that succeed; the first is the nominal one
    :param camera_only: failures that leave no trace in what the arms are told
    :param slip_geoms: for each hand, the geoms whose friction it needs
    :param recover: begins the way back: puts down what is held
    :param refusal: why the scene cannot be tried again; empty if it can
    """

    failures: tuple[str, ...]
    variations: tuple[str, ...]
    camera_only: frozenset[str]
    slip_geoms: tuple[tuple[str, ...], tuple[str, ...]]
    draw_fault: Callable[[str, np.random.Generator], Fault]
    draw_layout: Callable[[np.random.Generator], Any]
    add_objects: Callable[[mujoco.MjSpec, Any], None]
    make_plan: Callable[[mujoco.MjData, Hands, Fault, np.random.Generator], MotionPlan]
    judge: Callable[[mujoco.MjModel, mujoco.MjData], SuccessJudge]
    recover: Callable[[mujoco.MjModel, mujoco.MjData, MotionPlan, MotionPlan], None]
    refusal: Callable[[mujoco.MjModel, mujoco.MjData], str]


_TASKS = {
    'tray_lift': Task(
        tray_faults.FAILURES, tray_faults.VARIATIONS, tray_faults.CAMERA_ONLY,
        (('handle0',), ('handle1',)),
        tray_faults.draw_fault, tray_scene.draw_layout, tray_scene.add_objects,
        tray_lift.make_plan, TrayJudge, tray_retry.recover, tray_retry.refusal,
    ),
    'cube_transfer': Task(
        cube_faults.FAILURES, cube_faults.VARIATIONS, cube_faults.CAMERA_ONLY,
        (('cube',), ('cube',)),
        cube_faults.draw_fault, cube_transfer.draw_layout, cube_transfer.add_objects,
        cube_transfer.make_plan, cube_judge.CubeJudge, cube_judge.recover, cube_judge.refusal,
    ),
}  # fmt: skip
TASKS = tuple(_TASKS)
FAILURES = {name: task.failures for name, task in _TASKS.items()}
VARIATIONS = {name: task.variations for name, task in _TASKS.items()}
CAMERA_ONLY = frozenset().union(*(task.camera_only for task in _TASKS.values()))


def task_named(name: str) -> Task:
    """
    Find a task.

    :raises ValueError: if there is none of that name
    """
    if name not in _TASKS:
        raise ValueError(f'task is {name!r}, must be one of {TASKS}')
    return _TASKS[name]


def check_mode(task: str, mode: str) -> None:
    """
    Check a mode.

    :raises ValueError: if a mode is neither a failure nor a variation of a task.
    """
    allowed = (*VARIATIONS[task], *FAILURES[task])
    if mode not in allowed:
        raise ValueError(f'failure is {mode!r}, must be one of {allowed} for task {task!r}')
