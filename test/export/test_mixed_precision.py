# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Up to where a graph may compute in fewer bits."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from viva_ros.core.errors import EngineError
from viva_ros.export.mixed_precision import Feeds, find_seam, seams


@pytest.fixture
def graph() -> bytes:
    """
    Return a graph with a skip around the second product and a shape asked of the pictures.

    images -> a -> (b -> c, a + c = d) -> e; between a and d there are two paths. Of the last
    tensor two outputs are made, one after the other: from then on none holds all.
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


def test_a_seam_is_where_one_tensor_holds_all_and_the_last_before_more_work(graph: bytes) -> None:
    assert seams(graph) == ['a', 'd', 'f']


def compile_with(errors: dict[str, list[float]], ran: list[str]) -> Callable:
    """Return what errs by so much at each moment when cut at a seam."""

    def compile_at(seam: str):
        def run(feed: Feeds):
            ran.append(seam)
            moment = int(feed['moment'])
            return {'value': np.array([moment + errors[seam][moment]])}

        return run

    return compile_at


def test_the_last_seam_within_the_limit_is_taken(graph: bytes) -> None:
    feeds = [{'moment': np.array(number)} for number in range(3)]
    ran: list[str] = []
    errors = {'a': [0.0, 0.0, 0.0], 'd': [0.001, -0.002, 0.004], 'f': [0.0, 0.0, -0.006]}
    compile_at = compile_with(errors, ran)
    assert find_seam(graph, feeds, [0.0, 1.0, 2.0], compile_at, 0.005) == 'd'
    assert ran == ['f'] * 3 + ['d'] * 3


def test_a_value_that_is_no_number_is_beyond_every_limit(graph: bytes) -> None:
    feeds = [{'moment': np.array(0)}]
    errors = {'a': [0.0], 'd': [0.0], 'f': [float('nan')]}
    assert find_seam(graph, feeds, [0.0], compile_with(errors, []), 1.0) == 'd'


def test_where_none_is_within_the_limit_it_is_said(graph: bytes) -> None:
    errors = {seam: [1.0] for seam in 'adf'}
    with pytest.raises(EngineError, match=r'no first part.*bfloat16.*0.005.*use float32'):
        find_seam(graph, [{'moment': np.array(0)}], [0.0], compile_with(errors, []), 0.005)
