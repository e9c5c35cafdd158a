# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A few layers of the 5B at full width: TensorRT-RTX and PyTorch on the same weights.

All 30 layers do not fit in one ONNX file. With 1 and 3 layers, half the difference is the time of
one layer; the rest is the image encoder, the last layer (shorter than the others) and the outputs.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from viva_ros.engine.backends.tensorrt import import_library
from viva_ros.export import tensorrt as tensorrt_export
from viva_ros.export.graph import CheckpointSource, make_graph

from . import networks
from .correctness import set_tf32
from .part import Part, SkipError, free
from .tensorrt_plan import PlanRunner
from .timing import Replay, compile_blocks, difference
from .timing import measure as timed

COUNTS: Final = (1, 3)
AHEAD: Final = '89'  # capability to build for on a machine without a GPU
GRAPH: Final = 'PyTorch, CUDA graph'
BLOCK: Final = 'PyTorch, compiled block, CUDA graph'
ENCODER: Final = 'PyTorch, compiled block and encoder, CUDA graph'
DEFAULT: Final = 'TensorRT-RTX'
CAPTURED: Final = 'TensorRT-RTX, CUDA graph'


def measure(part: Part, target: Sequence[str]) -> None:
    """
    Measure all rows, the most important first.

    :param target: capabilities to build for; none: the GPU of this machine
    """
    made: list[FewLayers] = []
    with torch.no_grad():
        for count in COUNTS[:1] if part.tiny else COUNTS:  # an export takes half a minute
            part.row(
                f'{count} layers: made', lambda n=count: make(part, n, target, made), needs=10.0
            )
        for layers in made:
            layers.plain()
            free(part.device)
        part.row('for each layer', lambda: for_each_layer(part))
        for layers in made:
            layers.compiled()
        part.rows.pop('for each layer')
        part.row('for each layer', lambda: for_each_layer(part))


def make(part: Part, count: int, target: Sequence[str], made: list['FewLayers']) -> dict[str, Any]:
    """Make a model with a number of layers and append it."""
    made.append(FewLayers(part, count, target))
    return {'layers': count, 'weights_gb': networks.weight_bytes([made[-1].lean]) / 1e9}


class FewLayers:
    """Rows of a model with few layers, random weights, bfloat16, batch 1."""

    def __init__(self, part: Part, count: int, target: Sequence[str]) -> None:
        self._part, self._count, self._target = part, count, target
        size = next(iter(networks.sizes(part.tiny).values()))
        self._viva = networks.make_viva(
            networks.make_config(part.tiny, size, count), part.device, torch.bfloat16
        )
        self.lean = networks.make_lean(self._viva)
        self._given = networks.inputs(self._viva.config, part.device)
        self._exact = self._in_float32()
        self._plan: bytes | None = None

    def _in_float32(self) -> tuple[Tensor, ...]:
        set_tf32(False, False)
        exact = copy.deepcopy(self.lean).to_precision(torch.float32)(*self._given)
        set_tf32(False, True)  # torch's defaults
        return tuple(tensor.clone() for tensor in exact)

    def plain(self) -> None:
        """Measure PyTorch without a compiler, then TensorRT-RTX."""
        self._row(GRAPH, self._pytorch, needs=5.0)
        self._row('TensorRT-RTX built', self._build, needs=40.0)
        self._row(DEFAULT, lambda: self._tensorrt(graph=False), needs=15.0)
        self._row(CAPTURED, lambda: self._tensorrt(graph=True), needs=15.0)

    def compiled(self) -> None:
        """Measure PyTorch with one compiled block, then with the compiled encoder too."""
        self._row(BLOCK, self._compiled_block, needs=30.0)
        self._row(ENCODER, self._compiled_encoder, needs=45.0)

    def _row(self, name: str, work: Callable[[], Mapping[str, Any]], needs: float) -> None:
        needs = 0.0 if self._part.tiny else needs
        self._part.row(f'{self._count} layers: {name}', work, needs)

    def _pytorch(self) -> dict[str, Any]:
        found = timed(self._part, Replay(self._part, lambda: self.lean(*self._given)))
        return found | self._differences(self.lean(*self._given))

    def _compiled_block(self) -> dict[str, Any]:
        self._part.need_cuda('a CUDA graph')
        compile_blocks(self._part, self.lean.blocks)
        return self._pytorch()

    def _compiled_encoder(self) -> dict[str, Any]:
        self._part.need_cuda('the compiled encoder')
        self.lean.encoder.to(memory_format=torch.channels_last)
        self.lean.encoder.compile(dynamic=False)
        return self._pytorch()

    def _build(self) -> dict[str, Any]:
        """Export and build."""
        viva, config = self._viva, self._viva.config
        lean = copy.deepcopy(self.lean).cpu()
        source = CheckpointSource(
            'viva', lean, lean, config.cameras, config.image_size, viva.ranges, config.horizon,
            config.tasks, '', {}, viva.outputs,
        )  # fmt: skip
        began = time.monotonic()
        graph = make_graph(source, tensorrt_export.OPSET, torch.bfloat16)
        exported = time.monotonic()
        self._plan = tensorrt_export.build(graph, tensorrt_export.RTX, self._target).content
        return {
            'export_s': exported - began, 'graph_gb': len(graph) / 1e9,
            'build_s': time.monotonic() - exported, 'plan_gb': len(self._plan) / 1e9,
        }  # fmt: skip

    def _tensorrt(self, graph: bool) -> dict[str, Any]:
        self._part.need_cuda('running an engine of TensorRT-RTX')
        if self._plan is None:
            raise SkipError('the engine was not built')
        inputs = dict(zip(('images', 'proprio', 'task'), self._given, strict=True))
        torch.cuda.synchronize()
        with torch.cuda.stream(torch.cuda.Stream()):
            began = time.monotonic()
            runner = PlanRunner(import_library(tensorrt_export.RTX), self._plan, inputs, graph)
            loaded = time.monotonic()
            runner()
            torch.cuda.synchronize()
            found: dict[str, Any] = {
                'load_s': loaded - began, 'first_s': time.monotonic() - loaded,
                'activations_gb': runner.memory / 1e9,
            }  # fmt: skip
            found |= timed(self._part, runner)
        found.pop('peak_gb', None)  # of PyTorch alone
        return found | self._differences([runner.outputs[name] for name in self._viva.outputs])

    def _differences(self, given: Sequence[Tensor]) -> dict[str, float]:
        """Return the relative difference of each output from PyTorch in float32."""
        return {
            f'{name}_relative': difference(a, b)
            for name, a, b in zip(self._viva.outputs, given, self._exact, strict=True)
        }


def for_each_layer(part: Part) -> dict[str, Any]:
    """Return the time of one layer and the estimate for all, for each measured form."""
    few, more = COUNTS
    layers, found = networks.make_config(False, (384, 320)).transformer.num_layers, {}
    for form in (GRAPH, BLOCK, ENCODER, DEFAULT, CAPTURED):
        times = [part.rows.get(f'{count} layers: {form}', {}).get('p50_ms') for count in COUNTS]
        if None in times:
            continue
        layer = (times[1] - times[0]) / (more - few)
        found[form] = {
            'layer_ms': layer, 'rest_ms': times[0],
            'all_layers_ms': times[0] + (layers - few) * layer,
        }  # fmt: skip
    if not found:
        raise SkipError('no form has both times')
    return found
