# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Two simulated robots on one machine, each in its own namespace.

    ros2 launch viva_ros two_robots.launch.py
    ros2 service call /left/start std_srvs/srv/Trigger

For real robots: start the drivers in the groups, include monitor.launch.py instead of the demo,
and pass a params_file. Its section 'monitor' applies to both robots, '/left/monitor' to one.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

from launch import LaunchDescription

#: Launch arguments by namespace; they override those of an including file.
ROBOTS = {'left': {'seed': '90001'}, 'right': {'seed': '90003', 'task': 'cube_transfer'}}


def generate_launch_description():
    """Return the launch description of both robots."""
    file = Path(get_package_share_directory('viva_ros')) / 'launch' / 'demo.launch.py'
    groups = []
    for namespace, arguments in ROBOTS.items():
        source = PythonLaunchDescriptionSource(str(file))
        demo = IncludeLaunchDescription(source, launch_arguments=arguments.items())
        groups.append(GroupAction([PushRosNamespace(namespace), demo]))
    return LaunchDescription(groups)
