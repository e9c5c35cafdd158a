# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Simulation of one episode, without ROS and without a clock.

Labels come from the state of the simulated world, never from the injected fault: an episode that
reaches the goal is a success.
"""

import mujoco
import numpy as np

from viva_ros.core.observation import Image
from viva_ros.sim.failures import NOMINAL, Disturbance, Fault
from viva_ros.sim.ground_truth import Record, Truth
from viva_ros.sim.motion_plan import Expert, MotionPlan, add_way_home, home_hands
from viva_ros.sim.robots.registry import DEFAULT_ROBOT, ROBOTS
from viva_ros.sim.scene import CameraRenderer, Scene, aim
from viva_ros.sim.tasks.registry import TASKS

SETTLING = 0.3  # s, before an episode
CAMERA_SHIFT = 0.008  # m, standard deviation of position and target of the scene camera
LAYOUT, STYLE, FAULT, SENSOR = range(4)  # streams of random numbers


class Simulation:
    """
    One episode of a task.

    :param task: name in ``TASKS``
    :param seed: 0 or more; draws the layout, the motion and the size of the fault
    :param failure: one of the modes of the task
    :param image_size: height and width of the images, px
    :param robot: name in ``ROBOTS``
    :raises ConfigurationError: if task, failure or robot is unknown
    :raises ValueError: if seed or image size is out of range
    """

    def __init__(
        self, task: str, seed: int = 0, failure: str = NOMINAL,
        image_size: tuple[int, int] = (128, 128), robot: str = DEFAULT_ROBOT,
    ) -> None:  # fmt: skip
        self._task = TASKS[task]
        self._robot = ROBOTS[robot]
        self._task.check_mode(failure)
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
        self._scene = Scene(self._robot, self._model, self._data)
        self._joints = self._robot.joints(self._model)
        self._encoder_noise = np.array(self._robot.encoder_noise)
        self._substeps = round(self._robot.control_period / self._model.opt.timestep)
        home = home_hands(self._robot, np.random.default_rng([seed, STYLE, 0]))
        self._expert = Expert(self._robot, home)
        self._settle()
        self._record = Record(self._robot.control_period)
        self._begin(failure)

    @property
    def time(self) -> float:
        """Return the simulated time since the start of the episode, s."""
        return self._steps / self._robot.control_rate

    @property
    def succeeded(self) -> bool:
        """Whether the goal has been reached and held."""
        return self._record.success

    @property
    def executing(self) -> bool:
        """Whether the robot executes the task: neither on the way back nor successful."""
        return not self._going_home and not self.succeeded

    @property
    def done(self) -> bool:
        """Whether success has been held, or the plan has ended without success."""
        return not self._going_home and (self.succeeded or self._expert.finished)

    def step(self) -> None:
        """Advance by one control step."""
        if self._going_home and self._expert.finished:
            self._begin(self._next_failure)
        self._steps += 1
        self._joints.command(self._data, self._expert.step())
        if not self._going_home:
            self._disturbance.apply(self._expert.elapsed)
        mujoco.mj_step(self._model, self._data, self._substeps)
        mujoco.mj_fwdPosition(self._model, self._data)
        verdict = self._judge.update(self._expert.segment)
        self._record.update(verdict, self.time, self._expert.stalled_for, self._going_home)
        self._noise = self._sensor_rng.normal(size=len(self._encoder_noise)) * self._encoder_noise

    def joint_positions(self) -> dict[str, float]:
        """Return measured joint angles, rad, and gripper openings, m, by name."""
        positions = self._joints.positions(self._data) + self._noise
        return dict(zip(self._robot.joint_names, positions.tolist(), strict=True))

    def render(self) -> dict[str, Image]:
        """Return RGB images by camera; call it and :meth:`close` from one thread."""
        if self._renderer is None:
            self._renderer = self._own_renderer = CameraRenderer(self._model)
        return {
            camera: self._renderer.render(self._model, self._data, camera, self._image_size)
            for camera in self._robot.cameras
        }

    def use(self, renderer: CameraRenderer) -> None:
        """Render with an existing renderer if it fits; :meth:`close` leaves it open."""
        if self._renderer is None and renderer.fits(self._model):
            self._renderer = renderer

    def truth(self) -> Truth:
        """Return the ground truth."""
        phase = self._expert.segment.phase
        return self._record.truth(
            self.time, self.task, self.seed, self.failure, phase, self._attempt
        )

    def retry(self, failure: str = NOMINAL) -> bool:
        """
        Open the grippers, return to the start and try again on the present scene.

        :param failure: mode of the new attempt
        :returns: whether a retry is possible; if not, :attr:`retry_refusal` is the reason
        :raises ConfigurationError: if the mode is unknown
        """
        self._task.check_mode(failure)
        self.retry_refusal = self._task.refusal(self._scene)
        if self.retry_refusal:
            return False
        self._disturbance.end()
        way = MotionPlan(self._expert.hands)
        if not self._going_home:
            self._task.recover(self._scene, way, self._expert.plan)
        add_way_home(way, self._expert.home)
        self._expert.follow(way)
        self._going_home, self._next_failure = True, failure
        self._attempt += 1
        self._record.start_attempt()
        return True

    def close(self) -> None:
        """Free the renderer; call it from the thread that rendered."""
        if self._own_renderer is not None:
            self._own_renderer.close()
        self._renderer = self._own_renderer = None

    def _build(self) -> mujoco.MjModel:
        spec = self._robot.make_spec()
        rng = np.random.default_rng([self.seed, LAYOUT])
        self._task.add_objects(spec, self._task.draw_layout(rng))
        if (camera := self._robot.scene_camera) is not None:
            placed = next(one for one in spec.cameras if one.name == camera.name)
            placed.pos = np.array(camera.position) + rng.normal(0.0, CAMERA_SHIFT, 3)
            target = np.array(camera.target) + rng.normal(0.0, CAMERA_SHIFT, 3)
            placed.quat = aim(placed.pos, target)
        return self._robot.compile(spec)

    def _settle(self) -> None:
        self._noise = np.zeros(len(self._robot.joint_names))
        self._joints.place(self._data, self._expert.targets())
        mujoco.mj_step(self._model, self._data, round(SETTLING / self._model.opt.timestep))
        mujoco.mj_forward(self._model, self._data)

    def _begin(self, failure: str) -> None:
        fault = self._draw_fault(failure)
        rng = np.random.default_rng([self.seed, STYLE, self._attempt])
        plan = self._task.make_plan(self._scene, self._expert.hands, fault, rng)
        self._expert.follow(plan)
        self._going_home = False
        self._judge = self._task.judge(self._scene)
        self._disturbance = Disturbance(
            self._model, self._data, fault, plan, self._task.slip_geoms
        )
        if failure != NOMINAL:
            self._record.expect(self.time, fault, plan, self._disturbance)

    def _draw_fault(self, mode: str) -> Fault:
        index = self._task.modes.index(mode)
        rng = np.random.default_rng([self.seed, FAULT, index, self._attempt])
        return self._task.draw_fault(mode, rng)


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f'seed is {seed!r}, must be a whole number, 0 or more')


def _check_size(size: tuple[int, int]) -> None:
    if len(size) != 2 or not all(16 <= side <= 960 for side in size):
        raise ValueError(f'image_size is {size!r}, must be (height, width), each 16 to 960 pixels')
