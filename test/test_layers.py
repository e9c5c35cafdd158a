# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Architecture: allowed imports, no circular imports, unique class names."""

import pytest
from support import architecture


def test_files_import_only_what_their_layer_may() -> None:
    assert architecture.all_violations() == []


def test_modules_have_no_circular_imports() -> None:
    assert architecture.read_graph().circles() == []


def test_a_public_class_name_is_used_once() -> None:
    classes = architecture.class_places()
    twice = {name: places for name, places in classes.items() if len(places) > 1}
    assert twice == {}


def test_commands_are_imported_by_no_other_room() -> None:
    graph = architecture.read_graph()
    for module, importers in graph.importers().items():
        if module.startswith('viva_ros.cli.'):
            assert all(one.startswith('viva_ros.cli') for one in importers), module


def test_modules_with_one_importer_have_a_reason() -> None:
    alone = architecture.one_importer(architecture.read_graph())
    assert sorted(alone) == sorted(architecture.ALONE), 'merge it, or give the reason in ALONE'


def test_exceptions_of_layers_are_used() -> None:
    for file, (besides, _) in architecture.BEYOND.items():
        path = architecture.ROOT / architecture.PACKAGE / file
        names = set(architecture.imported(path.read_text(encoding='utf-8'), 'viva_ros'))
        for one in besides.split():
            prefixes = (f'{one}.', f'viva_ros.{one}.')
            assert any(name == one or name.startswith(prefixes) for name in names), (file, one)


def test_each_engine_library_is_wrapped_by_one_file() -> None:
    users: dict[str, set[str]] = {}
    for path in architecture.python_files('viva_ros/engine'):
        source = (architecture.ROOT / path).read_text(encoding='utf-8')
        names = architecture.imported(source, 'viva_ros.engine')
        for name in {one.split('.')[0] for one in names}:
            if name in architecture.ENGINES:
                users.setdefault(name, set()).add(str(path))
    assert {'onnxruntime', 'openvino', 'torch'} <= users.keys()
    assert all(len(files) == 1 for files in users.values()), users


@pytest.mark.parametrize(
    ('file', 'source', 'expected'),
    [
        ('core/drop.py', 'import torch', ['core/drop.py imports torch']),
        ('core/drop.py', 'import torch.nn as nn', ['core/drop.py imports torch']),
        ('core/drop.py', 'def f():\n    from torch import nn', ['core/drop.py imports torch']),
        ('core/drop.py', 'from viva_ros import model', ['core/drop.py imports model']),
        ('core/drop.py', 'from ..model import viva', ['core/drop.py imports model.viva']),
        ('core/drop.py', 'from . import inputs\nimport math, numpy', []),
        ('core/drop.py', 'from viva_ros.msg import Value', ['core/drop.py imports msg.Value']),
        ('data/x.py', 'import mcap, rclpy', ['data/x.py imports rclpy']),
        ('data/x.py', 'import viva_ros.scoring.run', ['data/x.py imports scoring.run']),
        ('data/x.py', 'from viva_ros.engine.image_decoding import decode_jpeg', []),
        ('data/x.py', 'from viva_ros.engine.api import Engine',
         ['data/x.py imports engine.api.Engine']),
        ('nodes/monitor.py', 'import torch, rclpy', ['nodes/monitor.py imports torch']),
        ('nodes/monitor.py', 'import viva_ros.sim.robot', ['nodes/monitor.py imports sim.robot']),
        ('nodes/sim.py', 'import viva_ros.sim.robot', []),
        ('engine/backends/onnx.py', 'import viva_ros.model.viva, onnxruntime',
         ['engine/backends/onnx.py imports model.viva']),
        ('scoring/x.py', 'from viva_ros.cli import score', ['scoring/x.py imports cli.score']),
        ('cli/x.py', 'import benchmarks.speed.main',
         ['cli/x.py imports benchmarks.speed.main']),
        ('attic/x.py', '', ['attic/x.py is in no layer: add the room attic to '
                            'test/support/architecture.py']),
    ],
)  # fmt: skip
def test_violations_are_found(file: str, source: str, expected: list[str]) -> None:
    assert architecture.violations(file, source) == expected


def test_circles_are_found() -> None:
    edges = {'a': 'b', 'b': 'c', 'c': 'a', 'd': 'a'}
    graph = architecture.Graph({name: frozenset(to) for name, to in edges.items()})
    assert graph.circles() == [['a', 'b', 'c']]
