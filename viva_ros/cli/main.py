# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: `viva COMMAND ...`; each command is a module with a ``main(argv)``."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from viva_ros.console.program import FAILED, ConsoleProgram, run

#: Name to the module and the line of ``viva --help``.
COMMANDS: Final = {
    'demo': ('viva_ros.cli.demo', 'run robot, monitor and supervisor: a success, a failure'),
    'up': ('viva_ros.cli.up', 'start nodes on a machine without ros2 launch'),
    'record': ('viva_ros.cli.record', 'record simulated episodes'),
    'import': ('viva_ros.cli.import_', 'convert bags or LeRobot datasets to recordings'),
    'label': ('viva_ros.cli.label', 'annotate episode outcomes'),
    'embed': ('viva_ros.cli.embed', 'embed task descriptions with umT5, for training'),
    'size': ('viva_ros.cli.size', 'estimate parameters, FLOPs and memory of a preset'),
    'train': ('viva_ros.cli.train', 'train a model on recordings'),
    'export': ('viva_ros.cli.export', 'export a checkpoint to an engine'),
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
#: Former name to the command that replaced it.
MOVED: Final = {'compare': 'scripts/compare', 'supervise': 'scripts/supervise'}
RESUMES: Final = frozenset({'record', 'import', 'train', 'score'})
INTERACTIVE: Final = frozenset({'demo', 'up', 'label'})


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param argv: command and options; None: those of the process, which ends after the command
    :returns: the exit code of ``console.program.run``
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ''
    program = ConsoleProgram(f'viva {name}'.strip(), name in RESUMES, name in INTERACTIVE)
    return run(program, lambda: _main(arguments), is_process=argv is None)


def _main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ('-h', '--help'):
        print(usage())
        return 0 if arguments else FAILED
    name, *rest = arguments
    if name in MOVED:
        print(
            f'viva {name}: moved out of the package; in a checkout of the repository, run '
            f'{MOVED[name]}',
            file=sys.stderr,
        )
        return FAILED
    if name not in COMMANDS:
        print(f'viva: no command {name!r}, must be one of {", ".join(COMMANDS)}', file=sys.stderr)
        return FAILED
    return int(import_module(COMMANDS[name][0]).main(rest) or 0)


def usage() -> str:
    """Return the list of commands."""
    lines = [f'  {name:10} {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(['usage: viva COMMAND [options]', '', *lines, '', 'viva COMMAND --help'])


if __name__ == '__main__':
    raise SystemExit(main())
