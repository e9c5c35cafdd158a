# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine with a graph made by hand, whose values are easy to compute."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from viva_ros.core.normalize import JointRanges
from viva_ros.engine.api import Engine
from viva_ros.engine.manifest import FORMAT, Manifest, write_manifest
from viva_ros.engine.remote.server import Server

JOINTS = ('left_waist', 'right_waist')


def graph(with_images: bool = True) -> bytes:
    """Value = first joint + task (+ mean of the first view's red / 255); forecast = joints + 1."""
    import onnx  # tests without a graph run without onnx
    from onnx import TensorProto, helper

    constants = [
        helper.make_tensor('one', TensorProto.FLOAT, [1], [1.0]),
        helper.make_tensor('byte', TensorProto.FLOAT, [1], [255.0]),
        helper.make_tensor('zero', TensorProto.INT64, [1], [0]),
        helper.make_tensor('next', TensorProto.INT64, [1], [1]),
        helper.make_tensor('first', TensorProto.INT64, [1], [0]),
        helper.make_tensor('red', TensorProto.INT64, [2], [0, 0]),
        helper.make_tensor('red_end', TensorProto.INT64, [2], [1, 1]),
        helper.make_tensor('red_axes', TensorProto.INT64, [2], [1, 4]),
        helper.make_tensor('shape', TensorProto.INT64, [1], [1]),
        helper.make_tensor('joint_axis', TensorProto.INT64, [1], [1]),
    ]
    node = helper.make_node
    nodes = [
        node('Add', ['proprio', 'one'], ['forecast']),
        node('Slice', ['proprio', 'zero', 'next', 'joint_axis'], ['column']),
        node('Reshape', ['column', 'shape'], ['joint']),
        node('Cast', ['task'], ['number'], to=TensorProto.FLOAT),
        node('Add', ['joint', 'number'], ['value' if not with_images else 'sum']),
    ]
    if with_images:
        nodes += [
            node('Cast', ['images'], ['pixels'], to=TensorProto.FLOAT),
            node('Slice', ['pixels', 'red', 'red_end', 'red_axes'], ['reds']),
            node('ReduceMean', ['reds'], ['mean'], keepdims=0),
            node('Div', ['mean', 'byte'], ['level']),
            node('Add', ['sum', 'level'], ['value']),
        ]
    floats, integers = TensorProto.FLOAT, TensorProto.INT64
    inputs = [
        helper.make_tensor_value_info('proprio', floats, [1, 2]),
        helper.make_tensor_value_info('task', integers, [1]),
    ]
    if with_images:
        inputs.insert(
            0, helper.make_tensor_value_info('images', TensorProto.UINT8, [1, 2, 4, 4, 3])
        )
    outputs = [
        helper.make_tensor_value_info('value', floats, [1]),
        helper.make_tensor_value_info('forecast', floats, [1, 2]),
    ]
    made = helper.make_model(
        helper.make_graph(nodes, 'sum', inputs, outputs, constants),
        opset_imports=[helper.make_opsetid('', 20)], ir_version=10,
    )  # fmt: skip
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


MANIFEST = Manifest(
    format=FORMAT, model='viva', sha256='', cameras=('head', 'wrist'),
    image_size=(4, 4), ranges=JointRanges(JOINTS, (-1.0, -1.0), (1.0, 1.0)), horizon=1.0,
    tasks=('lift', 'pass'), fingerprint='0123456789abcdef', parity=1e-7, moments=9,
    provenance={'seed': 0},
)  # fmt: skip


@pytest.fixture
def make_engine(tmp_path: Path) -> Callable[..., Path]:
    def make(content: bytes | None = None, **changes: Any) -> Path:
        folder = tmp_path / 'engine'
        folder.mkdir(exist_ok=True)
        given = graph() if content is None else content
        (folder / 'engine.onnx').write_bytes(given)
        digest = hashlib.sha256(given).hexdigest()
        write_manifest(folder, replace(MANIFEST, **{'sha256': digest, **changes}))
        return folder

    return make


@pytest.fixture
def blind_graph() -> bytes:
    return graph(with_images=False)


@pytest.fixture
def manifest() -> Manifest:
    return MANIFEST


@pytest.fixture
def change() -> Callable[..., Manifest]:
    return replace


@pytest.fixture
def address(tmp_path: Path) -> Path:
    folder = tmp_path / 'own'
    folder.mkdir(mode=0o700)
    return folder / 'engine.sock'


@pytest.fixture
def serving() -> Callable[..., AbstractContextManager[Server]]:
    """Run an engine server in a thread, for as long as a block lasts."""

    @contextmanager
    def serve(
        engine: Engine, address: Path, wait: float = 0.0, batch: int = 8, task: str = 'lift'
    ) -> Iterator[Server]:
        server, over = Server(engine, task, address, wait, batch), threading.Event()
        thread = threading.Thread(target=server.run, args=(over.is_set,))
        thread.start()
        try:
            yield server
        finally:
            over.set()
            thread.join(20.0)
            server.close()

    return serve
