# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Remedies for missing libraries fit the Python that runs."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from viva_ros.core import libraries
from viva_ros.core.libraries import LIBRARIES, InstallPlace, explain, place, remedy

ROOT = Path(__file__).parents[2]
PYTHON = '/opt/my python/bin/python'


@pytest.fixture(autouse=True)
def python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'executable', PYTHON)


def requirements_of_setup() -> dict[str, set[str]]:
    """Return the requirements of setup.py by extra; '' without an extra."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8'))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'EXTRAS':
            found |= {name: set(wanted) for name, wanted in ast.literal_eval(node.value).items()}
        if isinstance(node, ast.keyword) and node.arg == 'install_requires':
            found[''] = set(ast.literal_eval(node.value))
    return found


def test_requirements_equal_those_of_setup():
    required = requirements_of_setup()
    for name, library in LIBRARIES.items():
        if not library.alone:
            assert library.requirement in required[library.extra], name
    lock = (ROOT / 'requirements' / 'lock' / 'robot_files.txt').read_text(encoding='utf-8')
    alone = [library for library in LIBRARIES.values() if library.alone]
    assert all(f'\n{library.requirement} ' in lock for library in alone)


def test_requirements_in_install_page_are_known():
    text = (ROOT / 'docs' / 'install.md').read_text(encoding='utf-8')
    known = {library.requirement for library in LIBRARIES.values()} | {'numpy<2'}
    found = set(re.findall(r"'([\w-]+[<>=][^']+)'", text))
    assert found >= {'onnxruntime>=1.20,<2', 'mcap>=1.3,<2'}
    assert found <= known


def test_every_imported_library_has_a_remedy():
    bundled = {'tokenizers', 'ml_dtypes', 'lz4', 'zstandard'}  # of transformers, onnx and mcap
    of_vendors = {'tensorrt', 'pycuda', 'tensorrt_rtx'}
    known = sys.stdlib_module_names | LIBRARIES.keys() | libraries.ROS | {'viva_ros'}
    known = known | bundled | of_vendors
    for path in (ROOT / 'viva_ros').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or '']
            unknown = {name.partition('.')[0] for name in names} - known
            assert not unknown, f'{path} imports {unknown}'


def test_remedy_in_pip_installation_names_the_extras():
    assert remedy(['openvino'], InstallPlace.PIP) == (
        f"run: '{PYTHON}' -m pip install 'viva_ros[openvino]'"
    )
    assert remedy(['torch', 'mcap'], InstallPlace.PIP).endswith(
        "pip install 'viva_ros[data,train]'"
    )
    assert remedy(['onnxruntime'], InstallPlace.PIP).endswith("pip install 'onnxruntime>=1.20,<2'")


@pytest.mark.parametrize('where', [InstallPlace.VIRTUAL, InstallPlace.OPEN])
def test_remedy_in_colcon_workspace_names_the_library(where):
    assert remedy(['openvino'], where) == (
        f"run: '{PYTHON}' -m pip install 'openvino>=2025.0,<2027'"
    )


def test_gym_aloha_is_installed_without_requirements():
    assert remedy(['mujoco', 'gym_aloha'], InstallPlace.VIRTUAL) == (
        f"run: '{PYTHON}' -m pip install 'mujoco>=3.8,<3.9' && "
        f"'{PYTHON}' -m pip install --no-deps gym-aloha==0.1.5"
    )
    assert remedy(['mujoco', 'gym_aloha'], InstallPlace.PIP) == (
        f"run: '{PYTHON}' -m pip install 'viva_ros[sim]' && "
        f"'{PYTHON}' -m pip install --no-deps gym-aloha==0.1.5"
    )


def test_remedy_in_managed_python_is_apt_or_an_environment():
    assert (
        remedy(['rich', 'yaml'], InstallPlace.MANAGED)
        == 'run: sudo apt install python3-rich python3-yaml'
    )
    assert remedy(['rich', 'onnxruntime'], InstallPlace.MANAGED) == (
        'run: python3 -m venv --system-site-packages ~/viva_venv && . ~/viva_venv/bin/activate && '
        "pip install 'rich>=13,<16' 'onnxruntime>=1.20,<2'; then start it again in this shell"
    )


@pytest.mark.parametrize('name', LIBRARIES)
@pytest.mark.parametrize('where', InstallPlace)
def test_every_remedy_is_a_valid_shell_command(name, where):
    command = remedy([name], where).removeprefix('run: ').partition('; then')[0]
    assert subprocess.run(['bash', '-n', '-c', command], check=False).returncode == 0
    assert shlex.split(command)


def test_missing_library_names_all_libraries_of_its_extra(monkeypatch):
    monkeypatch.setattr(libraries, 'place', lambda: InstallPlace.VIRTUAL)
    monkeypatch.setattr(libraries, 'find_spec', lambda name: None if name == 'gym_aloha' else name)
    text = explain(ModuleNotFoundError("No module named 'mujoco'", name='mujoco.viewer'))
    assert text is not None
    assert text.startswith("mujoco is not installed; run: '/opt/my python/bin/python' -m pip ")
    assert text.endswith('--no-deps gym-aloha==0.1.5')


def test_missing_ros_module_names_setup_files_or_extra(monkeypatch):
    monkeypatch.setattr(libraries, 'place', lambda: InstallPlace.MANAGED)
    text = explain(ModuleNotFoundError(name='viva_ros.msg'))
    assert text is not None and text.startswith('viva_ros.msg is not found; source ROS 2')
    monkeypatch.setattr(libraries, 'place', lambda: InstallPlace.PIP)
    text = explain(ModuleNotFoundError(name='rclpy'))
    assert text == f"rclpy is not installed; run: '{PYTHON}' -m pip install 'viva_ros[ros]'"


def test_import_error_of_own_module_has_no_remedy():
    assert explain(ModuleNotFoundError(name='viva_ros.nodes.monitr')) is None
    assert explain(ImportError("cannot import name 'x'", name='rclpy')) is None


def test_origin_of_python_is_detected(monkeypatch, tmp_path):
    monkeypatch.setattr(libraries, '_installed_by_pip', lambda: False)
    monkeypatch.setattr(sys, 'base_prefix', '/usr')
    monkeypatch.setattr(sys, 'prefix', '/opt/venv')
    assert place() is InstallPlace.VIRTUAL
    monkeypatch.setattr(sys, 'prefix', '/usr')
    monkeypatch.setattr(libraries.sysconfig, 'get_path', lambda name: str(tmp_path))
    assert place() is InstallPlace.OPEN
    (tmp_path / 'EXTERNALLY-MANAGED').touch()
    assert place() is InstallPlace.MANAGED
