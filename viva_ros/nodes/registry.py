# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Nodes and arguments of each launch, as plain data for the launch files and ``viva up``.

An argument sets the parameter of its name in every node that has one.
"""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True)
class RespawnPolicy:
    """
    When a node is restarted after a failure.

    :param is_essential: the launch ends if no essential node is left; an auxiliary node ends alone
    :param restarts: whether the node is restarted at all
    :param limit: restarts in a row, then the node is given up; None without a limit
    :param delay: from the first failure to the restart, s; doubled by each further one
    :param longest: limit of the delay, s
    :param steady: a run of this length, s, is no failure in a row
    """

    is_essential: bool = True
    restarts: bool = True
    limit: int | None = None
    delay: float = 1.0
    longest: float = 30.0
    steady: float = 60.0


#: Monitor and supervisor: without an end, since the supervisor reports UNKNOWN meanwhile.
ESSENTIAL: Final = RespawnPolicy()
AUXILIARY: Final = RespawnPolicy(is_essential=False, limit=5)
#: An episode of a simulated robot cannot continue.
ONCE: Final = RespawnPolicy(restarts=False)


@dataclass(frozen=True)
class Program:
    """
    One node.

    :param name: name of the node, its executable, its module and its file in config/
    :param parameters: argument to the parameter that it sets
    :param respawn: when the node is restarted after a failure
    :param switch: argument that disables the node if 'false'; '' if none does
    """

    name: str
    parameters: dict[str, str]
    respawn: RespawnPolicy = ESSENTIAL
    switch: str = ''


@dataclass(frozen=True)
class LaunchArgument:
    """
    One launch argument.

    :param doc: one sentence; '' for the text of the parameter
    :param default: None for the default of the parameter; a parameter file overrides it
    :param choices: valid texts; empty if any is
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
        'robot': 'robot', 'transport': 'transport', **LIFECYCLE,
    },
)  # fmt: skip
SUPERVISOR = Program(
    'supervisor',
    {
        'engine': 'engine', 'task': 'task', 'calibration': 'calibration',
        'dry_run': 'retry.dry_run', 'executing_topic': 'robot.executing_topic', **LIFECYCLE,
    },
)  # fmt: skip
BLACK_BOX = Program(
    'black_box', {'black_box_folder': 'folder', **LIFECYCLE}, AUXILIARY, switch='black_box'
)
SIM = Program('sim', {'task': 'task', 'seed': 'seed', 'failure': 'failure'}, ONCE)

NODES = (
    LaunchArgument('namespace', "Namespace of all nodes, below the launch file's own.", ''),
    LaunchArgument(
        'params_file',
        "YAML file with a section for each node; overrides the package's defaults. Empty: none.",
        '', is_path=True,
    ),
    LaunchArgument('log_level', 'Log level of all nodes.', 'info', LEVELS),
    LaunchArgument('respawn', 'Restart a node after a failure.', 'true', FLAG),
)  # fmt: skip
WATCHING = (
    LaunchArgument('engine', is_path=True),
    LaunchArgument('engine_server', is_path=True),
    LaunchArgument('task'),
    LaunchArgument('robot', is_path=True),
    LaunchArgument('transport'),
    LaunchArgument('calibration', is_path=True),
    LaunchArgument('dry_run'),
    LaunchArgument(
        'executing_topic', 'Topic of std_msgs/Bool, true while the robot executes a task.'
    ),
    LaunchArgument('autostart'),
)
RECORDING = (
    LaunchArgument('black_box', 'Record the time around each alert.', 'true', FLAG),
    LaunchArgument('black_box_folder', is_path=True),
)
CLOCK = LaunchArgument('use_sim_time', 'Use the time of /clock.', 'false', FLAG)

#: Defaults of the demo: the simulated robot reports execution, fails, and retries.
DEMO = {
    'dry_run': 'false', 'executing_topic': 'executing', 'seed': '90002', 'failure': 'slip',
}  # fmt: skip

#: Programs and arguments of each launch.
LAUNCHES = {
    'monitor': ((MONITOR, SUPERVISOR, BLACK_BOX), (*NODES, *WATCHING, CLOCK, *RECORDING)),
    'demo': (
        (SIM, MONITOR, SUPERVISOR),
        (
            *NODES,
            *(replace(a, default=DEMO.get(a.name)) for a in WATCHING),
            LaunchArgument('seed', default=DEMO['seed']),
            LaunchArgument('failure', default=DEMO['failure']),
        ),
    ),
}

#: Removed or unsupported arguments of a launch, and the replacement.
REMOVED = {
    'monitor': {'config': "use 'params_file', one YAML file with a section for each node"},
    'demo': {
        'config': "use 'params_file', one YAML file with a section for each node",
        'use_sim_time': 'the simulated robot runs in real time and publishes no /clock',
    },
}

ADVISORY = (
    'viva_ros is an advisory process monitor, not a safety function; '
    'its silence is no evidence of safety.'
)

#: Environment variable of all programs, unless the user sets it, and its file in config/.
PROFILE_VARIABLE = 'FASTDDS_DEFAULT_PROFILES_FILE'
PROFILE = 'fastdds_shm.xml'
