# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The lean form with 8-bit products: E4M3 weights and activations, scales fixed by calibration.

Weights are quantized once. Activations are divided by a constant of their layer, from the largest
magnitude seen on calibration inputs, and clamped to the range of E4M3.
"""

from collections.abc import Callable, Iterator
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from viva_ros.model.inference import LeanViVa, SelfAttention

E4M3: Final = torch.float8_e4m3fn
LARGEST: Final = 448.0  # finite number of E4M3
MULTIPLE: Final = 16  # widths of 8-bit products must be multiples of it
MARGIN: Final = 1.1  # factor on the largest magnitude seen
BY_TENSOR, BY_ROW = GRANULARITIES = ('tensor', 'row')


class Fp8Linear(nn.Module):
    """
    A linear layer whose weight and input are E4M3; the sum and the output are not.

    :param weight: (N, K), both multiples of 16
    :param amax: largest magnitude of the input
    :param granularity: one scale for the weight, or one for each of its rows
    :param clamp: clamp inputs to the range of E4M3; otherwise larger ones become NaN
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, amax: float, granularity: str = BY_TENSOR,
        clamp: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kind, self.by_row, self.clamp = weight.dtype, granularity == BY_ROW, clamp
        # (N, 1) or (); in float32 as the product wants them.
        wide = weight.float()
        largest = wide.abs().amax(dim=1, keepdim=True) if self.by_row else wide.abs().amax()
        scale = (largest / LARGEST).clamp_min(1e-12)
        self.register_buffer('weight', (wide / scale).clamp(-LARGEST, LARGEST).to(E4M3))
        self.register_buffer('scale', scale.reshape(1, -1) if self.by_row else scale)
        inverse = torch.tensor(LARGEST / max(amax, 1e-12), device=weight.device).to(weight.dtype)
        self.register_buffer('inverse', inverse)
        self.register_buffer('input_scale', 1 / inverse.float())  # of the rounded one
        self.register_buffer('bias', None if bias is None else bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., N) for (..., K)."""
        rows = x.flatten(0, -2) * self.inverse
        if self.clamp:
            rows = rows.clamp(-LARGEST, LARGEST)
        by_input = self.input_scale
        if self.by_row:
            by_input = by_input.expand(rows.shape[0], 1).contiguous()
        # The second operand is column-major: the transpose of a contiguous (N, K).
        found = torch._scaled_mm(
            rows.to(E4M3), self.weight.t(), scale_a=by_input, scale_b=self.scale,
            bias=self.bias, out_dtype=self.kind, use_fast_accum=True,
        )  # fmt: skip
        return found.unflatten(0, x.shape[:-1])


class Fp8SelfAttention(SelfAttention):
    """``SelfAttention`` with 8-bit products, made from one that is calibrated."""

    def __init__(self, attention: SelfAttention, make: Callable[..., Fp8Linear], amax: float):
        nn.Module.__init__(self)
        self.heads, self.count, self.eps = attention.heads, attention.count, attention.eps
        self.out = attention.out
        for name in ('norm_q', 'norm_k', 'cos', 'sin'):
            self.register_buffer(name, getattr(attention, name))
        weight, bias = attention.weight, attention.bias
        if self.count is None:
            self.projection = make(weight, bias, amax)
            return
        width = weight.shape[1]
        self.query = make(weight[:width], bias[:width], amax)
        self.projection = make(weight[width:], bias[width:], amax)

    def _project(self, normal: Tensor) -> tuple[Tensor, ...]:
        """Return query, key and value; the query of the last ``count`` tokens alone."""
        if self.count is None:
            return self.projection(normal).chunk(3, dim=-1)
        query = self.query(normal[:, -self.count :])
        return query, *self.projection(normal).chunk(2, dim=-1)


def calibrate(lean: LeanViVa, calls: Iterator[tuple[Tensor, ...]]) -> dict[str, float]:
    """
    Return the largest magnitude of each layer's input, by name, over some calls.

    :param calls: images, joints and tasks of each
    """
    seen: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            largest = given[0].detach().abs().amax().float()
            seen[name] = torch.maximum(seen[name], largest) if name in seen else largest

        return hook

    hooks = [
        module.register_forward_pre_hook(watch(name)) for name, module in _layers(lean)
    ]  # fmt: skip
    try:
        for call in calls:
            lean(*call)
    finally:
        for handle in hooks:
            handle.remove()
    return {name: float(largest) for name, largest in seen.items()}


def _layers(lean: LeanViVa) -> list[tuple[str, nn.Module]]:
    """Return the layers to quantize: attention first, because it contains some of the others."""
    found = [(n, m) for n, m in lean.blocks.named_modules() if isinstance(m, SelfAttention)]
    return found + [(n, m) for n, m in lean.blocks.named_modules() if _fits(m)]


def _fits(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and not (
        module.in_features % MULTIPLE or module.out_features % MULTIPLE
    )


def quantize(
    lean: LeanViVa, largest: dict[str, float], granularity: str = BY_TENSOR, clamp: bool = True
) -> int:
    """
    Quantize the products of the blocks in place, and return the number of layers.

    :param largest: from ``calibrate``
    """

    def make(weight: Tensor, bias: Tensor | None, amax: float) -> Fp8Linear:
        return Fp8Linear(weight, bias, MARGIN * amax, granularity, clamp)

    layers = _layers(lean)
    for name, module in layers:
        owner_name, _, attribute = name.rpartition('.')
        owner = lean.blocks.get_submodule(owner_name)
        if isinstance(module, SelfAttention):
            made: nn.Module = Fp8SelfAttention(module, make, largest[name])
        else:
            made = make(module.weight, module.bias, largest[name])
        owner.register_module(attribute, made)
    return len(layers)


def dequantized(layer: Fp8Linear, x: Tensor) -> Tensor:
    """Return the output of a layer, in float32 after the same rounding, to check the kernel."""
    rows = (x * layer.inverse).clamp(-LARGEST, LARGEST).to(E4M3).float() * layer.input_scale
    scale = layer.scale.reshape(-1, 1) if layer.by_row else layer.scale
    bias = None if layer.bias is None else layer.bias.float()
    return F.linear(rows, layer.weight.float() * scale, bias)
