# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start nodes on a machine without `ros2 launch`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from viva_ros.bringup.launch_arguments import arguments, check_arguments
from viva_ros.bringup.processes import Respawn, started
from viva_ros.core.errors import ConfigurationError
from viva_ros.nodes.registry import ADVISORY, LAUNCHES


def main(argv: Sequence[str] | None = None) -> int:
    """Start nodes and run until Ctrl-C, or until a node ends."""
    parser = argparse.ArgumentParser(
        'viva up', description='Start nodes on a machine without ros2 launch.',
        epilog=list_arguments(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('launch', choices=tuple(LAUNCHES), help='Set of nodes to start')
    parser.add_argument('arguments', nargs='*', metavar='NAME:=VALUE', help='Launch arguments')
    args = parser.parse_args(argv)
    values = dict(split_argument(text) for text in args.arguments)
    options = check_arguments(args.launch, values)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    print(ADVISORY)
    respawn = Respawn(one.name for one in options.programs if options.respawns(one))
    with started(args.launch, values) as nodes:
        try:
            while not (ended := respawn.gone_for_good(nodes.ended(), time.monotonic())):
                for name in respawn.due(time.monotonic()):
                    print(f'viva up: {name} failed and is started again', file=sys.stderr)
                    nodes.start(name)
                time.sleep(0.2)
        except KeyboardInterrupt:
            return 0
    names = ', '.join(f'{name} (exit code {code})' for name, code in ended.items())
    print(f'viva up: {names} ended, so all other nodes are stopped', file=sys.stderr)
    return 1


def list_arguments() -> str:
    """Return the arguments of each launch with their defaults and choices."""
    lines = []
    for launch in LAUNCHES:
        lines.append(f'arguments of {launch}:')
        for one in arguments(launch):
            choices = f' One of {", ".join(one.choices)}.' if one.choices else ''
            lines.append(f'  {one.name:16} {one.doc}{choices} (default: {one.default!r})')
    return '\n'.join(lines)


def split_argument(text: str) -> tuple[str, str]:
    """
    Split NAME:=VALUE.

    :raises ConfigurationError: if the text has another form
    """
    name, sign, value = text.partition(':=')
    if not sign or not name:
        raise ConfigurationError('launch-argument', f'argument is {text!r}, must be NAME:=VALUE')
    return name, value
