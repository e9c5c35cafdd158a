# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files with the real ``launch``, which has no wheel: skipped where it is not there."""

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.launch
LAUNCH = Path(__file__).parents[2] / 'launch'

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None,
    reason='launch_ros is not installed: it comes with ROS 2, not with the wheels',
)

START = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [argument.split(':=') for argument in sys.argv[2:]]
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""


@needs_launch
@pytest.mark.parametrize(
    ('name', 'nodes'),
    [
        ('monitor', {'monitor', 'supervisor', 'black_box'}),
        ('demo', {'sim', 'monitor', 'supervisor'}),
    ],
)
def test_a_launch_file_starts_its_nodes_in_a_namespace_and_ends_them(name, nodes, listener, until):
    process = subprocess.Popen(
        [sys.executable, '-c', START, str(LAUNCH / f'{name}.launch.py'), 'namespace:=cell',
         'autostart:=false'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(
            lambda: (
                {n for n, space in listener.get_node_names_and_namespaces() if space == '/cell'}
                == nodes
            ),
            'the nodes',
        )
        time.sleep(1.0)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30.0)
    assert 'advisory process monitor, not a safety function' in output
    assert output.count('process has finished cleanly') == len(nodes)


@needs_launch
def test_every_argument_is_declared_with_its_explanation():
    from viva_ros.nodes.description import LAUNCHES
    from viva_ros.nodes.launching import describe

    for launch, (_, arguments) in LAUNCHES.items():
        declared = {action.name: action for action in describe(launch).get_launch_arguments()}
        assert set(declared) == {argument.name for argument in arguments}
        assert all(declared[argument.name].description == argument.doc for argument in arguments)


@pytest.mark.parametrize('name', ['monitor', 'demo'])
def test_a_launch_file_holds_no_more_than_its_name(name):
    text = (LAUNCH / f'{name}.launch.py').read_text(encoding='utf-8')
    assert f"return describe('{name}')" in text
    assert len(text.splitlines()) < 15
