# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one file that a library is given, made of a checkpoint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from viva_ros.core.errors import EngineError
from viva_ros.engine.backends.onnx_graph import GRAPHS
from viva_ros.engine.manifest import FLOAT32, GRAPH, LARGEST_DIFFERENCE
from viva_ros.export import parity
from viva_ros.export.graph import OPSET, Source, make_graph
from viva_ros.export.mixed_precision import find_seam
from viva_ros.export.parity import Sample
from viva_ros.export.quantization import Rounding
from viva_ros.model.checkpoint import WEIGHTS
from viva_ros.offline import eight_bits
from viva_ros.offline.graph_session import run_of

if TYPE_CHECKING:
    from viva_ros.export.bundle import Plan

INT8: Final = 'int8'
FP8: Final = 'fp8'
PROPRIO: Final = 'proprio'  # a model of joints alone
EIGHT_BITS: Final = (INT8, FP8)
BFLOAT16: Final = 'bfloat16'
HALVES: Final = {'float16': torch.float16, BFLOAT16: torch.bfloat16}
MARGIN: Final = 0.75  # of the difference allowed: moments that were not seen may differ more
PRECISIONS: Final = {
    'onnx': (FLOAT32, INT8), 'openvino': (FLOAT32, BFLOAT16, INT8), 'pytorch': (FLOAT32, *HALVES),
    'tensorrt': (FLOAT32, *HALVES, *EIGHT_BITS), 'tensorrt_rtx': (FLOAT32, *HALVES, *EIGHT_BITS),
}  # fmt: skip
PLAN: Final = 'engine.plan'
FEW: Final = 32  # moments that tell which layer does harm


@dataclass(frozen=True)
class EngineFile:
    """
    A file and how it was made.

    :param name: within the folder
    :param facts: for the provenance
    :param gpu: that it is for; nothing for a CPU
    :param libraries: versions that it is bound to
    :param seam: up to which it is in bfloat16, see ``Manifest``
    """

    name: str
    content: bytes
    facts: Mapping[str, Any]
    gpu: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    seam: str = ''


def make_file(source: Source, plan: 'Plan', samples: Sequence[Sample]) -> EngineFile:
    """
    Make it.

    :param samples: of which 8 bits learn their ranges
    :raises EngineError: if the library has no such precision, is missing, or cannot build
    """
    known = PRECISIONS[plan.kind]
    if plan.precision not in known:
        raise EngineError(
            f'precision is {plan.precision!r}, for {plan.kind} it must be one of '
            f'{", ".join(known)}'
        )
    if source.kind == PROPRIO and (plan.precision in HALVES or plan.kind == 'pytorch'):
        raise EngineError(
            f'{source.folder} knows the joints alone, it has no {plan.precision} engine for '
            f'{plan.kind}: take onnx or openvino, and float32'
        )
    if plan.kind == 'pytorch':
        return _weights(source)
    if plan.kind in ('tensorrt', 'tensorrt_rtx'):
        return _built(source, plan, samples)
    if plan.precision == BFLOAT16:
        graph = make_graph(source)
        return EngineFile(GRAPH, graph, {'opset': OPSET}, seam=_seam(source, graph, samples))
    graph, facts = _graph(source, plan, samples, OPSET)
    return EngineFile(GRAPH, graph, facts)


def _graph(
    source: Source, plan: 'Plan', samples: Sequence[Sample], opset: int
) -> tuple[bytes, dict[str, Any]]:
    graph = make_graph(source, opset, HALVES.get(plan.precision, torch.float32))
    if plan.precision not in EIGHT_BITS:
        return graph, {'opset': opset}
    feeds, values = _moments(source, samples)
    names, few = eight_bits.layers(graph), max(1, len(feeds) // FEW)
    if plan.kind in GRAPHS:
        make = partial(eight_bits.quantize, graph, feeds)
        quick = partial(eight_bits.quantize, graph, feeds[::few])
    else:
        make = quick = Rounding(graph, feeds, plan.precision)
    made, stayed = eight_bits.quantize_where_it_can(
        names, make, lambda name: _differ(quick([name]), plan.kind, feeds[::few], values[::few]),
        lambda made: _differ(made, plan.kind, feeds, values), MARGIN * LARGEST_DIFFERENCE,
    )  # fmt: skip
    return made, {
        'opset': opset, 'layers_in_8_bits': len(names) - len(stayed),
        'layers_in_float32': stayed,
    }  # fmt: skip


def _differ(
    graph: bytes, kind: str, feeds: Sequence[dict[str, Any]], values: Sequence[float]
) -> float:
    """Give the largest difference in value; NaN if one is."""
    run = run_of(graph, kind)
    found = [float(run(feed)['value'].reshape(-1)[0]) for feed in feeds]
    return float(np.max(np.abs(np.array(found) - np.array(values))))


def _seam(source: Source, graph: bytes, samples: Sequence[Sample]) -> str:
    feeds, values = _moments(source, samples)
    return find_seam(
        graph, feeds, values, lambda seam: run_of(graph, 'openvino', seam),
        MARGIN * LARGEST_DIFFERENCE,
    )  # fmt: skip


def _moments(
    source: Source, samples: Sequence[Sample]
) -> tuple[list[dict[str, Any]], list[float]]:
    """Give moments as a graph takes them, and what the model says of them."""
    expected = parity.expect(source, samples)
    return [s.feeds(source) for s in samples], [float(one['value']) for one in expected]


def _weights(source: Source) -> EngineFile:
    return EngineFile(WEIGHTS, (source.folder / WEIGHTS).read_bytes(), {})


def _built(source: Source, plan: 'Plan', samples: Sequence[Sample]) -> EngineFile:
    from viva_ros.export import tensorrt as building

    building.check(plan.kind, plan.build_only, plan.capabilities)
    opset = building.OPSET if plan.precision in HALVES else OPSET
    graph, facts = _graph(source, plan, samples, opset)
    built = building.build(graph, plan.kind, plan.capabilities)
    return EngineFile(PLAN, built.content, facts, built.gpu, built.libraries)
