# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quantization to int8; layers with a large error of the value stay in float32."""

from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.errors import raises

from viva_ros.export import quantization
from viva_ros.export.graph import run_of

RANDOM = np.random.default_rng(0)
FEEDS = [{'x': RANDOM.uniform(-1, 1, (1, 8)).astype(np.float32)} for _ in range(16)]


@pytest.fixture(scope='module')
def graph() -> bytes:
    """Return a graph of two layers; activations of the second have one 1000 times the others."""
    fine = RANDOM.uniform(-1, 1, (8, 8)).astype(np.float32)
    coarse = RANDOM.uniform(-1, 1, (8, 1)).astype(np.float32)
    fine[:, 0] *= 1000  # its activations hide all others in 8 bits
    coarse[0] /= 1000
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node('MatMul', ['x', 'fine'], ['h'], 'first'),
             helper.make_node('MatMul', ['h', 'coarse'], ['y'], 'second')],
            'two', [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['batch', 8])],
            [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['batch', 1])],
            [numpy_helper.from_array(fine, 'fine'), numpy_helper.from_array(coarse, 'coarse')],
        ), opset_imports=[helper.make_opsetid('', 20)], ir_version=10,
    )  # fmt: skip
    return bytes(proto.SerializeToString())


def make_error_of(graph: bytes) -> Any:
    reference = run_of(graph)

    def error_of(made: bytes) -> float:
        run = run_of(made)
        return max(float(np.abs(run(feed)['y'] - reference(feed)['y']).max()) for feed in FEEDS)

    return error_of


def quantize_within(graph: bytes, error_of: Any, limit: float) -> tuple[bytes, list[str]]:
    make = partial(quantization.quantize, graph, FEEDS)
    names = quantization.layers(graph)
    return quantization.quantize_within(
        names, make, lambda name: error_of(make([name])), error_of, limit
    )


def count_int8(graph: bytes) -> int:
    """Return the number of weights stored in int8."""
    proto = onnx.load_from_string(graph)
    return sum(t.data_type == TensorProto.INT8 for t in proto.graph.initializer if t.dims)


def test_all_layers_are_quantized_within_a_wide_limit(
    graph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert quantization.layers(graph) == ['first', 'second']
    made, stayed = quantize_within(graph, make_error_of(graph), 1e6)
    assert stayed == []
    assert count_int8(made) >= 2
    assert caplog.records == []  # onnxruntime warns by the root logger


def test_layer_with_the_largest_error_stays_in_float32(graph: bytes) -> None:
    error_of = make_error_of(graph)
    first, second = (error_of(quantization.quantize(graph, FEEDS, [name]))
                     for name in ('first', 'second'))  # fmt: skip
    assert second > first
    limit = (first + second) / 2
    made, stayed = quantize_within(graph, error_of, limit)
    assert stayed == ['second']
    assert error_of(made) <= limit


def test_graph_without_quantizable_layer_is_refused(graph: bytes) -> None:
    with raises('quantization-value-differs', '0.01', '--precision float32'):
        quantize_within(graph, lambda made: 1.0, 0.01)


def test_graph_that_onnxruntime_cannot_quantize_is_refused() -> None:
    with raises('quantization-failed', '--precision float32'):
        quantization.quantize(b'', FEEDS, ['first'])
