# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Quantization to 8 bits: int8 for CPUs, symmetric int8 and fp8 for GPUs.

The graph holds pairs of QuantizeLinear and DequantizeLinear. The scale of a tensor maps its
largest magnitude on recorded frames to the largest number of 8 bits: 127 of int8, or 448 of E4M3
(4 bits of exponent, 3 of mantissa).
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from viva_ros.core.errors import EngineError
from viva_ros.export.graph import E4M3, ROOT_LOGGER, hide_warnings, run_of

KINDS: Final = ('Conv', 'MatMul', 'Gemm')
FRAMES: Final = 64  # largest number of frames that set the ranges
STEPS: Final = 8  # numbers of float32 layers that are tried

Feeds = dict[str, NDArray[Any]]


class Reader(CalibrationDataReader):
    """Recorded frames for the calibration of onnxruntime."""

    def __init__(self, feeds: Sequence[Feeds]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feeds | None:
        """Return the next frame; None after the last."""
        return next(self._left, None)


def layers(graph: bytes) -> list[str]:
    """Return the names of the layers with weights, which can be quantized."""
    proto = onnx.load_from_string(graph)
    weights = {tensor.name for tensor in proto.graph.initializer}
    return [
        node.name for node in proto.graph.node
        if node.op_type in KINDS and weights & set(node.input[1:])
    ]  # fmt: skip


def quantize(graph: bytes, feeds: Sequence[Feeds], names: Sequence[str]) -> bytes:
    """
    Quantize layers to int8: symmetric weights per channel, asymmetric activations per tensor.

    :param feeds: frames that set the ranges
    :param names: of the layers to quantize
    :raises EngineError: if onnxruntime fails
    """
    step = max(1, len(feeds) // FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / 'float.onnx', Path(folder) / 'int8.onnx'
        source.write_bytes(graph)
        try:
            with hide_warnings(ROOT_LOGGER):
                quantize_static(
                    source, made, Reader(list(feeds)[::step]), quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=list(KINDS), nodes_to_quantize=list(names),
                    per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    extra_options={'WeightSymmetric': True, 'ActivationSymmetric': False},
                )  # fmt: skip
        except Exception as error:  # onnxruntime's errors have no common base class
            raise EngineError(
                'quantization-failed',
                f'onnxruntime cannot quantize the graph ({error}): use --precision float32',
            ) from error
        return made.read_bytes()


def quantize_within(
    names: Sequence[str], make: Callable[[Sequence[str]], bytes],
    error_of_layer: Callable[[str], float], error_of: Callable[[bytes], float], limit: float,
) -> tuple[bytes, list[str]]:  # fmt: skip
    """
    Quantize as many layers as a limit of the value error allows.

    :param names: of all layers
    :param make: returns the graph with the named layers quantized
    :param error_of_layer: value error with only this layer quantized, approximate
    :param error_of: largest value error of a graph
    :param limit: largest value error allowed
    :returns: graph, and the names of the layers that stay in float32
    :raises EngineError: if no layer can be quantized
    """
    made = make(names)
    if error_of(made) <= limit:
        return made, []
    errors = {name: error_of_layer(name) for name in names}
    worst_first = sorted(names, key=lambda name: -errors[name])
    for count in sorted({round(x) for x in np.linspace(1, len(names) - 1, STEPS)}):
        stay = worst_first[:count]
        made = make([name for name in names if name not in stay])
        if error_of(made) <= limit:
            return made, stay
    raise EngineError(
        'quantization-value-differs',
        f'no layer can be quantized to 8 bits with a value error of at most {limit:g}: use '
        '--precision float32',
    )


SMALLEST: Final = 1e-12  # magnitude assumed for a tensor of zeros


@dataclass(frozen=True)
class Bits:
    """
    A format of 8-bit numbers.

    :param name: part of the names of the tensors and nodes added to the graph
    :param type: of ONNX
    :param largest: number of the format
    :param round_: rounds an array to the format
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
    Quantize layers of a graph symmetrically, one scale for a tensor.

    :param feeds: frames that set the scales
    :param bits: one of BITS
    """

    def __init__(self, graph: bytes, feeds: Sequence[Feeds], bits: str) -> None:
        self._graph, self._bits = graph, BITS[bits]
        self._magnitudes = magnitudes(graph, list(feeds)[:: max(1, len(feeds) // FRAMES)])

    def __call__(self, names: Sequence[str]) -> bytes:
        """Return the graph with the named layers quantized."""
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
        """Return the nodes that quantize a tensor, and add their constants to the graph."""
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
    """Return the largest magnitude of each input of a layer over all frames."""
    proto = onnx.load_from_string(graph)
    weights = {tensor.name for tensor in proto.graph.initializer}
    declared = {item.name for item in (*proto.graph.input, *proto.graph.output)}
    inputs = {
        node.input[0] for node in proto.graph.node
        if node.op_type in KINDS and node.input[0] not in weights
    }  # fmt: skip
    proto.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in sorted(inputs - declared)
    )
    run = run_of(proto.SerializeToString())
    found = dict.fromkeys(inputs, 0.0)
    for feed in feeds:
        arrays = {**feed, **run(feed)}
        for name in inputs:
            found[name] = max(found[name], float(np.abs(arrays[name]).max()))
    return found
