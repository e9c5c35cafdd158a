# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The tasks that can be simulated: a task is one file in ``tasks/``, see ``Task``.

This module imports no simulator: commands and parameters list the tasks without one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.registry import Registry

if TYPE_CHECKING:
    import mujoco
    import numpy as np

    from viva_ros.sim.failures import Fault
    from viva_ros.sim.motion_plan import Hands, MotionPlan, Segment
    from viva_ros.sim.scene import Scene
    from viva_ros.sim.success import SceneVerdict


class SuccessJudge(Protocol):
    """Success criterion of a task, for one scene."""

    def update(self, segment: 'Segment') -> 'SceneVerdict':
        """Return the verdict on one control step; called at each step."""


@dataclass(frozen=True)
class Task:
    """
    Everything that differs from task to task.

    :param name: as in the registry
    :param failures: modes that fail
    :param variations: modes that succeed; the first is the undisturbed one, 'none'
    :param camera_only: failures that do not change the commands of the arms
    :param slip_geoms: for each hand, the geoms that lose friction in a slip
    :param demo_seed: seed at which the demo shows the task, used neither in training nor tests
    :param draw_fault: returns the fault of a mode, its sizes and times drawn
    :param draw_layout: draws where the objects start, for ``add_objects``
    :param add_objects: adds the objects to the spec of the robot
    :param make_plan: returns the motion from the present scene and hands, with the fault
    :param judge: returns the judge of an attempt that starts with the present scene
    :param recover: appends to a plan (third argument: the plan that it interrupts) how the hands
        put down what they hold, before a retry
    :param refusal: returns why no retry is possible on the present scene; '' if one is
    """

    name: str
    failures: tuple[str, ...]
    variations: tuple[str, ...]
    camera_only: frozenset[str]
    slip_geoms: tuple[tuple[str, ...], tuple[str, ...]]
    demo_seed: int
    draw_fault: 'Callable[[str, np.random.Generator], Fault]'
    draw_layout: 'Callable[[np.random.Generator], Any]'
    add_objects: 'Callable[[mujoco.MjSpec, Any], None]'
    make_plan: 'Callable[[Scene, Hands, Fault, np.random.Generator], MotionPlan]'
    judge: 'Callable[[Scene], SuccessJudge]'
    recover: 'Callable[[Scene, MotionPlan, MotionPlan], None]'
    refusal: 'Callable[[Scene], str]'

    @property
    def modes(self) -> tuple[str, ...]:
        """All modes, variations first."""
        return (*self.variations, *self.failures)

    def check_mode(self, mode: str) -> None:
        """
        Check a mode.

        :raises ConfigurationError: if it is neither a variation nor a failure of the task
        """
        if mode not in self.modes:
            raise ConfigurationError(
                'failure-unknown',
                f'failure is {mode!r}, must be one of {", ".join(self.modes)} '
                f'for task {self.name!r}',
            )


TASKS: Final[Registry[Task]] = Registry(
    'task',
    'viva_ros.sim_tasks',
    {
        'tray_lift': 'viva_ros.sim.tasks.tray_lift:TASK',
        'cube_transfer': 'viva_ros.sim.tasks.cube_transfer:TASK',
    },
)


def camera_only() -> frozenset[str]:
    """Return the failures of all tasks that only cameras can detect."""
    return frozenset().union(*(task.camera_only for task in TASKS.values()))
