# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The part of a graph that may compute in bfloat16."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.errors import raises

from viva_ros.export.mixed_precision import Feeds, find_seam, seams


@pytest.fixture
def graph() -> bytes:
    """
    Return a graph with a skip around the second product, and a shape read from the images.

    images -> a -> (b -> c, a + c = d) -> e -> f; between a and d there are two paths. Two outputs
    are computed from f, one after the other: after f, no tensor holds all data.
    """
    weights = numpy_helper.from_array(np.eye(2, dtype=np.float32), 'w')
    node = helper.make_node
    proto = helper.make_model(
        helper.make_graph(
            [node('Shape', ['images'], ['size']),
             node('MatMul', ['images', 'w'], ['a']),
             node('MatMul', ['a', 'w'], ['b']),
             node('Relu', ['b'], ['c']),
             node('Add', ['a', 'c'], ['d']),
             node('MatMul', ['d', 'w'], ['e']),
             node('Relu', ['e'], ['f']),
             node('Reshape', ['f', 'size'], ['value']),
             node('MatMul', ['f', 'w'], ['forecast'])],
            'skip', [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 2])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2])
             for name in ('value', 'forecast')], [weights],
        ), opset_imports=[helper.make_opsetid('', 20)], ir_version=10,
    )  # fmt: skip
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def test_seams_are_tensors_that_hold_all_image_data(graph: bytes) -> None:
    assert seams(graph) == ['a', 'd', 'f']


def compile_with(errors: dict[str, list[float]], ran: list[str]) -> Callable:
    """Return a compiler of graphs whose value at a seam has these errors, one for each moment."""

    def compile_at(seam: str):
        def run(feed: Feeds):
            ran.append(seam)
            moment = int(feed['moment'])
            return {'value': np.array([moment + errors[seam][moment]])}

        return run

    return compile_at


def test_last_seam_within_the_limit_is_found(graph: bytes) -> None:
    feeds = [{'moment': np.array(number)} for number in range(3)]
    ran: list[str] = []
    errors = {'a': [0.0, 0.0, 0.0], 'd': [0.001, -0.002, 0.004], 'f': [0.0, 0.0, -0.006]}
    compile_at = compile_with(errors, ran)
    assert find_seam(graph, feeds, [0.0, 1.0, 2.0], compile_at, 0.005) == 'd'
    assert ran == ['f'] * 3 + ['d'] * 3


def test_value_of_nan_is_above_every_limit(graph: bytes) -> None:
    feeds = [{'moment': np.array(0)}]
    errors = {'a': [0.0], 'd': [0.0], 'f': [float('nan')]}
    assert find_seam(graph, feeds, [0.0], compile_with(errors, []), 1.0) == 'd'


def test_graph_without_seam_within_the_limit_is_refused(graph: bytes) -> None:
    errors = {seam: [1.0] for seam in 'adf'}
    with raises('bfloat16-value-differs', '0.005', 'float32'):
        find_seam(graph, [{'moment': np.array(0)}], [0.0], compile_with(errors, []), 0.005)
