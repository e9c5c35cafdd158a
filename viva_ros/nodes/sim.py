# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Node of a simulated robot: cameras, joints, 'executing', and the services 'start' and 'retry'.

Its interface to the supervisor is that of any robot: it starts and ends episodes, reports whether
it executes the task, and retries on request.

A timer of the executor steps and renders, since a renderer belongs to the thread that created it.
The renderer is created before the first service and serves all scenes. Another thread builds a new
scene: 'start' is answered first. Until the new scene is ready, the old one stands still and its
ground truth is not published. Before the first 'start' and after the end of an episode the robot
stands still, and images and joints are published.
"""

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.parameter_service import ParameterService
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.observation import Image as Pixels
from viva_ros.engine.background_task import Preparation
from viva_ros.msg import Episode, GroundTruth
from viva_ros.nodes import qos
from viva_ros.nodes.convert import header, to_image, to_joint_state
from viva_ros.nodes.main import run
from viva_ros.nodes.parameters import Parameters
from viva_ros.nodes.settings import SimSettings
from viva_ros.sim.environment import Simulation
from viva_ros.sim.robots.registry import ROBOTS
from viva_ros.sim.scene import CameraRenderer, add_noise, encode_jpeg
from viva_ros.sim.tasks.registry import TASKS
from viva_ros.sim.urdf import robot_description
from viva_ros.srv import StartEpisode

LATE = 0.2  # s; a longer delay is not caught up
CLOSING = 1.5  # s, for a scene that is being built when the process ends
GIVE_UP = 20.0  # s, from the end of a plan without success to the end of the episode
REPORT = 0.1  # s, between two messages of 'executing'


class SimRobotNode(Node):
    """Runs simulated episodes, one at a time."""

    def __init__(self) -> None:
        super().__init__('sim', start_parameter_services=False)
        self._robot_name = ''
        self._node_parameters = Parameters(self, SimSettings(), self._check)
        self._settings = self._read()
        self._robot_name, self._robot = self._settings.robot, ROBOTS[self._settings.robot]
        self._step = self._robot.control_period
        self._renderer = CameraRenderer(self._robot.bare_model)
        self._episode = ''
        self._raw = self._image_publishers(Image, 'image_raw')
        self._compressed = self._image_publishers(CompressedImage, 'image_raw/compressed')
        self._joints = self.create_publisher(JointState, 'joint_states', qos_profile_sensor_data)
        self._truth = self.create_publisher(GroundTruth, 'ground_truth', qos.RELIABLE)
        self._executing = self.create_publisher(Bool, 'executing', qos.RELIABLE)
        self.create_subscription(Episode, 'episode', self._store_episode, qos.LATCHED_READER)
        self._hook = EpisodeHook(self)
        self._description = self.create_publisher(String, 'robot_description', qos.LATCHED)
        self._description.publish(String(data=robot_description(self._robot)))
        self.create_service(Trigger, 'start', self._serve_start)
        self.create_service(Trigger, 'retry', self._serve_retry)
        self._simulation: Simulation | None = None
        self._moving = self._ended = self._reported = False
        self._steps = self._images_sent = self._idle_steps = 0
        self._reported_at = -math.inf
        self._preparation: Preparation[Simulation] = Preparation()
        self._noise = np.random.default_rng()
        self._due = 0.0
        self._begin(self._settings.autostart)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._ticker = self.create_timer(self._step, self._tick, clock=steady)
        self._parameter_services = ParameterService(self)

    @property
    def _scene(self) -> Simulation:
        """Return the simulation, once its scene is built."""
        assert self._simulation is not None
        return self._simulation

    def _tick(self) -> None:
        """Step in real time; change to a new scene when it is built."""
        if self._preparation.done:
            self._enter(self._preparation.take())
        elif self._simulation is not None:
            self.step()
        now = time.monotonic()
        self._due += self._step
        if (late := now - self._due) > LATE:
            if self._simulation is not None and not self._preparation.pending:
                self.get_logger().warning(
                    f'the simulation is {late:.1f} s behind real time: reduce the load of this '
                    'machine, camera_rate or the image size',
                    throttle_duration_sec=5.0,
                )
            self._due = now
        self._ticker.timer_period_ns = round(1e9 * max(0.0, self._due - now))
        self._ticker.reset()

    def step(self) -> None:
        """Advance a running episode by one control step, and publish."""
        if self._moving:
            self._advance()
        self._report()
        stamp = self.get_clock().now().nanoseconds
        self._joints.publish(to_joint_state(self._scene.joint_positions(), stamp))
        self._steps += 1
        if self._steps * self._step * self._settings.camera_rate >= self._images_sent:
            self._images_sent += 1
            self._publish_images(stamp)
            if not self._preparation.pending:
                self._publish_truth(stamp)

    def _advance(self) -> None:
        if self._scene.done:
            self._idle_steps += 1
        else:
            self._scene.step()
            self._idle_steps = 0
        if not self._ended and (self._scene.succeeded or self._idle_steps * self._step > GIVE_UP):
            self._ended = True
            self._hook.end()

    def _report(self) -> None:
        """Publish 'executing' on each change, and periodically."""
        executing = self._moving and not self._ended and self._scene.executing
        now = time.monotonic()
        if executing != self._reported or now - self._reported_at >= REPORT:
            self._reported, self._reported_at = executing, now
            self._executing.publish(Bool(data=executing))
        self._hook.pursue(now)

    def close(self) -> bool:
        """Free the renderer; return False if a scene is still being built."""
        self._preparation.cancel()
        if self._simulation is not None:
            self._simulation.close()
        self._renderer.close()
        return self._preparation.join(CLOSING)

    def _read(self) -> SimSettings:
        settings = self._node_parameters.read()
        self._check(settings)
        return settings

    def _check(self, settings: SimSettings) -> None:
        """
        Check the failure, which depends on the task, and that the robot stays the same.

        :raises ConfigurationError: if one of the checks fails
        """
        TASKS[settings.task].check_mode(settings.failure)
        if self._robot_name not in ('', settings.robot):
            raise ConfigurationError(
                'sim-robot-fixed',
                f'robot is {self._robot_name!r} and cannot change while the node runs: start the '
                f'node with robot:={settings.robot}',
            )

    def _begin(self, moving: bool) -> None:
        """Build a scene in the background."""
        settings = self._settings
        self._moving, self._moves_then = False, moving
        self._preparation.begin(
            f'building the scene of {settings.task}',
            partial(
                Simulation, settings.task, settings.seed, settings.failure,
                (settings.image_height, settings.image_width), settings.robot,
            ),
        )  # fmt: skip

    def _enter(self, simulation: Simulation) -> None:
        """Change to a scene."""
        if self._simulation is not None:
            self._simulation.close()
        simulation.use(self._renderer)
        self._simulation = simulation
        self._moving, self._steps, self._images_sent, self._idle_steps = self._moves_then, 0, 0, 0
        self._ended, self._reported, self._reported_at = False, False, -math.inf
        self._publish_images(self.get_clock().now().nanoseconds)
        self._due = time.monotonic()
        if self._moving:
            self._hook.begin(simulation.task)
        how = 'running' if self._moving else "waiting for 'start'"
        self.get_logger().info(
            f'{simulation.task}, seed {simulation.seed}, {simulation.failure}: {how}'
        )

    def _image_publishers(self, kind: type, suffix: str) -> dict[str, Any]:
        return {
            camera: self.create_publisher(kind, f'{camera}/{suffix}', qos_profile_sensor_data)
            for camera in self._robot.cameras
        }

    def _publish_images(self, stamp: int) -> None:
        for camera, clean in self._scene.render().items():
            pixels = add_noise(clean, self._settings.camera_noise, self._noise)
            frame = f'{camera}_camera'
            if self._raw[camera].get_subscription_count():
                self._raw[camera].publish(to_image(pixels, stamp, frame))
            if self._compressed[camera].get_subscription_count():
                self._compressed[camera].publish(compress(pixels, stamp, frame))

    def _publish_truth(self, stamp: int) -> None:
        truth = self._scene.truth()
        elapsed = truth.time + self._idle_steps * self._step  # simulated time stops when done
        self._truth.publish(
            GroundTruth(
                header=header(stamp), episode_id=self._episode,
                task=truth.task, seed=truth.seed, failure=truth.failure, phase=truth.phase,
                attempt=truth.attempt, progress=truth.progress,
                success=truth.success, failed=truth.failed, done=self._scene.done,
                inject_time=or_nan(truth.inject_time), visible_time=or_nan(truth.visible_time),
                manifest_time=or_nan(truth.manifest_time), time=elapsed,
            )
        )  # fmt: skip

    def _store_episode(self, message: Episode) -> None:
        self._episode = message.id

    def _serve_start(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        self._settings = self._read()
        self._begin(moving=True)
        response.success, response.message = True, self._settings.task
        return response

    def _serve_retry(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if not self._moving or self._ended:
            is_building = self._preparation.pending
            none = 'no episode is running: call start'
            response.message = 'the scene is being built' if is_building else none
            return response
        response.success = self._scene.retry()
        response.message = self._scene.retry_refusal
        self.get_logger().info('retry: ' + (response.message or 'returning to the start'))
        return response


class EpisodeHook:
    """
    Starts and ends episodes at the supervisor, without waiting for it.

    The call is made as soon as the service is available. It is repeated if there is no answer (the
    supervisor was restarted) or if the supervisor is not active yet.
    """

    PERIOD = 0.2  # s, between two checks for the service
    ANSWER_TIMEOUT = 2.0  # s, for an answer
    NOT_YET = 'not active'  # start of the answer of a supervisor that is not active

    def __init__(self, node: Node) -> None:
        self._node = node
        self._start = node.create_client(StartEpisode, 'supervisor/start_episode')
        self._end = node.create_client(Trigger, 'supervisor/end_episode')
        self._wanted = ''
        self._started = False
        self._next_call = -math.inf  # steady time of the next check, s
        self._pending: Future | None = None

    def begin(self, task: str) -> None:
        """Start an episode as soon as the supervisor is available."""
        self._wanted, self._task, self._started = 'start', task, False
        self._pending = None
        self._next_call = -math.inf

    def end(self) -> None:
        """End the episode if one was started."""
        command = self._wanted == 'start' and self._pending is not None  # it may have started
        self._wanted = 'end' if self._started or command else ''
        self._next_call = -math.inf

    def pursue(self, now: float) -> None:
        """
        Call the requested service if it is available.

        :param now: steady time, s
        """
        if not self._wanted or now < self._next_call:
            return
        self._next_call = now + self.PERIOD
        client = self._start if self._wanted == 'start' else self._end
        if not client.service_is_ready():
            return
        self._next_call = now + self.ANSWER_TIMEOUT
        start = StartEpisode.Request(task=self._task)
        self._pending = client.call_async(start if self._wanted == 'start' else Trigger.Request())
        self._pending.add_done_callback(partial(self._note, self._wanted))

    def _note(self, command: str, future: Future) -> None:
        answer = future.result()
        if future is not self._pending or answer is None:
            return
        if not answer.success:
            self._node.get_logger().warning(f'supervisor refuses to {command}: {answer.message}')
            if answer.message.startswith(self.NOT_YET):
                return
        self._started = command == 'start' and answer.success
        if self._wanted == command:
            self._wanted = ''


def compress(pixels: Pixels, stamp: int, frame_id: str) -> CompressedImage:
    """Return an RGB image as JPEG."""
    data = encode_jpeg(pixels)
    return CompressedImage(header=header(stamp, frame_id), format='jpeg', data=data)


def or_nan(time_: float | None) -> float:
    """Return a time, s; NaN for None."""
    return math.nan if time_ is None else time_


def main(argv: Sequence[str] | None = None) -> None:
    """Run the node."""
    run(SimRobotNode, argv)


if __name__ == '__main__':
    main()
