# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Attention to the task's text, of which keys and values are known beforehand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from torch import Tensor, nn

NOTHING: Final = -1e4  # added to a logit, leaves no weight, and is a number in 16 bits too


@dataclass(frozen=True)
class TextKeys:
    """
    The rows of the tasks' texts that attention has to look at.

    Texts are padded with rows of zeros, which no mask hides: all give the same key and value. One
    of them with log(how many) added to its logit weighs as much as all of them.

    :param rows: embedded, (tasks, L, D)
    :param bias: of the logits, (tasks, 1, 1, L); None if all are 0
    """

    rows: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, text: Tensor, embed: Callable[[Tensor], Tensor]) -> 'TextKeys':
        """:param text: as the checkpoint has it, (tasks, tokens, width)."""
        tokens, lengths = text.shape[1], lengths_of(text)
        longest = max(lengths, default=tokens)
        if longest >= tokens - 1:  # nothing is gained
            return cls(embed(text), None)
        bias = torch.full((len(text), 1, 1, longest + 1), NOTHING)
        for task, length in enumerate(lengths):
            bias[task, ..., :length] = 0.0
            bias[task, ..., longest] = torch.tensor(float(tokens - length)).log()
        return cls(embed(text[:, : longest + 1]), bias)


def lengths_of(text: Tensor) -> list[int]:
    """Count each task's rows up to the last that is not zeros: text is (tasks, tokens, width)."""
    used = text.ne(0).any(dim=2)
    return [int(row.nonzero().max()) + 1 if bool(row.any()) else 0 for row in used]


class TextAttention(nn.Module):
    """
    WanAttention to the text, normalisation included.

    One row has all the weight, whatever is asked: then what it adds is a constant of the task.
    """

    def __init__(self, block: WanTransformerBlock, text: TextKeys) -> None:
        super().__init__()
        attention = block.attn2
        self.heads = attention.heads
        key, value = attention.norm_k(attention.to_k(text.rows)), attention.to_v(text.rows)
        self.is_constant = text.rows.shape[1] == 1
        if self.is_constant:
            self.register_buffer('added', attention.to_out[0](value))
            return
        key, value = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (key, value))
        self.norm, self.query, self.norm_q = block.norm2, attention.to_q, attention.norm_q
        self.out = attention.to_out[0]
        self.register_buffer('key', key.contiguous())  # (tasks, heads, L, D / heads)
        self.register_buffer('value', value.contiguous())
        self.register_buffer('bias', text.bias)

    def forward(self, x: Tensor, task: Tensor) -> Tensor:
        """Give what is added to tokens: (B, tokens or 1, D)."""
        if self.is_constant:
            return self.added[task]
        query = self.norm_q(self.query(self.norm(x)))
        query = query.unflatten(2, (self.heads, -1)).transpose(1, 2)
        bias = None
        if self.bias is not None:  # spelled out for each query: an exporter may not broadcast it
            bias = self.bias[task].expand(-1, -1, x.shape[1], -1)
        mixed = F.scaled_dot_product_attention(query, self.key[task], self.value[task], bias)
        return self.out(mixed.transpose(1, 2).flatten(2))
