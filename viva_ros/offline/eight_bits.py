# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights and activations in 8 bits, where the value stays what it was; ranges as CPUs want them.

The ranges of activations are seen on recorded frames. Then layers go back to float32, those first
that change the value most when they alone are in 8 bits, until the engine is near enough.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from viva_ros.core.errors import EngineError

KINDS: Final = ('Conv', 'MatMul', 'Gemm')
FRAMES: Final = 64  # that ranges are seen on
STEPS: Final = 8  # shares of the layers that are tried in float32

Feeds = dict[str, NDArray[Any]]


class Reader(CalibrationDataReader):
    """Recorded frames, one after the other."""

    def __init__(self, feeds: Sequence[Feeds]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feeds | None:
        """Give the next frame; None after the last."""
        return next(self._left, None)


def layers(graph: bytes) -> list[str]:
    """Name the layers with weights that can be in 8 bits."""
    proto = onnx.load_from_string(graph)
    weights = {tensor.name for tensor in proto.graph.initializer}
    return [
        node.name for node in proto.graph.node
        if node.op_type in KINDS and weights & set(node.input[1:])
    ]  # fmt: skip


def quantize(graph: bytes, feeds: Sequence[Feeds], names: Sequence[str]) -> bytes:
    """
    Put some layers into 8 bits: symmetric weights by channel, activations by tensor.

    :param feeds: frames that the ranges are seen on
    :param names: of the layers
    :raises EngineError: if the library cannot
    """
    step = max(1, len(feeds) // FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / 'float.onnx', Path(folder) / 'int8.onnx'
        source.write_bytes(graph)
        try:
            quantize_static(
                source, made, Reader(list(feeds)[::step]), quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(KINDS), nodes_to_quantize=list(names),
                per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                extra_options={'WeightSymmetric': True, 'ActivationSymmetric': False},
            )  # fmt: skip
        except Exception as error:  # its errors have no base in common
            raise EngineError(
                f'onnxruntime cannot quantize the graph ({error}): use float32'
            ) from error
        return made.read_bytes()


def quantize_where_it_can(
    names: Sequence[str], make: Callable[[Sequence[str]], bytes], harm: Callable[[str], float],
    differ: Callable[[bytes], float], limit: float,
) -> tuple[bytes, list[str]]:  # fmt: skip
    """
    Put all layers into 8 bits but those that must stay.

    :param names: of the layers
    :param make: gives the graph with some of them in 8 bits
    :param harm: about how much the value differs with one layer alone in 8 bits
    :param differ: largest difference in value that a graph makes
    :param limit: of it
    :returns: graph, and the names of the layers that stayed in float32
    :raises EngineError: if no layer can be in 8 bits
    """
    made = make(names)
    if differ(made) <= limit:
        return made, []
    harms = {name: harm(name) for name in names}
    worst_first = sorted(names, key=lambda name: -harms[name])
    for count in sorted({round(x) for x in np.linspace(1, len(names) - 1, STEPS)}):
        stay = worst_first[:count]
        made = make([name for name in names if name not in stay])
        if differ(made) <= limit:
            return made, stay
    raise EngineError(
        f'no layer can be in 8 bits: with one alone the value differs by more than {limit:g}: use '
        'float32'
    )
