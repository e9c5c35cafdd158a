# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layers in 8 bits, and back to float32 where the value breaks."""

from functools import partial
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from viva_ros.core.errors import EngineError
from viva_ros.export import quantization as eight_bits
from viva_ros.export.graph import run_of

RANDOM = np.random.default_rng(0)
FEEDS = [{'x': RANDOM.uniform(-1, 1, (1, 8)).astype(np.float32)} for _ in range(16)]


@pytest.fixture(scope='module')
def graph() -> bytes:
    """Two layers: weights of one size, then weights of which one is 1000 times the others."""
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


def differ(graph: bytes) -> Any:
    whole = run_of(graph)

    def by(made: bytes) -> float:
        run = run_of(made)
        return max(float(np.abs(run(feed)['y'] - whole(feed)['y']).max()) for feed in FEEDS)

    return by


def where_it_can(graph: bytes, differ: Any, limit: float) -> tuple[bytes, list[str]]:
    make = partial(eight_bits.quantize, graph, FEEDS)
    return eight_bits.quantize_where_it_can(
        eight_bits.layers(graph), make, lambda name: differ(make([name])), differ, limit
    )


def in_8_bits(graph: bytes) -> int:
    """Count weights that are stored so."""
    proto = onnx.load_from_string(graph)
    return sum(t.data_type == TensorProto.INT8 for t in proto.graph.initializer if t.dims)


def test_all_layers_are_in_8_bits_where_the_limit_is_wide(graph: bytes) -> None:
    assert eight_bits.layers(graph) == ['first', 'second']
    made, stayed = where_it_can(graph, differ(graph), 1e6)
    assert stayed == []
    assert in_8_bits(made) >= 2


def test_the_layer_that_breaks_the_value_stays_in_float32(graph: bytes) -> None:
    by = differ(graph)
    alone = {name: by(eight_bits.quantize(graph, FEEDS, [name])) for name in ('first', 'second')}
    assert alone['second'] > alone['first']  # what was made so above
    limit = (alone['first'] + alone['second']) / 2
    made, stayed = where_it_can(graph, by, limit)
    assert stayed == ['second']
    assert by(made) <= limit


def test_where_no_layer_can_be_in_8_bits_it_is_said(graph: bytes) -> None:
    with pytest.raises(EngineError, match=r'no layer can be in 8 bits.*use float32'):
        where_it_can(graph, lambda made: 1.0, 0.01)
