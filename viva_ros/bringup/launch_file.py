# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Launch descriptions for ``ros2 launch``.

An included launch file inherits all arguments of its parent, and leaks its own into the parent.
Here only explicit arguments ('launch_arguments', or the command line) count, within a scope.
"""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
)
from launch.logging import get_logger
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions import Node
from launch_ros.utilities.namespace_utils import make_namespace_absolute, prefix_namespace

from launch import LaunchContext, LaunchDescription
from viva_ros.bringup.launch_arguments import (
    Options,
    added_environment,
    arguments,
    check_arguments,
    parameter_files,
)
from viva_ros.core.child_process import SAFE_PATH, SEARCH_PATHS, child_environment
from viva_ros.nodes.registry import ADVISORY, LAUNCHES, RespawnPolicy

#: Arguments that 'ros2 launch' itself adds.
OF_LAUNCH = ('launch-prefix', 'launch-prefix-filter')


def describe(launch: str) -> LaunchDescription:
    """Return the launch description of one of LAUNCHES."""
    chosen: list[Options] = []

    def choose(context: LaunchContext) -> None:
        chosen[:] = [check_arguments(launch, explicit_arguments(launch, context))]
        context.launch_configurations.update(chosen[0].values)

    def start(context: LaunchContext) -> list[Node]:
        return make_nodes(chosen[0], context)

    declared = [
        DeclareLaunchArgument(
            one.name, default_value=one.default, description=one.doc,
            choices=list(one.choices) or None,
        )
        for one in arguments(launch)
    ]  # fmt: skip
    actions = [OpaqueFunction(function=choose), *declared, LogInfo(msg=ADVISORY)]
    return LaunchDescription([GroupAction([*actions, OpaqueFunction(function=start)])])


def explicit_arguments(launch: str, context: LaunchContext) -> dict[str, str]:
    """Return the explicit arguments, and remove inherited ones from the context."""
    present = context.launch_configurations
    passed = names_passed(launch, context)
    names = {argument.name for argument in LAUNCHES[launch][1]}
    inherited = [] if passed is None else sorted((names & set(present)) - passed)
    if inherited:
        get_logger('viva_ros').info(
            f'{", ".join(inherited)} of the including launch file: not used, since not passed in '
            "its 'launch_arguments'"
        )
    for name in inherited:
        del present[name]
    explicit = names & set(present) if passed is None else passed - set(OF_LAUNCH)
    return {name: present[name] for name in sorted(explicit)}


def names_passed(launch: str, context: LaunchContext) -> set[str] | None:
    """
    Return the names of the arguments with which this launch file is included.

    'ros2 launch' includes it, too. ``launch`` passes no such list to the file, but executes it
    within the including action, which is found on the call stack.

    :returns: None without such an action; then all arguments of the context count
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        for value in frame.f_locals.values():
            if isinstance(value, IncludeLaunchDescription):
                location = Path(value.launch_description_source.location)
                if location.name == f'{launch}.launch.py':
                    names = (name for name, _ in value.launch_arguments)
                    texts = map(normalize_to_list_of_substitutions, names)
                    return {perform_substitutions(context, text) for text in texts}
        frame = frame.f_back
    return None


def make_nodes(options: Options, context: LaunchContext) -> list[Node]:
    """Return the nodes, in the namespace of the enclosing groups and of the argument."""
    base = context.launch_configurations.get('ros_namespace')
    namespace = options.values['namespace'] or None
    absolute = make_namespace_absolute(prefix_namespace(base, namespace)) or '/'
    files, notes = parameter_files(options, absolute)
    for note in notes:
        get_logger('viva_ros').warning(note)
    return [
        Node(
            package='viva_ros', executable=program.name, name=program.name,
            namespace=absolute, output='screen', emulate_tty=True,
            **respawn_arguments(options.policy(program)),
            parameters=[str(files[program.name])], ros_arguments=options.log_level or None,
            additional_env=added_environment() | safe_search_paths(),
        )
        for program in options.programs
    ]  # fmt: skip


def safe_search_paths() -> dict[str, str]:
    """Return the variables that keep a node from running files of the working directory."""
    safe = child_environment(os.environ)
    changed = (name for name in SEARCH_PATHS if os.environ.get(name, '') != safe.get(name, ''))
    return {SAFE_PATH: '1', **{name: safe.get(name, '') for name in changed}}


def respawn_arguments(policy: RespawnPolicy) -> dict[str, Any]:
    """
    Return the arguments of ``Node`` for a policy, as far as launch supports it.

    Launch has one delay, and counts all restarts of a node; the end of a node ends no other.
    """
    return {
        'respawn': policy.restarts, 'respawn_delay': policy.delay,
        'respawn_max_retries': -1 if policy.limit is None else policy.limit,
    }  # fmt: skip
