# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What is started together, as plain data with two readers: the launch files, and ``bringup``.

An argument sets the parameter of its name in every node that has one. ``arguments`` checks what
was given and fills in the defaults.
"""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class Program:
    """
    One node.

    :param name: of the node, of the executable and module that it is, of its file in config/
    :param parameters: what arguments set: argument to parameter
    :param respawn: whether it is started again when it fails
    :param switch: argument that is 'false' where the node is not wanted; '' if it always is
    """

    name: str
    parameters: dict[str, str]
    respawn: bool = True
    switch: str = ''


@dataclass(frozen=True)
class LaunchArgument:
    """
    One launch argument.

    :param doc: one sentence; that of the parameter if empty
    :param default: that of the parameter if None; else it counts less than a parameter file
    :param choices: all texts allowed; any if empty
    :param is_path: whether '~' and relative paths are made absolute
    """

    name: str
    doc: str = ''
    default: str | None = None
    choices: tuple[str, ...] = ()
    is_path: bool = False


FLAG: Final = ('true', 'false')
LEVELS: Final = ('debug', 'info', 'warn', 'error', 'fatal')
LIFECYCLE: Final = {'autostart': 'autostart', 'use_sim_time': 'use_sim_time'}

MONITOR = Program(
    'monitor',
    {
        'engine': 'engine', 'engine_server': 'engine_server', 'task': 'task',
        'transport': 'transport', **LIFECYCLE,
    },
)  # fmt: skip
SUPERVISOR = Program(
    'supervisor',
    {
        'engine': 'engine', 'task': 'task', 'calibration': 'calibration',
        'dry_run': 'retry.dry_run', 'executing_topic': 'robot.executing_topic', **LIFECYCLE,
    },
)  # fmt: skip
BLACK_BOX = Program('black_box', {'black_box_folder': 'folder', **LIFECYCLE}, switch='black_box')
SIM = Program('sim', {'task': 'task', 'seed': 'seed', 'failure': 'failure'}, respawn=False)

NODES = (
    LaunchArgument('namespace', "Namespace of all nodes, below the launch file's own.", ''),
    LaunchArgument(
        'params_file',
        "YAML file with a section for each node, over the package's defaults; empty: none.",
        '', is_path=True,
    ),
    LaunchArgument('log_level', 'Of all nodes.', 'info', LEVELS),
    LaunchArgument('respawn', 'Start a node again when it fails.', 'true', FLAG),
)  # fmt: skip
WATCH = (
    LaunchArgument('engine', is_path=True),
    LaunchArgument('engine_server', is_path=True),
    LaunchArgument('task'),
    LaunchArgument('transport'),
    LaunchArgument('calibration', is_path=True),
    LaunchArgument('dry_run'),
    LaunchArgument(
        'executing_topic', 'Topic of std_msgs/Bool, true while the robot executes a task.'
    ),
    LaunchArgument('autostart'),
)
BOX = (
    LaunchArgument('black_box', 'Record what led to an alert.', 'true', FLAG),
    LaunchArgument('black_box_folder', is_path=True),
)
CLOCK = LaunchArgument('use_sim_time', 'Take the time from /clock.', 'false', FLAG)

#: Defaults of the demo: the simulated robot reports what it executes, fails, and may try again.
DEMO = {
    'dry_run': 'false', 'executing_topic': 'executing', 'seed': '90002', 'failure': 'slip',
}  # fmt: skip

#: What can be started: its programs and arguments.
LAUNCHES = {
    'monitor': ((MONITOR, SUPERVISOR, BLACK_BOX), (*NODES, *WATCH, CLOCK, *BOX)),
    'demo': (
        (SIM, MONITOR, SUPERVISOR),
        (
            *NODES,
            *(replace(a, default=DEMO.get(a.name)) for a in WATCH),
            LaunchArgument('seed', default=DEMO['seed']),
            LaunchArgument('failure', default=DEMO['failure']),
        ),
    ),
}

#: Arguments that a launch has no more, or never had, and what to do instead.
GONE = {
    'monitor': {'config': "use 'params_file', one YAML file with a section for each node"},
    'demo': {
        'config': "use 'params_file', one YAML file with a section for each node",
        'use_sim_time': 'the simulated robot keeps the time of the day and has no /clock',
    },
}

RESPAWN_DELAY = 1.0  # s, before a node that failed is started again
MOST_RESPAWNS = 5  # of one node within a minute; then all are ended

ADVISORY = (
    'viva_ros is an advisory process monitor, not a safety function; '
    'its silence is no evidence of safety.'
)

#: Environment that all programs get unless the user has set it: file in config/ by variable.
PROFILE_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
PROFILE = 'fastdds_shm.xml'
