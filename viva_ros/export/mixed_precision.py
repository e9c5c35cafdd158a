# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Mixed precision: find the part of a graph that may compute in bfloat16.

A seam is a tensor through which all data computed from the images passes. The graph computes in
bfloat16 up to the last seam at which the error of the value stays within a limit.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import onnx
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError

WORK: Final = ('Conv', 'MatMul', 'Gemm', 'Attention')
IMAGES: Final = 'images'
Feeds = dict[str, NDArray[Any]]
Run = Callable[[Feeds], dict[str, NDArray[Any]]]


def seams(graph: bytes) -> list[str]:
    """
    Return the names of the seams in graph order; of several after the same operation, the last.

    Shape operations do not count: they are constants for a fixed batch size.
    """
    proto = onnx.load_from_string(graph).graph
    nodes = proto.node
    last = {
        name: number for number, node in enumerate(nodes) if node.op_type != 'Shape'
        for name in node.input
    }  # fmt: skip
    last |= {output.name: len(nodes) for output in proto.output}
    made, live, work = {IMAGES}, {IMAGES}, 0
    found: dict[int, str] = {}
    for number, node in enumerate(nodes):
        if node.op_type != 'Shape' and made.intersection(node.input):
            made.update(node.output)
            live.update(node.output)
            work += node.op_type in WORK
        live = {name for name in live if last.get(name, -1) > number}
        if len(live) == 1 and work:
            found[work] = next(iter(live))
    return list(found.values())


def find_seam(
    graph: bytes, feeds: Sequence[Feeds], values: Sequence[float],
    compile_at: Callable[[str], Run], limit: float,
) -> str:  # fmt: skip
    """
    Return the last seam at which no value has an error above a limit.

    :param values: of the model in float32, one for each feed
    :param compile_at: returns a function that runs the graph with a seam
    :param limit: largest absolute error of the value
    :raises EngineError: if no seam is within the limit
    """
    pairs = list(zip(feeds, values, strict=True))
    for seam in reversed(seams(graph)):
        run = compile_at(seam)
        for index, (feed, value) in enumerate(pairs):
            if not abs(float(run(feed)['value'].reshape(-1)[0]) - value) <= limit:
                pairs.insert(0, pairs.pop(index))  # the next seam likely fails there too
                break
        else:
            return seam
    raise EngineError(
        'bfloat16-value-differs',
        f'no part of the graph can compute in bfloat16 with a value error of at most {limit:g}: '
        'use --precision float32',
    )
