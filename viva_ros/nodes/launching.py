# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node list as the real ``launch`` wants it."""

from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
)  # fmt: skip
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from viva_ros.nodes.bringup import config_folder, environment
from viva_ros.nodes.description import (
    ADVISORY,
    LAUNCHES,
    PROFILE_VARIABLE,
    RESPAWN_DELAY,
    Program,
)


def describe(launch: str) -> LaunchDescription:
    """
    Give the launch description of one of LAUNCHES.

    An argument that is left empty must not hide what the configuration file says, so the nodes are
    made when the arguments are known.
    """
    programs, arguments = LAUNCHES[launch]

    def make_nodes(context: LaunchContext) -> list[Node | SetEnvironmentVariable]:
        options = {a.name: LaunchConfiguration(a.name).perform(context) for a in arguments}
        profile = environment(options).get(PROFILE_VARIABLE, '')
        nodes = [make_node(program, options) for program in programs]
        return [SetEnvironmentVariable(PROFILE_VARIABLE, profile), *nodes]

    return LaunchDescription(
        [
            *(DeclareLaunchArgument(a.name, default_value=a.default, description=a.doc)
              for a in arguments),
            LogInfo(msg=ADVISORY),
            OpaqueFunction(function=make_nodes),
        ]
    )  # fmt: skip


def make_node(program: Program, options: dict[str, str]) -> Node:
    """Give one node; text like 'true' or '3' becomes what YAML says it is."""
    changed = {
        parameter: parse(options[argument])
        for argument, parameter in program.parameters.items()
        if options.get(argument)
    }
    return Node(
        package='viva_ros', executable=program.name, name=program.name,
        namespace=options['namespace'], output='screen', emulate_tty=True,
        respawn=program.respawn, respawn_delay=RESPAWN_DELAY,
        parameters=[str(config_folder(options) / program.config), *([changed] if changed else [])],
    )  # fmt: skip


def parse(text: str) -> bool | int | str:
    """Give the bool or whole number that a text means, else the text."""
    if text.lower() in ('true', 'false'):
        return text.lower() == 'true'
    return int(text) if text.isdigit() else text
