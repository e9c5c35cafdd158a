# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Model like a vision-language-model value function: a transformer that classifies the return.

Only its time is measured; the baseline of the comparison has the trunk and encoder of ViVa.

Views (by their own encoder), joints and task text become tokens. One more token attends to all of
them and is classified into 201 bins of the return. Width and depth equal those of ViVa's
transformer; there is no generator.
"""

from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model.config import ViVaConfig
from viva_ros.model.text import embed_task
from viva_ros.model.viva import to_pixels

BINS: Final = 201
HIGHEST: Final = 2.0  # return
GRID: Final = 3  # tokens of a view along each side
GROUPS: Final = 4


class BinClassifier(nn.Module):
    """
    Distribution over returns from views, joints and text.

    :param config: configuration of the ViVa model that it is compared with
    :param ranges: joint ranges, in the order of the configuration
    """

    outputs = ('value',)

    def __init__(self, config: ViVaConfig, ranges: JointRanges) -> None:
        super().__init__()
        self.config, self.ranges = config, ranges
        shape = config.transformer
        width = shape.num_attention_heads * shape.attention_head_dim
        self.encoder = _encoder(width)
        self.proprio = nn.Linear(len(ranges.names), width)
        self.text = nn.Linear(shape.text_dim, width)
        tokens = len(config.cameras) * GRID**2
        self.place = nn.Parameter(0.02 * torch.randn(tokens + 3, width))
        layer = nn.TransformerEncoderLayer(
            width, shape.num_attention_heads, shape.ffn_dim, dropout=0.0, activation='gelu',
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, shape.num_layers, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, BINS))
        rows = [embed_task(task, 1, shape.text_dim)[0] for task in config.tasks]
        self.register_buffer('texts', torch.stack(rows))  # (tasks, text_dim)
        self.register_buffer('centres', torch.linspace(0.0, HIGHEST, BINS), persistent=False)
        low, high = torch.tensor([ranges.low, ranges.high], dtype=torch.float32)
        self.register_buffer('low', low, persistent=False)
        self.register_buffer('span', high - low, persistent=False)

    def logits(self, pixels: Tensor, proprio: Tensor, task: Tensor) -> Tensor:
        """
        Return the logits of the bins.

        :param pixels: in [-1, 1], (B, V, 3, H, W)
        :param proprio: normalised, (B, J)
        :param task: index, (B,)
        :returns: (B, bins)
        """
        views = self.encoder(pixels.flatten(0, 1)).flatten(2).transpose(1, 2)  # (B V, 9, D)
        views = views.reshape(pixels.shape[0], -1, views.shape[2])
        others = [self.proprio(proprio), self.text(self.texts[task])]
        asking = torch.zeros_like(others[0])
        tokens = torch.cat([torch.stack([asking, *others], dim=1), views], dim=1)
        return self.head(self.layers(tokens + self.place)[:, 0])

    def bins(self, returned: Tensor) -> Tensor:
        """Return the bin nearest to each return, (B,)."""
        return (returned * ((BINS - 1) / HIGHEST)).round().long().clamp(0, BINS - 1)

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor]:
        """
        Estimate the value: V = 1 - sum of p_b G_b.

        :param images: (B, V, H, W, 3) uint8
        :param proprio: (B, J), rad or m
        :returns: in [-1, 1], (B,)
        """
        pixels = to_pixels(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        moved = self.span > 0
        unit = (proprio - self.low) / torch.where(moved, self.span, 1.0)
        joints = torch.where(moved, (2 * unit - 1).clamp(-1.0, 1.0), 0.0)
        shares = self.logits(pixels, joints, task).softmax(dim=1)
        return (1.0 - shares @ self.centres,)


def _encoder(width: int) -> nn.Sequential:
    """Return a network from (N, 3, H, W) to (N, width, 3, 3): stride 16, then pooling."""
    inner = [max(1, width * part // 8 // GROUPS) * GROUPS for part in (2, 4, 6)]
    sides = [3, *inner, width]
    layers: list[nn.Module] = []
    for number, (given, made) in enumerate(pairwise(sides)):
        size = 5 if number == 0 else 3
        layers += [
            nn.Conv2d(given, made, size, stride=2, padding=size // 2),
            nn.GroupNorm(GROUPS, made), nn.GELU(),
        ]  # fmt: skip
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(GRID))
