# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ghost robot: the forecast as a second robot in RViz, as plain data for its launch file.

A robot_state_publisher moves a copy of the robot according to ``future_joint_states``. All frames
of the copy have a prefix; its root has the pose of the robot's root.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from viva_ros.core.errors import ConfigurationError, InputError
from viva_ros.core.urdf import RobotDescription

NAME: Final = 'ghost'  # namespace, and prefix of the frames
FORECAST: Final = 'future_joint_states'


def ghost_nodes(urdf: str, namespace: str = '') -> list[dict[str, Any]]:
    """
    Return the arguments of ``launch_ros.actions.Node`` for each node.

    :param urdf: path of the robot description; xacro processes a file that ends in '.xacro'
    :param namespace: namespace of the monitor
    :raises ConfigurationError: if the description cannot be read
    """
    text = read_description(urdf)
    try:
        root = RobotDescription(text).root
    except InputError as error:
        text = f'urdf is {urdf!r}, which cannot be read: {error}'
        raise ConfigurationError('ghost-urdf-invalid', text) from error
    space = f'/{namespace.strip("/")}' if namespace.strip('/') else ''
    return [
        {
            'package': 'robot_state_publisher', 'executable': 'robot_state_publisher',
            'name': 'robot_state_publisher', 'namespace': f'{space}/{NAME}',
            'parameters': [{'robot_description': text, 'frame_prefix': f'{NAME}/'}],
            'remappings': [('joint_states', f'{space}/{FORECAST}')],
        },
        {
            'package': 'tf2_ros', 'executable': 'static_transform_publisher',
            'name': 'root', 'namespace': f'{space}/{NAME}',
            'arguments': ['--frame-id', root, '--child-frame-id', f'{NAME}/{root}'],
        },
    ]  # fmt: skip


def read_description(urdf: str) -> str:
    """
    Read a robot description.

    :raises ConfigurationError: if the file is missing, or xacro fails
    """
    path = Path(urdf).expanduser()
    if not urdf or not path.is_file():
        raise ConfigurationError(
            'ghost-urdf-missing',
            f'urdf is {urdf!r}, must be the file of a robot description (.urdf or .xacro)',
        )
    if path.suffix != '.xacro':
        return path.read_text(encoding='utf-8', errors='replace')
    xacro = shutil.which('xacro')
    if xacro is None:
        raise ConfigurationError(
            'xacro-missing',
            f'urdf is {urdf!r}, but xacro is not installed: install ros-$ROS_DISTRO-xacro, or '
            'pass the .urdf that it writes',
        )
    done = subprocess.run([xacro, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        text = f'xacro fails on {urdf}: {done.stderr.strip()[-500:]}'
        raise ConfigurationError('xacro-failed', text)
    return done.stdout
