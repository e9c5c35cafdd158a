# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A node as a program: ``python -P -m viva_ros.nodes monitor``.

Its libraries take a second to load. Until then SIGINT and SIGTERM end the process at once;
therefore nothing but signal handling is imported first.
"""

import os
import signal
import sys
from importlib import import_module

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(name: str) -> None:
    """
    Run a node of this package.

    :param name: 'monitor', 'supervisor', 'sim' or 'black_box'
    :raises SystemExit: with a line of text, if a library is missing
    """
    exit_on_signals()
    try:
        module = import_module(f'viva_ros.nodes.{name}')
    except ImportError as error:
        from viva_ros.core.foreign_text import ERROR_LENGTH, shown
        from viva_ros.core.libraries import explain

        text = explain(error)
        if text is None:
            raise
        sys.exit(f'{shown(name)}: {shown(text, ERROR_LENGTH)}')
    module.main()


def exit_on_signals() -> None:
    """
    Make SIGINT and SIGTERM end the process with exit code 0, and unblock them.

    The parent process may have blocked them, so that they do not arrive before this handler.
    """
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


if __name__ == '__main__':
    exit_on_signals()
    from viva_ros.nodes.registry import LAUNCHES

    names = sorted({program.name for programs, _ in LAUNCHES.values() for program in programs})
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        sys.exit('the first argument must be one of ' + ', '.join(names))
    main(sys.argv[1])
