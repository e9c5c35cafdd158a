# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of ghost.launch.py as data; their packages have no wheels, so none is started."""

import importlib.util
import sys
from pathlib import Path

import pytest
from support.errors import raises

from viva_ros.bringup.ghost import FORECAST, ghost_nodes

LAUNCH = Path(__file__).parents[2] / 'launch' / 'ghost.launch.py'
ARM = '<robot name="arm"><link name="world"/><link name="arm"/>{joint}</robot>'
JOINT = '<joint name="a" type="fixed"><parent link="world"/><child link="arm"/></joint>'
needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None,
    reason='launch_ros is not installed: it comes with ROS 2, not with the wheels',
)


@pytest.fixture
def urdf(tmp_path: Path) -> str:
    path = tmp_path / 'arm.urdf'
    path.write_text(ARM.format(joint=JOINT))
    return str(path)


def test_the_ghost_has_prefixed_frames_and_follows_the_forecast(urdf):
    publisher, root = ghost_nodes(urdf)
    (parameters,) = publisher['parameters']
    assert (
        parameters['frame_prefix'] == 'ghost/'
        and '<link name="arm"/>' in (parameters['robot_description'])
    )
    assert publisher['remappings'] == [('joint_states', f'/{FORECAST}')]
    assert publisher['namespace'] == '/ghost'
    # RViz needs the transform from the robot's root to the ghost's.
    assert root['arguments'] == ['--frame-id', 'world', '--child-frame-id', 'ghost/world']


@pytest.mark.parametrize('namespace', ['cell', '/cell', '/cell/'])
def test_ghost_in_namespace_follows_its_robot(urdf, namespace):
    publisher, _ = ghost_nodes(urdf, namespace)
    assert publisher['namespace'] == '/cell/ghost'
    assert publisher['remappings'] == [('joint_states', f'/cell/{FORECAST}')]


def test_invalid_robot_description_fails(tmp_path):
    for given in ('', str(tmp_path), str(tmp_path / 'absent.urdf')):
        with raises('ghost-urdf-missing', repr(given), '.urdf', '.xacro'):
            ghost_nodes(given)
    path = tmp_path / 'two.urdf'
    path.write_text(ARM.format(joint=''))
    with raises('ghost-urdf-invalid', str(path), "['world', 'arm']"):
        ghost_nodes(str(path))


def test_xacro_runs_or_its_error_is_named(tmp_path, monkeypatch):
    path = tmp_path / 'arm.xacro'
    path.write_text(ARM.format(joint=JOINT))
    monkeypatch.setenv('PATH', str(tmp_path))
    with raises('xacro-missing', str(path), 'install ros-$ROS_DISTRO-xacro'):
        ghost_nodes(str(path))
    xacro = tmp_path / 'xacro'
    xacro.write_text(f'#!{sys.executable}\nimport sys\nprint(open(sys.argv[1]).read())\n')
    xacro.chmod(0o755)
    assert ghost_nodes(str(path))[1]['arguments'][1] == 'world'
    xacro.write_text(f'#!{sys.executable}\nraise SystemExit("no such macro")\n')
    with raises('xacro-failed', str(path), 'no such macro'):
        ghost_nodes(str(path))


@needs_launch
@pytest.mark.launch
def test_ghost_launch_file_creates_the_nodes(urdf):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    from launch import LaunchContext

    description = get_launch_description_from_python_launch_file(str(LAUNCH))
    assert [argument.name for argument in description.get_launch_arguments()] == [
        'urdf', 'namespace',
    ]  # fmt: skip
    context = LaunchContext()
    context.launch_configurations.update(urdf=urdf, namespace='cell')
    nodes = description.entities[-1].execute(context)
    assert [node.node_package for node in nodes] == ['robot_state_publisher', 'tf2_ros']
