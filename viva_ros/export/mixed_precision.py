# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Up to where a graph may compute in bfloat16: as far as the value stays what it was.

A seam is a tensor that everything made of the pictures passes through. The last one is taken up
to which the value differs little enough.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import onnx
from numpy.typing import NDArray

from viva_ros.core.errors import EngineError

WORK: Final = ('Conv', 'MatMul', 'Gemm', 'Attention')
PICTURES: Final = 'images'
Feeds = dict[str, NDArray[Any]]
Run = Callable[[Feeds], dict[str, NDArray[Any]]]


def seams(graph: bytes) -> list[str]:
    """
    Name the seams of a graph, first to last; of those with the same work before them, the last.

    Shapes do not count: they are constants once the size of the batch is known.
    """
    proto = onnx.load_from_string(graph).graph
    nodes = proto.node
    last = {
        name: number for number, node in enumerate(nodes) if node.op_type != 'Shape'
        for name in node.input
    }  # fmt: skip
    last |= {output.name: len(nodes) for output in proto.output}
    made, live, work = {PICTURES}, {PICTURES}, 0
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
    Return the last seam at which no value differs by more than a limit.

    :param values: that the model gives in float32
    :param compile_at: gives what runs the graph with a seam
    :raises EngineError: if there is none
    """
    pairs = list(zip(feeds, values, strict=True))
    for seam in reversed(seams(graph)):
        run = compile_at(seam)
        for index, (feed, value) in enumerate(pairs):
            if not abs(float(run(feed)['value'].reshape(-1)[0]) - value) <= limit:
                pairs.insert(0, pairs.pop(index))  # what breaks one is likely to break the next
                break
        else:
            return seam
    raise EngineError(
        'no first part of the graph can be in bfloat16: the value differs by more than '
        f'{limit:g}: use float32'
    )
