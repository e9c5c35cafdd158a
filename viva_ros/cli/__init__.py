# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Commands of ``viva``, one file each; no module outside this folder imports a command."""

from typing import Final

#: Command to the module with its ``main(argv)``, and a line of help.
COMMANDS: Final = {
    'demo': ('viva_ros.cli.demo', 'run robot, monitor and supervisor: a success, a failure'),
    'up': ('viva_ros.cli.up', 'start nodes on a machine without ros2 launch'),
    'record': ('viva_ros.cli.record', 'record simulated episodes'),
    'import': ('viva_ros.cli.import_', 'convert recordings of any robot to a dataset'),
    'label': ('viva_ros.cli.label', 'annotate episode outcomes'),
    'embed': ('viva_ros.cli.embed', 'embed task descriptions with umT5, for training'),
    'size': ('viva_ros.cli.size', 'estimate parameters, FLOPs and memory of a preset'),
    'train': ('viva_ros.cli.train', 'train a model on recordings'),
    'export': ('viva_ros.cli.export', 'export a checkpoint to an engine'),
    'stamp': ('viva_ros.cli.stamp', 'list the deciding files of an engine in its engine.json'),
    'calibrate': ('viva_ros.cli.calibrate', 'fit the alarm thresholds of an engine'),
    'score': ('viva_ros.cli.score', 'compute values and alerts of recordings'),
    'advantage': ('viva_ros.cli.advantage', 'compute advantages of steps (RECAP)'),
    'evaluate': ('viva_ros.cli.evaluate', 'evaluate an engine on test recordings'),
    'serve': ('viva_ros.cli.serve', 'run one engine for several monitors'),
    'bench': ('viva_ros.cli.bench', 'measure latency, start time and memory of engines'),
    'plot': ('viva_ros.cli.plot', 'plot a recording with its values and alerts'),
    'doctor': ('viva_ros.cli.doctor', 'check this machine and its ROS graph'),
    'completion': ('viva_ros.cli.completion', 'print a completion script for bash, zsh or fish'),
}
