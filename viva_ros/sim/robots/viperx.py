# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The bimanual ViperX 300: which files, gains, grippers and cameras make up the robot.

The meshes and kinematics come from the installed ``gym-aloha`` wheel, found without importing
it, since importing it would pull a pinned mujoco and 640 MB more. Everything else is ours: its
gains let the wrist creep under load, its cameras show little at 128x128, and its finger meshes
give flickering contacts, so grasps are made by two box pads per gripper instead.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import mujoco
import numpy as np

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Array
from viva_ros.sim.scene import add_room, aim, set_rendering

CAMERAS = ('head', 'left_wrist', 'right_wrist')
SIDES = ('left', 'right')
ARM_JOINTS = (
    'waist', 'shoulder', 'elbow', 'forearm_roll', 'wrist_angle', 'wrist_rotate',
)  # fmt: skip
JOINT_NAMES = tuple(f'{side}_{joint}' for side in SIDES for joint in (*ARM_JOINTS, 'gripper'))
CONTROL_RATE = 50.0  # Hz
PHYSICS_STEP = 0.002  # s

GRIPPER_OPEN = 0.072  # m between the finger pads
FINGER_ZERO = 0.021  # finger joint position at which the pads touch, m
PINCH_REACH = 0.147  # from the gripper link to the point between the pads, m

STIFFNESS = np.array([1500.0, 2000.0, 1500.0, 500.0, 500.0, 200.0])  # N m / rad
DAMPING = np.array([65.0, 80.0, 60.0, 13.0, 13.0, 5.0])  # N m s / rad
ARMATURE = np.array([0.2, 0.2, 0.2, 0.04, 0.04, 0.02])  # kg m^2
ARM_COLOUR, FINGER_COLOUR = (0.33, 0.35, 0.39, 1.0), (0.24, 0.25, 0.28, 1.0)
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_ARMATURE = 20_000.0, 350.0, 0.4


def robot_spec() -> mujoco.MjSpec:
    """
    Both arms with pads and cameras, on an empty table, ready for a task to add its objects.

    :raises ConfigurationError: if the gym-aloha wheel is not installed
    """
    spec = mujoco.MjSpec.from_file(str(_assets() / 'bimanual_viperx_transfer_cube.xml'))
    for name in ('box', 'table', 'midair'):
        spec.delete(spec.body(name))
    for thing in (*spec.cameras, *spec.lights, *spec.keys):
        spec.delete(thing)
    _set_physics(spec)
    set_rendering(spec)
    add_room(spec)
    for body in spec.bodies:
        if body.name.startswith('vx300s'):
            body.gravcomp = 1.0
            for geom in body.geoms:
                geom.contype = geom.conaffinity = 0
                geom.rgba = FINGER_COLOUR if 'finger' in geom.name else ARM_COLOUR
    for side in SIDES:
        _add_pads(spec, side)
        _add_wrist_camera(spec, side)
    return spec


def compile_robot(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Compile, then set the gains on the model: the spec's damping differs between versions."""
    model = spec.compile()
    for side in SIDES:
        for i, joint in enumerate(ARM_JOINTS):
            name = f'vx300s_{side}/{joint}'
            _set_gains(model, name, STIFFNESS[i], DAMPING[i], ARMATURE[i])
        for finger in ('left_finger', 'right_finger'):
            name = f'vx300s_{side}/{finger}'
            _set_gains(model, name, FINGER_STIFFNESS, FINGER_DAMPING, FINGER_ARMATURE)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


@lru_cache(maxsize=1)
def bare_robot() -> mujoco.MjModel:
    """Return the robot alone: the model that inverse kinematics is solved on."""
    return compile_robot(robot_spec())


class Arms:
    """Reads and commands the fourteen joints of a compiled model, in ``JOINT_NAMES`` order."""

    def __init__(self, model: mujoco.MjModel) -> None:
        names = [f'vx300s_{s}/{j}' for s in SIDES for j in (*ARM_JOINTS, 'left_finger')]
        mirrored = [f'vx300s_{side}/right_finger' for side in SIDES]
        self._qpos = np.array([model.joint(name).qposadr[0] for name in names])
        self._mirrored_qpos = np.array([model.joint(name).qposadr[0] for name in mirrored])
        self._ctrl = np.array([_actuator(model, name) for name in names])
        self._mirrored_ctrl = np.array([_actuator(model, name) for name in mirrored])

    def positions(self, data: mujoco.MjData) -> Array:
        """Joint angles, rad, and gripper openings, m: (14,)."""
        positions = data.qpos[self._qpos].copy()
        positions[[6, 13]] -= data.qpos[self._mirrored_qpos] + 2.0 * FINGER_ZERO
        return positions

    def command(self, data: mujoco.MjData, target: Array) -> None:
        """Set the position targets, (14,) as :meth:`positions`."""
        data.ctrl[self._ctrl] = target
        finger = FINGER_ZERO + 0.5 * target[[6, 13]]
        data.ctrl[self._ctrl[[6, 13]]] = finger
        data.ctrl[self._mirrored_ctrl] = -finger

    def place(self, data: mujoco.MjData, target: Array) -> None:
        """Put the arms at a target at once, at rest."""
        self.command(data, target)
        data.qpos[self._qpos] = data.ctrl[self._ctrl]
        data.qpos[self._mirrored_qpos] = data.ctrl[self._mirrored_ctrl]


def _assets() -> Path:
    found = importlib.util.find_spec('gym_aloha')
    if found is None or found.origin is None:
        raise ConfigurationError(
            f"gym_aloha is not installed, the robot's meshes are in it; {remedy(['gym_aloha'])}"
        )
    return Path(found.origin).parent / 'assets'


def _set_physics(spec: mujoco.MjSpec) -> None:
    spec.option.timestep = PHYSICS_STEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 20.0
    spec.compiler.inertiagrouprange = [0, 5]


def _add_pads(spec: mujoco.MjSpec, side: str) -> None:
    gripper = spec.body(f'vx300s_{side}/gripper_link')
    gripper.add_site(name=f'{side}_pinch', pos=[PINCH_REACH, 0.0, 0.0], group=4)
    for finger, sign in (('left_finger', 1.0), ('right_finger', -1.0)):
        body = spec.body(f'vx300s_{side}/{finger}_link')
        body.add_geom(
            name=f'{side}_{finger}_pad', type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=[PINCH_REACH - 0.0687 - 0.002, sign * -0.0179, 0.0], size=[0.012, 0.003, 0.009],
            group=4, mass=0.0, friction=[0.9, 0.01, 0.0001],
        )  # fmt: skip


def _add_wrist_camera(spec: mujoco.MjSpec, side: str) -> None:
    gripper = spec.body(f'vx300s_{side}/gripper_link')
    position, target = np.array([-0.01, 0.0, 0.11]), np.array([0.19, 0.0, 0.025])
    # In the link's own frame its z axis is 'up', so the world helper serves here as well.
    gripper.add_camera(name=f'{side}_wrist', pos=position, quat=aim(position, target), fovy=60.0)


def _set_gains(
    model: mujoco.MjModel, joint: str, stiffness: float, damping: float, armature: float
) -> None:
    actuator, dof = _actuator(model, joint), model.joint(joint).dofadr[0]
    model.actuator_gainprm[actuator, 0] = stiffness
    model.actuator_biasprm[actuator, :3] = 0.0, -stiffness, -damping
    model.actuator_ctrllimited[actuator] = 0
    model.dof_frictionloss[dof] = 0.0
    model.dof_damping[dof] = 0.0
    model.dof_armature[dof] = armature


def _actuator(model: mujoco.MjModel, joint: str) -> int:
    joint_id = model.joint(joint).id
    return int(np.flatnonzero(model.actuator_trnid[:, 0] == joint_id)[0])
