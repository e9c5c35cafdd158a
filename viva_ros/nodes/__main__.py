# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A node as a program: ``python -m viva_ros.nodes monitor``.

Its libraries take a second to load. Until then SIGINT and SIGTERM end the process at once.
"""

import os
import signal
import sys
from importlib import import_module
from types import FrameType

from viva_ros.core.libraries import explain
from viva_ros.nodes.description import LAUNCHES


def main(name: str) -> None:
    """
    Run a node of this package.

    :param name: 'monitor', 'supervisor', 'sim' or 'black_box'
    :raises SystemExit: with a line of text, if a library is missing
    """
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, leave)
    try:
        module = import_module(f'viva_ros.nodes.{name}')
    except ImportError as error:
        text = explain(error)
        if text is None:
            raise
        sys.exit(f'{name}: {text}')
    module.main()


def leave(number: int, frame: FrameType | None) -> None:
    """End with exit code 0: there is nothing yet to tidy up."""
    os._exit(0)


if __name__ == '__main__':
    names = sorted({program.name for programs, _ in LAUNCHES.values() for program in programs})
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit(f'the first argument must be one of {", ".join(names)}')
    main(sys.argv[1])
