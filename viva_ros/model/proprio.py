# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The proprioception baseline: a perceptron from joint positions to value and forecast.

It is trained on the data, split and labels of ViVa; failures that it detects need no camera.
"""

import torch
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges


class ProprioModel(nn.Module):
    """
    A perceptron from joint positions to value and forecast.

    :param tasks: number of tasks, encoded one-hot
    """

    def __init__(self, ranges: JointRanges, tasks: int, width: int = 256) -> None:
        super().__init__()
        joints = len(ranges.names)
        self.ranges, self.tasks = ranges, tasks
        self.layers = nn.Sequential(
            nn.Linear(joints + tasks, width), nn.GELU(),
            nn.Linear(width, width), nn.GELU(),
            nn.Linear(width, joints + 1),
        )  # fmt: skip
        low, high = torch.tensor([ranges.low, ranges.high], dtype=torch.float32)
        self.register_buffer('low', low, persistent=False)
        self.register_buffer('span', high - low, persistent=False)

    def predict(self, proprio: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return value, (B,), and normalised forecast, (B, J).

        :param proprio: (B, J), normalised
        :param task: index, (B,)
        """
        one_hot = nn.functional.one_hot(task, self.tasks).to(proprio.dtype)
        out = self.layers(torch.cat([proprio, one_hot], dim=1))
        return out[:, 0], out[:, 1:]

    def forward(self, proprio: Tensor, task: Tensor) -> tuple[Tensor, Tensor]:
        """
        Return value and forecast.

        :param proprio: (B, J), rad or m
        :returns: value in [-1, 1], (B,); forecast, (B, J), rad or m
        """
        moved = self.span > 0
        unit = (proprio - self.low) / torch.where(moved, self.span, 1.0)
        normalised = torch.where(moved, (2 * unit - 1).clamp(-1.0, 1.0), 0.0)
        value, forecast = self.predict(normalised, task)
        return value.clamp(-1.0, 1.0), self.low + (forecast + 1) * 0.5 * self.span
