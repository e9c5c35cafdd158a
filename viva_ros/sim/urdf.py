# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The URDF of a simulated robot, made from its simulated model.

Frames are exact; the shape of a link is a rod to each child link, which shows the arms in RViz.
Names are those of the joint states.
"""

from functools import cache
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import mujoco
import numpy as np

from viva_ros.core.observation import Array
from viva_ros.sim.robots.registry import SimRobot, UrdfNames

ROOT = 'base_link'  # world frame of the simulation
ROD = 0.02  # m, radius
COLOUR = '0.33 0.35 0.39 1'
KINDS = {
    int(mujoco.mjtJoint.mjJNT_HINGE): 'revolute',
    int(mujoco.mjtJoint.mjJNT_SLIDE): 'prismatic',
}


@cache
def robot_description(robot: SimRobot) -> str:
    """
    Return the URDF of a robot.

    :raises ValueError: if URDF has no joint of the kind of one of the model
    """
    root = Element('robot', name=robot.urdf.robot)
    SubElement(root, 'link', name=ROOT)
    for body in range(1, robot.bare_model.nbody):
        _add_link(root, robot.bare_model, robot.urdf, body)
        _add_joint(root, robot.bare_model, robot.urdf, body)
    for name, parent in robot.urdf.openings:
        _add_opening(root, name, parent, robot.gripper_open)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding='unicode')


def _add_link(root: Element, model: mujoco.MjModel, names: UrdfNames, body: int) -> None:
    """Add the link of a body, with a rod to each of its children."""
    link = SubElement(root, 'link', name=_link(model, names, body))
    for child in np.flatnonzero(model.body_parentid == body):
        offset = model.body_pos[child]
        length = float(np.linalg.norm(offset))
        if length == 0.0:
            continue
        visual = SubElement(link, 'visual')
        pitch, yaw = np.arccos(offset[2] / length), np.arctan2(offset[1], offset[0])
        SubElement(visual, 'origin', xyz=_text(0.5 * offset), rpy=_text([0.0, pitch, yaw]))
        rod = SubElement(visual, 'geometry')
        SubElement(rod, 'cylinder', radius=str(ROD), length=f'{length:.6g}')
        SubElement(SubElement(visual, 'material', name='rod'), 'color', rgba=COLOUR)


def _add_joint(root: Element, model: mujoco.MjModel, names: UrdfNames, body: int) -> None:
    """Add the joint between a body and its parent."""
    address, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
    moves = count == 1 and int(model.jnt_type[address]) in KINDS
    if count and not (moves and not model.jnt_pos[address].any()):
        raise ValueError(
            f'body {model.body(body).name!r} has {count} joints, URDF allows one hinge or slide '
            'joint through the origin of the body'
        )
    link = _link(model, names, body)
    name = names.name_of(model.joint(address).name) if moves else f'{link}_fixed'
    kind = KINDS[int(model.jnt_type[address])] if moves else 'fixed'
    joint = SubElement(root, 'joint', name=name, type=kind)
    SubElement(joint, 'parent', link=_link(model, names, int(model.body_parentid[body])))
    SubElement(joint, 'child', link=link)
    rpy = _rpy(model.body_quat[body])
    SubElement(joint, 'origin', xyz=_text(model.body_pos[body]), rpy=_text(rpy))
    if not moves:
        return
    lower, upper = model.jnt_range[address]
    SubElement(joint, 'axis', xyz=_text(model.jnt_axis[address]))
    SubElement(
        joint, 'limit', lower=f'{lower:.6g}', upper=f'{upper:.6g}', effort='0', velocity='0'
    )
    for one in names.mimics:
        if one.joint == name:
            SubElement(
                joint, 'mimic', joint=one.leader, multiplier=str(one.multiplier),
                offset=str(one.offset),
            )  # fmt: skip


def _add_opening(root: Element, name: str, parent: str, largest: float) -> None:
    """Add the opening of a gripper, m, as a joint of its own."""
    SubElement(root, 'link', name=f'{name}_opening')
    joint = SubElement(root, 'joint', name=name, type='prismatic')
    SubElement(joint, 'parent', link=parent)
    SubElement(joint, 'child', link=f'{name}_opening')
    SubElement(joint, 'axis', xyz='0 1 0')
    SubElement(joint, 'limit', lower='0', upper=str(largest), effort='0', velocity='0')


def _link(model: mujoco.MjModel, names: UrdfNames, body: int) -> str:
    return names.name_of(model.body(body).name) if body else ROOT


def _rpy(quaternion: Array) -> Array:
    """Return roll, pitch and yaw of a quaternion (w, x, y, z); (3,), rad."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    m = matrix.reshape(3, 3)
    pitch = np.arctan2(-m[2, 0], np.hypot(m[0, 0], m[1, 0]))
    return np.array([np.arctan2(m[2, 1], m[2, 2]), pitch, np.arctan2(m[1, 0], m[0, 0])])


def _text(numbers: Array | list[float]) -> str:
    return ' '.join(f'{number:.9g}' for number in numbers)
