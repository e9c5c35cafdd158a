# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table, the light and the view from the head: what the pictures look like."""

import mujoco
import numpy as np

from viva_ros.core.observation import Array

HEAD_POSITION = np.array([0.0, -0.04, 0.60])
HEAD_TARGET = np.array([0.0, 0.49, 0.05])


def aim(position: Array, target: Array) -> Array:
    """Orientation (w, x, y, z) of a camera that looks at a target with the horizon level."""
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quaternion = np.empty(4)
    matrix = np.stack([right, np.cross(back, right), back], axis=1)
    mujoco.mju_mat2Quat(quaternion, matrix.ravel())
    return quaternion


def set_rendering(spec: mujoco.MjSpec) -> None:
    """No shadows, no multisampling: six times faster without a GPU."""
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear = 0.005
    spec.visual.map.zfar = 20.0
    spec.visual.headlight.ambient = [0.34, 0.34, 0.34]
    spec.visual.headlight.diffuse = [0.26, 0.26, 0.26]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960


def add_room(spec: mujoco.MjSpec) -> None:
    """Add table, floor, sky, lights and the head camera."""
    spec.add_texture(
        name='sky', type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=64, height=64,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.80, 0.84, 0.88], rgb2=[0.52, 0.57, 0.63],
    )  # fmt: skip
    world = spec.worldbody
    box = mujoco.mjtGeom.mjGEOM_BOX
    world.add_geom(
        name='table', type=box, size=[0.65, 0.5, 0.02], pos=[0.0, 0.5, -0.02],
        rgba=[0.72, 0.66, 0.57, 1.0], friction=[0.8, 0.005, 0.0001],
    )  # fmt: skip
    world.add_geom(
        name='floor', type=mujoco.mjtGeom.mjGEOM_PLANE, size=[4.0, 4.0, 0.1],
        pos=[0.0, 0.5, -0.75], rgba=[0.46, 0.48, 0.52, 1.0],
    )  # fmt: skip
    for name, x in (('key', -0.8), ('fill', 0.9)):
        world.add_light(
            name=name, type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, castshadow=False,
            pos=[x, -0.4, 1.6], dir=[-x, 0.8, -1.6], diffuse=[0.3, 0.3, 0.29],
            specular=[0.12, 0.12, 0.12],
        )  # fmt: skip
    world.add_camera(
        name='head', pos=HEAD_POSITION, quat=aim(HEAD_POSITION, HEAD_TARGET), fovy=46.0
    )
