# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The goal-conditioned baseline, ICVF (Ghosh et al., 2023): the number of steps to a goal.

It is trained on order in time alone, without outcomes; its goals are final states of successful
episodes. It does not model failure: a state without a path to success is
only far from its goal.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

from viva_ros.core.normalize import JointRanges
from viva_ros.model.config import ViVaConfig
from viva_ros.model.vae import FrameVae
from viva_ros.model.viva import to_pixels

HEADS: Final = 2
DISCOUNT: Final = 0.99


class GoalValue(nn.Module):
    """
    V(s, g) in [-1, 0]: -(1 - discount**d) for a goal d steps away; two heads.

    :param config: configuration of the ViVa model whose VAE it uses
    :param ranges: joint ranges, in the order of the configuration
    :param goals: number of goals for each task, final states of successes
    """

    outputs = ('value',)

    def __init__(
        self, config: ViVaConfig, ranges: JointRanges, goals: int, width: int = 256
    ) -> None:  # fmt: skip
        super().__init__()
        self.config, self.ranges = config, ranges
        self.vae = FrameVae(config.vae)
        channels = config.latent_shape[0]
        self.register_buffer('latents_mean', torch.zeros(channels))
        self.register_buffer('latents_std', torch.ones(channels))
        size = len(config.cameras) * math.prod(config.latent_shape) + len(ranges.names)
        self.state, self.goal = (_embedding(size, width) for _ in range(2))
        self.heads = nn.ModuleList(_head(3 * width) for _ in range(HEADS))
        tasks = len(config.tasks)
        self.register_buffer('goals', torch.zeros(tasks, goals, size))
        self.register_buffer('duration', torch.ones(tasks))  # of a success, steps
        low, high = torch.tensor([ranges.low, ranges.high], dtype=torch.float32)
        self.register_buffer('low', low, persistent=False)
        self.register_buffer('span', high - low, persistent=False)

    @staticmethod
    def look(latents: Tensor, proprio: Tensor) -> Tensor:
        """Return one row of each moment: (B, V, C, H, W) and normalised (B, J) to (B, size)."""
        return torch.cat([latents.flatten(1), proprio], dim=1)

    def values(self, states: Tensor, goals: Tensor) -> Tensor:
        """Return V(s, g) of each head: twice (B, size) to (2, B)."""
        return self._join(self.state(states), self.goal(goals))

    def _join(self, state: Tensor, goal: Tensor) -> Tensor:
        joined = torch.cat([state, goal, state * goal], dim=-1)
        return torch.stack([head(joined).squeeze(-1) for head in self.heads])

    def from_latents(self, latents: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor]:
        """
        Estimate the value: V = 1 - steps to success / steps that a success takes.

        :param latents: normalised, (B, V, C, H, W)
        :param proprio: (B, J), rad or m
        :param task: index, (B,)
        :returns: in [-1, 1], (B,)
        """
        moved = self.span > 0
        unit = (proprio - self.low) / torch.where(moved, self.span, 1.0)
        joints = torch.where(moved, (2 * unit - 1).clamp(-1.0, 1.0), 0.0)
        state = self.state(self.look(latents, joints))[:, None]
        goal = self.goal(self.goals[task])
        found = self._join(state.expand_as(goal), goal).mean(dim=(0, 2))  # (B,)
        lasting = self.duration[task]
        steps = torch.log((1 + found).clamp(min=1e-6, max=1.0)) / math.log(DISCOUNT)
        return ((1 - steps / lasting).clamp(-1.0, 1.0),)

    def forward(self, images: Tensor, proprio: Tensor, task: Tensor) -> tuple[Tensor]:
        """As ``from_latents``, of images, (B, V, H, W, 3) uint8."""
        raw = self.vae.encode(to_pixels(images.flatten(0, 1)))
        normal = (raw - self.latents_mean[:, None, None]) / self.latents_std[:, None, None]
        return self.from_latents(normal.unflatten(0, images.shape[:2]), proprio, task)


def _embedding(size: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, width), nn.LayerNorm(width), nn.GELU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.GELU(),
    )  # fmt: skip


def _head(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, 256), nn.LayerNorm(256), nn.GELU(), nn.Linear(256, 1))
