# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

import viva_ros.sim  # noqa: F401  (sets MUJOCO_GL before mujoco is imported)


@pytest.fixture(scope='session')
def renders() -> None:
    """Skip without EGL, which renders the images."""
    import mujoco

    model = mujoco.MjModel.from_xml_string('<mujoco><worldbody/></mujoco>')
    try:
        mujoco.Renderer(model, 16, 16).close()
    except Exception as error:
        pytest.skip(f'no EGL: {error}; install libegl1 libegl-mesa0 libgl1-mesa-dri libopengl0')
