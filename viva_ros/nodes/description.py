# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What is started together, as plain data with two readers: the launch files, and ``bringup``.

An argument sets the parameter of its name in every node that has one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """
    One node.

    :param name: of the node, and of the executable and module that it is
    :param config: file in ``config/`` with its parameters
    :param parameters: what arguments set: argument to parameter
    :param respawn: whether it is started again when it fails
    """

    name: str
    config: str
    parameters: dict[str, str]
    respawn: bool = True


@dataclass(frozen=True)
class Argument:
    """One launch argument; an empty default leaves what the configuration file says."""

    name: str
    doc: str
    default: str = ''


MONITOR = Program(
    'monitor',
    'monitor.yaml',
    {
        'engine': 'engine',
        'engine_server': 'engine_server',
        'task': 'task',
        'transport': 'transport',
        'autostart': 'autostart',
        'use_sim_time': 'use_sim_time',
    },
)
SUPERVISOR = Program(
    'supervisor',
    'supervisor.yaml',
    {
        'engine': 'engine',
        'task': 'task',
        'calibration': 'calibration',
        'dry_run': 'retry.dry_run',
        'executing_topic': 'robot.executing_topic',
        'autostart': 'autostart',
        'use_sim_time': 'use_sim_time',
    },
)
BLACK_BOX = Program(
    'black_box',
    'black_box.yaml',
    {'black_box': 'folder', 'autostart': 'autostart', 'use_sim_time': 'use_sim_time'},
)
SIM = Program(
    'sim', 'sim.yaml', {'task': 'task', 'seed': 'seed', 'failure': 'failure'}, respawn=False
)

COMMON = (
    Argument('namespace', 'Namespace of all nodes.'),
    Argument('config', "Folder with parameter files; empty: the package's own."),
    Argument('engine', 'Folder of the engine; empty: the shipped one.'),
    Argument('engine_server', "Socket of 'viva serve', or 'auto'; empty: an engine of its own."),
    Argument('task', 'Task under way.'),
    Argument('transport', "What the cameras send: 'raw' or 'compressed'."),
    Argument('calibration', "File with the thresholds; empty: the engine's."),
    Argument('dry_run', "'true': report retries and ask for none."),
    Argument('executing_topic', 'Topic of std_msgs/Bool: true while the robot executes a task.'),
    Argument('autostart', "'true': configure and activate by themselves."),
    Argument('use_sim_time', "'true': time comes from /clock."),
)
FOLDER = Argument('black_box', "Folder for a recording of each alert; empty: black_box.yaml's.")

#: The simulated robot reports what it executes and may try again.
DEMO = {'dry_run': 'false', 'executing_topic': 'executing'}

#: What can be started: its programs and arguments.
LAUNCHES = {
    'monitor': ((MONITOR, SUPERVISOR, BLACK_BOX), (*COMMON, FOLDER)),
    'demo': (
        (SIM, MONITOR, SUPERVISOR),
        (
            *(Argument(a.name, a.doc, DEMO.get(a.name, a.default)) for a in COMMON),
            Argument('seed', 'Of the simulated scene.'),
            Argument('failure', 'What goes wrong in the simulation.'),
        ),
    ),
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
