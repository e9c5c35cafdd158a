# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The bimanual ViperX 300: model files, gains, grippers and cameras.

Meshes and kinematics come from the installed ``gym-aloha`` wheel. It is located without an import,
which would load a pinned mujoco and 640 MB more. Gains, cameras and finger contacts are replaced:
with its gains the wrist creeps under load, its cameras show little at 128x128, and contacts of its
finger meshes flicker. Grasps use two box pads per gripper instead.
"""

import importlib.util
from pathlib import Path

import mujoco
import numpy as np

from viva_ros.core.errors import ConfigurationError
from viva_ros.core.libraries import remedy
from viva_ros.core.observation import Array
from viva_ros.sim.robots.registry import MimicJoint, SceneCamera, SimHand, SimRobot, UrdfNames
from viva_ros.sim.scene import add_room, aim, set_rendering

CAMERAS = ('head', 'left_wrist', 'right_wrist')
SIDES = ('left', 'right')
ARM_JOINTS = (
    'waist', 'shoulder', 'elbow', 'forearm_roll', 'wrist_angle', 'wrist_rotate',
)  # fmt: skip
JOINT_NAMES = tuple(f'{side}_{joint}' for side in SIDES for joint in (*ARM_JOINTS, 'gripper'))
PHYSICS_STEP = 0.002  # s

GRIPPER_OPEN = 0.072  # m between the finger pads
FINGER_ZERO = 0.021  # finger joint position at which the pads touch, m
PINCH_REACH = 0.147  # from the gripper link to the point between the pads, m

STIFFNESS = np.array([1500.0, 2000.0, 1500.0, 500.0, 500.0, 200.0])  # N m / rad
DAMPING = np.array([65.0, 80.0, 60.0, 13.0, 13.0, 5.0])  # N m s / rad
ARMATURE = np.array([0.2, 0.2, 0.2, 0.04, 0.04, 0.02])  # kg m^2
ARM_COLOUR, FINGER_COLOUR = (0.33, 0.35, 0.39, 1.0), (0.24, 0.25, 0.28, 1.0)
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_ARMATURE = 20_000.0, 350.0, 0.4

WRISTS_DOWN = (0.0, -0.96, 1.16, 0.0, 0.85, 0.0)  # another start may end in another branch
HOME_X, HOME_Y, HOME_Z = 0.24, 0.50, 0.20
HEAD = SceneCamera('head', (0.0, -0.04, 0.60), (0.0, 0.49, 0.05), fovy=46.0)


def robot_spec() -> mujoco.MjSpec:
    """
    Return both arms with pads and cameras at an empty table.

    :raises ConfigurationError: if the gym-aloha wheel is not installed
    """
    spec = mujoco.MjSpec.from_file(str(_assets() / 'bimanual_viperx_transfer_cube.xml'))
    for name in ('box', 'table', 'midair'):
        spec.delete(spec.body(name))
    for thing in (*spec.cameras, *spec.lights, *spec.keys):
        spec.delete(thing)
    _set_physics(spec)
    set_rendering(spec)
    add_room(spec, HEAD)
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
        """Return joint angles, rad, and gripper openings, m; (14,)."""
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
        """Set the positions to a target at once, at rest."""
        self.command(data, target)
        data.qpos[self._qpos] = data.ctrl[self._ctrl]
        data.qpos[self._mirrored_qpos] = data.ctrl[self._mirrored_ctrl]


def _assets() -> Path:
    found = importlib.util.find_spec('gym_aloha')
    if found is None or found.origin is None:
        raise ConfigurationError(
            'gym-aloha-missing',
            f'gym_aloha is not installed: it has the meshes of the robot; {remedy(["gym_aloha"])}',
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
    # The z axis of the link points up, as that of the world does for `aim`.
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


def _urdf_name(name: str) -> str:
    """Return the name in the joint states of a name in the model, such as 'vx300s_left/waist'."""
    side, _, rest = name.removeprefix('vx300s_').partition('/')
    return f'{side}_{rest or "base_link"}'


def _hand(side: str) -> SimHand:
    sign, yaw = (-1.0, 0.0) if side == 'left' else (1.0, np.pi)
    return SimHand(
        site=f'{side}_pinch',
        joints=tuple(f'vx300s_{side}/{joint}' for joint in ARM_JOINTS),
        pads=(f'{side}_left_finger_pad', f'{side}_right_finger_pad'),
        rest=WRISTS_DOWN,
        home=(sign * HOME_X, HOME_Y, HOME_Z),
        home_yaw=yaw,
        home_pitch=1.05,
    )


ROBOT = SimRobot(
    name='viperx',
    cameras=CAMERAS,
    joint_names=JOINT_NAMES,
    make_spec=robot_spec,
    compile=compile_robot,
    joints=Arms,
    hands=(_hand('left'), _hand('right')),
    gripper_open=GRIPPER_OPEN,
    home_opening=GRIPPER_OPEN - 0.006,
    encoder_noise=2 * (*6 * (3e-4,), 4e-4),
    urdf=UrdfNames(
        robot='vx300s_bimanual',
        name_of=_urdf_name,
        mimics=tuple(
            MimicJoint(f'{side}_{finger}', f'{side}_gripper', 0.5 * sign, sign * FINGER_ZERO)
            for side in SIDES for finger, sign in (('left_finger', 1.0), ('right_finger', -1.0))
        ),
        openings=tuple((f'{side}_gripper', f'{side}_gripper_link') for side in SIDES),
    ),
    scene_camera=HEAD,
)  # fmt: skip
