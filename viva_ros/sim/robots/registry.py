# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The robots that can be simulated: a robot is one file in ``robots/``, see ``SimRobot``.

This module imports no simulator: commands and parameters list the robots without one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from viva_ros.core.observation import Array
from viva_ros.core.registry import Registry

if TYPE_CHECKING:
    import mujoco

DEFAULT_ROBOT: Final = 'viperx'

Point = tuple[float, float, float]


class RobotJoints(Protocol):
    """Reads and commands the joints of a compiled model, in the order of ``joint_names``."""

    def positions(self, data: 'mujoco.MjData') -> Array:
        """Return joint angles, rad, and gripper openings, m; (joints,)."""

    def command(self, data: 'mujoco.MjData', target: Array) -> None:
        """Set the position targets, (joints,) as :meth:`positions`."""

    def place(self, data: 'mujoco.MjData', target: Array) -> None:
        """Set the positions to a target at once, at rest."""


@dataclass(frozen=True)
class SimHand:
    """
    One arm with its gripper; names are those of the MuJoCo model.

    :param site: point between the finger pads; x: direction of the fingers, z: up
    :param joints: joints of the arm, from the base to the wrist
    :param pads: one geom of each of the two fingers, by which a grasp is recognized
    :param rest: joint angles from which inverse kinematics starts, rad
    :param home: position of the site at the start of an episode, m
    :param home_yaw: heading of the fingers there, rad
    :param home_pitch: angle by which the fingers point down there, rad
    """

    site: str
    joints: tuple[str, ...]
    pads: tuple[str, str]
    rest: tuple[float, ...]
    home: Point
    home_yaw: float = 0.0
    home_pitch: float = 0.0


@dataclass(frozen=True)
class SceneCamera:
    """
    A camera fixed to the world; its pose varies a little from episode to episode.

    :param target: point that it looks at, m
    :param fovy: vertical field of view, degrees
    """

    name: str
    position: Point
    target: Point
    fovy: float = 45.0


@dataclass(frozen=True)
class MimicJoint:
    """A URDF joint at ``multiplier * position of leader + offset``."""

    joint: str
    leader: str
    multiplier: float
    offset: float


@dataclass(frozen=True)
class UrdfNames:
    """
    How the model is written as a URDF.

    :param robot: name of the robot
    :param name_of: name of a body or joint of the model to its name in the URDF
    :param mimics: joints that follow another
    :param openings: gripper openings that are no joint of the model: joint name and parent link
    """

    robot: str
    name_of: Callable[[str], str] = str
    mimics: tuple[MimicJoint, ...] = ()
    openings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class SimRobot:
    """
    Everything that differs from robot to robot; each has two arms, left first.

    :param name: as in the registry
    :param cameras: cameras of the model that are rendered and published
    :param joint_names: names in the joint states: for each hand its arm joints, then its gripper
    :param make_spec: returns robot, table, lights and cameras, for a task to add its objects
    :param compile: compiles a spec that ``make_spec`` returned
    :param joints: returns what reads and commands the joints of a compiled model
    :param gripper_open: largest opening of a gripper, m
    :param home_opening: opening of the grippers at the start of an episode, m
    :param encoder_noise: standard deviation for each joint name, rad or m
    :param control_rate: of the joint commands, Hz
    :param scene_camera: camera on the world, if there is one; it must be in the spec
    """

    name: str
    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]
    make_spec: 'Callable[[], mujoco.MjSpec]'
    compile: 'Callable[[mujoco.MjSpec], mujoco.MjModel]'
    joints: 'Callable[[mujoco.MjModel], RobotJoints]'
    hands: tuple[SimHand, SimHand]
    gripper_open: float
    home_opening: float
    encoder_noise: tuple[float, ...]
    urdf: UrdfNames
    control_rate: float = 50.0
    scene_camera: SceneCamera | None = None

    def __post_init__(self) -> None:
        """
        Check the numbers of joints.

        :raises ValueError: if they do not agree
        """
        count = sum(len(hand.joints) + 1 for hand in self.hands)
        if not len(self.joint_names) == len(self.encoder_noise) == count:
            raise ValueError(
                f'robot {self.name!r} has {len(self.joint_names)} joint names and '
                f'{len(self.encoder_noise)} values of encoder noise, its hands have {count} '
                'joints, grippers included'
            )

    @property
    def control_period(self) -> float:
        """Time between two joint commands, s."""
        return 1.0 / self.control_rate

    @cached_property
    def bare_model(self) -> 'mujoco.MjModel':
        """Return the robot without a task: the model on which inverse kinematics is solved."""
        return self.compile(self.make_spec())


ROBOTS: Final[Registry[SimRobot]] = Registry(
    'robot', 'viva_ros.sim_robots', {'viperx': 'viva_ros.sim.robots.viperx:ROBOT'}
)
