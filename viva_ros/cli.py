# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: `viva COMMAND ...`; each command is a module with a ``main(argv)``."""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from viva_ros.core.errors import VivaError

COMMANDS: Final = {
    'demo': ('viva_ros.demo.run', 'robot, monitor and supervisor, a good episode and a bad one'),
    'up': ('viva_ros.nodes.bringup', 'start nodes on a machine without launch'),
    'record': ('viva_ros.offline.record', 'record simulated episodes'),
    'import': ('viva_ros.offline.import_recordings', 'make a dataset of bags or of data sets'),
    'label': ('viva_ros.offline.label', 'step through episodes and say how they ended'),
    'embed': ('viva_ros.offline.embed', "read the tasks' texts with umT5, for training"),
    'size': ('viva_ros.offline.size', 'what a preset takes: parameters, operations, memory'),
    'train': ('viva_ros.offline.train', 'train a model on recordings'),
    'export': ('viva_ros.offline.export', 'make an engine of a checkpoint'),
    'calibrate': ('viva_ros.offline.calibrate', 'set the thresholds of an engine'),
    'score': ('viva_ros.offline.score', 'give values and alerts of recordings'),
    'advantage': ('viva_ros.offline.advantage', 'tell good steps from bad ones (RECAP)'),
    'evaluate': ('viva_ros.offline.evaluate', 'measure an engine on test recordings'),
    'compare': ('viva_ros.offline.compare', 'ViVa against its baselines and ablations'),
    'plot': ('viva_ros.offline.plot', 'draw the picture of a recording'),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 is well, 2 an error that can be mended, 130 Ctrl-C."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ('-h', '--help'):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        print(f'viva: no command {name!r}, must be one of {", ".join(COMMANDS)}', file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
    try:
        return int(import_module(COMMANDS[name][0]).main(rest) or 0)
    except (
        VivaError,
        OSError,
    ) as error:  # an OSError: a disk that is full, a folder without rights
        print(f'viva {name}: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f'viva {name}: stopped', file=sys.stderr)
        return 130


def usage() -> str:
    """List the commands."""
    lines = [f'  {name:10} {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(['usage: viva COMMAND [options]', '', *lines, '', 'viva COMMAND --help'])


if __name__ == '__main__':
    raise SystemExit(main())
