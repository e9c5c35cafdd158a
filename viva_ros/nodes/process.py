# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a node's process begins and ends: exit code 0 on SIGINT and SIGTERM, within 3 s."""

import os
import signal
import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

RCLError = rclpy_implementation.RCLError


def run(make: Callable[[], Node], argv: Sequence[str] | None = None) -> None:
    """Spin a node until it is told to stop; does not return if a thread of it hangs."""
    start(argv)
    clean = True
    node: Node | None = None
    try:
        node = make()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RCLError:  # a signal in mid-callback makes whatever it calls next invalid
        if rclpy.ok():
            raise
    finally:
        ignore_signals()
        clean = end(node)
    if not clean:  # a thread hangs in foreign code: the interpreter would wait for it
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def start(argv: Sequence[str] | None) -> None:
    """Begin; SIGINT counts even where a shell that runs us in the background has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rclpy.init(args=None if argv is None else list(argv))


def ignore_signals() -> None:
    """A second Ctrl-C must not interrupt the tidying up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


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
