# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The simulated robot, stepped offline: as fast as the machine can, without ROS and without a clock.

Labels come from the state of the simulated world, never from the name of the fault: an injected
failure that turns out well is a success.
"""

import mujoco
import numpy as np

from viva_ros.core.observation import Image
from viva_ros.sim.failures import NOMINAL, Disturbance, Fault
from viva_ros.sim.ground_truth import Record, Truth
from viva_ros.sim.motion_plan import Expert, MotionPlan, add_way_home, home_hands
from viva_ros.sim.robots.viperx import (
    CAMERAS,
    CONTROL_RATE,
    JOINT_NAMES,
    PHYSICS_STEP,
    Arms,
    compile_robot,
    robot_spec,
)  # fmt: skip
from viva_ros.sim.scene import HEAD_POSITION, HEAD_TARGET, CameraRenderer, aim
from viva_ros.sim.tasks.registry import (
    CAMERA_ONLY,
    FAILURES,
    TASKS,
    VARIATIONS,
    check_mode,
    task_named,
)

__all__ = ['CAMERA_ONLY', 'FAILURES', 'TASKS', 'VARIATIONS', 'Simulation', 'Truth']

SUBSTEPS = round(1.0 / CONTROL_RATE / PHYSICS_STEP)
ENCODER_NOISE = np.array(2 * [*6 * [3e-4], 4e-4])  # rad and m
LAYOUT, STYLE, FAULT, SENSOR = range(4)  # streams of random numbers


class Simulation:
    """
    One episode of a task.

    :param task: one of ``TASKS``
    :param seed: 0 or more; draws the layout, the way the arms move and the size of the fault
    :param failure: one of ``FAILURES[task]`` or ``VARIATIONS[task]``
    :param image_size: height and width of the images, pixels
    :raises ValueError: naming what is not allowed, and what is
    """

    def __init__(
        self, task: str = 'tray_lift', seed: int = 0, failure: str = NOMINAL,
        image_size: tuple[int, int] = (128, 128),
    ) -> None:  # fmt: skip
        self._task = task_named(task)
        check_mode(task, failure)
        _check_seed(seed)
        _check_size(image_size)
        self.task, self.seed, self.failure = task, seed, failure
        self.retry_refusal = ''
        self._image_size = image_size
        self._renderer: CameraRenderer | None = None
        self._own_renderer: CameraRenderer | None = None
        self._sensor_rng = np.random.default_rng([seed, SENSOR])
        self._steps = 0
        self._attempt = 1
        self._going_home = False
        self._next_failure = NOMINAL
        self._model = self._build()
        self._data = mujoco.MjData(self._model)
        self._arms = Arms(self._model)
        self._expert = Expert(home_hands(np.random.default_rng([seed, STYLE, 0])))
        self._settle()
        self._record = Record()
        self._begin(failure)

    @property
    def time(self) -> float:
        """Return simulated time since the episode started, s."""
        return self._steps / CONTROL_RATE

    @property
    def succeeded(self) -> bool:
        """Whether the goal has been reached and held."""
        return self._record.success

    @property
    def executing(self) -> bool:
        """Whether the robot is at its task: neither on the way back nor successful."""
        return not self._going_home and not self.succeeded

    @property
    def done(self) -> bool:
        """Whether success has been held, or the plan has ended without."""
        return not self._going_home and (self.succeeded or self._expert.finished)

    def step(self) -> None:
        """One control step: the expert acts, the world moves on."""
        if self._going_home and self._expert.finished:
            self._begin(self._next_failure)
        self._steps += 1
        self._arms.command(self._data, self._expert.step())
        if not self._going_home:
            self._disturbance.apply(self._expert.elapsed)
        mujoco.mj_step(self._model, self._data, SUBSTEPS)
        mujoco.mj_fwdPosition(self._model, self._data)
        verdict = self._judge.look(self._data, self._expert.segment)
        self._record.update(verdict, self.time, self._expert.stalled_for, self._going_home)
        self._noise = self._sensor_rng.normal(size=14) * ENCODER_NOISE

    def joint_positions(self) -> dict[str, float]:
        """Measured joint angles, rad, and gripper openings, m, by name."""
        positions = self._arms.positions(self._data) + self._noise
        return dict(zip(JOINT_NAMES, positions.tolist(), strict=True))

    def render(self) -> dict[str, Image]:
        """Camera name to RGB image; call it, and :meth:`close`, from one thread."""
        if self._renderer is None:
            self._renderer = self._own_renderer = CameraRenderer(self._model)
        return {
            camera: self._renderer.render(self._model, self._data, camera, self._image_size)
            for camera in CAMERAS
        }

    def use(self, renderer: CameraRenderer) -> None:
        """Render with one that exists, where that fits; it stays open at :meth:`close`."""
        if self._renderer is None and renderer.fits(self._model):
            self._renderer = renderer

    def truth(self) -> Truth:
        """Return what is really going on."""
        phase = self._expert.segment.phase
        return self._record.truth(
            self.time, self.task, self.seed, self.failure, phase, self._attempt
        )

    def retry(self, failure: str = NOMINAL) -> bool:
        """
        Open, go back to start and try again on the scene as it is.

        :returns: whether that is possible; if not, :attr:`retry_refusal` says why
        :raises ValueError: if the failure to inject is unknown
        """
        check_mode(self.task, failure)
        self.retry_refusal = self._task.refusal(self._model, self._data)
        if self.retry_refusal:
            return False
        self._disturbance.end()
        way = MotionPlan(self._expert.hands)
        if not self._going_home:
            self._task.recover(self._model, self._data, way, self._expert.plan)
        add_way_home(way, self._expert.home)
        self._expert.follow(way)
        self._going_home, self._next_failure = True, failure
        self._attempt += 1
        self._record.start_attempt()
        return True

    def close(self) -> None:
        """Free the renderer, from the thread that rendered."""
        if self._own_renderer is not None:
            self._own_renderer.close()
        self._renderer = self._own_renderer = None

    def _build(self) -> mujoco.MjModel:
        spec = robot_spec()
        rng = np.random.default_rng([self.seed, LAYOUT])
        self._task.add_objects(spec, self._task.draw_layout(rng))
        head = next(camera for camera in spec.cameras if camera.name == 'head')
        head.pos = HEAD_POSITION + rng.normal(0.0, 0.008, 3)
        head.quat = aim(head.pos, HEAD_TARGET + rng.normal(0.0, 0.008, 3))
        return compile_robot(spec)

    def _settle(self) -> None:
        self._noise = np.zeros(14)
        self._arms.place(self._data, self._expert.targets())
        mujoco.mj_step(self._model, self._data, 150)
        mujoco.mj_forward(self._model, self._data)

    def _begin(self, failure: str) -> None:
        fault = self._draw_fault(failure)
        rng = np.random.default_rng([self.seed, STYLE, self._attempt])
        plan = self._task.make_plan(self._data, self._expert.hands, fault, rng)
        self._expert.follow(plan)
        self._going_home = False
        self._judge = self._task.judge(self._model, self._data)
        self._disturbance = Disturbance(
            self._model, self._data, fault, plan, self._task.slip_geoms
        )
        if failure != NOMINAL:
            self._record.expect(self.time, fault, plan, self._disturbance)

    def _draw_fault(self, mode: str) -> Fault:
        modes = (*self._task.variations, *self._task.failures)
        rng = np.random.default_rng([self.seed, FAULT, modes.index(mode), self._attempt])
        return self._task.draw_fault(mode, rng)


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f'seed is {seed!r}, must be a whole number, 0 or more')


def _check_size(size: tuple[int, int]) -> None:
    if len(size) != 2 or not all(16 <= side <= 960 for side in size):
        raise ValueError(f'image_size is {size!r}, must be (height, width), each 16 to 960 pixels')
