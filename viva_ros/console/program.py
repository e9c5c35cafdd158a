# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run a command: interrupts, errors in one line, exit codes."""

import errno
import gc
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

from viva_ros.core.errors import VivaError
from viva_ros.core.foreign_text import ERROR_LENGTH, shown
from viva_ros.core.libraries import explain
from viva_ros.core.memory import is_lack_of_memory, memory_text

FAILED: Final = 2
STOPPED: Final = 130
OUTPUT: Final = 1  # file descriptor
BROKEN_PIPE: Final = 128 + signal.SIGPIPE
STOPS: Final = (signal.SIGINT, signal.SIGTERM)
PATIENCE: Final = 4.0  # s, for a library that catches Ctrl-C and continues


@dataclass(frozen=True)
class ConsoleProgram:
    """
    Behaviour of a command when it is interrupted.

    :param title: as typed by the user, such as 'viva train'
    :param resumes: whether it keeps finished work and continues from there
    :param interactive: whether it handles Ctrl-C itself
    """

    title: str
    resumes: bool = False
    interactive: bool = False

    @property
    def stopped(self) -> str:
        """Line to print after an interruption."""
        again = ': run the same command again' + ' to go on' * self.resumes
        return f'{self.title}: stopped' + again * (not self.interactive)


@dataclass
class _Interrupt:
    """The signal that stopped a command, and the timer that ends a process that continues."""

    number: int = 0
    watch: threading.Timer | None = field(default=None, repr=False)


def run(program: ConsoleProgram, command: Callable[[], int | None], is_process: bool) -> int:
    """
    Run a command.

    :param is_process: whether the process ends after the command. Otherwise the signal handlers of
        the caller are restored, and receive the signal that stopped the command
    :returns: 0: success; 2: an error that the user can correct; 130: interrupted; 141: the reader
        of the output has ended, as in ``viva | head -1``
    """
    try:
        with _interrupts(program, is_process) as interrupt:
            code = _run(program, command, interrupt)
            if code == STOPPED:
                print(shown(program.stopped), file=sys.stderr)
                if is_process:
                    gc.freeze()  # else garbage collection of torch takes seconds at exit
        return code
    except BrokenPipeError:
        if _reader_is_gone():
            return BROKEN_PIPE
        raise
    finally:
        if _reader_is_gone():
            os.dup2(os.open(os.devnull, os.O_WRONLY), OUTPUT)  # Python flushes the output at exit


def _run(program: ConsoleProgram, command: Callable[[], int | None], interrupt: _Interrupt) -> int:
    try:
        return int(command() or 0)
    except KeyboardInterrupt:
        return STOPPED
    except Exception as error:
        if interrupt.number:  # a library raised another error when it was interrupted on import
            return STOPPED
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return BROKEN_PIPE
        text = _message(error)
        if text is None:
            raise
        print(f'{shown(program.title)}: {shown(text, ERROR_LENGTH, lines=True)}', file=sys.stderr)
        return FAILED


def _message(error: Exception) -> str | None:
    """Return the line for an error that the user can correct; None for any other."""
    if is_lack_of_memory(error) and not isinstance(error, VivaError):
        return f'{memory_text(error)}, and run the same command again'
    if isinstance(error, ImportError):
        return explain(error)
    if isinstance(error, OSError):  # a full disk, missing rights
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return f'{error}' + ': free disk space, and run the same command again' * full
    return f'{error}' if isinstance(error, VivaError) else None


def _reader_is_gone() -> bool:
    """Return whether the output is a pipe without a reader."""
    poll = select.poll()
    poll.register(OUTPUT, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


@contextmanager
def _interrupts(program: ConsoleProgram, is_process: bool) -> Iterator[_Interrupt]:
    """
    Turn SIGINT and SIGTERM into a KeyboardInterrupt, also where a background shell ignores them.

    A process that does not stop in time is ended at once: files are complete at any moment.
    """
    interrupt = _Interrupt()
    before = {number: signal.getsignal(number) for number in STOPS}

    def end() -> None:
        print(shown(program.stopped), file=sys.stderr, flush=True)
        os._exit(STOPPED)

    def stop(number: int, frame: FrameType | None) -> None:
        for other in STOPS:
            signal.signal(other, signal.SIG_IGN)  # a second Ctrl-C must not interrupt clean-up
        interrupt.number = number
        interrupt.watch = threading.Timer(PATIENCE, end)
        interrupt.watch.daemon = True
        interrupt.watch.start()
        raise KeyboardInterrupt

    if program.interactive:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        for number in STOPS:
            signal.signal(number, stop)
    try:
        yield interrupt
    finally:
        if not is_process:
            if interrupt.watch is not None:
                interrupt.watch.cancel()
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
            if interrupt.number:
                signal.raise_signal(interrupt.number)
