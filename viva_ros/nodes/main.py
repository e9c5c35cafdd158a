# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Start and end of a node's process: exit code 0 on SIGINT and SIGTERM, within 3 s.

rclpy's own handlers shut down the context during a callback, whose next call then fails. Here a
signal ends the executor between two callbacks, and the node is closed with a valid context.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from viva_ros.core.errors import VivaError
from viva_ros.core.foreign_text import ERROR_LENGTH, shown, shown_traceback
from viva_ros.engine.background_task import nothing
from viva_ros.nodes.malformed_messages import GuardedExecutor

RCLError = rclpy_implementation.RCLError
UnknownROSArgsError = rclpy_implementation.UnknownROSArgsError
SIGNALS = (signal.SIGINT, signal.SIGTERM)
CLOSE_TIMEOUT = 2.0  # s; then the process exits
Made = TypeVar('Made', bound=Node)


class ShutdownRequest:
    """
    Waits for SIGINT, SIGTERM or ``request``, and limits the time until the process exits.

    SIGINT is handled even if a shell ignores it for a background job.
    """

    def __init__(self) -> None:
        self.codes = [0]  # of the process; the last one counts
        self.executor: GuardedExecutor | None = None
        self._requested = threading.Event()
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, nothing)
        threading.Thread(target=self._watch, name='viva_ending', daemon=True).start()

    @property
    def requested(self) -> bool:
        """Whether the process must end."""
        return self._requested.is_set()

    def request(self) -> None:
        """Request the end, as SIGTERM does."""
        self._write.send(bytes([signal.SIGTERM]))

    def exit(self) -> None:
        """Exit at once with the last of the codes."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.codes[-1])

    def _watch(self) -> None:
        """Wake the executor on a signal; exit if the process does not end in time."""
        while not any(number in SIGNALS for number in self._read.recv(64)):
            pass
        self._requested.set()
        if self.executor is not None:
            self.executor.create_task(nothing)
        time.sleep(CLOSE_TIMEOUT)
        self.exit()


def run(make: Callable[[], Made], argv: Sequence[str] | None = None) -> None:
    """
    Spin a node until a shutdown is requested.

    Exits without returning if the interpreter could not end: a thread of the node hangs, or the
    node's constructor failed.

    :raises SystemExit: after an error, which is written to stderr
    """
    shutdown = ShutdownRequest()
    node: Made | None = None
    try:
        executor = start(argv)
        gc.collect()
        gc.freeze()  # a collection of the imported modules would stop the executor
        node = make()
        executor.add_node(node)
        shutdown.executor = executor
        while not shutdown.requested:
            executor.spin_once()
    except ExternalShutdownException:
        pass
    except VivaError as error:
        print(shown(error, ERROR_LENGTH, lines=True), file=sys.stderr)
        shutdown.codes.append(1)
    except Exception:
        print(shown_traceback(), file=sys.stderr)
        shutdown.codes.append(1)
    finally:
        shutdown.request()  # from here the time is limited
        ignore_signals()
        clean = end(node)
    if not clean or node is None:
        shutdown.exit()
    if shutdown.codes[-1]:
        sys.exit(shutdown.codes[-1])


def start(argv: Sequence[str] | None) -> GuardedExecutor:
    """Initialize rclpy without its signal handlers."""
    try:
        rclpy.init(
            args=None if argv is None else list(argv),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except (RCLError, UnknownROSArgsError) as error:
        sys.exit(
            f'{shown(error, ERROR_LENGTH)}: check the arguments after --ros-args, and that '
            f'{shown(log_folder())} is writable (ROS_LOG_DIR sets another folder)'
        )
    return GuardedExecutor()


def log_folder() -> str:
    """Return the folder that rcl writes its log to."""
    home = os.environ.get('ROS_HOME') or '~/.ros'
    return os.path.expanduser(os.environ.get('ROS_LOG_DIR') or f'{home}/log')


def ignore_signals() -> None:
    """Ignore a second Ctrl-C: it must not interrupt the shutdown."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end(node: Node | None) -> bool:
    """Close and destroy a node; False if one of its threads does not end."""
    clean = True
    if node is not None:
        close = getattr(node, 'close', None)
        clean = close() if close is not None else True
        if clean:
            node.destroy_node()
    rclpy.try_shutdown()
    return clean
