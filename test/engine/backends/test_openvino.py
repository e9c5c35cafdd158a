# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A graph split in two by OpenVINO, the first part in bfloat16."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from viva_ros.engine.backends.openvino import Compiled, GraphSource, can_bfloat16
from viva_ros.engine.factory import load
from viva_ros.engine.manifest import fingerprint

pytest.importorskip('openvino')
EXACT = 1 + 2.0**-12  # exact in float32; bfloat16, with 8 bits, rounds it to 1


def two_products(rows: object = 'batch') -> bytes:
    """Two layers: h = images @ first, y = h @ second + proprio; all weights are EXACT."""
    first = np.full((4, 4), EXACT, dtype=np.float32)
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node('MatMul', ['images', 'first'], ['h']),
             helper.make_node('MatMul', ['h', 'second'], ['product']),
             helper.make_node('Add', ['product', 'proprio'], ['y'])],
            'two',
            [helper.make_tensor_value_info('images', TensorProto.FLOAT, [rows, 4]),
             helper.make_tensor_value_info('proprio', TensorProto.FLOAT, [rows, 4])],
            [helper.make_tensor_value_info('y', TensorProto.FLOAT, [rows, 4])],
            [numpy_helper.from_array(first, 'first'), numpy_helper.from_array(first, 'second')],
        ), opset_imports=[helper.make_opsetid('', 20)], ir_version=10,
    )  # fmt: skip
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


def feeds(batch: int) -> dict[str, np.ndarray]:
    images = np.full((batch, 4), EXACT, dtype=np.float32)
    images[-1] *= 2
    return {'images': images, 'proprio': np.arange(4 * batch, dtype=np.float32).reshape(batch, 4)}


@pytest.mark.parametrize('batch', [1, 3])
def test_split_graph_equals_whole_graph(batch: int) -> None:
    given = feeds(batch)
    whole = Compiled(GraphSource(two_products()), batch)(given)['y']
    parts = Compiled(GraphSource(two_products(), seam='h'), batch)(given)['y']
    expected = given['images'] @ np.full((4, 4), EXACT) @ np.full((4, 4), EXACT) + given['proprio']
    assert whole == pytest.approx(expected, rel=1e-6)
    assert parts == pytest.approx(expected, rel=2**-8)
    assert parts.shape == (batch, 4)


def test_only_part_before_seam_is_rounded() -> None:
    if not can_bfloat16():
        pytest.skip('this CPU has no bfloat16')
    given = feeds(1)
    rounded = 4 * 2.0 * np.ones((1, 4))  # 4 products of 2 EXACT and EXACT, rounded to 8 bits
    expected = rounded @ np.full((4, 4), EXACT) + given['proprio']
    found = Compiled(GraphSource(two_products(), seam='h'), 1)(given)['y']
    assert found == pytest.approx(expected, rel=1e-6)


def test_input_of_both_parts_reaches_both() -> None:
    given = feeds(1)
    proto = onnx.load_from_string(two_products())
    proto.graph.node[2].input[1] = 'images'  # y = product + images
    del proto.graph.input[1]
    found = Compiled(GraphSource(proto.SerializeToString(), seam='h'), 1)(given)['y']
    expected = given['images'] @ np.full((4, 4), EXACT) @ np.full((4, 4), EXACT) + given['images']
    assert found == pytest.approx(expected, rel=2**-8)


def test_result_is_independent_of_previous_inputs() -> None:  # inputs share one buffer
    run = Compiled(GraphSource(two_products()), 1)
    first, again = feeds(1), feeds(1)
    again['images'] *= 3
    kept = run(first)['y']
    assert run(again)['y'][0, 0] == pytest.approx(3 * kept[0, 0], rel=1e-6)
    assert run(first)['y'] == pytest.approx(kept)


def test_unknown_seam_is_named() -> None:
    with pytest.raises(KeyError, match='nowhere'):
        Compiled(GraphSource(two_products(), seam='nowhere'), 1)


def test_fingerprint_depends_on_seam() -> None:
    assert fingerprint('a', 'b', 'h') != fingerprint('a', 'b')
    assert len(fingerprint('a', 'b', 'h')) == 16


def test_info_names_bfloat16(make_engine) -> None:
    folder: Path = make_engine()
    assert 'bfloat16' not in load(folder, 'lift', 'openvino').info.library
    make_engine(seam='pixels')
    made = load(folder, 'lift', 'openvino')
    assert 'bfloat16' in made.info.library
    made.close()
