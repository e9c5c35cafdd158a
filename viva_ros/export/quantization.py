# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights and inputs of layers in 8 bits, as GPUs want them: symmetric, one scale for a tensor.

Written into the graph as pairs of QuantizeLinear and DequantizeLinear. The largest magnitude seen
on recorded frames becomes the largest number that 8 bits hold: integers, or E4M3 (4 bits of
exponent, 3 of mantissa).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from viva_ros.offline.eight_bits import FRAMES, KINDS, Feeds
from viva_ros.offline.graph_session import E4M3, run_of

SMALLEST: Final = 1e-12  # magnitude of a tensor that is all zero


@dataclass(frozen=True)
class Bits:
    """
    Numbers of 8 bits.

    :param name: part of the names of what is added to the graph
    :param type: in ONNX
    :param largest: number that they hold
    :param round_: to them
    """

    name: str
    type: int
    largest: float
    round_: Callable[[NDArray[np.float32]], NDArray[Any]]


BITS: Final = {
    'int8': Bits('int8', TensorProto.INT8, 127.0, lambda a: np.rint(a).astype(np.int8)),
    'fp8': Bits(
        E4M3.decode(), TensorProto.FLOAT8E4M3FN, 448.0,
        lambda a: a.astype(ml_dtypes.float8_e4m3fn),
    ),
}  # fmt: skip


class Rounding:
    """
    Puts layers of a graph into 8 bits.

    :param feeds: frames that magnitudes are seen on
    :param bits: one of BITS
    """

    def __init__(self, graph: bytes, feeds: Sequence[Feeds], bits: str) -> None:
        self._graph, self._bits = graph, BITS[bits]
        self._magnitudes = magnitudes(graph, list(feeds)[:: max(1, len(feeds) // FRAMES)])

    def __call__(self, names: Sequence[str]) -> bytes:
        """Give the graph with the layers of some names in 8 bits."""
        proto = onnx.load_from_string(self._graph)
        weights = {tensor.name: tensor for tensor in proto.graph.initializer}
        nodes, done = [], {}
        for node in proto.graph.node:
            if node.name in names:
                for index, name in enumerate(node.input[:2]):
                    if name not in done:
                        done[name] = f'{name}_rounded'
                        nodes += self._pair(proto.graph, name, weights)
                    node.input[index] = done[name]
            nodes.append(node)
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [tensor for tensor in proto.graph.initializer if tensor.name in used]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend(kept)
        onnx.checker.check_model(proto)
        return bytes(proto.SerializeToString())

    def _pair(
        self, graph: onnx.GraphProto, name: str, weights: Mapping[str, TensorProto]
    ) -> list[onnx.NodeProto]:
        """Give the nodes that round a tensor, and add what they need to the graph."""
        bits, stem = self._bits, f'{name}_{self._bits.name}'
        array = numpy_helper.to_array(weights[name]) if name in weights else None
        largest = self._magnitudes[name] if array is None else float(np.abs(array).max())
        step = np.float32(max(largest, SMALLEST) / bits.largest)
        scale, zero = f'{stem}_scale', f'{stem}_zero'
        graph.initializer.append(numpy_helper.from_array(np.array(step), scale))
        widen = helper.make_node(
            'DequantizeLinear', [stem, scale], [f'{name}_rounded'], f'{stem}_widen'
        )
        if array is not None:
            data = bits.round_(array / step).tobytes()
            graph.initializer.append(
                helper.make_tensor(stem, bits.type, array.shape, data, raw=True)
            )
            return [widen]
        graph.initializer.append(helper.make_tensor(zero, bits.type, [], b'\0', raw=True))
        return [
            helper.make_node('QuantizeLinear', [name, scale, zero], [stem], f'{stem}_round'),
            widen,
        ]


def magnitudes(graph: bytes, feeds: Sequence[Feeds]) -> dict[str, float]:
    """Give the largest magnitude of each tensor that a layer takes, over frames."""
    proto = onnx.load_from_string(graph)
    weights = {tensor.name for tensor in proto.graph.initializer}
    given = {item.name for item in (*proto.graph.input, *proto.graph.output)}
    seen = {
        node.input[0] for node in proto.graph.node
        if node.op_type in KINDS and node.input[0] not in weights
    }  # fmt: skip
    proto.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in sorted(seen - given)
    )
    run = run_of(proto.SerializeToString())
    found = dict.fromkeys(seen, 0.0)
    for feed in feeds:
        arrays = {**feed, **run(feed)}
        for name in seen:
            found[name] = max(found[name], float(np.abs(arrays[name]).max()))
    return found
