#!/usr/bin/env python3
# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Compare two ways to run an engine in a separate process: this package and multiprocessing.

The package starts ``python -P -m viva_ros.engine.isolated_child`` and shares unnamed memory;
``multiprocessing`` spawns a child, which imports the main module of its parent again, here that of
a node. Measured in turn: the time from start to the loaded engine, the memory of the child, and
the round trip of a message that announces an observation. Copying images costs the same in both.

    python -m benchmarks.isolation --engine engines/viperx --task tray_lift
"""

import argparse
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import psutil

import viva_ros.nodes.main  # noqa: F401  (the child of a node imports it again)
from viva_ros.engine import shared_memory
from viva_ros.engine.factory import load
from viva_ros.engine.isolated_process import Child

MESSAGE: Final = b'12345678'
MESSAGES: Final = 2000
KIND: Final = 'onnx'


def serve(connection: Connection, folder: str, task: str) -> None:
    """Load an engine in a spawned process, and return each message."""
    load(Path(folder), task, KIND)
    connection.send_bytes(MESSAGE)
    while True:
        try:
            connection.send_bytes(connection.recv_bytes())
        except EOFError:
            return


def start_own(folder: Path, task: str) -> tuple[float, float]:
    """Return seconds until the engine is loaded, and MiB of the child."""
    began = time.perf_counter()
    child = Child([str(folder), task, KIND])
    child.wait_loaded()
    spent, memory = time.perf_counter() - began, resident(child.process.pid)
    child.kill()
    return spent, memory


def start_spawned(folder: Path, task: str) -> tuple[float, float, float]:
    """Return seconds until the engine is loaded, MiB of the child, and s of a round trip."""
    context = multiprocessing.get_context('spawn')
    mine, theirs = context.Pipe()
    began = time.perf_counter()
    process = context.Process(target=serve, args=(theirs, str(folder), task))
    process.start()
    theirs.close()
    mine.recv_bytes()
    spent, memory = time.perf_counter() - began, resident(process.pid or 0)
    trip = round_trip(mine.send_bytes, mine.recv_bytes)
    process.kill()
    process.join()
    return spent, memory, trip


def round_trip(send: Callable[[bytes], object], receive: Callable[[], bytes]) -> float:
    """Return the median time from sending to the answer, s."""
    spent = []
    for _ in range(MESSAGES):
        began = time.perf_counter()
        send(MESSAGE)
        receive()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def own_round_trip() -> float:
    """Return the median round trip over the socket of the package, s."""
    mine, theirs = shared_memory.pair()
    if os.fork() == 0:
        mine.close()
        while packet := theirs.recv(shared_memory.MAX_PACKET):
            theirs.send(packet)
        os._exit(0)
    theirs.close()
    try:
        return round_trip(mine.send, lambda: mine.recv(shared_memory.MAX_PACKET))
    finally:
        mine.close()
        os.wait()


def resident(process: int) -> float:
    """Return the resident memory of a process, MiB."""
    return float(psutil.Process(process).memory_info().rss) / 2**20


def main() -> None:
    """Print medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--engine', type=Path, default=Path('engines/viperx'),
                        help='Engine folder (default: %(default)s)')  # fmt: skip
    parser.add_argument('--task', default='tray_lift',
                        help='Task of the engine (default: %(default)s)')  # fmt: skip
    parser.add_argument('--rounds', type=int, default=5,
                        help='Measurements of each way (default: %(default)s)')  # fmt: skip
    args = parser.parse_args()
    own, spawned = [], []
    for _ in range(args.rounds):
        own.append((*start_own(args.engine, args.task), own_round_trip()))
        spawned.append(start_spawned(args.engine, args.task))
    names = ('start_s', 'memory_mib', 'round_trip_s')
    found = {
        title: {name: round(statistics.median(column), 6)
                for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        for title, rows in (('viva_ros', own), ('multiprocessing', spawned))
    }  # fmt: skip
    print(json.dumps(found, indent=1))


if __name__ == '__main__':
    main()
