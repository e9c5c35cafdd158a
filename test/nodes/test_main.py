# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node ends without an error on SIGINT and SIGTERM, at any stage of its start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.ros import wait

NODES = ('monitor', 'supervisor', 'black_box', 'sim')
NEEDED = {'black_box': 'mcap', 'sim': 'mujoco'}  # optional libraries that a node requires
PROGRAM = Path(__file__).parents[2] / 'cmake' / 'node.in'
STOP = {signal.SIGINT: 'Ctrl-C', signal.SIGTERM: 'kill'}


def loading(process: subprocess.Popen[bytes]) -> bool:
    """Return whether libraries are being loaded: the signal has a Python handler."""
    fields = dict(line.split(':', 1) for line in read(process, 'status').splitlines() if line)
    caught = int(fields.get('SigCgt', '0'), 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def joining(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the middleware is loaded, as while the context is created."""
    return 'librmw_fastrtps' in read(process, 'maps')


def read(process: subprocess.Popen[bytes], name: str) -> str:
    return Path(f'/proc/{process.pid}/{name}').read_text()


@pytest.mark.parametrize('number', STOP, ids=STOP.get)
@pytest.mark.parametrize('moment', [loading, joining])
@pytest.mark.parametrize('node', ['monitor', 'supervisor', 'black_box', 'sim'])
def test_starting_node_ends_without_error_on_signal(
    processes, node: str, moment: Callable[..., bool], number: signal.Signals
) -> None:
    process = processes.start('viva_ros.nodes', node)
    wait(lambda: moment(process), moment.__name__)
    process.send_signal(number)
    assert process.wait(60.0) == 0
    assert 'Traceback' not in processes.log(process)


@pytest.mark.parametrize('node', NODES)
@pytest.mark.parametrize('delay', [0.0, 0.03, 0.3, 1.0, 2.0])
def test_node_ends_without_an_error_at_any_moment(
    domain: None, tmp_path: Path, node: str, delay: float
) -> None:
    """From the first instruction: the installed program starts with both signals blocked."""
    if library := NEEDED.get(node):
        pytest.importorskip(library, reason=f'{library} is not installed')
    program = tmp_path / node
    program.write_text(PROGRAM.read_text().replace('@program@', node))
    program.chmod(0o755)
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    process = subprocess.Popen(
        [program], env=os.environ | {'PATH': path},  # of the tested package
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, STOP),  # env itself would end
    )  # fmt: skip
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60.0)[0].decode()
    assert process.returncode == 0, output
    assert 'Traceback' not in output and 'ERROR' not in output, output


@pytest.mark.parametrize('node', ['monitor', 'supervisor', 'black_box', 'sim'])
def test_node_in_background_job_ends_on_sigint(processes, node: str) -> None:
    """A shell ignores SIGINT for background jobs."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = processes.start('viva_ros.nodes', node)
    finally:
        signal.signal(signal.SIGINT, old)
    wait(lambda: '[INFO]' in processes.log(process) or joining(process), 'the node')
    process.send_signal(signal.SIGINT)
    assert process.wait(60.0) == 0
    assert 'Traceback' not in processes.log(process)


def test_unknown_node_error_lists_known_nodes() -> None:
    line = [sys.executable, '-P', '-m', 'viva_ros.nodes', 'robot']
    answer = subprocess.run(line, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert 'must be one of black_box, monitor, sim, supervisor' in answer.stderr
