# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Processes under measurement: started with one thread each, and ended in any case."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from viva_ros.core.errors import VivaError

PATIENCE: Final = 15.0  # s, to end by itself
ONE_THREAD: Final = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}


class BenchError(VivaError):
    """A process under measurement did not do what it was to."""


def environment() -> dict[str, str]:
    """Return an environment of our own: one thread, this machine only, a domain by chance."""
    domain = {'ROS_DOMAIN_ID': str(random.SystemRandom().randint(1, 101))}
    return {**os.environ, **ONE_THREAD, **domain, 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}


@contextmanager
def running(
    module: str, *arguments: object, env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a module in a process of its own until the end of the block.

    :param log: what it says
    """
    line = [sys.executable, '-m', module, *map(str, arguments)]
    with log.open('wb') as output:
        process = subprocess.Popen(line, env=dict(env), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
        end(process)
    finally:
        process.kill()
        process.wait()


def end(process: subprocess.Popen[bytes]) -> None:
    """Tell a process to end, and wait until it has."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return


def last_words(log: Path) -> str:
    """Return the end of what a process said."""
    return log.read_text(errors='replace')[-1000:].strip()
