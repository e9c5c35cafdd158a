# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Two robots on one machine, each in a namespace of its own. Here they are simulated.

    ros2 launch viva_ros two_robots.launch.py
    ros2 service call /left/start std_srvs/srv/Trigger

For your robots: start the drivers in the groups, include monitor.launch.py instead of the demo,
and pass a params_file. A section 'monitor' in it is for both robots, '/left/monitor' for one.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

from launch import LaunchDescription

#: Launch arguments by namespace; what an including file has under the same name is not inherited.
ROBOTS = {'left': {'seed': '90001'}, 'right': {'seed': '90003', 'task': 'cube_transfer'}}


def generate_launch_description():
    """Return what ros2 launch starts."""
    file = Path(get_package_share_directory('viva_ros')) / 'launch' / 'demo.launch.py'
    groups = []
    for namespace, arguments in ROBOTS.items():
        source = PythonLaunchDescriptionSource(str(file))
        watch = IncludeLaunchDescription(source, launch_arguments=arguments.items())
        groups.append(GroupAction([PushRosNamespace(namespace), watch]))
    return LaunchDescription(groups)
