# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The launch files with the real ``launch``, which has no wheel: skipped without it.

Most tests start a recorder instead of each node, through the option launch-prefix.
"""

import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.ros import wait

from viva_ros.nodes.registry import LAUNCHES, PROFILE_VARIABLE

LAUNCH = Path(__file__).parents[2] / 'launch'

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None,
    reason='launch_ros is not installed: it comes with ROS 2, not with the wheels',
)

#: What 'ros2 launch FILE NAME:=VALUE ...' does.
START = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource

service = LaunchService(argv=sys.argv[2:], noninteractive=True)
arguments = [argument.split(':=') for argument in sys.argv[2:]]
source = AnyLaunchDescriptionSource(sys.argv[1])
include = IncludeLaunchDescription(source, launch_arguments=arguments)
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""

#: Replaces a node: writes its command line, parameters and environment to a file.
RECORDER = """
import json, os, pathlib, sys
line = sys.argv[1:]
rules = {rule.partition(':=')[0]: rule.partition(':=')[2] for rule in line if ':=' in rule}
files = [line[i + 1] for i, word in enumerate(line) if word == '--params-file']
name = f"{rules['__ns'].rstrip('/')}/{rules['__node']}"
params = pathlib.Path(files[-1]).read_text() if files else ''
content = {'line': line, 'params': params, 'env': dict(os.environ)}
path = pathlib.Path(__file__).parent / 'started' / f"{name.replace('/', '~')}.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(content))
"""

PARENT = """
import sys
from launch import LaunchDescription
from launch.actions import *
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace, SetParameter, SetRemap
from launch_ros.substitutions import FindPackageShare

def include(**arguments):
    source = PythonLaunchDescriptionSource({path!r})
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())

def generate_launch_description():
    source = PythonLaunchDescriptionSource({path!r})
    return LaunchDescription([{actions}])
"""


@dataclass
class Launched:
    """Result of a launch: exit code, output, and the started nodes by full name."""

    code: int
    output: str
    nodes: dict[str, dict]

    def value(self, node: str, parameter: str) -> object:
        """Return a parameter of a started node."""
        content = yaml.safe_load(self.nodes[node]['params'])
        return content['/**']['ros__parameters'].get(parameter)


@pytest.fixture
def launch(domain, tmp_path, monkeypatch):
    """Launch a file, with a recorder for each node."""
    monkeypatch.delenv(PROFILE_VARIABLE, raising=False)
    (tmp_path / 'recorder.py').write_text(RECORDER)
    prefix = f'launch-prefix:={sys.executable} {tmp_path / "recorder.py"}'

    def run(path: Path | str, *arguments: str) -> Launched:
        if not isinstance(path, Path):
            name = 'demo' if 'demo' in path else 'monitor'
            text = PARENT.format(path=str(LAUNCH / f'{name}.launch.py'), actions=path)
            path = tmp_path / 'parent.launch.py'
            path.write_text(text)
        line = [sys.executable, '-c', START, str(path), *arguments, prefix]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        started = {
            one.stem.replace('~', '/'): json.loads(one.read_text())
            for one in (tmp_path / 'started').glob('*.json')
        }
        return Launched(done.returncode, done.stdout + done.stderr, started)

    return run


MONITOR = LAUNCH / 'monitor.launch.py'
ONCE = 'respawn:=false'  # a recorder ends at once


@needs_launch
@pytest.mark.launch
@pytest.mark.parametrize(
    ('name', 'nodes'),
    [
        ('monitor', {'monitor', 'supervisor', 'black_box'}),
        ('demo', {'sim', 'monitor', 'supervisor'}),
    ],
)
def test_launch_file_starts_and_ends_nodes_in_namespace(name, nodes, listener):
    process = subprocess.Popen(
        [sys.executable, '-c', START, str(LAUNCH / f'{name}.launch.py'), 'namespace:=cell',
         'autostart:=false'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait(
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
    assert process.returncode == 0


@needs_launch
@pytest.mark.launch
@pytest.mark.parametrize('name', LAUNCHES)
def test_launch_arguments_are_declared_with_text_and_default(name):
    from viva_ros.bringup.launch_arguments import arguments
    from viva_ros.bringup.launch_file import describe

    declared = {action.name: action for action in describe(name).get_launch_arguments()}
    assert list(declared) == [argument.name for argument in arguments(name)]
    for argument in arguments(name):
        action = declared[argument.name]
        assert action.description.startswith(argument.doc)
        assert ''.join(part.text for part in action.default_value) == argument.default
        assert tuple(action.choices or ()) == argument.choices
        assert not action._conditionally_included


@needs_launch
@pytest.mark.launch
def test_launch_arguments_override_parameter_file(launch, tmp_path):
    (tmp_path / 'mine.yaml').write_text(
        'monitor: {ros__parameters: {rate: 5, task: fold}}\n'
        'supervisor: {ros__parameters: {task: fold}}'
    )
    done = launch(
        MONITOR, ONCE, f'params_file:={tmp_path}/mine.yaml', 'transport:=raw', 'log_level:=warn',
        'namespace:=cell', 'black_box:=false', 'dry_run:=False',
    )  # fmt: skip
    assert set(done.nodes) == {'/cell/monitor', '/cell/supervisor'}
    assert done.value('/cell/monitor', 'task') == done.value('/cell/supervisor', 'task') == 'fold'
    assert done.value('/cell/monitor', 'transport') == 'raw'
    assert done.value('/cell/monitor', 'rate') == 5
    assert done.value('/cell/supervisor', 'retry.dry_run') is False
    line = done.nodes['/cell/monitor']['line']
    assert line[line.index('--log-level') + 1] == 'warn'


@needs_launch
@pytest.mark.launch
@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['enigne:=x'], "monitor has no argument 'enigne': is 'engine' meant?"),
        (['config:=/x'], "monitor has no argument 'config': use 'params_file'"),
        (['transport:=rwa'], "transport is 'rwa', must be one of 'raw', 'compressed'"),
        (['params_file:=/nowhere.yaml'], "params_file is '/nowhere.yaml', must be a file"),
    ],
)
def test_invalid_argument_stops_the_launch(launch, arguments, said):
    done = launch(MONITOR, ONCE, *arguments)
    assert done.code == 1 and said in done.output and done.nodes == {}


@needs_launch
@pytest.mark.launch
def test_include_uses_only_passed_arguments(launch):
    done = launch(
        """
        DeclareLaunchArgument('task', default_value='of the parent'),
        DeclareLaunchArgument('namespace', default_value='parents'),
        SetLaunchConfiguration('respawn', 'false'),
        include(respawn='false', transport='raw', engine=LaunchConfiguration('task')),
        LogInfo(msg=['after: ', LaunchConfiguration('task'), LaunchConfiguration('namespace')]),
        """
    )
    assert set(done.nodes) == {'/monitor', '/supervisor', '/black_box'}
    assert done.value('/monitor', 'task') == 'tray_lift'
    assert done.value('/monitor', 'transport') == 'raw'
    assert done.value('/monitor', 'engine').endswith('/of the parent')
    assert 'after: of the parentparents' in done.output, 'the context of the parent is unchanged'
    assert 'namespace, task of the including launch file: not used' in done.output


@needs_launch
@pytest.mark.launch
def test_include_rejects_only_its_own_unknown_arguments(launch):
    done = launch("include(respawn='false', enigne='x')")
    assert done.code == 1 and "'enigne': is 'engine' meant?" in done.output and not done.nodes
    done = launch("include(respawn='false')", 'map:=floor.yaml', 'enigne:=x')
    assert done.code == 0 and len(done.nodes) == 3


@needs_launch
@pytest.mark.launch
def test_two_robots_in_one_launch(launch, tmp_path):
    (tmp_path / 'both.yaml').write_text(
        'monitor: {ros__parameters: {rate: 5.0}}\n'
        '/left/cell/monitor: {ros__parameters: {rate: 6.0}}'
    )
    both = f"respawn='false', params_file={str(tmp_path / 'both.yaml')!r}"
    done = launch(
        f"""
        GroupAction([PushRosNamespace('left'), include({both}, namespace='cell', task='fold')]),
        GroupAction([PushRosNamespace('right'), include({both})]),
        IncludeLaunchDescription(source, launch_arguments=dict({both}, namespace='a').items()),
        IncludeLaunchDescription(source, launch_arguments=dict({both}, black_box='false').items()),
        """
    )
    names = ('monitor', 'supervisor', 'black_box')
    spaces = ('/left/cell', '/right', '/a', '')
    assert set(done.nodes) == {f'{s}/{n}' for s in spaces for n in names} - {'/black_box'}
    assert [done.value(f'{space}/monitor', 'rate') for space in spaces] == [6.0, 5.0, 5.0, 5.0]
    tasks = [done.value(f'{space}/monitor', 'task') for space in spaces]
    assert tasks == ['fold', *['tray_lift'] * 3]


@needs_launch
@pytest.mark.launch
def test_profile_is_set_for_own_nodes_only(launch):
    after = "ExecuteProcess(cmd=['sh', '-c', 'echo profile=$FASTDDS_DEFAULT_PROFILES_FILE'], \
             output='screen', prefix='')"
    done = launch(f"include(respawn='false'), {after}")
    assert Path(done.nodes['/monitor']['env'][PROFILE_VARIABLE]).is_file()
    assert 'profile=\n' in done.output
    done = launch(f"SetEnvironmentVariable({PROFILE_VARIABLE!r}, '/mine.xml'), \
                  include(respawn='false')")  # fmt: skip
    assert done.nodes['/monitor']['env'][PROFILE_VARIABLE] == '/mine.xml'


@needs_launch
@pytest.mark.launch
def test_global_parameters_of_parent_reach_nodes(launch):
    done = launch("SetParameter('use_sim_time', True), include(respawn='false')")
    line = ' '.join(done.nodes['/monitor']['line'])
    assert 'use_sim_time:=True' in line
    assert done.value('/monitor', 'use_sim_time') is None, 'a value in the file would override it'


@needs_launch
@pytest.mark.launch
def test_documented_launch_snippets_run(launch, tmp_path):
    (tmp_path / 'viva.yaml').write_text('monitor: {ros__parameters: {rate: 5.0}}')
    docs = (LAUNCH.parent / 'docs' / 'launch.md').read_text()
    group, driver = re.findall(r'```python\n(.*?)```', docs, re.DOTALL)
    group = group.replace('/opt/cell/viva.yaml', str(tmp_path / 'viva.yaml'))
    profile = driver.replace('profile = ', 'profile := ', 1).replace('\nNode(', ', Node(')
    once = "SetLaunchConfiguration('task', 'fold'),"
    done = launch(f'{once} {group.strip()}'.replace("'task': L", "'respawn': 'false', 'task': L"))
    assert done.value('/left/monitor', 'rate') == 5.0
    assert done.value('/left/supervisor', 'task') == 'fold'
    assert 'joint_states:=/left_arm/joint_states' in done.nodes['/left/monitor']['line']
    driver = profile.replace("'usb_cam'", "'viva_ros'").replace("'usb_cam_node_exe'", "'monitor'")
    done = launch(f'({driver.strip()})[1],'.replace('Node(', "Node(name='n', namespace='m', "))
    assert Path(done.nodes['/m/n']['env'][PROFILE_VARIABLE]).is_file()


@pytest.mark.parametrize('name', LAUNCHES)
def test_launch_file_contains_only_its_name(name):
    text = (LAUNCH / f'{name}.launch.py').read_text(encoding='utf-8')
    assert f"return describe('{name}')" in text
    assert len(text.splitlines()) < 15
