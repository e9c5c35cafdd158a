# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node whose library is not installed ends with one line that says how to install it."""

import subprocess
import sys

import pytest

pytest.importorskip('mujoco', reason='mujoco is not installed')


def start_without(library: str, node: str) -> subprocess.Popen[str]:
    """Start a node in a process that cannot import a library."""
    lines = (
        f'import sys; sys.modules[{library!r}] = None; from viva_ros.nodes.__main__ import main; '
        f'main({node!r})'
    )
    line = [sys.executable, '-P', '-c', lines]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True)


def test_a_robot_without_its_simulator_names_both_libraries(domain):
    ended = start_without('mujoco', 'sim')
    _, told = ended.communicate(timeout=60)
    assert ended.returncode == 1
    assert told.startswith('sim: mujoco is not installed; run: ')
    assert len(told.splitlines()) == 1


def test_a_robot_without_its_meshes_names_them(domain):
    ended = start_without('gym_aloha', 'sim')
    _, told = ended.communicate(timeout=60)
    assert ended.returncode == 1
    assert 'gym_aloha is not installed: it has the meshes of the robot; run: ' in told
    assert 'pip install --no-deps gym-aloha==0.1.5' in told
    assert 'Traceback' not in told


def test_a_black_box_without_its_writer_names_both_libraries(domain):
    running = start_without('mcap', 'black_box')  # a lifecycle node waits to be configured again
    try:
        told = next(line for line in running.stderr or () if 'cannot configure' in line)
    finally:
        running.terminate()
        running.communicate(timeout=60)
    assert "; 'mcap' is not a package: do without the node black_box, or run: " in told
    assert 'rosbags' in told or 'viva_ros[data]' in told
