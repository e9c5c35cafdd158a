# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start nodes on a machine without `ros2 launch`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from viva_ros.bringup.launch_arguments import arguments, check_arguments
from viva_ros.bringup.processes import Respawn, RunningNodes, started
from viva_ros.core.errors import ConfigurationError
from viva_ros.core.foreign_text import ERROR_LENGTH, shown
from viva_ros.nodes.registry import ADVISORY, LAUNCHES

PERIOD: Final = 0.2  # s, between two looks at the nodes


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
    print(shown(ADVISORY, ERROR_LENGTH, lines=True))
    respawn = Respawn({one.name: options.policy(one) for one in options.programs})
    with started(args.launch, values) as nodes:
        try:
            while not respawn.over:
                for text in respawn.note(nodes.ended(), time.monotonic()):
                    say(text)
                for name in respawn.due(time.monotonic()):
                    start_again(nodes, name)
                time.sleep(PERIOD)
        except KeyboardInterrupt:
            return 0
    return 1


def start_again(nodes: RunningNodes, name: str) -> None:
    """Start a node again; a failure, such as no memory for a process, is one of that node."""
    try:
        nodes.start(name)
    except OSError as error:
        say(f'{name} cannot be started: {error}')


def say(text: str) -> None:
    """Print a line on stderr; no node may end because nobody reads it."""
    with suppress(OSError):
        print(f'viva up: {shown(text, ERROR_LENGTH)}', file=sys.stderr, flush=True)


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
