# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Blocks of the lean form: WanTransformerBlock with constants in place of time and text."""

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers.models.transformers.transformer_wan import WanAttention, WanTransformerBlock
from torch import Tensor, nn

from viva_ros.model.lean_text import TextAttention, TextKeys


class Modulation(nn.Module):
    """
    Normalise tokens, then scale and shift them by constants.

    :param shift: (1, D) for all alike, else one for each frame, (F, D)
    :param scale: less 1, likewise
    """

    def __init__(self, shift: Tensor, scale: Tensor, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer('shift', shift.clone())
        self.register_buffer('scale', 1 + scale)

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, tokens, D)."""
        if len(self.shift) == 1:
            return F.layer_norm(x, x.shape[-1:], self.scale[0], self.shift[0], self.eps)
        x = F.layer_norm(x, x.shape[-1:], eps=self.eps).unflatten(1, (len(self.shift), -1))
        return (x * self.scale[:, None] + self.shift[:, None]).flatten(1, 2)


class Block(nn.Module):
    """
    One block.

    :param modulation: (1 or F, 6, D), without the block's own table
    :param rotation: cosines and sines, (tokens, head_dim / 2) each
    :param followed: how many last frames and tokens are followed; None for all
    """

    def __init__(
        self, block: WanTransformerBlock, modulation: Tensor, text: TextKeys,
        rotation: tuple[Tensor, Tensor], followed: tuple[int, int] | None,
    ) -> None:  # fmt: skip
        super().__init__()
        table = block.scale_shift_table + modulation  # (1 or F, 6, D)
        self.count = followed[1] if followed else None
        self.before = Modulation(table[:, 0], table[:, 1], block.norm1.eps)
        if followed and len(table) > 1:
            table = table[-followed[0] :]
        self.after = Modulation(table[:, 3], table[:, 4], block.norm3.eps)
        self.register_buffer('gate', table[:, 2].clone())
        self.register_buffer('gate_out', table[:, 5].clone())
        self.attention = SelfAttention(block.attn1, rotation, self.count)
        self.text = TextAttention(block, text)
        self.feed_forward = block.ffn

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """Give (B, tokens, D), or the last ``count`` of them."""
        attended = self.attention(self.before(x))
        if self.count is not None:
            x = x[:, -self.count :]
        x = x + _gated(attended, self.gate)
        x = x + self.text(x, task)
        return x + _gated(self.feed_forward(self.after(x)), self.gate_out)


class SelfAttention(nn.Module):
    """
    WanAttention over the video, with one matrix for all three projections.

    RoPE turns pairs of neighbours; here their rows are sorted so that it turns halves.

    :param count: ask only for so many last tokens; None for all
    """

    def __init__(
        self, attention: WanAttention, rotation: tuple[Tensor, Tensor], count: int | None
    ) -> None:
        super().__init__()
        self.heads, self.count = attention.heads, count
        self.eps = float(attention.norm_q.eps)
        self.out = attention.to_out[0]
        order = _halves_first(attention)
        layers = (attention.to_q, attention.to_k, attention.to_v)
        rows = (order, order, slice(None))
        buffers = {
            'weight': torch.cat([w.weight[r] for w, r in zip(layers, rows, strict=True)]),
            'bias': torch.cat([w.bias[r] for w, r in zip(layers, rows, strict=True)]),
            'norm_q': attention.norm_q.weight.detach()[order],
            'norm_k': attention.norm_k.weight.detach()[order],
            'cos': rotation[0][:, None].clone(), 'sin': rotation[1][:, None].clone(),
        }  # fmt: skip
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer)

    def forward(self, normal: Tensor) -> Tensor:
        """Attend: (B, tokens, D) to (B, tokens or count, D)."""
        query, key, value = self._project(normal)
        cos, sin = self.cos, self.sin
        key = self._rotate(F.rms_norm(key, key.shape[-1:], self.norm_k, self.eps), cos, sin)
        if self.count is not None:
            cos, sin = cos[-self.count :], sin[-self.count :]
        query = self._rotate(F.rms_norm(query, query.shape[-1:], self.norm_q, self.eps), cos, sin)
        value = value.unflatten(2, (self.heads, -1)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _project(self, normal: Tensor) -> tuple[Tensor, ...]:
        """Give query, key and value; the query of the last ``count`` tokens alone."""
        if self.count is None:
            return F.linear(normal, self.weight, self.bias).chunk(3, dim=-1)
        width = normal.shape[-1]
        query = F.linear(normal[:, -self.count :], self.weight[:width], self.bias[:width])
        return query, *F.linear(normal, self.weight[width:], self.bias[width:]).chunk(2, dim=-1)

    def _rotate(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Rotate by halves: (B, tokens, D) to (B, heads, tokens, D / heads)."""
        a, b = x.unflatten(2, (self.heads, -1)).chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).transpose(1, 2)


def _gated(x: Tensor, gate: Tensor) -> Tensor:
    """Scale tokens, (B, tokens, D), by (1, D) for all alike or (F, D) for each frame."""
    if len(gate) == 1:
        return x * gate
    return (x.unflatten(1, (len(gate), -1)) * gate[:, None]).flatten(1, 2)


def _halves_first(attention: WanAttention) -> Tensor:
    """Give the order of rows that puts the first of each rotated pair before all second ones."""
    dim = attention.inner_dim // attention.heads
    within = torch.cat([torch.arange(0, dim, 2), torch.arange(1, dim, 2)])
    return (torch.arange(attention.heads)[:, None] * dim + within).flatten()
