# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The command line: `viva COMMAND ...`; each command is a module with a ``main(argv)``.

Nothing but the list of commands is imported before ``main`` handles Ctrl-C.
"""

import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Final

from viva_ros.cli import COMMANDS

#: Former name to the command that replaced it.
MOVED: Final = {'compare': 'scripts/compare', 'supervise': 'scripts/supervise'}
RESUMES: Final = frozenset({'record', 'import', 'train', 'score'})
INTERACTIVE: Final = frozenset({'demo', 'up', 'label'})


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :param argv: command and options; None for those of the process, which then ends
    :returns: the exit code of ``console.program.run``
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else ''
    if argv is None:
        signal.signal(signal.SIGINT, partial(_end, name))
    from viva_ros.console.program import ConsoleProgram, run

    resumes = name in RESUMES and '--plan' not in arguments  # a plan leaves nothing to go on with
    program = ConsoleProgram(f'viva {name}'.strip(), resumes, name in INTERACTIVE)
    return run(program, lambda: _main(arguments), is_process=argv is None)


def _end(name: str, number: int, frame: object) -> None:
    """End the process on Ctrl-C before ``run`` handles it: an import may swallow an exception."""
    title = f'viva {name}' if name in COMMANDS else 'viva'
    os.write(sys.stderr.fileno(), f'{title}: stopped: run the same command again\n'.encode())
    os._exit(130)  # console.program.STOPPED, which may not be imported yet


def _main(arguments: list[str]) -> int:
    from viva_ros.console.program import FAILED
    from viva_ros.core.foreign_text import LINE_LENGTH, shown, shown_list

    if not arguments or arguments[0] in ('-h', '--help'):
        print(shown(usage(), LINE_LENGTH, lines=True))
        return 0 if arguments else FAILED
    name, *rest = arguments
    if name in MOVED:
        print(
            f'viva {shown(name)}: moved out of the package; in a checkout of the repository, run '
            f'{shown(MOVED[name])}',
            file=sys.stderr,
        )
        return FAILED
    if name not in COMMANDS:
        known = shown_list(COMMANDS, len(COMMANDS))
        print(f'viva: command is {shown(repr(name))}, must be one of {known}', file=sys.stderr)
        return FAILED
    return int(import_module(COMMANDS[name][0]).main(rest) or 0)


def usage() -> str:
    """Return the list of commands."""
    lines = [f'  {name:10} {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(['usage: viva COMMAND [options]', '', *lines, '', 'viva COMMAND --help'])


if __name__ == '__main__':
    raise SystemExit(main())
