# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The other side of ``process_engine``: ``python -m viva_ros.engine.isolated_child``.

It loads an engine, says what it is made for, and answers one request after the other. It ends
with the process that started it, however that one ends.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from viva_ros.core.errors import VivaError
from viva_ros.engine import shared_memory as wire
from viva_ros.engine.api import Engine
from viva_ros.engine.factory import load
from viva_ros.engine.usage import signal_at_end_of_parent


def main(argv: Sequence[str]) -> int:
    """
    Serve until the socket is closed.

    :param argv: folder, task, kind, descriptor of the socket
    """
    folder, task, kind, descriptor = argv
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the one that started us
    connection = socket.socket(fileno=int(descriptor))
    try:
        engine = load(Path(folder), task, kind)
    except VivaError as error:
        connection.send(wire.reply(0, *wire.failure(error)))
        return 1
    try:
        serve(engine, connection)
    except OSError:  # the one that asks is gone
        return 0
    return 0


def end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends; a hang included."""
    parent = os.getppid()
    signal_at_end_of_parent(signal.SIGKILL)
    if os.getppid() != parent or parent == 1:  # it was quicker
        sys.exit(0)


def serve(engine: Engine, connection: socket.socket) -> None:
    """Answer requests until the other end is closed."""
    connection.send(wire.reply(0, wire.DONE, wire.info_text(engine.info)))
    try:
        memory = wire.take(connection, engine.info)
    except EOFError:
        return
    while packet := connection.recv(wire.LONGEST):
        (number,) = wire.REQUEST.unpack(packet)
        connection.send(wire.reply(number, *answer(engine, memory)))


def answer(engine: Engine, memory: wire.ObservationMemory) -> tuple[int, str]:
    """Estimate from what lies in the memory; give what came of it, and why."""
    try:
        memory.answer(engine.estimate(memory.observation()))
    except Exception as error:
        return wire.failure(error)
    return wire.DONE, ''


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
