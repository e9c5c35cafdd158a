# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A renderer that outlives its scene.

``mujoco.Renderer`` belongs to one model, and uploading the robot's meshes takes 0.2 s of processor
time with the interpreter locked. All scenes here have the same meshes, textures and visual
settings, so what is uploaded once serves them all.
"""

from typing import Final

import mujoco
import numpy as np

from viva_ros.core.observation import Image

MAX_GEOMS: Final = 10_000  # as mujoco.Renderer has it
UPLOADED: Final = (
    'mesh_vert', 'mesh_normal', 'mesh_texcoord', 'mesh_face', 'mesh_graph', 'tex_data',
    'tex_type', 'tex_height', 'tex_width', 'hfield_data', 'skin_vert', 'skin_face',
)  # fmt: skip


class CameraRenderer:
    """Renders the cameras of any model with the meshes of the first; used by one thread."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Upload meshes and textures."""
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
        """Return whether what was uploaded is what a model needs."""
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

        :param model: one that ``fits``
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
        return np.ascontiguousarray(pixels[::-1])  # OpenGL begins below

    def close(self) -> None:
        """Free what was uploaded."""
        self._gl.make_current()
        self._context.free()
        self._gl.free()
