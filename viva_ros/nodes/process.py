# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a node's process begins and ends: exit code 0 on SIGINT and SIGTERM, within 3 s."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

from viva_ros.core.errors import VivaError

RCLError = rclpy_implementation.RCLError
UnknownROSArgsError = rclpy_implementation.UnknownROSArgsError
SIGNALS = (signal.SIGINT, signal.SIGTERM)
TIDY_UP = 2.0  # s; then the process ends as it is
Made = TypeVar('Made', bound=Node)


def run(
    make: Callable[[], Made],
    argv: Sequence[str] | None = None,
    spin: Callable[[Made, SingleThreadedExecutor], None] | None = None,
) -> None:
    """
    Spin a node until it is told to stop.

    Does not return where the interpreter could not tidy up: a thread of the node hangs, or the
    node was only half made.

    :raises SystemExit: with a line of text, on arguments or settings that cannot be used
    :param spin: instead of the executor's own; until the context is shut down
    """
    clean = False
    node: Made | None = None
    executor = start(argv)
    codes = [0]  # of the process; the last one counts
    threading.Thread(target=end_in_time, args=(codes,), daemon=True).start()
    try:
        node = make()
        executor.add_node(node)
        if spin is None:
            executor.spin()
        else:
            spin(node, executor)
    except ExternalShutdownException:
        pass
    except VivaError as error:
        codes.append(1)
        sys.exit(str(error))
    except RCLError:  # a signal in mid-callback makes whatever it calls next invalid
        if rclpy.ok():
            raise
    finally:
        ignore_signals()
        clean = end(node)
        if len(codes) > 1 and not clean:  # SystemExit is on its way, but would not arrive
            leave(codes)
    if not clean or node is None:
        leave(codes)


def start(argv: Sequence[str] | None) -> SingleThreadedExecutor:
    """
    Begin; from here on SIGINT and SIGTERM shut the context down.

    Neither raises anything in the midst of some library's work. SIGINT counts even where a shell
    that runs us in the background has it ignored.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    try:
        rclpy.init(args=None if argv is None else list(argv))
    except (RCLError, UnknownROSArgsError) as error:
        sys.exit(f'{error}: see the arguments after --ros-args')
    executor = SingleThreadedExecutor()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return executor


def leave(codes: Sequence[int]) -> None:
    """End the process without tidying up; with the last of the codes."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(codes[-1])


def end_in_time(codes: Sequence[int]) -> None:
    """
    End the process where it does not within the time it has, whatever it hangs in.

    A signal shuts the context down; a library that loads something large knows nothing of it.

    :param codes: the last is the process's, when it comes to that
    """
    while rclpy.ok():
        time.sleep(0.1)
    time.sleep(TIDY_UP)
    leave(codes)


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
