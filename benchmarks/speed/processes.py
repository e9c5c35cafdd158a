# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes under measurement: each has one thread and is always ended."""

import os
import random
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from viva_ros.core.child_process import python_child
from viva_ros.core.errors import VivaError

CHECKOUT: Final = str(Path(__file__).parents[2])
PATIENCE: Final = 15.0  # s, for the process to end after SIGINT
ONE_THREAD: Final = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}


class BenchError(VivaError):
    """A process under measurement failed."""


def environment() -> dict[str, str]:
    """Return an environment: one thread, a random ROS domain on this machine, these modules."""
    return {
        **os.environ, **ONE_THREAD, 'ROS_DOMAIN_ID': str(random.SystemRandom().randint(1, 101)),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'PYTHONPATH': os.pathsep.join((CHECKOUT, os.environ.get('PYTHONPATH', ''))),
    }  # fmt: skip


@contextmanager
def running(
    module: str, *arguments: object, env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a module in its own process until the end of the block.

    :param log: file of its output
    """
    with log.open('wb') as output:
        process = subprocess.Popen(
            **python_child(module, *arguments, env=env), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
        end(process)
    finally:
        process.kill()
        process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and wait for it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return


def last_words(log: Path) -> str:
    """Return the last output of a process."""
    return log.read_text(errors='replace')[-1000:].strip()
