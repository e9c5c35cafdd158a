# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A node with a missing library ends with one line that names the install command."""

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


def test_sim_without_mujoco_names_the_command(domain):
    ended = start_without('mujoco', 'sim')
    _, output = ended.communicate(timeout=60)
    assert ended.returncode == 1
    assert output.startswith('sim: mujoco is not installed; run: ')
    assert len(output.splitlines()) == 1


def test_sim_without_meshes_names_the_command(domain):
    ended = start_without('gym_aloha', 'sim')
    _, output = ended.communicate(timeout=60)
    assert ended.returncode == 1
    assert 'gym_aloha is not installed: it has the meshes of the robot; run: ' in output
    assert 'pip install --no-deps gym-aloha==0.1.5' in output
    assert 'Traceback' not in output


def test_black_box_without_mcap_names_the_remedies(domain):
    running = start_without('mcap', 'black_box')  # a lifecycle node waits to be configured again
    try:
        output = next(line for line in running.stderr or () if 'cannot configure' in line)
    finally:
        running.terminate()
        running.communicate(timeout=60)
    assert "; 'mcap' is not a package: do without the node black_box, or run: " in output
    assert 'rosbags' in output or 'viva_ros[data]' in output
