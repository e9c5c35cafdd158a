# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Symmetric quantization for GPUs, one scale for a tensor."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from viva_ros.export import quantization
from viva_ros.export import tensorrt as tensorrt_export
from viva_ros.export.graph import run_of
from viva_ros.export.quantization import Rounding, magnitudes

WEIGHTS = np.array([[1.0, -0.3], [0.25, 0.1]], dtype=np.float32)
SEEN = [{'images': np.array([[0.5, -2.0]], dtype=np.float32)},
        {'images': np.array([[1.5, 0.9]], dtype=np.float32)}]  # fmt: skip


@pytest.fixture
def graph() -> bytes:
    """Return a graph of two layers with equal weights: value = relu(images W) W."""
    node = helper.make_node
    proto = helper.make_model(
        helper.make_graph(
            [node('MatMul', ['images', 'w'], ['a'], 'first'), node('Relu', ['a'], ['b'], 'relu'),
             node('MatMul', ['b', 'w'], ['value'], 'second')],
            'two', [helper.make_tensor_value_info('images', TensorProto.FLOAT, ['batch', 2])],
            [helper.make_tensor_value_info('value', TensorProto.FLOAT, ['batch', 2])],
            [numpy_helper.from_array(WEIGHTS, 'w')],
        ), opset_imports=[helper.make_opsetid('', 20)], ir_version=10,
    )  # fmt: skip
    return bytes(proto.SerializeToString())


def by_integers(array: np.ndarray, largest: float) -> np.ndarray:
    step = largest / 127
    return np.clip(np.rint(array / step), -128, 127) * step


def by_e4m3(array: np.ndarray, largest: float) -> np.ndarray:
    step = np.float32(largest / 448)
    return (array / step).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * step


def test_magnitudes_are_maxima_over_all_frames(graph: bytes) -> None:
    # images W: [.5 - .5, -.15 - .2] = [0, -.35] and [1.5 + .225, -.45 + .09] = [1.725, -.36]
    assert magnitudes(graph, SEEN) == pytest.approx({'images': 2.0, 'b': 1.725})


@pytest.mark.parametrize(('bits', 'round_'), [('int8', by_integers), ('fp8', by_e4m3)])
def test_inputs_and_weights_of_named_layers_are_rounded(graph: bytes, bits, round_) -> None:
    made = Rounding(graph, SEEN, bits)(['first'])
    weights = round_(WEIGHTS, 1.0)
    for feed in SEEN:
        expected = np.maximum(round_(feed['images'], 2.0) @ weights, 0) @ WEIGHTS
        assert run_of(made)(feed)['value'] == pytest.approx(expected, abs=1e-6)
    exact = np.maximum(SEEN[1]['images'] @ WEIGHTS, 0) @ WEIGHTS
    assert np.abs(run_of(made)(SEEN[1])['value'] - exact).max() > 1e-4  # it does round


def test_shared_weights_are_stored_once(graph: bytes) -> None:
    made = onnx.load_from_string(Rounding(graph, SEEN, 'fp8')(['first', 'second']))
    stored = [t for t in made.graph.initializer if t.data_type == TensorProto.FLOAT8E4M3FN]
    assert [list(tensor.dims) for tensor in stored if tensor.dims] == [[2, 2]]
    assert 'w' not in {tensor.name for tensor in made.graph.initializer}


def test_quantizing_no_layer_keeps_the_outputs(graph: bytes) -> None:
    made = run_of(Rounding(graph, SEEN, 'int8')([]))
    assert made(SEEN[0])['value'] == pytest.approx(run_of(graph)(SEEN[0])['value'])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize('bits', ['int8', 'fp8'])
def test_tensorrt_builds_a_quantized_graph(graph: bytes, bits: str) -> None:
    pytest.importorskip('tensorrt_rtx')
    made = Rounding(graph, SEEN, bits)(quantization.layers(graph))
    built = tensorrt_export.build(made, 'tensorrt_rtx', ['89', '120'])
    assert built.gpu['capabilities'] == ['8.9', '12.0']
    assert len(built.content) > 1000
