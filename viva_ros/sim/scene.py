# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A simulated scene: table and room, camera noise, and a renderer for several scenes.

``mujoco.Renderer`` belongs to one model, and uploading the meshes of the robot takes 0.2 s of
processor time with the interpreter locked. All scenes of a robot have the same meshes, textures
and visual settings, so one upload serves them all.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import mujoco
import numpy as np

from viva_ros.core.observation import Array, Image
from viva_ros.sim.robots.registry import SceneCamera, SimRobot

JPEG_QUALITY: Final = 90


@dataclass(frozen=True)
class Scene:
    """A robot and the objects of a task: the compiled model and its state."""

    robot: SimRobot
    model: mujoco.MjModel
    data: mujoco.MjData


def aim(position: Array, target: Array) -> Array:
    """Return the orientation (w, x, y, z) of a camera that looks at a target, horizon level."""
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quaternion = np.empty(4)
    matrix = np.stack([right, np.cross(back, right), back], axis=1)
    mujoco.mju_mat2Quat(quaternion, matrix.ravel())
    return quaternion


def set_rendering(spec: mujoco.MjSpec) -> None:
    """Render without shadows and multisampling: six times faster without a GPU."""
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear = 0.005
    spec.visual.map.zfar = 20.0
    spec.visual.headlight.ambient = [0.34, 0.34, 0.34]
    spec.visual.headlight.diffuse = [0.26, 0.26, 0.26]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960


def add_room(spec: mujoco.MjSpec, camera: SceneCamera) -> None:
    """Add table, floor, sky, lights and a camera."""
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
    position, target = np.array(camera.position), np.array(camera.target)
    world.add_camera(name=camera.name, pos=position, quat=aim(position, target), fovy=camera.fovy)


def encode_jpeg(image: Image) -> bytes:
    """Return an RGB image as JPEG, as the simulated cameras publish and record it."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f'image of shape {image.shape} cannot be encoded')
    return jpeg.tobytes()


def add_noise(pixels: Image, deviation: float, generator: np.random.Generator) -> Image:
    """
    Return an image with Gaussian noise.

    :param pixels: (H, W, 3)
    :param deviation: standard deviation, in steps of 1 / 255; 0 returns the image itself
    """
    if deviation == 0.0:
        return pixels
    noise = generator.standard_normal(pixels.shape, dtype=np.float32) * np.float32(deviation)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


MAX_GEOMS: Final = 10_000  # as in mujoco.Renderer
UPLOADED: Final = (
    'mesh_vert', 'mesh_normal', 'mesh_texcoord', 'mesh_face', 'mesh_graph', 'tex_data',
    'tex_type', 'tex_height', 'tex_width', 'hfield_data', 'skin_vert', 'skin_face',
)  # fmt: skip


class CameraRenderer:
    """Renders the cameras of all models with the same meshes; for one thread."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Upload the meshes and textures of a model."""
        self._model = model
        visual = model.vis.global_
        self._gl = mujoco.GLContext(visual.offwidth, visual.offheight)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._options = mujoco.MjvOption()
        self._scene = mujoco.MjvScene(model, MAX_GEOMS)

    def fits(self, model: mujoco.MjModel) -> bool:
        """Return whether the uploaded meshes, textures and buffers are those of a model."""
        size = model.vis.global_
        return (
            all(
                np.array_equal(getattr(model, name), getattr(self._model, name))
                for name in UPLOADED
            )
            and self._context.offWidth == size.offwidth
            and self._context.offHeight == size.offheight
            and self._context.offSamples == model.vis.quality.offsamples
            and self._context.shadowSize == model.vis.quality.shadowsize
        )

    def render(
        self, model: mujoco.MjModel, data: mujoco.MjData, camera: str, size: tuple[int, int]
    ) -> Image:
        """
        Return the RGB image of a camera.

        :param model: a model for which :meth:`fits` is true
        :param size: height and width, px
        """
        view = mujoco.MjvCamera()
        view.type = mujoco.mjtCamera.mjCAMERA_FIXED
        view.fixedcamid = model.camera(camera).id
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, self._options, None, view, everything, self._scene)
        self._gl.make_current()
        rectangle = mujoco.MjrRect(0, 0, size[1], size[0])
        mujoco.mjr_render(rectangle, self._scene, self._context)
        pixels = np.empty((*size, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(pixels, None, rectangle, self._context)
        return np.ascontiguousarray(pixels[::-1])  # OpenGL starts at the bottom row

    def close(self) -> None:
        """Free the uploaded meshes and textures."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()
