# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom: read from every import, those inside functions too."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / 'viva_ros'

ENGINES = {'torch', 'onnxruntime', 'openvino', 'tensorrt', 'pycuda', 'safetensors', 'cuda'}
ROS = {
    'rclpy', 'launch', 'launch_ros', 'ament_index_python', 'cv_bridge', 'builtin_interfaces',
    'action_msgs', 'rcl_interfaces', 'lifecycle_msgs', 'std_msgs', 'std_srvs', 'sensor_msgs',
    'sensor_msgs_py', 'bond',
    'geometry_msgs', 'visualization_msgs', 'diagnostic_msgs', 'diagnostic_updater',
    'rosgraph_msgs', 'viva_ros.msg', 'viva_ros.srv', 'viva_ros.action',
}  # fmt: skip

#: Layer to the layers and libraries that it may import; 'any' is any library but ROS.
LAYERS = {
    'core': {'numpy'},
    'model': {'core', 'numpy', 'torch', 'diffusers', 'safetensors'},
    'runtime': {'core', 'numpy', 'cv2', *ENGINES},
    'data': {'core', 'any'},
    'sim': {'core', 'numpy', 'mujoco', 'gym_aloha'},
    'offline': {'core', 'model', 'runtime', 'data', 'sim', 'any'},
    'nodes': {'core', 'runtime', 'numpy', 'cv2', 'yaml', *ROS},
    'demo': {'core', 'runtime', 'data', 'offline', 'nodes', 'sim', 'any', *ROS},
    'completion.py': {'cli.py'},
    'cli.py': {'core', 'model', 'runtime', 'data', 'sim', 'offline', 'nodes', 'demo', 'any'},
}
#: What a single file may import besides.
BEYOND = {
    'data/images.py': {
        'runtime'
    },  # a recorded image is decoded by the code that decodes a live one
    'nodes/black_box.py': {'data'},  # it writes recordings
    'nodes/sim.py': {'sim'},
}


def imported(source: str, package: str) -> Iterator[str]:
    """Give the full name of all that is imported by a module of a package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package.split('.')[: 1 - node.level or None]) if node.level else ''
            module = '.'.join(part for part in (base, node.module) if part)
            yield from (f'{module}.{alias.name}' for alias in node.names)


def place(name: str) -> str:
    """Reduce a full name to a layer of ours, a message package, or a library."""
    parts = name.split('.')
    if parts[0] != 'viva_ros':
        return parts[0]
    if len(parts) == 1:
        return 'viva_ros'
    ours = f'{parts[1]}.py' if parts[1] in ('cli', 'completion') else parts[1]
    return f'viva_ros.{ours}' if ours in ('action', 'msg', 'srv') else ours


def violations(file: str, source: str) -> list[str]:
    """List what a file, named within the package, may not import."""
    own, folder = file.split('/')[0], file.rpartition('/')[0]
    allowed = LAYERS.get(own, set()) | BEYOND.get(file, set()) | {own, 'viva_ros'}
    package = '.'.join(['viva_ros', *folder.split('/')]) if folder else 'viva_ros'
    used = {place(name) for name in imported(source, package)} - sys.stdlib_module_names
    if own == 'runtime' and 'torch' in used:
        allowed.add('model')  # the engine that is the model itself
    forbidden = [
        name for name in used - allowed if 'any' not in allowed or name in ROS or name in LAYERS
    ]
    return [f'{file} imports {name}' for name in sorted(forbidden)]


def files() -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob('*.py'))


@pytest.mark.parametrize('file', files())
def test_a_file_imports_only_what_its_layer_may(file: str) -> None:
    found = violations(file, (ROOT / file).read_text(encoding='utf-8'))
    assert not found, '; '.join(found)


def test_every_folder_is_a_layer() -> None:
    folders = {file.split('/')[0] for file in files() if '/' in file}
    assert folders <= set(LAYERS), f'{folders - set(LAYERS)} stand in no layer'


def test_every_file_with_leave_to_import_more_exists_and_makes_use_of_it() -> None:
    for file, besides in BEYOND.items():
        used = {
            place(name) for name in imported((ROOT / file).read_text(encoding='utf-8'), 'viva_ros')
        }
        assert besides <= used, f'{file} does not import {besides - used}'


def test_each_engine_library_is_wrapped_by_one_file_of_the_runtime() -> None:
    users: dict[str, list[str]] = {}
    for file in files():
        if file.startswith('runtime/'):
            for name in {place(n) for n in imported((ROOT / file).read_text(), 'viva_ros')}:
                if name in ENGINES:
                    users.setdefault(name, []).append(file)
    assert all(len(wrappers) == 1 for wrappers in users.values()), users


@pytest.mark.parametrize(
    ('file', 'source', 'expected'),
    [
        ('core/drop.py', 'import torch', ['core/drop.py imports torch']),
        ('core/drop.py', 'import torch.nn as nn', ['core/drop.py imports torch']),
        ('core/drop.py', 'def f():\n    from torch import nn', ['core/drop.py imports torch']),
        ('core/drop.py', 'from viva_ros import model', ['core/drop.py imports model']),
        ('core/drop.py', 'from ..model import flow', ['core/drop.py imports model']),
        ('core/drop.py', 'from . import rules\nimport math, numpy', []),
        ('core/drop.py', 'from viva_ros.msg import Value', ['core/drop.py imports viva_ros.msg']),
        ('data/bag.py', 'import mcap, rclpy', ['data/bag.py imports rclpy']),
        ('data/bag.py', 'import viva_ros.scoring.run', ['data/bag.py imports offline']),
        ('nodes/monitor.py', 'import torch, rclpy', ['nodes/monitor.py imports torch']),
        ('nodes/monitor.py', 'import viva_ros.sim.robot', ['nodes/monitor.py imports sim']),
        ('nodes/sim.py', 'import viva_ros.sim.robot', []),
        ('runtime/onnx.py', 'import viva_ros.model', ['runtime/onnx.py imports model']),
        ('runtime/torch_engine.py', 'import torch, viva_ros.model', []),
        ('model/flow.py', 'from viva_ros import cli', ['model/flow.py imports cli.py']),
    ],
)
def test_the_check_itself(file: str, source: str, expected: list[str]) -> None:
    assert violations(file, source) == expected
