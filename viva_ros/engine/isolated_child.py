# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The child process of ``isolated_process``: ``python -P -m viva_ros.engine.isolated_child``.

It loads an engine, sends its description, and answers requests one by one. The kernel ends it with
the process that started it.
"""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from viva_ros.core.errors import VivaError
from viva_ros.engine import shared_memory
from viva_ros.engine.api import Engine
from viva_ros.engine.factory import load
from viva_ros.engine.usage import signal_at_end_of_parent


def main(argv: Sequence[str]) -> int:
    """
    Serve until the socket is closed.

    :param argv: folder, task, kind, descriptor of the socket, and of a slot to load, if any
    """
    folder, task, kind, descriptor, *slots = argv
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent
    connection = socket.socket(fileno=int(descriptor))
    try:
        engine = load(Path(folder), task, kind)
    except VivaError as error:
        connection.send(shared_memory.reply(0, *shared_memory.failure(error)))
        return 1
    for slot in slots:
        os.close(int(slot))
    try:
        serve(engine, connection)
    except OSError:  # the parent has ended
        return 0
    return 0


def end_with_parent() -> None:
    """Have the kernel kill this process, even one that hangs, when its parent ends."""
    parent = os.getppid()
    signal_at_end_of_parent(signal.SIGKILL)
    if os.getppid() != parent or parent == 1:  # the parent has ended before
        sys.exit(0)


def serve(engine: Engine, connection: socket.socket) -> None:
    """Answer requests until the parent closes its socket."""
    info = shared_memory.info_text(engine.info)
    connection.send(shared_memory.reply(0, shared_memory.DONE, info))
    try:
        memory = shared_memory.attach(connection, engine.info)
    except EOFError:
        return
    while packet := connection.recv(shared_memory.MAX_PACKET):
        (number,) = shared_memory.REQUEST.unpack(packet)
        connection.send(shared_memory.reply(number, *answer(engine, memory)))


def answer(engine: Engine, memory: shared_memory.ObservationMemory) -> tuple[int, str]:
    """Estimate from the observation in the memory; return status and text of the reply."""
    try:
        memory.answer(engine.estimate(memory.observation()))
    except Exception as error:
        return shared_memory.failure(error)
    return shared_memory.DONE, ''


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
