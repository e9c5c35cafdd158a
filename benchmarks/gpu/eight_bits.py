# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Part 3: the lean 5B with 8-bit products (E4M3, static scales): time, and error of the value.

The error is measured on the shipped trained model and recorded inputs; on random weights it has no
meaning.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from viva_ros.engine.api import EngineInfo
from viva_ros.engine.preprocessing import pack
from viva_ros.engine.resources import shared_folder
from viva_ros.model import checkpoint
from viva_ros.model.inference import LeanViVa

from . import networks
from .correctness import ENGINE, private_copy
from .moments import load
from .part import Part, SkipError, free, run
from .quantization import BY_ROW, BY_TENSOR, E4M3, Fp8Linear, calibrate, dequantized, quantize
from .timing import (
    Ceilings,
    Replay,
    ceilings,
    compile_blocks,
    difference,
    unique_graphs,
)
from .timing import measure as timed

AIM: Final = 9.0  # ms at 384x320, on an H100 or H200
MOMENTS: Final = 200
CALIBRATED: Final = 5  # every fifth moment sets the scales, the others measure the error
FASTER: Final = 2.0  # 8-bit products relative to bfloat16, by the data sheets
#: Of the 5B: name, granularity, clamped inputs, compiled block, compiled encoder, s needed.
VARIANTS: Final = (
    ('compiled block and encoder', BY_TENSOR, True, True, True, 30.0),
    ('no compiler', BY_TENSOR, True, False, False, 6.0),
    ('compiled block', BY_TENSOR, True, True, False, 25.0),
    ('compiled block, by row', BY_ROW, True, True, False, 30.0),
    ('compiled block, no clamp', BY_TENSOR, False, True, False, 30.0),
)
COPIES: Final = 4  # of a weight, so that they exceed the cache


def measure(part: Part) -> None:
    """Measure all rows, the most valuable first."""
    with torch.no_grad():
        part.row('8-bit product against its definition', lambda: check(part))
        if part.device.type == 'cuda' and torch.cuda.get_device_capability() < (8, 9):
            part.put('note', 'the chip has no 8-bit floating point: compute capability below 8.9')
        peaks = ceilings(part)
        part.row('shipped model, error in value', lambda: trained(part))
        speed(part, peaks)
        part.row('large 8-bit product', lambda: peak(part))
        products(part)


def check(part: Part) -> dict[str, Any]:
    """Compare the kernel with float32 after the same rounding; both granularities."""
    found, wide, kind = {}, 64 if part.tiny else 3072, torch.bfloat16
    x = torch.randn(3, 40, wide, device=part.device, dtype=kind)
    weight = torch.randn(wide, wide, device=part.device, dtype=kind) * wide**-0.5
    bias = torch.randn(wide, device=part.device, dtype=kind)
    for granularity in (BY_TENSOR, BY_ROW):
        layer = Fp8Linear(weight, bias, float(x.abs().max()), granularity)
        exact = torch.nn.functional.linear(x.float(), weight.float(), bias.float())
        given = layer(x).float()
        found[granularity] = {
            'kernel_relative': difference(given, dequantized(layer, x)),
            'rounding_relative': difference(given, exact),
        }
    return found


class Trained:
    """The shipped model's lean form on recorded moments, on the device."""

    def __init__(self, part: Part, folder: Path) -> None:
        self._part, self._folder = part, folder
        self.config = checkpoint.read(folder).model.config
        config = self.config
        self._info = EngineInfo(
            config.cameras, config.joint_names, config.horizon, config.image_size, config.tasks,
            '', 'gpu',
        )  # fmt: skip
        self.moments = load(self._info, 8 if part.tiny else MOMENTS).items

    def lean(self, kind: torch.dtype) -> LeanViVa:
        """Return a new lean form."""
        model = checkpoint.read(self._folder).model
        return LeanViVa(model).to_precision(kind).to(self._part.device).eval()

    def calls(self, rows: Iterable[int]) -> Iterator[tuple[Tensor, ...]]:
        """Return images, joints and tasks of single moments."""
        for row in rows:
            moment = self.moments[row]
            images, proprio = pack([moment.observation], self._info)
            task = np.array([self.config.tasks.index(moment.task)], dtype=np.int64)
            yield tuple(torch.from_numpy(a).to(self._part.device) for a in (images, proprio, task))

    def values(self, lean: LeanViVa, rows: Iterable[int]) -> np.ndarray:
        """Return the values of moments."""
        return np.array([float(lean(*call)[0]) for call in self.calls(rows)])


def trained(part: Part) -> dict[str, Any]:
    """Return the difference in value from float32, of bfloat16 and of each 8-bit variant."""
    with tempfile.TemporaryDirectory() as place:
        shipped = Trained(part, private_copy(shared_folder('engines') / ENGINE, Path(place)))
        count = len(shipped.moments)
        used = range(0, count, CALIBRATED)
        tested = [row for row in range(count) if row % CALIBRATED]
        wanted = shipped.values(shipped.lean(torch.float32), tested)
        found: dict[str, Any] = {'moments': len(tested), 'calibration': len(used)}
        plain = shipped.lean(torch.bfloat16)
        found['bfloat16'] = _far(shipped.values(plain, tested), wanted)
        largest = calibrate(plain, shipped.calls(used))
        for name, granularity, clamp in (
            ('e4m3 by tensor', BY_TENSOR, True), ('e4m3 by row', BY_ROW, True),
            ('e4m3 by tensor, no clamp', BY_TENSOR, False),
        ):  # fmt: skip
            lean = shipped.lean(torch.bfloat16)
            try:
                quantize(lean, largest, granularity, clamp)
                found[name] = _far(shipped.values(lean, tested), wanted)
            except RuntimeError as error:
                found[name] = {'error': str(error)[:300]}
        return found


def _far(given: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    far = np.abs(given - wanted)
    return {
        'value_max': float(far.max()), 'value_p95': float(np.percentile(far, 95)),
        'value_mean': float(far.mean()),
    }  # fmt: skip


def speed(part: Part, peaks: Ceilings) -> None:
    """Time the 5B: each variant from a fresh copy of the same weights."""
    name, image_size = next(iter(networks.sizes(part.tiny).items()))
    config = networks.make_config(part.tiny, image_size)
    given = networks.inputs(config, part.device)
    for label, granularity, clamp, compiled, encoder, needs in VARIANTS[
        : 2 if part.tiny else None
    ]:

        def work(
            granularity=granularity, clamp=clamp, compiled=compiled, encoder=encoder
        ) -> dict[str, Any]:  # fmt: skip
            lean = _quantized(part, config, granularity, clamp)
            weights = networks.weight_bytes([lean])
            found: dict[str, Any] = {'weights_gb': weights / 1e9}
            if compiled:
                compile_blocks(part, lean.blocks)
            if encoder and part.device.type == 'cuda':
                lean.encoder.to(memory_format=torch.channels_last)
                lean.encoder.compile(dynamic=False)
            call: Callable[[], Any] = lambda: lean(*given)  # noqa: E731
            finite = bool(torch.isfinite(call()[0]).all())
            replay = Replay(part, call) if part.device.type == 'cuda' else call
            found |= timed(part, replay) | {'finite': finite}
            limit = peaks.limit(networks.lean_operations(config), weights, FASTER)
            found |= {'limit_ms': limit, 'share_of_limit': limit / found['p50_ms']}
            if compiled:
                found['unique_graphs'] = unique_graphs()
            return found | {'meets_aim': found['p50_ms'] <= AIM}

        part.row(f'{name}: e4m3, {label}, CUDA graph', work, needs)
        free(part.device)


def _quantized(part: Part, config: Any, granularity: str, clamp: bool) -> LeanViVa:
    torch.manual_seed(0)
    viva = networks.make_viva(config, part.device, torch.bfloat16)
    lean = networks.make_lean(viva)
    calls = (networks.inputs(config, part.device) for _ in range(2))
    quantize(lean, calibrate(lean, calls), granularity, clamp)
    return lean


def peak(part: Part) -> dict[str, Any]:
    """Time one large product, for the ceiling of 8-bit arithmetic."""
    side = 256 if part.tiny else 8192
    a, b = (torch.randn(side, side, device=part.device).to(E4M3) for _ in range(2))
    one = torch.ones((), device=part.device)
    found = timed(part, lambda: torch._scaled_mm(
        a, b.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True
    ), 30, 2.0)  # fmt: skip
    return found | {'tflops': 2 * side**3 / found['p50_ms'] / 1e9}


def products(part: Part) -> None:
    """Time each product of a block alone: bfloat16, and 8 bits of quantized inputs."""
    config = networks.make_config(part.tiny, next(iter(networks.sizes(part.tiny).values())))
    size = config.transformer
    width, tokens = size.num_attention_heads * size.attention_head_dim, config.frames
    tokens *= config.tokens_per_frame
    for name, inputs, outputs in (
        ('query, key, value', width, 3 * width), ('attention out', width, width),
        ('feed-forward in', width, size.ffn_dim), ('feed-forward out', size.ffn_dim, width),
    ):  # fmt: skip
        part.row(
            f'product {name}, {tokens} x {inputs} x {outputs}',
            lambda shape=(tokens, inputs, outputs): _product(part, *shape),
        )


def _product(part: Part, tokens: int, inputs: int, outputs: int) -> dict[str, Any]:
    """Return ms of one product, as a graph over several copies of the weight."""
    x = torch.randn(tokens, inputs, device=part.device).bfloat16()
    weights = torch.randn(COPIES, outputs, inputs, device=part.device).bfloat16()
    found: dict[str, Any] = {'bf16_ms': _each(part, lambda i: x @ weights[i].t())}
    for granularity in (BY_TENSOR, BY_ROW):
        layers = [Fp8Linear(w, None, float(x.abs().max()), granularity) for w in weights]
        rows, scale = (x * layers[0].inverse).to(E4M3), layers[0].input_scale
        if granularity == BY_ROW:
            scale = scale.expand(tokens, 1).contiguous()

        def work(index: int, layers=layers, rows=rows, scale=scale) -> Tensor:
            layer = layers[index]
            return torch._scaled_mm(
                rows, layer.weight.t(), scale_a=scale, scale_b=layer.scale,
                out_dtype=torch.bfloat16, use_fast_accum=True,
            )  # fmt: skip

        try:
            found[f'e4m3_by_{granularity}_ms'] = _each(part, work)
        except RuntimeError as error:
            found[f'e4m3_by_{granularity}_error'] = str(error)[:200]
    flops = 2 * tokens * inputs * outputs
    found['bf16_tflops'] = flops / found['bf16_ms'] / 1e9
    return found


def _each(part: Part, work: Callable[[int], Any]) -> float:
    def all_copies() -> list[Any]:
        return [work(index) for index in range(COPIES)]

    call: Callable[[], Any] = all_copies
    try:
        call = Replay(part, all_copies)
    except SkipError:
        pass
    return float(timed(part, call, 30, 1.0)['p50_ms']) / COPIES


if __name__ == '__main__':
    raise SystemExit(run(__doc__, measure))
