# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The simulated robot as a URDF, made from the model that is simulated.

Links are rods from joint to joint: enough to see the arms in RViz, and exact where their frames
are. Names are those of the joint states; the fingers follow the opening of their gripper.
"""

from functools import cache
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.robots.viperx import FINGER_ZERO, GRIPPER_OPEN, SIDES, bare_robot

ROOT = 'base_link'  # the simulated world
ROD = 0.02  # m, radius
COLOUR = '0.33 0.35 0.39 1'
KINDS = {
    int(mujoco.mjtJoint.mjJNT_HINGE): 'revolute',
    int(mujoco.mjtJoint.mjJNT_SLIDE): 'prismatic',
}


@cache
def robot_description() -> str:
    """
    Return the URDF.

    :raises ValueError: if the model has a joint that URDF does not
    """
    model = bare_robot()
    robot = Element('robot', name='vx300s_bimanual')
    SubElement(robot, 'link', name=ROOT)
    for body in range(1, model.nbody):
        _add_link(robot, model, body)
        _add_joint(robot, model, body)
    for side in SIDES:
        _add_opening(robot, side)
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding='unicode')


def _add_link(robot: Element, model: mujoco.MjModel, body: int) -> None:
    """Add a link, with a rod to each body that it carries."""
    link = SubElement(robot, 'link', name=_link(model, body))
    for child in np.flatnonzero(model.body_parentid == body):
        offset = model.body_pos[child]
        length = float(np.linalg.norm(offset))
        visual = SubElement(link, 'visual')
        pitch, yaw = np.arccos(offset[2] / length), np.arctan2(offset[1], offset[0])
        SubElement(visual, 'origin', xyz=_text(0.5 * offset), rpy=_text([0.0, pitch, yaw]))
        rod = SubElement(visual, 'geometry')
        SubElement(rod, 'cylinder', radius=str(ROD), length=f'{length:.6g}')
        SubElement(SubElement(visual, 'material', name='rod'), 'color', rgba=COLOUR)


def _add_joint(robot: Element, model: mujoco.MjModel, body: int) -> None:
    """Add the joint between a body and its parent."""
    address, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
    moves = count == 1 and int(model.jnt_type[address]) in KINDS
    if count and not (moves and not model.jnt_pos[address].any()):
        raise ValueError(f'joints of {model.body(body).name} have no form in a URDF')
    name = _name(model.joint(address).name) if moves else f'{_link(model, body)}_fixed'
    kind = KINDS[int(model.jnt_type[address])] if moves else 'fixed'
    joint = SubElement(robot, 'joint', name=name, type=kind)
    SubElement(joint, 'parent', link=_link(model, int(model.body_parentid[body])))
    SubElement(joint, 'child', link=_link(model, body))
    rpy = _rpy(model.body_quat[body])
    SubElement(joint, 'origin', xyz=_text(model.body_pos[body]), rpy=_text(rpy))
    if not moves:
        return
    lower, upper = model.jnt_range[address]
    SubElement(joint, 'axis', xyz=_text(model.jnt_axis[address]))
    SubElement(
        joint, 'limit', lower=f'{lower:.6g}', upper=f'{upper:.6g}', effort='0', velocity='0'
    )
    if 'finger' in name:
        sign = -1.0 if 'right_finger' in name else 1.0
        SubElement(
            joint, 'mimic', joint=f'{name.split("_")[0]}_gripper', multiplier=str(0.5 * sign),
            offset=str(sign * FINGER_ZERO),
        )  # fmt: skip


def _add_opening(robot: Element, side: str) -> None:
    """Add the joint that the joint states have for a gripper: its opening, m."""
    SubElement(robot, 'link', name=f'{side}_gripper_opening')
    joint = SubElement(robot, 'joint', name=f'{side}_gripper', type='prismatic')
    SubElement(joint, 'parent', link=f'{side}_gripper_link')
    SubElement(joint, 'child', link=f'{side}_gripper_opening')
    SubElement(joint, 'axis', xyz='0 1 0')
    SubElement(joint, 'limit', lower='0', upper=str(GRIPPER_OPEN), effort='0', velocity='0')


def _link(model: mujoco.MjModel, body: int) -> str:
    return _name(model.body(body).name) if body else ROOT


def _name(name: str) -> str:
    """Turn a name of the model, 'vx300s_left/waist', into that of the joint states."""
    side, _, rest = name.removeprefix('vx300s_').partition('/')
    return f'{side}_{rest or "base_link"}'


def _rpy(quaternion: Array) -> Array:
    """Return roll, pitch and yaw of a quaternion (w, x, y, z); (3,), rad."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    m = matrix.reshape(3, 3)
    pitch = np.arctan2(-m[2, 0], np.hypot(m[0, 0], m[1, 0]))
    return np.array([np.arctan2(m[2, 1], m[2, 2]), pitch, np.arctan2(m[1, 0], m[0, 0])])


def _text(numbers: Array | list[float]) -> str:
    return ' '.join(f'{number:.9g}' for number in numbers)
