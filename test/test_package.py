# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""package.xml declares the imported packages; colcon installs all files."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.architecture import statements

from viva_ros.core.libraries import LIBRARIES, ROS
from viva_ros.engine.resources import shared_folder
from viva_ros.nodes.registry import LAUNCHES

ROOT = Path(__file__).parents[1]
PACKAGE = ElementTree.parse(ROOT / 'package.xml').getroot()
#: Required library to its rosdep key; the others of LIBRARIES are optional.
KEYS = {
    'cv2': 'python3-opencv', 'numpy': 'python3-numpy', 'onnxruntime': 'python3-onnxruntime-pip',
    'rich': 'python3-rich', 'yaml': 'python3-yaml',
}  # fmt: skip
TEST_KEYS = {
    'hypothesis': 'python3-hypothesis', 'psutil': 'python3-psutil', 'pytest': 'python3-pytest',
}  # fmt: skip

#: File to the pattern of the version in it; the first match counts.
VERSIONED = {
    'setup.py': r"^    version='([\d.]+)'",
    'CITATION.cff': r'^version: ([\d.]+)$',
    'CHANGELOG.rst': r'^([\d.]+) \(\d{4}-\d\d-\d\d\)$',
}


def declared(*kinds: str) -> set[str]:
    return {element.text or '' for kind in kinds for element in PACKAGE.iter(kind)}


def imported(files: Iterable[Path]) -> Iterator[str]:
    """Yield the top-level names of all imports."""
    for path in files:
        for node in statements(path.read_text(encoding='utf-8')):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition('.')[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield (node.module or '').partition('.')[0]


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob('*.py')


def test_imported_ros_packages_are_run_dependencies():
    used = set(imported(python_files('viva_ros', 'launch', 'examples'))) & ROS
    assert used >= {'rclpy', 'rcl_interfaces', 'action_msgs'}
    optional = {'bond', 'sensor_msgs_py'}  # used if installed: docs/install.md
    assert used - declared('depend', 'exec_depend') - optional == set()


def test_message_packages_of_tests_are_declared():
    used = {name for name in imported(python_files('test')) if name.endswith(('_msgs', '_srvs'))}
    assert used - declared('depend', 'exec_depend', 'test_depend') == set()


def test_required_libraries_are_run_dependencies():
    used = set(imported(python_files('viva_ros/core', 'viva_ros/nodes'))) & LIBRARIES.keys()
    used |= {'onnxruntime'}  # imported at run time: the default engine kind
    assert {KEYS[name] for name in used} <= declared('exec_depend')
    assert set(KEYS.values()) <= declared('exec_depend')
    assert set(TEST_KEYS.values()) <= declared('test_depend')


def test_interface_packages_are_build_and_run_dependencies():
    types = {
        line.split('/')[0]
        for folder in ('msg', 'srv', 'action')
        for path in (ROOT / folder).glob('*.*')
        for line in path.read_text(encoding='utf-8').splitlines()
        if '/' in line.split('#')[0].split(' ')[0]
    }
    assert types - {'viva_ros'} <= declared('depend')


def test_package_has_website_repository_and_bugtracker():
    kinds = {element.get('type') for element in PACKAGE.iter('url')}
    assert kinds == {'website', 'repository', 'bugtracker'}


def test_release_has_one_version_everywhere():
    version = PACKAGE.findtext('version')
    texts = {name: (ROOT / name).read_text(encoding='utf-8') for name in VERSIONED}
    found = {name: re.findall(VERSIONED[name], text, re.M)[:1] for name, text in texts.items()}
    assert found == {name: [version] for name in VERSIONED}


def test_configuration_launch_files_and_examples_are_installed():
    installed = {'config': 'monitor.yaml', 'launch': 'monitor.launch.py'}
    for folder, file in (installed | {'examples': 'behaviour_tree.py'}).items():
        assert (shared_folder(folder) / file).is_file()
    listed = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    assert 'install(DIRECTORY config engines examples launch ' in listed


def test_types_are_installed():
    assert (ROOT / 'viva_ros' / 'py.typed').read_text(encoding='utf-8') == ''
    tree = ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))
    (data,) = (ast.literal_eval(node.value) for node in ast.walk(tree)
               if isinstance(node, ast.keyword) and node.arg == 'package_data')  # fmt: skip
    assert 'py.typed' in data['viva_ros']
    # CMake installs the whole folder.
    assert 'install(DIRECTORY ${PROJECT_NAME}/' in (ROOT / 'CMakeLists.txt').read_text()


def program(name: str) -> Path:
    """Return the path of a program in the folder of ``ros2 run``."""
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    found = [Path(prefix) / 'lib' / 'viva_ros' / name for prefix in prefixes if prefix]
    installed = next((path for path in found if path.exists()), None)
    assert installed is not None, 'viva_ros is not built: run scripts/setup or colcon build'
    return installed


@pytest.mark.parametrize('name', sorted({p.name for ps, _ in LAUNCHES.values() for p in ps}))
def test_every_node_of_the_launch_files_is_a_program(name):
    assert f"main('{name}')" in program(name).read_text(encoding='utf-8')
    assert os.access(program(name), os.X_OK)


def test_viva_program_prints_usage():
    line = [program('viva'), '--help']
    ran = subprocess.run(line, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith('usage: viva COMMAND')
