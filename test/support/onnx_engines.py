# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A small real engine that other processes can load, with values that are easy to compute."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from viva_ros.core.normalize import JointRanges
from viva_ros.data.open import open_recording
from viva_ros.data.segmentation import episodes_of
from viva_ros.data.split import identities_of
from viva_ros.engine.manifest import FORMAT, Manifest, read_manifest, write_manifest

JOINTS = ('worth', 'other')
FINGERPRINT = '00ff00ff00ff00ff'


def graph(batch: int | str) -> bytes:
    """Return a graph: value = joint 'worth' + mean of all pixels / 25500; forecast = joints."""
    node = helper.make_node
    axes = helper.make_tensor('axes', TensorProto.INT64, [4], [1, 2, 3, 4])
    first = helper.make_tensor('first', TensorProto.INT64, [], [0])
    byte = helper.make_tensor('byte', TensorProto.FLOAT, [1], [25500.0])
    nodes = [
        node('Gather', ['proprio', 'first'], ['worth'], axis=1),
        node('Cast', ['images'], ['pixels'], to=TensorProto.FLOAT),
        node('ReduceMean', ['pixels', 'axes'], ['mean'], keepdims=0),
        node('Div', ['mean', 'byte'], ['level']),
        node('Add', ['worth', 'level'], ['value']),
        node('Identity', ['proprio'], ['forecast']),
    ]
    info, floats = helper.make_tensor_value_info, TensorProto.FLOAT
    inputs = [
        info('images', TensorProto.UINT8, [batch, 2, 32, 32, 3]),
        info('proprio', floats, [batch, 2]), info('task', TensorProto.INT64, [batch]),
    ]  # fmt: skip
    outputs = [info('value', floats, [batch]), info('forecast', floats, [batch, 2])]
    made = helper.make_model(
        helper.make_graph(nodes, 'worth', inputs, outputs, [axes, first, byte]),
        opset_imports=[helper.make_opsetid('', 20)], ir_version=10,
    )  # fmt: skip
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def write_worth_engine(folder: Path, batch: int | str = 1, fingerprint: str = FINGERPRINT) -> Path:
    folder.mkdir(exist_ok=True)
    content = graph(batch)
    (folder / 'engine.onnx').write_bytes(content)
    write_manifest(folder, Manifest(
        FORMAT, 'viva', hashlib.sha256(content).hexdigest(), ('head', 'wrist'),
        (32, 32), JointRanges(JOINTS, (-1.0, -1.0), (1.0, 1.0)), 1.0, ('tray_lift',), fingerprint,
        1e-7, 9, {'training': {'episode_identities': {'train': [], 'validation': []}}},
    ))  # fmt: skip
    return folder


def forget_training(folder: Path) -> Path:
    """Make an engine one of an earlier version, which does not name its training episodes."""
    write_manifest(folder, replace(read_manifest(folder), provenance={}))
    return folder


def name_training(folder: Path, recordings: Iterable[Path]) -> None:
    """Add the episodes of recordings to the provenance of an engine, as its training."""
    found = identities_of(
        episode for path in recordings for episode in episodes_of(open_recording(path))
    )
    training = {'episode_identities': {'train': sorted(found), 'validation': []}}
    write_manifest(folder, replace(read_manifest(folder), provenance={'training': training}))
