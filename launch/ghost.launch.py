# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The forecast as a second robot in RViz; needs robot_state_publisher and the robot's URDF."""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from viva_ros.bringup.ghost import ghost_nodes
from viva_ros.bringup.launch_arguments import check_name
from viva_ros.bringup.launch_file import OF_LAUNCH, names_passed

ARGUMENTS = ('urdf', 'namespace')


def make_nodes(context):
    """Return the nodes for the values of the arguments."""
    for name in sorted((names_passed('ghost', context) or set()) - set(OF_LAUNCH)):
        check_name('ghost', name, ARGUMENTS)
    urdf, namespace = (LaunchConfiguration(name).perform(context) for name in ARGUMENTS)
    return [Node(output='screen', **arguments) for arguments in ghost_nodes(urdf, namespace)]


def generate_launch_description():
    """Return the launch description."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'urdf', description='Robot description, a .urdf or .xacro file.'
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of the monitor.'
            ),
            OpaqueFunction(function=make_nodes),
        ]
    )
