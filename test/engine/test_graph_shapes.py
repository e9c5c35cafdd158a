# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A graph whose inputs and outputs are not those of ``engine.json``, and files of any size."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.errors import raises
from support.onnx_engines import JOINTS, graph, write_worth_engine

from viva_ros.core.errors import UntrustedError
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import EngineFolder, checksum, stamp

TERABYTE = 1 << 40


def described(folder: Path, **changes: Any) -> Path:
    """Write an engine with other fields in its description, whose checksum is right."""
    write_worth_engine(folder)
    content = json.loads((folder / 'engine.json').read_text()) | changes
    (folder / 'engine.json').write_text(json.dumps(content | {'checksum': checksum(content)}))
    return folder


def ranges(*names: str) -> dict[str, Any]:
    return {'names': names, 'low': [-1.0] * len(names), 'high': [1.0] * len(names)}


@pytest.mark.parametrize('kind', ['onnx', 'openvino'])
@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({'image_size': [64, 64]}, '(batch, 2, 64, 64, 3)'),
        ({'image_size': [16, 64]}, '(batch, 2, 16, 64, 3)'),
        ({'cameras': ['head']}, '(batch, 1, 32, 32, 3)'),
        ({'cameras': ['head', 'wrist', 'other']}, '(batch, 3, 32, 32, 3)'),
        ({'ranges': ranges(JOINTS[0])}, '(batch, 1)'),
        ({'ranges': ranges(*JOINTS, 'third')}, '(batch, 3)'),
    ],
    ids=['larger', 'other_sides', 'one_camera', 'three_cameras', 'one_joint', 'three_joints'],
)
def test_graph_of_other_shapes_than_described_is_refused(
    tmp_path: Path, kind: str, changes: dict[str, Any], expected: str
) -> None:
    """One camera in the place of two would be repeated, and give a value."""
    pytest.importorskip({'onnx': 'onnxruntime'}.get(kind, kind))
    folder = described(tmp_path / 'engine', **changes)
    with raises('graph-shape', folder / 'engine.onnx', f'must be {expected}', 'viva export'):
        load(folder, 'tray_lift', kind)


@pytest.mark.parametrize(
    ('change', 'code', 'named'),
    [
        ({'output': 'forecast'}, 'graph-value', 'must have value'),
        ({'output': 'other'}, 'graph-shape', 'other of shape [1], must be absent'),
        ({'input': 'other'}, 'graph-shape', 'other of shape [1], must be absent'),
    ],
    ids=['no_value', 'other_output', 'other_input'],
)
def test_graph_with_other_names_is_refused(
    tmp_path: Path, change: dict[str, str], code: str, named: str
) -> None:
    from onnx import ModelProto

    model = ModelProto.FromString(graph(1))
    if change.get('output') == 'forecast':
        del model.graph.output[0]
    else:
        places = model.graph.output if 'output' in change else model.graph.input
        places[0 if 'output' in change else 2].name = 'other'
    if change.get('output') == 'other':
        model.graph.node[4].output[0] = 'other'
    content = model.SerializeToString()
    digest = hashlib.sha256(content).hexdigest()
    listed = {'engine.onnx': {'size': len(content), 'sha256': digest}}
    folder = described(tmp_path / 'engine', sha256=digest, files=listed)
    (folder / 'engine.onnx').write_bytes(content)
    with raises(code, folder / 'engine.onnx', named, 'viva export'):
        load(folder, 'tray_lift', 'onnx')


@pytest.mark.timeout(60)  # hours where such a file is hashed
def test_sparse_files_of_a_terabyte_are_refused_unread(tmp_path: Path) -> None:
    folder = write_worth_engine(tmp_path / 'engine')
    digest = json.loads((folder / 'engine.json').read_text())['sha256']
    os.truncate(folder / 'engine.onnx', TERABYTE)
    with raises('engine-hash', folder / 'engine.onnx', TERABYTE):
        load(folder, 'tray_lift')
    (tmp_path / 'checkpoint').mkdir()
    (tmp_path / 'checkpoint/model.json').touch()
    os.truncate(tmp_path / 'checkpoint/model.json', TERABYTE)
    with raises('engine-file-size', 'model.json', TERABYTE, 'at most'):
        EngineFolder(tmp_path / 'checkpoint').open('model.json')
    with raises('file-too-large', folder / 'engine.onnx', TERABYTE, of=UntrustedError):
        stamp(folder)
    for size, code in ((TERABYTE, 'engine-json-invalid'), (1 << 32, 'file-too-large')):
        listed = {'engine.onnx': {'size': size, 'sha256': digest}}
        described(folder, files=listed)
        os.truncate(folder / 'engine.onnx', size)
        with raises(code, size, of=Exception):
            load(folder, 'tray_lift', 'onnx')
    write_worth_engine(folder)
    (folder / 'weights.bin').touch()
    os.truncate(folder / 'weights.bin', TERABYTE)
    with raises('engine-file-size', folder / 'weights.bin', 'move it out of the folder'):
        stamp(folder)
