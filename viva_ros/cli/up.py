# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`viva up`: start nodes on a machine without `launch`."""

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
    """Start nodes and stay until Ctrl-C, or until one of them ends."""
    parser = argparse.ArgumentParser(
        'viva up', description='start nodes, without launch', epilog=list_arguments(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('launch', choices=tuple(LAUNCHES), help='what to start')
    parser.add_argument('arguments', nargs='*', metavar='NAME:=VALUE', help='launch arguments')
    args = parser.parse_args(argv)
    given = dict(split_argument(text) for text in args.arguments)
    options = check_arguments(args.launch, given)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    print(ADVISORY)
    respawn = Respawn(one.name for one in options.programs if options.respawns(one))
    with started(args.launch, given) as nodes:
        try:
            while not (ended := respawn.gone_for_good(nodes.ended(), time.monotonic())):
                for name in respawn.due(time.monotonic()):
                    print(f'viva up: {name} failed and is started again', file=sys.stderr)
                    nodes.start(name)
                time.sleep(0.2)
        except KeyboardInterrupt:
            return 0
    names = ', '.join(f'{name} (exit code {code})' for name, code in ended.items())
    print(f'viva up: {names} ended: the others are ended too', file=sys.stderr)
    return 1


def list_arguments() -> str:
    """Say which arguments each launch has, with their defaults and choices."""
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

    :raises ConfigurationError: if it is not of this form
    """
    name, sign, value = text.partition(':=')
    if not sign or not name:
        raise ConfigurationError(f'argument is {text!r}, must be NAME:=VALUE')
    return name, value
