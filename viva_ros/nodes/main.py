# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How a node's process begins and ends: exit code 0 on SIGINT and SIGTERM, within 3 s.

rclpy's own handlers shut the context down in the midst of a callback, and whatever that calls next
fails. Here a signal ends the executor between two callbacks; the node is closed with a context
that is still valid.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from viva_ros.core.errors import VivaError
from viva_ros.engine.background_task import nothing

RCLError = rclpy_implementation.RCLError
UnknownROSArgsError = rclpy_implementation.UnknownROSArgsError
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TIDY_UP = 2.0  # s; then the process ends as it is
Made = TypeVar('Made', bound=Node)


class Ending:
    """
    Waits for SIGINT, SIGTERM or ``ask``, and limits the time until the process has ended.

    SIGINT counts even where a shell that runs us in the background has it ignored.
    """

    def __init__(self) -> None:
        self.codes = [0]  # of the process; the last one counts
        self.executor: SingleThreadedExecutor | None = None
        self._asked = threading.Event()
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, nothing)
        threading.Thread(target=self._watch, name='viva_ending', daemon=True).start()

    @property
    def is_asked(self) -> bool:
        """Whether the process shall end."""
        return self._asked.is_set()

    def ask(self) -> None:
        """Do as on SIGTERM."""
        self._write.send(bytes([signal.SIGTERM]))

    def leave(self) -> None:
        """End the process without tidying up; with the last of the codes."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.codes[-1])

    def _watch(self) -> None:
        """Wake the executor on a signal; end the process where it does not in time."""
        while not any(number in SIGNALS for number in self._read.recv(64)):
            pass
        self._asked.set()
        if self.executor is not None:
            self.executor.create_task(nothing)
        time.sleep(TIDY_UP)
        self.leave()


def run(make: Callable[[], Made], argv: Sequence[str] | None = None) -> None:
    """
    Spin a node until it is told to stop.

    Does not return where the interpreter could not tidy up: a thread of the node hangs, or the
    node was only half made.

    :raises SystemExit: after an error, which is written to stderr
    """
    ending = Ending()
    node: Made | None = None
    try:
        executor = start(argv)
        gc.collect()
        gc.freeze()  # what was imported stays: a collection of it would stop the executor
        node = make()
        executor.add_node(node)
        ending.executor = executor
        while not ending.is_asked:
            executor.spin_once()
    except ExternalShutdownException:
        pass
    except VivaError as error:
        print(error, file=sys.stderr)
        ending.codes.append(1)
    except Exception:
        traceback.print_exc()
        ending.codes.append(1)
    finally:
        ending.ask()  # from here on time is limited
        ignore_signals()
        clean = end(node)
    if not clean or node is None:
        ending.leave()
    if ending.codes[-1]:
        sys.exit(ending.codes[-1])


def start(argv: Sequence[str] | None) -> SingleThreadedExecutor:
    """Begin, without rclpy's handlers of signals."""
    try:
        rclpy.init(
            args=None if argv is None else list(argv),
            signal_handler_options=SignalHandlerOptions.NO,
        )
    except (RCLError, UnknownROSArgsError) as error:
        sys.exit(
            f'{error}: see the arguments after --ros-args, and whether {log_folder()} can be '
            'written (ROS_LOG_DIR names another folder)'
        )
    return SingleThreadedExecutor()


def log_folder() -> str:
    """Return the folder that rcl writes its log to."""
    home = os.environ.get('ROS_HOME') or '~/.ros'
    return os.path.expanduser(os.environ.get('ROS_LOG_DIR') or f'{home}/log')


def ignore_signals() -> None:
    """Ignore a second Ctrl-C: it must not interrupt the tidying up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end(node: Node | None) -> bool:
    """Close and destroy a node; False if something of it would not stop."""
    clean = True
    if node is not None:
        close = getattr(node, 'close', None)
        clean = close() if close is not None else True
        if clean:
            node.destroy_node()
    rclpy.try_shutdown()
    return clean
