# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command line: `viva COMMAND ...`; each command is a module with a ``main(argv)``."""

import errno
import gc
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Final

from viva_ros.core.errors import VivaError
from viva_ros.core.libraries import explain

COMMANDS: Final = {
    'demo': (
        'viva_ros.cli.demo',
        'robot, monitor and supervisor, a good episode and a bad one',
    ),
    'up': ('viva_ros.cli.up', 'start nodes on a machine without launch'),
    'record': ('viva_ros.cli.record', 'record simulated episodes'),
    'import': ('viva_ros.cli.import_', 'make a dataset of bags or of data sets'),
    'label': ('viva_ros.cli.label', 'step through episodes and say how they ended'),
    'embed': ('viva_ros.cli.embed', "read the tasks' texts with umT5, for training"),
    'size': ('viva_ros.cli.size', 'what a preset takes: parameters, operations, memory'),
    'train': ('viva_ros.cli.train', 'train a model on recordings'),
    'export': ('viva_ros.cli.export', 'make an engine of a checkpoint'),
    'calibrate': ('viva_ros.cli.calibrate', 'set the thresholds of an engine'),
    'score': ('viva_ros.cli.score', 'give values and alerts of recordings'),
    'advantage': ('viva_ros.cli.advantage', 'tell good steps from bad ones (RECAP)'),
    'evaluate': ('viva_ros.cli.evaluate', 'measure an engine on test recordings'),
    'supervise': ('benchmarks.supervision.main', 'how far the alerts can be trusted'),
    'serve': ('viva_ros.cli.serve', 'one engine for the monitors of several robots'),
    'bench': ('benchmarks.speed.main', 'how fast engines and nodes are on this machine'),
    'compare': ('benchmarks.ablation.main', 'ViVa against its baselines and ablations'),
    'plot': ('viva_ros.cli.plot', 'draw the picture of a recording'),
    'doctor': ('viva_ros.cli.doctor', 'look at this machine and its robot, say what to mend'),
    'completion': ('viva_ros.cli.completion', 'print a script for TAB in bash, zsh or fish'),
}


#: What is finished is kept by these; they go on from there.
GO_ON: Final = frozenset({'record', 'import', 'train', 'score', 'compare', 'supervise'})
#: These end by themselves, in their own time.
INTERACTIVE: Final = frozenset({'demo', 'up', 'label'})
STOPPED: Final = 130
OUTPUT: Final = 1  # file descriptor
BROKEN_PIPE: Final = 128 + signal.SIGPIPE
STOPS: Final = (signal.SIGINT, signal.SIGTERM)
PATIENCE: Final = 4.0  # s, for what does not heed Ctrl-C: a library that catches it


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command.

    :returns: 0: all is well; 2: an error that can be mended; 130: Ctrl-C; 141: the reader of what
        is printed has ended, as in ``viva | head -1``
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(arguments)
    except BrokenPipeError:
        if _reader_is_gone():
            return BROKEN_PIPE
        raise
    finally:
        if _reader_is_gone():
            os.dup2(os.open(os.devnull, os.O_WRONLY), OUTPUT)  # it is flushed at the end


def _main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ('-h', '--help'):
        print(usage())
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        print(f'viva: no command {name!r}, must be one of {", ".join(COMMANDS)}', file=sys.stderr)
        return 2
    code = _run(name, rest, _heed_interrupts(name))
    if code == STOPPED:
        print(stopped(name), file=sys.stderr)
        gc.freeze()  # else leaving looks through all of torch for garbage: for seconds
    return code


def _run(name: str, rest: Sequence[str], interrupted: threading.Event) -> int:
    try:
        return int(import_module(COMMANDS[name][0]).main(rest) or 0)
    except KeyboardInterrupt:
        return STOPPED
    except Exception as error:
        if interrupted.is_set():  # a library that was being loaded may make another error of it
            return STOPPED
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return BROKEN_PIPE
        text = _message(error)
        if text is None:
            raise
        print(f'viva {name}: {text}', file=sys.stderr)
        return 2


def _reader_is_gone() -> bool:
    """Return whether the output is a pipe that nobody reads any more."""
    look = select.poll()
    look.register(OUTPUT, 0)
    return any(event & select.POLLERR for _, event in look.poll(0))


def _message(error: Exception) -> str | None:
    """Return the line for an error that can be mended, None for any other."""
    if isinstance(error, ImportError):
        return explain(error)
    if isinstance(error, OSError):  # a full disk, missing rights
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return f'{error}' + ': make room, and run the same command again' * full
    return f'{error}' if isinstance(error, VivaError) else None


def stopped(name: str) -> str:
    """Say that a command was stopped, and how to go on."""
    again = ': run the same command again' + ' to go on' * (name in GO_ON)
    return f'viva {name}: stopped' + again * (name not in INTERACTIVE)


def _heed_interrupts(name: str) -> threading.Event:
    """
    Make SIGINT and SIGTERM a KeyboardInterrupt, where a background shell has it ignored, too.

    Where that is not heeded in time the process ends at once: all that is written is whole.

    :returns: set when it has come
    """
    interrupted = threading.Event()

    def end() -> None:
        print(stopped(name), file=sys.stderr, flush=True)
        os._exit(STOPPED)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in STOPS:
            signal.signal(other, signal.SIG_IGN)  # nothing is to interrupt the tidying up
        interrupted.set()
        watch = threading.Timer(PATIENCE, end)
        watch.daemon = True
        watch.start()
        raise KeyboardInterrupt

    if name in INTERACTIVE:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return interrupted
    for number in STOPS:
        signal.signal(number, interrupt)
    return interrupted


def usage() -> str:
    """List the commands."""
    lines = [f'  {name:10} {text}' for name, (_, text) in COMMANDS.items()]
    return '\n'.join(['usage: viva COMMAND [options]', '', *lines, '', 'viva COMMAND --help'])


if __name__ == '__main__':
    raise SystemExit(main())
